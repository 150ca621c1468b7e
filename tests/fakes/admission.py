"""A governor that admits up to a number at once and writes down what it is told."""

from __future__ import annotations

import asyncio
import math

from harvester.governor.line import Priority
from harvester.model import RateSignal
from harvester.wire.errands import Errand


class FakeGovernor:
    """Tickets are numbers. *in_flight*: admissions open at a time."""

    def __init__(self, in_flight: int = 100) -> None:
        self._slots = asyncio.Semaphore(in_flight)
        self.admitted = 0
        self.settled: list[tuple[int, int]] = []
        self.unanswered: list[int] = []
        self.released: list[int] = []
        self.observed: list[RateSignal] = []
        self.errands: list[Errand] = []
        self.stale = 0  # so many of the next tickets have grown old when they are to be used

    @property
    def open(self) -> int:
        return self.admitted - len(self.settled) - len(self.released)

    async def admit(
        self,
        priority: Priority = Priority.BACKFILL,
        *,
        lane: str = "",
        weight: float = 1.0,
        urgent_at: float = math.inf,
    ) -> int:
        self.errands.append(Errand(priority=priority, lane=lane, weight=weight, urgent_at=urgent_at))
        await self._slots.acquire()
        self.admitted += 1
        return self.admitted

    def usable(self, ticket: int) -> bool:
        self.stale -= 1
        return self.stale < 0

    def settle(self, ticket: int, wire_bytes: int, *, answered: bool = True) -> None:
        self._slots.release()
        if not answered:
            self.unanswered.append(ticket)
        self.settled.append((ticket, wire_bytes))

    def release(self, ticket: int) -> None:
        self._slots.release()
        self.released.append(ticket)

    def observe(self, signal: RateSignal) -> None:
        assert self.open, "a signal is told before its request is settled"
        self.observed.append(signal)
