"""When the windows of a fixed limit begin, as far as it is known: between two bounds that drift apart. Pure.

Windows have numbers; number 0 is the one that began when the edge was found. Times are monotonic seconds. That a
request was sent says when it was counted at the earliest, its answer when at the latest, and nothing says more: so an
edge is never known better than to the shortest way there and back.
"""

from __future__ import annotations

import math

_DRIFT = 1e-4
"""Seconds that two clocks may come apart in one."""

_AGREE = 8
"""Answers that must tell the end of their windows alike before it is taken to tell windows apart."""

_SLACK = 0.25
"""Share of the period by which it may differ."""


class Bounds:
    """Between which times window 0 began, and so every other."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._low = self._high = 0.0
        self._low_seen = self._high_seen = 0.0  # when each of them was seen

    def find(self, earliest: float, latest: float) -> None:
        """An edge was found between these times, the second of them now."""
        self._low, self._high = earliest, latest
        self._low_seen = self._high_seen = latest

    def at(self, now: float) -> tuple[float, float]:
        """The bounds of window 0, as sure as they still are."""
        return self._low - _DRIFT * (now - self._low_seen), self._high + _DRIFT * (now - self._high_seen)

    def width(self, now: float) -> float:
        """Seconds between them."""
        low, high = self.at(now)
        return high - low

    def began(self, now: float) -> tuple[float, float]:
        """Between which times the window began that certainly has begun last."""
        low, high = self.at(now)
        number = math.floor((now - high) / self._period)
        return low + number * self._period, high + number * self._period

    def numbers(self, sent: float, ended: float, now: float) -> tuple[int, int]:
        """The first and the last window that may have begun last at some time between *sent* and *ended*."""
        low, high = self.at(now)
        return math.floor((sent - high) / self._period), math.floor((ended - low) / self._period)

    def edge_within(self, sent: float, ended: float, now: float) -> int | None:
        """Which window began between *sent* and *ended*, when one did; None: it may have been either of two."""
        low, high = self.at(now)
        number = math.floor((ended - low) / self._period)
        return number if math.ceil((sent - high) / self._period) == number else None

    def tighten(self, earliest: float, latest: float, now: float) -> bool:
        """Window 0 began between *earliest* and *latest*, either of them infinite if unknown. False: it cannot be."""
        low, high = self.at(now)
        if latest < high:
            self._high, self._high_seen = latest, now
        if earliest > low:
            self._low, self._low_seen = earliest, now
        return max(low, earliest) <= min(high, latest)


class Numbering:
    """How the server's clock tells windows apart: by the instant at which each ends."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._end = 0.0  # of window 0 on the server's clock …
        self._agreed = 0  # … as so many answers told alike; -1: they did not

    def compare(self, resets_at: float, number: int) -> None:
        """An answer that is certainly of window *number* told that it ends at *resets_at*."""
        if self._agreed < 0:
            return
        end = resets_at - number * self._period
        if self._agreed and not self._is_like(end):
            self._agreed = -1  # a Reset that was told in seconds from now, perhaps
            return
        self._end = end
        self._agreed += 1

    def allows(self, resets_at: float, number: int) -> bool:
        """Whether an answer that tells *resets_at* may be of window *number*."""
        return self._agreed < _AGREE or self._is_like(resets_at - number * self._period)

    def _is_like(self, end: float) -> bool:
        return abs(end - self._end) <= _SLACK * self._period
