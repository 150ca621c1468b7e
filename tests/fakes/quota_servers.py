"""Servers with hidden quota windows, fixed or sliding, and the most that anyone could get from them.

They know latency, a skewed clock and whole-second Dates and Resets, as real ones do. A request is counted some way
into its latency, so answers, and the figures they carry, arrive out of order.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

Quota = tuple[tuple[int, float], ...]
"""(limit, seconds) of each window; all hold at once."""


class Fixed:
    """A window that begins anew every *period*, at a phase nobody is told."""

    def __init__(self, limit: int, period: float, phase: float) -> None:
        self.limit, self.period, self.phase = limit, period, phase
        self._number, self._used = -1, 0

    def _roll(self, now: float) -> None:
        number = math.floor((now + self.phase) / self.period)
        if number != self._number:
            self._number, self._used = number, 0

    def room(self, now: float) -> int:
        self._roll(now)
        return self.limit - self._used

    def take(self) -> None:
        self._used += 1

    def reset(self, now: float) -> float:
        self._roll(now)
        return (self._number + 1) * self.period - self.phase


class Sliding:
    """A window over the last *period*, counted exactly."""

    def __init__(self, limit: int, period: float, phase: float) -> None:
        del phase  # it has none
        self.limit, self.period = limit, period
        self._log: deque[float] = deque()
        self._now = 0.0

    def room(self, now: float) -> int:
        self._now = now
        while self._log and self._log[0] <= now - self.period + 1e-9:
            self._log.popleft()
        return self.limit - len(self._log)

    def take(self) -> None:
        self._log.append(self._now)

    def reset(self, now: float) -> float:
        return (self._log[0] if self._log else now) + self.period


Kind = Callable[[int, float, float], Fixed | Sliding]


@dataclass(frozen=True)
class Told:
    """What an answer says, in whole seconds of the server's clock."""

    ok: bool
    windows: tuple[tuple[int, int], ...]  # (remaining, reset) of each window
    date: int
    retry_after: int


@dataclass
class QuotaServer:
    """One server; *skew* seconds ahead of us, answering after *latency* seconds drawn anew each time."""

    kind: Kind
    quota: Quota
    random: random.Random
    skew: float
    latency: Callable[[], float]
    count_refused: bool = False
    accepted: int = 0
    refused: int = 0
    others: int = 0
    arrivals: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._windows = [self.kind(limit, period, self.random.uniform(0, period)) for limit, period in self.quota]

    def _take(self, now: float) -> bool:
        ok = all(window.room(now) > 0 for window in self._windows)
        if ok or self.count_refused:
            for window in self._windows:
                window.take()
        return ok

    def somebody_else(self, now: float) -> None:
        """Another program uses the same credential."""
        self.others += self._take(now)

    async def request(self) -> Told:
        loop = asyncio.get_running_loop()
        latency = self.latency()
        await asyncio.sleep(0.3 * latency)
        now = loop.time()
        self.arrivals.append(now)
        ok = self._take(now)
        self.accepted += ok
        self.refused += not ok
        waits = [window.reset(now) - now for window in self._windows if window.room(now) <= 0]
        told = Told(
            ok=ok,
            windows=tuple((max(0, w.room(now)), math.ceil(w.reset(now) + self.skew)) for w in self._windows),
            date=math.floor(now + self.skew),
            retry_after=math.ceil(max(waits, default=0.0)),
        )
        await asyncio.sleep(0.7 * latency)
        return told


def oracle(kind: Kind, quota: Quota, phases: random.Random, horizon: float) -> int:
    """What a client that knows every window and has no latency gets in *horizon* seconds."""
    windows = [kind(limit, period, phases.uniform(0, period)) for limit, period in quota]
    now, count = 0.0, 0
    while now < horizon:
        if all(window.room(now) > 0 for window in windows):
            for window in windows:
                window.take()
            count += 1
        else:
            now = max(window.reset(now) for window in windows if window.room(now) <= 0) + 1e-6
    return count
