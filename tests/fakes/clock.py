"""A clock that moves only when told, and chance from a seed."""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from datetime import UTC, datetime, timedelta


class FakeClock:
    """Virtual wall and monotonic time; sleepers wake in order when ``advance`` passes them."""

    def __init__(self, start: datetime = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0
        self._jump = timedelta()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = 0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._start + self._jump + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    def jump(self, seconds: float) -> None:
        """Move the wall clock only (FAULTS C01)."""
        self._jump += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._number += 1
        heapq.heappush(self._sleepers, (self._elapsed + seconds, self._number, future))
        await future

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass; due sleepers become runnable in the order of their deadlines."""
        target = self._elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, future = heapq.heappop(self._sleepers)
            self._elapsed = max(self._elapsed, due)
            if not future.done():
                future.set_result(None)
        self._elapsed = target

    def next_due(self) -> float | None:
        """Seconds to the next sleeper; None when nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] - self._elapsed if self._sleepers else None


class JumpingClock(FakeClock):
    """A clock whose sleeps end at once and move time by their length: for code that waits alone."""

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._elapsed += max(0.0, seconds)
        await asyncio.sleep(0)


class FastClock:
    """Real time, run faster: client and sandbox share it, so an hour of quota passes in seconds."""

    def __init__(self, factor: float, start: datetime = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)) -> None:
        self._factor, self._start, self._began = factor, start, time.monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return (time.monotonic() - self._began) * self._factor

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / self._factor)


class SeededRng:
    """Chance that repeats: the same seed gives the same run."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def hex(self, size: int) -> str:
        return self._random.randbytes(size).hex()
