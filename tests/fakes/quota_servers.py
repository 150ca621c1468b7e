"""Servers with hidden quota windows, fixed or sliding, and the most that anyone could get from them.

They know latency, a skewed clock and whole-second Dates and Resets, as real ones do. A request is counted some way
into its latency, so answers, and the figures they carry, arrive out of order.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

Quota = tuple[tuple[int, float], ...]
"""(limit, seconds) of each window; all hold at once."""

WAY_THERE = 0.3
"""Share of the latency after which a request is counted."""


class Fixed:
    """A window that begins anew every *period*, at a phase nobody is told."""

    def __init__(self, limit: int, period: float, phase: float) -> None:
        self.limit, self.period, self.phase = limit, period, phase
        self._number, self._used = -1, 0

    def number(self, now: float) -> int:
        """Which window it is."""
        return math.floor((now + self.phase) / self.period)

    def _roll(self, now: float) -> None:
        number = self.number(now)
        if number != self._number:
            self._number, self._used = number, 0

    def room(self, now: float) -> int:
        self._roll(now)
        return self.limit - self._used

    def take(self, amount: int = 1) -> None:
        self._used += amount

    def reset(self, now: float) -> float:
        self._roll(now)
        return (self._number + 1) * self.period - self.phase


class Sliding:
    """A window over the last *period*, counted exactly."""

    def __init__(self, limit: int, period: float, phase: float) -> None:
        del phase  # it has none
        self.limit, self.period = limit, period
        self._log: deque[tuple[float, int]] = deque()
        self._used = 0
        self._now = 0.0

    def room(self, now: float) -> int:
        self._now = now
        while self._log and self._log[0][0] <= now - self.period + 1e-9:
            self._used -= self._log.popleft()[1]
        return self.limit - self._used

    def take(self, amount: int = 1) -> None:
        self._log.append((self._now, amount))
        self._used += amount

    def reset(self, now: float) -> float:
        return (self._log[0][0] if self._log else now) + self.period


class FromFirst(Fixed):
    """A window that begins with the first request after the one before has ended (a counter that expires)."""

    def __init__(self, limit: int, period: float, phase: float) -> None:
        super().__init__(limit, period, phase)
        self._began = -math.inf

    def _roll(self, now: float) -> None:
        self._now = now
        if now >= self._began + self.period:
            self._used = 0

    def take(self, amount: int = 1) -> None:
        if self._now >= self._began + self.period:
            self._began = self._now
        self._used += amount

    def reset(self, now: float) -> float:
        self._roll(now)
        return (self._began if self._used else now) + self.period


class Bucket(Fixed):
    """A bucket of *limit* tokens that fills again within *period*."""

    def __init__(self, limit: int, period: float, phase: float) -> None:
        super().__init__(limit, period, phase)
        self._level, self._filled = float(limit), 0.0

    def room(self, now: float) -> int:
        self._level = min(float(self.limit), self._level + (now - self._filled) * self.limit / self.period)
        self._filled = now
        return math.floor(self._level + 1e-9)

    def take(self, amount: int = 1) -> None:
        self._level -= amount

    def reset(self, now: float) -> float:
        return now + max(0.0, 1.0 - self._level) * self.period / self.limit


class Estimated(Fixed):
    """A sliding window estimated from the counts of two fixed ones: that of the one before fades out."""

    def __init__(self, limit: int, period: float, phase: float) -> None:
        super().__init__(limit, period, phase)
        self._before = 0

    def _roll(self, now: float) -> None:
        self._now = now
        number = self.number(now)
        if number != self._number:
            self._before = self._used if number == self._number + 1 else 0
            self._number, self._used = number, 0

    def room(self, now: float) -> int:
        self._roll(now)
        gone = (now + self.phase) / self.period - self._number
        return self.limit - self._used - math.floor(self._before * (1 - gone))


Window = Fixed | Sliding
Kind = Callable[[int, float, float], Window]


@dataclass(frozen=True)
class Told:
    """What an answer says, in whole seconds of the server's clock."""

    ok: bool
    windows: tuple[tuple[int, int], ...]  # (remaining, reset) of each window, those of bytes last
    date: int
    retry_after: int
    size: int = 0  # bytes of the body


