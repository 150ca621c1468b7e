"""Where to cut a resource into windows of time of about equal size, found by asking how many records there are. Pure.

Nothing is known of how they lie in time, only that most are rather young than old; so the way between two answers is
measured in how often the age doubles. The next question is between the two answers nearest to a place, by proportion,
and half way where proportion does not get on. Each answer serves all places that are looked for.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from harvester.planning.closing import write_instant

_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # what is older is in the first window, wherever it ends
_OFF = 0.15  # share of a window by which a place may lie wrong
_TO_BEGIN_WITH = 4  # questions, until it is known where the records lie; and for each place …
_QUESTIONS = 2  # … so many, on average
_LEAST_SHARE = 0.05  # of the way between two answers: a question nearer to one of them says little
_YOUNG = 86_400.0  # seconds; ages below are alike

Soundings = Generator[str, int | None, tuple[str, ...]]
"""Yields an instant, is sent how many records are older (None: nobody says), returns the places."""


class _Mark(Struct, frozen=True, order=True):
    """So many records are older than this."""

    at: datetime
    older: int


def soundings(records: int, parts: int, now: datetime, style: str) -> Soundings:
    """Places that cut *records* into *parts*, fewer where they lie too close together.

    Args:
        now: aware UTC; nothing is younger.
        style: how instants are written, see ``Provider.timestamps``.
    """
    now = max(now, _EARLIEST + timedelta(days=1))
    marks = [_Mark(_EARLIEST, 0), _Mark(now, records)]
    off, left = _OFF * records / parts, _TO_BEGIN_WITH + _QUESTIONS * (parts - 1)
    wanted = [records * number // parts for number in _middle_first(1, parts)]
    for rank in wanted:
        halve = False
        while left and min(abs(mark.older - rank) for mark in marks) > off:
            below = max(mark for mark in marks if mark.older <= rank)
            above = min(mark for mark in marks if mark.older > rank)
            at = _between(below, above, rank, now, halve=halve)
            if at is None:
                break
            left -= 1
            older = yield write_instant(at, style)
            if older is None:
                return ()
            mark = _Mark(at, min(max(older, below.older), above.older))  # rows come and go meanwhile
            marks = sorted({*marks, mark})
            side = above.older - rank if mark.older > rank else rank - below.older
            halve = not halve and abs(mark.older - rank) > side / 2
    inner = marks[1:-1]
    nearest = [min(inner, key=lambda mark: abs(mark.older - rank)) for rank in wanted] if inner else []
    close = {mark for mark, rank in zip(nearest, wanted, strict=False) if abs(mark.older - rank) <= records / parts / 2}
    return tuple(dict.fromkeys(write_instant(mark.at, style) for mark in sorted(close)))


def _middle_first(first: int, end: int) -> Iterator[int]:
    """The numbers from *first* to before *end*: what is asked for one of them says most about the others."""
    if first < end:
        middle = (first + end) // 2
        yield middle
        yield from _middle_first(first, middle)
        yield from _middle_first(middle + 1, end)


def _between(below: _Mark, above: _Mark, rank: int, now: datetime, *, halve: bool) -> datetime | None:
    """Where to ask next; None: there is no second between the two."""
    share = 0.5 if halve else (rank - below.older) / (above.older - below.older)
    share = min(max(share, _LEAST_SHARE), 1 - _LEAST_SHARE)
    old, young = (math.log((now - mark.at).total_seconds() + _YOUNG) for mark in (below, above))
    age = math.exp(old + (young - old) * share) - _YOUNG
    at = (now - timedelta(seconds=age)).replace(microsecond=0)
    return at if below.at < at < above.at else None
