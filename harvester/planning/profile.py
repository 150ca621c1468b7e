"""What the answers of a probe prove of a server. Pure; what cannot be told from them is ``unknown``, never guessed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from msgspec import Struct

from harvester.inquiry import Reply
from harvester.planning import dialogue
from harvester.planning.dialogue import when
from harvester.planning.link_forms import LinkForm, form_of

FORMAT = 1  # of a kept profile; another one is probed anew

_ODD = 0.1  # share of records that an index newer than its records, or a changed clock, may explain
_STEADY = 0.9  # share of records that must be in their places again: some may have changed in between


class Heard(StrEnum):
    """What becomes of a query option."""

    HONOURED = "honoured"
    IGNORED = "ignored"  # the answer is as if it were not there
    REFUSED = "refused"
    WRONG = "wrong"  # the answer is neither what was asked for nor everything
    UNKNOWN = "unknown"


class Count(StrEnum):
    """What ``$count`` is worth."""

    HONEST = "honest"  # right for a set whose size is known otherwise
    WRONG = "wrong"
    MOVING = "moving"  # two counts differ, and neither could be checked
    ABSENT = "absent"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Order(StrEnum):
    """The order of records that nobody asked to be ordered."""

    KEY = "by key"
    TIME = "by time"
    OTHER = "no order that is known"
    UNKNOWN = "unknown"


class Finding(Struct, frozen=True):
    """One line of evidence, for people."""

    about: str
    found: str
    seen: str  # in which answer, and how


class Profile(Struct, frozen=True, kw_only=True):
    """One resource of one server, as a probe found it."""

    requests: int  # that it cost
    rows: int  # of the first page
    usable: bool  # records have the identity they are said to have
    dated: bool  # and a modification time
    number_key: bool = False  # the identity is a JSON number
    records: int | None = None  # in all, as the server counts; None: it does not
    count: Count = Count.UNKNOWN
    cap: int | None = None  # most records of a page when far more was asked for; None: nothing was held back
    link: LinkForm = LinkForm.UNKNOWN
    link_leads_on: bool | None = None  # to records that were not on the page before; None: not followed
    link_age: float | None = None  # seconds after which it was followed
    whole: bool = False  # the first page holds everything there is
    order: Order = Order.UNKNOWN
    steady: bool | None = None  # two answers have the same order; None: there was only one
    filter: Heard = Heard.UNKNOWN
    orderby: Heard = Heard.UNKNOWN
    top: Heard = Heard.UNKNOWN
    select: Heard = Heard.UNKNOWN
    page_size: int | None = None  # largest sensible: by cap, bytes and speed; None: unknown
    findings: tuple[Finding, ...] = ()


def read_profile(replies: Sequence[Reply]) -> Profile:
    """What *replies*, at least the first page, tell."""
    first = replies[0]
    had = {reply.inquiry.name: reply for reply in replies if reply.answered}
    refused = {reply.inquiry.name: reply.refused for reply in replies if reply.refused}
    requests = sum(not reply.unasked for reply in replies)
    if not first.rows:
        finding = Finding("records", "none", "the first page is empty, so nothing can be found out")
        return Profile(requests=requests, rows=0, usable=True, dated=True, findings=(finding,))
    large = had.get(dialogue.HUGE_PAGE) or had.get(dialogue.ALLOWED)
    reading = _Reading(first, had, refused, large)
    filter_, filter_seen = reading.filter()
    orderby, orderby_seen = reading.orderby()
    top, top_seen = reading.top()
    select, select_seen = reading.select()
    count, count_seen = reading.count()
    order = reading.order()
    steady, steady_seen = reading.steady()
    whole = reading.whole()
    form, form_seen = reading.link(whole=whole)
    leads_on, age, link_seen = reading.leads_on()
    cap, cap_seen = reading.cap()
    page_size, speed = reading.page_size(cap)
    records = next((reply.count for reply in reversed(replies) if reply.count is not None and _asks_all(reply)), None)
    findings = [
        Finding("page cap", "none found" if cap is None else f"{cap:,} records", cap_seen),
        Finding("$count", count.value if records is None else f"{count.value}: {records:,}", count_seen),
        Finding("order by default", order.value, f"of the {first.rows:,} records of the first page"),
        Finding("two reads agree", {True: "yes", False: "no", None: "unknown"}[steady], steady_seen),
        Finding("$filter", filter_.value, filter_seen),
        Finding("$orderby", orderby.value, orderby_seen),
        Finding("$top", top.value, top_seen),
        Finding("$select", select.value, select_seen),
        Finding("next link", form.value, form_seen),
        Finding("link lifetime", "unknown" if age is None else f"at least {age:.1f} s", link_seen),
        Finding("compression", first.encoding or "none", _compressed(first)),
        Finding("sensible page", "unknown" if page_size is None else f"{page_size:,} records", speed),
    ]
    return Profile(
        requests=requests,
        rows=first.rows,
        usable=dialogue.usable(first),
        dated=any(time is not None for time in first.times),
        number_key=first.number_key,
        records=records,
        count=count,
        cap=cap,
        link=form,
        link_leads_on=leads_on,
        link_age=age,
        whole=whole,
        order=order,
        steady=steady,
        filter=filter_,
        orderby=orderby,
        top=top,
        select=select,
        page_size=page_size,
        findings=tuple(findings),
    )


class _Reading:
    """The answers of one probe, by question, and what each group of them tells."""

    def __init__(self, first: Reply, had: Mapping[str, Reply], refused: Mapping[str, str], large: Reply | None) -> None:
        self._first, self._had, self._refused, self._large = first, had, refused, large

    # -------------------------------------------------------------- what is honoured

    def filter(self) -> tuple[Heard, str]:
        """By the records behind a bound that are known exactly, or by one key."""
        if reason := self._refused.get(dialogue.SINCE) or self._refused.get(dialogue.ONE):
            return (Heard.UNKNOWN if dialogue.blamed(reason) else Heard.REFUSED), reason
        one = self._had.get(dialogue.ONE)
        if one is not None:
            return self._one_record(one)
        since = self._had.get(dialogue.SINCE)
        bound = when(since.inquiry.since or "") if since is not None else None
        if since is None or bound is None:
            return Heard.UNKNOWN, "no question about it could be asked"
        older = sum(1 for time in since.times if time is not None and (when(time) or bound) < bound)
        if older > _ODD * since.rows:
            return Heard.IGNORED, f"{older:,} of {since.rows:,} records are older than the bound asked for"
        expected = self._known_behind(since.inquiry.since or "")
        missing = expected - {key for key in since.keys if key is not None}
        room = since.inquiry.size is None or since.rows < min(since.inquiry.size, self._most())
        if missing and (room or not since.rows):
            return Heard.WRONG, f"{len(missing):,} records that the filter lets through did not come"
        if not since.rows:
            return Heard.UNKNOWN, "nothing came, and nothing was known to be behind the bound"
        return Heard.HONOURED, f"{since.rows:,} records came, none older than the bound asked for"

    def _one_record(self, one: Reply) -> tuple[Heard, str]:
        keys = [key for key in one.keys if key is not None]
        others = [key for key in keys if key[0] != one.inquiry.key]
        if others:
            return Heard.IGNORED, f"{one.rows:,} records came where one was asked for by its key"
        if not keys:
            return Heard.WRONG, "a record that is there was not found by its key"
        if self._first.rows == len(keys):
            return Heard.UNKNOWN, "there are no other records to leave out"
        return Heard.HONOURED, "one record came, the one asked for by its key"

    def _known_behind(self, bound: str) -> set[tuple[str, ...]]:
        """Records known to be modified at *bound* or later: those of the newest."""
        newest, edge = self._had.get(dialogue.NEWEST), when(bound)
        if newest is None or edge is None:
            return set()
        pairs = zip(newest.keys, newest.times, strict=True)
        return {key for key, time in pairs if key is not None and time is not None and (when(time) or edge) > edge}

    def orderby(self) -> tuple[Heard, str]:
        """By an answer in descending order; and the ascending one must not contradict it."""
        if reason := self._refused.get(dialogue.NEWEST):
            return (Heard.UNKNOWN if dialogue.blamed(reason) else Heard.REFUSED), reason
        newest = self._had.get(dialogue.NEWEST)
        if newest is None:
            return Heard.UNKNOWN, "not asked"
        times = [time for time in newest.times if time is not None]
        if len(set(map(when, times))) > 1:
            if not dialogue.falls(newest.times):
                return Heard.IGNORED, f"{newest.rows:,} records were asked for newest first and came otherwise"
            since = self._had.get(dialogue.SINCE)
            if since is not None and dialogue.falls(since.times):
                return Heard.WRONG, "the newest came first, also when the oldest were asked for first"
            return Heard.HONOURED, f"{newest.rows:,} records came newest first, as asked for"
        keys = [key[0] for key in newest.keys if key is not None]
        if len(set(keys)) < 2:
            return Heard.UNKNOWN, "there are too few records to see an order"
        if _rising(keys[::-1]):
            return Heard.HONOURED, f"{newest.rows:,} records came with the last key first, as asked for"
        return Heard.IGNORED, f"{newest.rows:,} records were asked for with the last key first and came otherwise"

    def top(self) -> tuple[Heard, str]:
        reason = self._refused.get(dialogue.HUGE_PAGE, "")
        if self._large is not None and self._large.inquiry.size is None and dialogue.blamed(reason) == "top":
            return Heard.REFUSED, reason
        newest = self._had.get(dialogue.NEWEST)
        asked = newest.inquiry.size if newest is not None else None
        if newest is not None and asked is not None:
            if newest.rows > asked:
                return Heard.IGNORED, f"{asked} were asked for, {newest.rows:,} came"
            if self._first.rows > asked or (self._large is not None and self._large.rows > asked):
                return Heard.HONOURED, f"{asked} were asked for, {newest.rows} came"
        if self._large is not None and self._large.rows > self._first.rows:
            return Heard.HONOURED, f"{self._large.rows:,} came instead of {self._first.rows:,}"
        return Heard.UNKNOWN, "there are too few records to see"

    def select(self) -> tuple[Heard, str]:
        reason = self._refused.get(dialogue.HUGE_PAGE, "")
        if self._large is not None and not self._large.inquiry.heads_only and dialogue.blamed(reason) == "select":
            return Heard.REFUSED, reason
        if self._large is None or not self._large.selected:
            return Heard.UNKNOWN, "no answer to a request with it"
        own = {name for name in self._first.members if not name.startswith("@")}
        left = {name for name in self._large.members if not name.startswith("@")}
        if left < own:
            return Heard.HONOURED, f"{len(left)} members came instead of {len(own)}"
        if len(own) <= 2:
            return Heard.UNKNOWN, "records have no members to leave out"
        return Heard.IGNORED, f"all {len(left)} members came"

    # -------------------------------------------------------------- counts, pages, links

    def count(self) -> tuple[Count, str]:
        totals = [reply for reply in self._had.values() if reply.count is not None and _asks_all(reply)]
        if not totals:
            if self._large is not None and self._large.inquiry.count:
                return Count.ABSENT, "asked for and not told"
            reason = self._refused.get(dialogue.HUGE_PAGE, "")
            if reason and (self._large is not None or dialogue.blamed(reason) == "count"):
                return Count.REFUSED, reason
            return Count.UNKNOWN, "no answer to a request with it"
        since = self._had.get(dialogue.SINCE)
        claimed = totals[0].count or 0
        if any((reply.count or 0) < reply.rows for reply in self._had.values() if reply.count is not None):
            return Count.WRONG, "more records came than it counts"
        known: tuple[int, int] | None = None
        if self.whole():
            known = (claimed, max(reply.rows for reply in totals))
        elif since is not None and since.count is not None and _exhausted(since):
            known = (since.count, since.rows)
        if known is not None and known[0] != known[1]:
            return Count.WRONG, f"it says {known[0]:,} where {known[1]:,} records are all there is"
        if known is not None:
            return Count.HONEST, f"it says {known[0]:,} where {known[1]:,} records are all there is"
        if len({reply.count for reply in totals}) > 1:
            return Count.MOVING, " and ".join(f"{reply.count:,}" for reply in totals) + " within a moment"
        return Count.UNKNOWN, "it could not be compared with anything"

    def whole(self) -> bool:
        """Whether no answer showed a sign of records beyond the first page."""
        first = self._first
        mine = set(first.keys)
        others = [reply for reply in self._had.values() if _asks_all(reply)]
        claims = max((reply.count or 0 for reply in others), default=0)
        return (
            first.link is None
            and all(reply.rows <= first.rows for reply in others)
            and all(reply.link is None or reply.inquiry.portion is not None for reply in others)
            and all(key is None or key in mine for reply in self._had.values() for key in reply.keys)
            and (claims <= first.rows or self._counts_too_much())
        )

    def _counts_too_much(self) -> bool:
        """It does so for a set that came to its end."""
        since = self._had.get(dialogue.SINCE)
        return since is not None and _exhausted(since) and (since.count or 0) > since.rows

    def cap(self) -> tuple[int | None, str]:
        if self._large is None:
            return None, self._refused.get(dialogue.HUGE_PAGE, "not asked")
        asked = self._large.inquiry.size
        if asked is None:
            return None, "no size can be asked for"
        if asked < dialogue.HUGE:
            cut = self._large.rows < asked and (self._large.link is not None or (self._large.count or 0) > asked)
            seen = f"{dialogue.HUGE:,} are refused, {asked:,} give {self._large.rows:,}"
            return (self._large.rows if cut else asked), seen
        if self._large.rows >= asked:
            return None, f"{asked:,} were asked for and came"
        claims_more = (self._large.count or 0) > self._large.rows and not self._counts_too_much()
        mine = set(self._large.keys)
        others = any(key not in mine for reply in self._had.values() for key in reply.keys)
        if self._large.link is not None or claims_more or others:
            return self._large.rows, f"{asked:,} were asked for, {self._large.rows:,} came, without a word"
        return None, f"{asked:,} were asked for and all {self._large.rows:,} there are came"

    def link(self, *, whole: bool) -> tuple[LinkForm, str]:
        small = self._had.get(dialogue.SMALL)
        if self._first.link is None and small is not None and small.link is not None:
            return form_of(small, None)
        form, seen = form_of(self._first, self._had.get(dialogue.NEXT))
        if form is not LinkForm.UNKNOWN:
            return form, seen
        if not whole:
            return LinkForm.NONE, f"{self._first.rows:,} records came, there are more, and no link leads to them"
        return LinkForm.UNKNOWN, "everything fits the first page"

    def leads_on(self) -> tuple[bool | None, float | None, str]:
        """Whether the link led on, after how many seconds, and how that is seen."""
        if reason := self._refused.get(dialogue.NEXT):
            return False, None, reason
        following = self._had.get(dialogue.NEXT)
        if following is None:
            return None, None, "no link was followed"
        old = {key for key in self._first.keys if key is not None}
        fresh = [key for key in following.keys if key is not None and key not in old]
        age = following.at - self._first.at
        if following.rows and not fresh:
            return False, age, "it leads to the records of the page it was found on"
        return True, age, f"followed {age:.1f} s after it was given; {len(fresh):,} new records"

    def order(self) -> Order:
        times = [moment for time in self._first.times if time is not None and (moment := when(time)) is not None]
        keys = [key[0] for key in self._first.keys if key is not None]
        if len(set(keys)) < 3:
            return Order.UNKNOWN
        if _rising(keys) or _rising(keys[::-1]):
            return Order.KEY
        if len(set(times)) > 2 and times in (sorted(times), sorted(times, reverse=True)):
            return Order.TIME
        return Order.OTHER

    def steady(self) -> tuple[bool | None, str]:
        """Whether a second look shows the records of the first page in the same places."""
        again = self._large or self._had.get(dialogue.WHOLE_PAGE) or self._had.get(dialogue.SMALL)
        if again is None:
            return None, "only one answer in this order"
        number = min(len(self._first.keys), len(again.keys))
        if number < 2:
            return None, "there are too few records to see"
        old, new = self._first.keys[:number], set(again.keys[:number])
        common = [key for key in old if key in new]
        order = [key for key in again.keys[:number] if key in set(common)]
        agree = len(common) >= _STEADY * number and order == common
        return agree, f"{len(common):,} of {number:,} records again, {'' if order == common else 'not '}in their order"

    def page_size(self, cap: int | None) -> tuple[int | None, str]:
        """The largest page of whole records that neither its bytes nor its seconds forbid."""
        samples = [
            reply
            for reply in (self._first, self._had.get(dialogue.NEXT), self._had.get(dialogue.WHOLE_PAGE))
            if reply is not None and reply.rows and reply.bytes
        ]
        largest = max(samples, key=lambda reply: reply.rows)
        told = "; ".join(
            f"{reply.rows:,} in {reply.seconds:.2f} s, {reply.bytes / max(reply.seconds, 1e-3) / 1e6:.1f} MB/s"
            for reply in sorted(samples, key=lambda reply: reply.rows)
        )
        limit = cap if cap is not None else (self._large.rows if self._large is not None else None)
        if limit is None or self.whole():
            return None, told
        by_bytes = dialogue.MOST_BYTES * largest.rows // largest.bytes
        by_time = int(dialogue.LONGEST_PAGE * largest.rows / max(largest.seconds, 1e-3))
        return max(1, min(limit, by_bytes, by_time)), told

    def _most(self) -> int:
        """The most records that came in any answer."""
        return max(reply.rows for reply in self._had.values())


def _asks_all(reply: Reply) -> bool:
    inquiry = reply.inquiry
    return inquiry.since is None and inquiry.key is None and inquiry.link is None and not inquiry.newest_first


def _exhausted(reply: Reply) -> bool:
    """Whether *reply* holds all that its question is about."""
    return reply.link is None and (reply.inquiry.size is None or reply.rows < reply.inquiry.size)


def _compressed(first: Reply) -> str:
    if not first.encoding or not first.wire_bytes:
        return f"{first.bytes:,} bytes a page"
    return f"{first.bytes:,} bytes came as {first.wire_bytes:,}"


def _rising(keys: Sequence[str]) -> bool:
    """Whether *keys* go up as text, without regard to case, or as numbers: servers compare in any of these ways."""
    ways: list[Callable[[str], str | int]] = [str, str.casefold]
    if all(key.isascii() and key.isdigit() for key in keys):
        ways.append(int)
    return any(ranks == sorted(ranks) for ranks in ([way(key) for key in keys] for way in ways))