@dataclass
class QuotaServer:
    """One server; *skew* seconds ahead of us, answering after *latency* seconds drawn anew each time."""

    kind: Kind
    quota: Quota
    random: random.Random
    skew: float
    latency: Callable[[], float]
    count_refused: bool = False
    volume: Quota = ()  # windows of bytes
    size: Callable[[], int] = lambda: 0  # of a body, drawn anew each time
    accepted: int = 0
    refused: int = 0
    others: int = 0
    arrivals: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._windows = _windows(self.kind, self.quota, self.random)
        self._volumes = _windows(self.kind, self.volume, self.random)

    def _take(self, now: float, size: int) -> bool:
        ok = True
        for window in self._windows:
            ok &= window.room(now) > 0
        for window in self._volumes:
            ok &= window.room(now) >= size
        if ok or self.count_refused:
            for window in self._windows:
                window.take()
        if ok:
            for window in self._volumes:
                window.take(size)
        return ok

    def somebody_else(self, now: float) -> None:
        """Another program uses the same credential."""
        self.others += self._take(now, 0)

    def answer(self, now: float) -> Told:
        """What a request that arrives *now* is told."""
        self.arrivals.append(now)
        size = self.size()
        ok = self._take(now, size)
        self.accepted += ok
        self.refused += not ok
        windows = [*self._windows, *self._volumes]
        wait = 0.0 if ok else max((w.reset(now) - now for w in windows if w.room(now) <= 0), default=0.0)
        return Told(
            ok=ok,
            windows=tuple([(max(0, w.room(now)), math.ceil(w.reset(now) + self.skew)) for w in windows]),
            date=math.floor(now + self.skew),
            retry_after=math.ceil(wait),
            size=size if ok else 0,
        )

    async def request(self) -> Told:
        latency = self.latency()
        await asyncio.sleep(WAY_THERE * latency)
        told = self.answer(asyncio.get_running_loop().time())
        await asyncio.sleep((1 - WAY_THERE) * latency)
        return told


def _windows(kind: Kind, quota: Quota, chance: random.Random) -> list[Window]:
    return [kind(limit, period, chance.uniform(0, period)) for limit, period in quota]


def oracle(
    kind: Kind,
    quota: Quota,
    phases: random.Random,
    horizon: float,
    *,
    volume: Quota = (),
    size: Callable[[], int] = lambda: 0,
) -> int:
    """What a client that knows every window and has no latency gets in *horizon* seconds."""
    windows, volumes = _windows(kind, quota, phases), _windows(kind, volume, phases)
    now, count, next_size = 0.0, 0, size()
    while now < horizon:
        full = [window for window in windows if window.room(now) <= 0]
        full += [window for window in volumes if window.room(now) < next_size]
        if not full:
            for window in windows:
                window.take()
            for window in volumes:
                window.take(next_size)
            count, next_size = count + 1, size()
        else:
            now = max(window.reset(now) for window in full) + 1e-6
    return count


def sound(
    kind: Kind,
    quota: Quota,
    phases: random.Random,
    horizon: float,
    *,
    latency: Callable[[], float],
    lanes: int,
    told: bool,
) -> int:
    """What the best client gets that risks nothing: it does not know when on its way a request is counted.

    So a slot is free one period after the answer, as that is the first instant at which it is free for certain. Where
    the server tells of fixed windows (*told*), it knows their phase and, from the answer, in which of them a request
    was counted; until then the request holds a place in whatever window it is.
    """
    windows = _windows(kind, quota, phases)
    counted = [window for window in windows if told and type(window) is Fixed]
    logs = [(window.limit, window.period, deque[float]()) for window in windows if window not in counted]
    used = [(0, 0)] * len(counted)  # (number of the window, answered requests in it)
    under_way: list[tuple[float, float]] = []  # (answered at, counted at)
    now, count = 0.0, 0
    while now < horizon:
        while under_way and under_way[0][0] <= now:
            answered, arrived = heapq.heappop(under_way)
            for _, _, log in logs:
                log.append(answered)
            for index, window in enumerate(counted):
                number, so_far = used[index]
                if window.number(arrived) > number:
                    number, so_far = window.number(arrived), 0
                used[index] = (number, so_far + (window.number(arrived) == number))
        held = len(under_way)
        later = [under_way[0][0]] if held >= lanes else []
        for limit, period, log in logs:
            while log and log[0] + period <= now:
                log.popleft()
            if len(log) + held >= limit:
                later.append(_first(under_way[0][0] if held else None, log[0] + period if log else None))
        for (number, so_far), window in zip(used, counted, strict=True):
            if (so_far if number == window.number(now) else 0) + held >= window.limit:
                edge = (window.number(now) + 1) * window.period - window.phase
                later.append(_first(under_way[0][0] if held else None, edge))
        if later:
            now = max(*later, now + 1e-6)
            continue
        way = latency()
        heapq.heappush(under_way, (now + way, now + WAY_THERE * way))
        count += 1
    return count


def _first(*times: float | None) -> float:
    return min(time for time in times if time is not None)
