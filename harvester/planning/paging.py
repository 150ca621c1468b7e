"""How a server counts, orders, cuts and links its pages, as the answers of a probe show. Pure.

Each function returns what was found, and in words how that was seen.
"""

from __future__ import annotations

from collections.abc import Sequence

from harvester.inquiry import Reply
from harvester.planning import dialogue
from harvester.planning.answers import Answers, rising
from harvester.planning.dialogue import when
from harvester.planning.link_forms import LinkForm, form_of
from harvester.planning.profile import Count, Order

_STEADY = 0.9  # share of records that must be in their places again: some may have changed in between


def count_worth(answers: Answers) -> tuple[Count, str]:
    """By a set whose size is known: all that fits one page, or all that is behind a bound."""
    totals = [reply for reply in answers.everything if reply.count is not None]
    if not totals:
        if answers.large is not None and answers.large.inquiry.count:
            return Count.ABSENT, "asked for and not told"
        reason = answers.refused.get(dialogue.HUGE_PAGE, "")
        if reason and (answers.large is not None or answers.blamed == "count"):
            return Count.REFUSED, reason
        return Count.UNKNOWN, "no answer to a request with it"
    if any((reply.count or 0) < reply.rows for reply in answers.had.values() if reply.count is not None):
        return Count.WRONG, "more records came than it counts"
    since = answers.had.get(dialogue.SINCE)
    known: tuple[int, int] | None = None
    if answers.whole:
        known = (totals[0].count or 0, max(reply.rows for reply in totals))
    elif since is not None and since.count is not None and answers.exhausted(since):
        known = (since.count, since.rows)
    if known is not None:
        said = f"it says {known[0]:,} where {known[1]:,} records are all there is"
        return (Count.HONEST if known[0] == known[1] else Count.WRONG), said
    if len({reply.count for reply in totals}) > 1:
        return Count.MOVING, " and ".join(f"{reply.count:,}" for reply in totals) + " within a moment"
    return Count.UNKNOWN, "it could not be compared with anything"


def cap_of(answers: Answers) -> tuple[int | None, str]:
    """Records at which pages end, whatever is asked for (FAULTS P16); None: none was met."""
    large = answers.large
    if large is None:
        return None, answers.refused.get(dialogue.HUGE_PAGE) or answers.why_not(dialogue.HUGE_PAGE)
    if not large.rows:
        return None, "nothing came where much was asked for"
    asked = large.inquiry.size
    if asked is None:
        return None, "no size can be asked for"
    if asked != answers.huge:
        cut = large.rows < asked and (large.link is not None or (large.count or 0) > asked)
        return (large.rows if cut else asked), f"{answers.huge or 0:,} are refused, {asked:,} give {large.rows:,}"
    if large.rows >= asked:
        return None, f"{asked:,} were asked for and came"
    claims_more = (large.count or 0) > large.rows and not answers.counts_too_much
    mine = set(large.keys)
    others = any(key not in mine for reply in answers.had.values() for key in reply.keys)
    if large.link is not None or claims_more or others:
        return large.rows, f"{asked:,} were asked for, {large.rows:,} came, without a word"
    return None, f"{asked:,} were asked for and all {large.rows:,} there are came"


def link_of(answers: Answers) -> tuple[LinkForm, str]:
    """What the link to the second page holds."""
    small = answers.had.get(dialogue.SMALL)
    if answers.first.link is None and small is not None and small.link is not None:
        return form_of(small, None)
    form, seen = form_of(answers.first, answers.had.get(dialogue.NEXT))
    if form is not LinkForm.UNKNOWN:
        return form, seen
    if not answers.whole:
        return LinkForm.NONE, f"{answers.first.rows:,} records came, there are more, and no link leads to them"
    return LinkForm.UNKNOWN, "everything fits the first page"


def link_led(answers: Answers) -> tuple[bool | None, float | None, str]:
    """Whether the link led on, and how many seconds old it was then; None: it was not followed."""
    if reason := answers.refused.get(dialogue.NEXT):
        return False, None, reason
    following = answers.had.get(dialogue.NEXT)
    if following is None:
        return None, None, answers.failed.get(dialogue.NEXT, "no link was followed")
    old = {key for key in answers.first.keys if key is not None}
    fresh = sum(1 for key in following.keys if key is not None and key not in old)
    age = following.at - answers.first.at
    if following.rows and not fresh:
        return False, age, "it leads to the records of the page it was found on"
    return True, age, f"followed {age:.1f} s after it was given; {fresh:,} new records"


def order_of(answers: Answers) -> Order:
    """Of the records of the first page."""
    first = answers.first
    times = [moment for time in first.times if time is not None and (moment := when(time)) is not None]
    keys = [key[0] for key in first.keys if key is not None]
    if len(set(keys)) < 3:
        return Order.UNKNOWN
    if rising(keys) or rising(keys[::-1]):
        return Order.KEY
    if len(set(times)) > 2 and times in (sorted(times), sorted(times, reverse=True)):
        return Order.TIME
    return Order.OTHER


def steadiness(answers: Answers) -> tuple[bool | None, str]:
    """Whether a second look shows the records of the first page in the same places."""
    again = answers.large or answers.had.get(dialogue.WHOLE_PAGE) or answers.had.get(dialogue.SMALL)
    if again is None:
        return None, "only one answer in this order"
    number = min(len(answers.first.keys), len(again.keys))
    if number < 2:
        return None, "there are too few records to see"
    old, new = answers.first.keys[:number], again.keys[:number]
    both = set(old) & set(new)
    common, order = [key for key in old if key in both], [key for key in new if key in both]
    agree = len(common) >= _STEADY * number and order == common
    return agree, f"{len(common):,} of {number:,} records again, {'' if order == common else 'not '}in their order"


def sensible_page(answers: Answers, cap: int | None) -> tuple[int | None, str]:
    """The largest page of whole records that neither its bytes nor its seconds forbid; None: not known."""
    asked = (answers.first, answers.had.get(dialogue.NEXT), answers.had.get(dialogue.WHOLE_PAGE))
    samples = sorted((r for r in asked if r is not None and r.rows and r.bytes), key=lambda reply: reply.rows)
    told = "; ".join(
        f"{reply.rows:,} in {reply.seconds:.2f} s, {reply.bytes / max(reply.seconds, 1e-3) / 1e6:.1f} MB/s"
        for reply in samples
    )
    limit = cap if cap is not None else (answers.large.rows if answers.large is not None else None)
    if not limit or not samples or answers.whole:
        return None, told
    by_bytes = dialogue.MOST_BYTES * samples[-1].rows // samples[-1].bytes
    return max(1, min(limit, by_bytes, _in_time(samples, limit))), told


_NOTHING = 1e-9  # seconds a record: no clock can tell it from none, and a quotient could be beyond all numbers


def _in_time(samples: Sequence[Reply], limit: int) -> int:
    """Records that come within the longest time a page may take, by the difference that more of them make; *limit*
    where pages of one size only were seen: what one costs by itself is not known then."""
    small, large = samples[0], samples[-1]
    if large.rows < 2 * small.rows:
        return limit
    each = (large.seconds - small.seconds) / (large.rows - small.rows)
    if each <= _NOTHING:
        return limit
    return int((dialogue.LONGEST_PAGE - max(0.0, small.seconds - each * small.rows)) / each)
