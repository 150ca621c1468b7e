"""What is known of each resource of which records are pushed, between an answer and the run it goes into."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import anyio

from harvester.contracts import Transport
from harvester.engine.looks import Look
from harvester.engine.push_run import Around, Ground
from harvester.engine.source import Blueprint
from harvester.model import Notice, Walk


class Turn(Protocol):
    """Whose turn it is to write."""

    def __call__(self, names: Sequence[str], *, last: bool) -> AbstractAsyncContextManager[bool]:
        """Nobody else writes to the resources *names* within the block; False: that could not be had. *last*: it is
        to end, and only what is free at once is wanted."""
        ...


@dataclass(frozen=True, kw_only=True)
class Pace:
    """When looks become a run, and when a record is believed to be gone."""

    records: int = 1000  # of a run, about
    bytes: int = 32 << 20  # of them, about
    seconds: float = 10.0  # that a record waits for the run it goes into, at most
    confirm: float = 30.0  # seconds between the two looks at a record that is not there


@dataclass(frozen=True)
class Kept:
    """An answer that waits for its run."""

    look: Look
    notice: Notice
    below: frozenset[str]  # finished runs there were before it was asked for


@dataclass(kw_only=True)
class Desk:
    """One resource."""

    blueprint: Blueprint
    ways: tuple[Walk, ...]  # to ask for its records, the best one first
    ground: Ground
    transport: Transport
    around: Around | None = None
    turning: anyio.Lock = field(default_factory=anyio.Lock)  # who looks around
    looked_around: float = -math.inf  # monotonic, as all times here
    kept: dict[str, Kept] = field(default_factory=dict)  # by key
    size: int = 0  # bytes of them
    first: float = 0.0  # when the first of them came
    began: datetime | None = None  # when it was asked for
    sealed: float = -math.inf
    looking: int = 0  # requests under way
    answers: set[str] = field(default_factory=set)  # ways by which a record has come
    requests: int = 0  # since the last run
    mine: set[str] = field(default_factory=set)  # runs that it has written
    read: frozenset[str] = frozenset()  # runs that were looked into for what they brought
    later: list[tuple[float, int, Notice]] = field(default_factory=list)  # a heap, by when to look at them again
    put_offs: int = 0  # so far
    paused: float = -math.inf
    stalled_since: float = 0.0  # 0.0: it is not
    told: str = ""

    @property
    def name(self) -> str:
        return self.blueprint.resource.name

    def put_off(self, notice: Notice, until: float) -> None:
        """Look at it again, not before *until*. It stays handed out: nobody searches for it among those that wait."""
        self.put_offs += 1
        heapq.heappush(self.later, (until, self.put_offs, notice))

    def next_again(self, now: float) -> Notice | None:
        """The next whose time has come again; None: none has."""
        return heapq.heappop(self.later)[2] if self.has_again(now) else None

    def has_again(self, now: float) -> bool:
        """Whether the time has come for one that was put off."""
        return bool(self.later) and self.later[0][0] <= now
