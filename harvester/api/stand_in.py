"""Stands in for a server in a rehearsal: tells of the windows that answers told of, as that server would.

A server that tells when its window begins anew lets the governor use it to the edge; a rehearsal without these
answers would see a harvest end later than it does. A window that nobody told of stays silent here as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from harvester.governor.learned import Learned
from harvester.governor.ledger.news import Ended, Opened
from harvester.governor.ledger.reading import Journal, Told
from harvester.model import Budget, RateSignal, WindowSignal

_SAME = 0.01  # lengths that differ by less than this share are one window
_DOUBT = 3.0  # seconds: Dates, Resets and latency are no more exact together


class _Fixed:
    """A window that begins anew at known instants; times are seconds from the start of the rehearsal."""

    def __init__(self, signal: WindowSignal, seconds: float, limit: int, used: int, reset_at: float) -> None:
        self._signal, self._seconds, self._limit = signal, seconds, limit
        self._used, self._reset_at = used, reset_at

    def answer(self, now: float) -> WindowSignal:
        if now >= self._reset_at:
            self._reset_at += (math.floor((now - self._reset_at) / self._seconds) + 1) * self._seconds
            self._used = 0
        self._used += 1
        return WindowSignal(
            name=self._signal.name,
            seconds=self._signal.seconds,
            limit=self._signal.limit,
            remaining=max(0, self._limit - self._used),
            resets_in=float(math.ceil(self._reset_at - now)),
            unit=self._signal.unit,
        )


class StandIn:
    """Answers requests with what the server would tell of its fixed windows."""

    def __init__(self, budget: Budget, journal: Journal, learned: Sequence[Learned]) -> None:
        self._windows = [
            window for told in journal.told if (window := _fixed(told, budget, journal, learned)) is not None
        ]

    def answer(self, now: float) -> RateSignal | None:
        """What the answer to a request that the server counts *now* says; None: nothing."""
        if not self._windows:
            return None
        return RateSignal(windows=tuple(window.answer(now) for window in self._windows))


def _fixed(told: Told, budget: Budget, journal: Journal, learned: Sequence[Learned]) -> _Fixed | None:
    """The window that *told* is of; None: it is not known to be fixed, or not known well enough."""
    signal = told.signal
    if signal.unit != "requests" or signal.resets_in is None or signal.remaining is None:
        return None
    declared = [window for window in budget.windows if window.requests is not None]
    same = [
        window
        for window in declared
        if (signal.seconds is not None and _near(window.seconds, signal.seconds))
        or (signal.seconds is None and signal.limit is not None and window.requests == signal.limit)
    ]
    seconds = signal.seconds if signal.seconds is not None else (same[0].seconds if same else None)
    limit = signal.limit if signal.limit is not None else (same[0].requests if same else None)
    if seconds is None or limit is None:
        return None
    kinds = {lesson.kind for lesson in learned if lesson.unit == signal.unit and _near(lesson.seconds, seconds)}
    if "sliding" in kinds:
        return None
    reset_at = signal.resets_in - told.age
    if "fixed" not in kinds and not _began_before_us(reset_at, seconds, journal):
        return None
    used = limit - signal.remaining if reset_at > 0 else 0
    return _Fixed(signal, seconds, limit, used, reset_at)


def _began_before_us(reset_at: float, seconds: float, journal: Journal) -> bool:
    """Whether the window began before the first request of ours that it counts: then nothing of ours started it.

    A sliding window, and one that begins with a first request, give room again one period after that request; a
    window by the clock does not ask for it.
    """
    ages = [item.age for item in journal.news if isinstance(item, Opened | Ended) and item.age < seconds]
    return bool(ages) and abs(reset_at - (seconds - max(ages))) > _DOUBT


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= _SAME * max(one, other)
