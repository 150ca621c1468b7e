"""The latest changes that a walk has met, where the provider's data must tell the time. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from datetime import datetime, timedelta

_ROWS = 25  # as many may be dated wrongly but one
_AHEAD = timedelta(days=1)  # no zone is further ahead of UTC than 14 hours


class Latest:
    """A watermark from data alone: no clock tells what text without a zone means (IMS contract, section 8).

    It is not the latest value received. One row that is dated in the future would hide every change after it
    (FAULTS T05), and starting some rows before it costs no more than reading those again.
    """

    def __init__(self) -> None:
        self._heap: list[str] = []  # the largest texts, the smallest of them first
        self._taken = 0

    def take(self, times: Iterable[str | None], served_at: datetime | None) -> None:
        """Take modification times of different records.

        Args:
            served_at: the server's clock, aware; None: it told none. What lies more than a day ahead of it is no
                time at which anything can have changed, and is passed over.
        """
        bound = _bound(served_at)
        for time in times:
            if time is None or (bound is not None and time > bound):
                continue
            self._taken += 1
            if len(self._heap) < _ROWS:
                heapq.heappush(self._heap, time)
            else:
                heapq.heappushpop(self._heap, time)

    @property
    def anchor(self) -> str | None:
        """Where these are the latest rows there are: the time of one that half of them come behind, or enough of them.

        None: they are so few that all of them may be read again.
        """
        rank = min(_ROWS, self._taken // 2 + 1)
        return sorted(self._heap, reverse=True)[rank - 1] if self._taken > 1 else None

    @property
    def watermark(self) -> str | None:
        """Where these are the latest of more rows: the earliest of them. None: they are too few to rely on one."""
        return self._heap[0] if len(self._heap) == _ROWS else None


def _bound(served_at: datetime | None) -> str | None:
    """A text behind which there are only times in the future, in whatever zone; None: nobody knows."""
    if served_at is None:
        return None
    try:
        return (served_at + _AHEAD).strftime("%Y-%m-%dT%H:%M:%S")
    except OverflowError:
        return None
