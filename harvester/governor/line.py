"""The line before a gate: who is asked next. Pure, but for the futures that those in line sleep on.

Urgent requests first (a cursor that would die), then deltas, sweeps and backfill; among equals, lanes share by
weight and a lane is served in the order of arrival. Of ten grants that pass somebody by, at least one goes to whoever
has waited longest, so nobody starves.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from enum import IntEnum

_PASSED_BY = 9
"""Grants in a row that may go to those who came later and rank higher."""

_CREDIT = 5.0
"""Grants that a lane may catch up on: one whose answers are slow is not there each time its turn comes."""


class Priority(IntEnum):
    """Who goes first; lower is sooner."""

    URGENT = 0  # the page after this one is lost if it is not asked for soon
    DELTA = 1  # what changed: small, and wanted fresh
    SWEEP = 2  # finds what is missing or gone, which nothing else tells
    BACKFILL = 3


class Place:
    """One request in line."""

    __slots__ = ("number", "priority", "tag", "urgent_at", "woken")

    def __init__(self, number: int, priority: Priority, tag: float, urgent_at: float) -> None:
        self.number = number  # order of arrival
        self.priority = priority
        self.urgent_at = urgent_at  # monotonic
        self.tag = tag  # when it is this lane's turn, in grants shared by weight
        self.woken: asyncio.Future[None] | None = None


class Line:
    """Those who wait, one of whom, the first, watches the clock for all."""

    def __init__(self, now: Callable[[], float]) -> None:
        """*now*: monotonic. Ranks are looked at when the first steps back, so nobody need be woken to become urgent,
        nor the first when somebody arrives who ranks before it.
        """
        self._now = now
        self._waiting: list[Place] = []  # in the order of arrival
        self._first: Place | None = None
        self._arrivals = 0
        self._served: dict[str, float] = {}  # lane -> tag of its latest request
        self._tag = 0.0  # of the latest grant
        self._passed_by = 0

    def enter(self, priority: Priority, lane: str, weight: float, urgent_at: float = math.inf) -> Place:
        """Take a place; *weight*: the share of *lane* among lanes of the same priority."""
        self._arrivals += 1
        tag = max(self._tag - _CREDIT, self._served.get(lane, 0.0)) + 1.0 / weight
        self._served[lane] = tag
        place = Place(self._arrivals, priority, tag, urgent_at)
        self._waiting.append(place)
        if self._first is None:
            self._first = place
        return place

    async def turn(self, place: Place) -> None:
        """Until *place* is the first."""
        while self._first is not place:
            place.woken = asyncio.get_running_loop().create_future()
            await place.woken

    @property
    def empty(self) -> bool:
        return not self._waiting

    def is_first(self, place: Place) -> bool:
        return self._first is place

    def step_back(self) -> None:
        """Let whoever ranks highest now be the first."""
        self._choose()

    def granted(self, place: Place) -> None:
        """The first, *place*, may send."""
        self._tag = max(self._tag, place.tag)
        if self._waiting[0] is place:
            self._passed_by = 0
        elif any(
            self._priority(other) > self._priority(place) for other in self._waiting if other.number < place.number
        ):
            self._passed_by += 1

    def leave(self, place: Place) -> None:
        """*place* was granted, or its owner has given up."""
        self._waiting.remove(place)
        if self._first is place:
            self._first = None
            self._choose()

    def _priority(self, place: Place) -> Priority:
        return Priority.URGENT if place.urgent_at <= self._now() else place.priority

    def _rank(self, place: Place) -> tuple[int, float, int]:
        return self._priority(place), place.tag, place.number

    def _choose(self) -> None:
        if not self._waiting:
            if len(self._served) > 1_000:
                self._served.clear()  # lanes of walks that have ended
            return
        first = min(self._waiting, key=self._rank)
        # Whoever starved beside a dying cursor would begin one walk more than the quota keeps alive.
        if self._passed_by >= _PASSED_BY and first.urgent_at > self._now():
            first = self._waiting[0]
        self._first = first
        if first.woken is not None and not first.woken.done():
            first.woken.set_result(None)
