"""Rows older than the bound that was asked for: how a server is seen to ignore its filter (FAULTS P15). Pure.

Such a server answers "what changed since" with everything it has. The answer holds the changes, but those that come
while it is read are missing from it again, and a delta that is a full copy costs what a full copy costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from harvester.errors import FilterIgnored
from harvester.model import Head, Phase, Walk
from harvester.pagers.ordering import sortable, zoned

_BOUNDED = frozenset({Phase.CLOSING, Phase.DELTA})
_WIDEST_ZONE = timedelta(hours=14)  # a time without a zone may be of any


def check_since(walk: Walk, heads: Sequence[Head], *, parameter: str) -> None:
    """Look at a page of a walk that asked for what changed since ``walk.since``.

    A single older row is no sign: an index may be newer than the record it leads to (Spark contract, section 8: its
    caches), and a timestamp may go back (FAULTS T08). A page with more older rows than others is one.

    Args:
        heads: of every record of the page.
        parameter: what the filter was sent in, for the message.
    Raises:
        FilterIgnored: most rows whose time can be read are older than the bound.
    """
    if walk.since is None or walk.phase not in _BOUNDED:
        return
    times = [head.modified for head in heads if head.modified is not None]
    older = sum(map(_Bound(walk.since).is_after, times))
    if 2 * older > len(times):
        raise FilterIgnored(
            f"the server ignores {parameter} ({older:,} of {len(times):,} records of a page are older than the "
            f"{walk.since} asked for), so changes during the run cannot be asked for; run with --prove"
        )


def check_window(walk: Walk, heads: Sequence[Head], *, parameter: str) -> None:
    """Look at a page of a part of everything: the rows of a window of time, or those without a time.

    A server that ignores its filter answers each part with everything, and the parts together cost as many times what
    everything costs. A few rows may lie outside: an index may be older than the record it leads to.

    Raises:
        FilterIgnored: most rows lie outside the window.
    """
    if walk.phase is not Phase.FULL or (walk.since is None and walk.until is None and not walk.undated):
        return
    times = [head.modified for head in heads]
    outside = sum(time is not None for time in times) if walk.undated else _outside(walk, times)
    if 2 * outside > len(times):
        raise FilterIgnored(
            f"the server ignores {parameter} ({outside:,} of {len(times):,} records of a page lie outside the window "
            "asked for), so the resource cannot be read in windows of time; choose another walk"
        )


def _outside(walk: Walk, times: Sequence[str | None]) -> int:
    begin = None if walk.since is None else _Bound(walk.since)
    end = None if walk.until is None else _Bound(walk.until)
    return sum(
        (begin is not None and begin.is_after(time)) or (end is not None and end.is_before(time))
        for time in times
        if time is not None
    )


class _Bound:
    """An instant to compare others with."""

    def __init__(self, since: str) -> None:
        self._zoned = zoned(since)
        self._bound = _plain(since)
        self._loose = _earlier(self._bound)

    def is_after(self, time: str) -> bool:
        """Whether *time* is older; False when either cannot be read (FAULTS T04)."""
        mine = _plain(time)
        bound = self._bound if zoned(time) == self._zoned else self._loose
        return mine is not None and bound is not None and mine < bound

    def is_before(self, time: str) -> bool:
        """Whether *time* is younger, by more than a zone where one of them does not tell its own."""
        mine = _plain(time)
        bound = self._bound if zoned(time) == self._zoned else None
        return mine is not None and bound is not None and bound < mine


def _plain(text: str) -> str | None:
    """As ``sortable``, with one separator between date and time."""
    found = sortable(text)
    return None if found is None else f"{found[:10]}T{found[11:]}"


def _earlier(bound: str | None) -> str | None:
    if bound is None:
        return None
    try:
        return f"{(datetime.fromisoformat(bound[:19]) - _WIDEST_ZONE).isoformat()}."
    except (ValueError, OverflowError):
        return None
