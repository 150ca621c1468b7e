"""The questions of a probe, in their order: each answers several things at once, and the next depends on the last.

1. *first page*: plain. The server's own page, order, link, compression, size and speed.
2. *huge page*: far more than any server gives, heads only, with the count. The cap; whether ``$top`` and ``$select``
   are heard; whether the order is the same at a second look.
   A server that refuses it is asked once more, without what it refused (*allowed page*).
3. *newest first*: the order that no server has by itself.
4. *changed since*: a bound that the third answer knows exactly what is behind, in the other order, with the count: the
   filter, the order and the count are right or they are not. Records without a time: *one record*, by its key.
5. *next page*: the link of the first page, after all that. Where it led, how it counted on, how old it could get.
   Without one, *small pages*: everything again in two portions, so that a link must come.
6. *whole page*: as many whole records as are sensible, but for the first, with the count a second time. Speed by size;
   whether ``$skip`` is heard.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from harvester.inquiry import Inquiry, Reply
from harvester.planning.closing import read_instant

HUGE = 10_000  # more than a page ever holds
SAMPLE = 50  # records, where a few tell enough
_BEHIND = 10  # of the sample are behind the bound of a filter, if times allow it
WHOLE = 1_000  # whole records at most, to measure speed with
MOST_BYTES = 8 << 20  # of a page of whole records
MOST_AT_ONCE = 64 << 20  # bytes that a server without a cap may send
LONGEST_PAGE = 10.0  # seconds a page may take

FIRST, HUGE_PAGE, ALLOWED, NEWEST = "first page", "huge page", "allowed page", "newest first"
SINCE, ONE, NEXT, SMALL, WHOLE_PAGE = "changed since", "one record", "next page", "small pages", "whole page"

_OPTION = re.compile(r"\b(count|select|top|skip)\b", re.ASCII | re.IGNORECASE)
_FRACTION = re.compile(r":\d\d\.(\d+)", re.ASCII)


def next_inquiry(replies: Sequence[Reply]) -> Inquiry | None:
    """What to ask next; None: enough is known, or there is nothing to learn from."""
    if not replies:
        return Inquiry(name=FIRST)
    first = replies[0]
    had = {reply.inquiry.name: reply for reply in replies}
    if not first.rows or not usable(first):
        return None
    dated = any(time is not None for time in first.times)
    if HUGE_PAGE not in had:
        return Inquiry(name=HUGE_PAGE, size=_far_more(first), count=True, heads_only=True, dated=dated)
    huge = had[HUGE_PAGE]
    if huge.refused and ALLOWED not in had:
        return _without_refused(huge, first)
    if NEWEST not in had:
        return Inquiry(name=NEWEST, size=_few(had), newest_first=True, heads_only=takes_heads(had), dated=dated)
    if SINCE not in had and ONE not in had:
        bound = bound_of(replies) if dated else None
        if bound is not None:
            ordered = not had[NEWEST].refused  # else the refusal would be that of the order again
            return Inquiry(
                name=SINCE,
                since=bound,
                oldest_first=ordered,
                size=_few(had),
                count=_heard_counting(had),
                heads_only=takes_heads(had),
            )
        key = next(key for key in first.keys if key is not None)[0]
        heads = takes_heads(had)
        return Inquiry(name=ONE, key=key, number=first.number_key, size=_few(had), heads_only=heads, dated=dated)
    if first.link is not None and NEXT not in had:
        return Inquiry(name=NEXT, link=first.link)
    if first.link is None and first.rows > 1 and SMALL not in had:
        return Inquiry(name=SMALL, portion=(first.rows + 1) // 2)
    if WHOLE_PAGE not in had and _few(had) and not _is_everything(first, had):
        return Inquiry(
            name=WHOLE_PAGE, skip=1, size=min(WHOLE, _sensible(first), _cap(had)), count=_heard_counting(had)
        )
    return None


def blamed(refusal: str) -> str:
    """The query option beside filter and order that a refusal speaks of, e.g. ``count``; "": none."""
    found = _OPTION.search(refusal)
    return "" if found is None else found[1].lower()


def _without_refused(huge: Reply, first: Reply) -> Inquiry:
    """The huge page again. A refusal that names nothing costs everything that was new in it."""
    blame = "top" if huge.allowed is not None else blamed(huge.refused)
    size = first.rows if not blame else huge.allowed if blame == "top" else huge.inquiry.size
    return msgspec.structs.replace(
        huge.inquiry, name=ALLOWED, size=size, count=blame in {"top", "select"}, heads_only=blame != "select"
    )


def _heard_counting(had: Mapping[str, Reply]) -> bool:
    """Whether a count is worth asking for again."""
    return any(reply.count is not None for reply in had.values())


def _few(had: Mapping[str, Reply]) -> int | None:
    """The size to ask for where a few records tell enough; None: the server takes no size."""
    huge = had[HUGE_PAGE]
    return None if huge.refused and huge.allowed is None and blamed(huge.refused) == "top" else SAMPLE


def takes_heads(had: Mapping[str, Reply]) -> bool:
    """Whether the server takes ``$select``, as far as is known."""
    allowed = had.get(ALLOWED)
    return allowed is None or (allowed.answered and allowed.inquiry.heads_only)


def usable(first: Reply) -> bool:
    """Whether records have an identity, and the one that they are said to have."""
    return any(key is not None for key in first.keys)


def bound_of(replies: Sequence[Reply]) -> str | None:
    """A modification time that some of the records seen are behind and others are not; None: no such time was seen.

    Where the newest records came first, few are behind it, so that a server which ignores it is seen by the others.
    """
    newest = next((reply for reply in replies if reply.inquiry.name == NEWEST and reply.answered), None)
    if newest is not None and falls(newest.times):
        times: list[str] = [time for time in newest.times if time is not None]
        few = min(_BEHIND, len(times) // 2)
        for place in (*range(few, 0, -1), *range(few + 1, len(times))):
            if when(times[place]) != when(times[place - 1]):
                behind: str = times[place - 1]
                return behind
    known: list[str] = [
        time for reply in replies for time in reply.times if time is not None and when(time) is not None
    ]
    ordered = sorted(known, key=lambda time: when(time) or _NEVER)
    if not ordered or when(ordered[0]) == when(ordered[-1]):
        return None
    bound: str = ordered[len(ordered) * 9 // 10]
    return bound if when(bound) != when(ordered[0]) else ordered[-1]


Instant = tuple[datetime, str]
_NEVER: Instant = (datetime.min.replace(tzinfo=UTC), "")


def when(time: str) -> Instant | None:
    """*time* so that it can be compared; None: unreadable."""
    second = read_instant(time)
    if second is None:
        return None
    fraction = _FRACTION.search(time)
    return second, "" if fraction is None else fraction[1].rstrip("0")


def falls(times: Sequence[str | None]) -> bool:
    """Whether *times* only ever go down, and do."""
    read = [moment for time in times if time is not None and (moment := when(time)) is not None]
    return len(read) > 1 and read == sorted(read, reverse=True) and read[0] != read[-1]


def _is_everything(first: Reply, had: Mapping[str, Reply]) -> bool:
    """The first page held all there is, so a larger one would tell nothing."""
    return first.link is None and all(reply.rows <= first.rows and reply.link is None for reply in had.values())


def _far_more(first: Reply) -> int:
    """Fewer where records are large: a server may have no cap, and ignore that heads would do."""
    return min(HUGE, max(2 * first.rows, MOST_AT_ONCE * first.rows // max(1, first.bytes)))


def _sensible(first: Reply) -> int:
    return max(1, MOST_BYTES * first.rows // max(1, first.bytes))


def _cap(had: Mapping[str, Reply]) -> int:
    """The most records that came at once."""
    return max(reply.rows for reply in had.values())
