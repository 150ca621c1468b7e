"""A backlog that always waits, the real governor, and a server with hidden windows, on virtual time.

Events run by hand rather than on an asyncio loop: a day of a minute's window is 28,800 requests, and two hundred seeds
of it are wanted. What waits in line, and how it wakes, is ``test_governor.py``'s.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Literal

from harvester.governor.governor import Governor, Ticket
from harvester.governor.learned import Learned
from harvester.model import Budget, RateSignal, Window, WindowSignal
from tests.fakes.quota_servers import WAY_THERE, Kind, Quota, QuotaServer, Told, oracle

LANES = 8
Latency = Callable[[random.Random], Callable[[], float]]
Size = Callable[[random.Random], Callable[[], int]]


def lognormal(chance: random.Random) -> Callable[[], float]:
    """0.8 s on average, and now and then several seconds."""
    return lambda: chance.lognormvariate(math.log(0.8) - 0.18, 0.6)


def uneven(chance: random.Random) -> Callable[[], float]:
    """Anything from 20 to 500 ms, drawn anew for each request."""
    return lambda: chance.uniform(0.02, 0.5)


def steady(chance: random.Random) -> Callable[[], float]:
    """A server somewhere between 20 and 500 ms away, and a tenth more or less for each request."""
    distance = chance.uniform(0.02, 0.5)
    return lambda: distance * chance.uniform(1.0, 1.1)


def thousand_bytes(chance: random.Random) -> Callable[[], int]:
    del chance
    return lambda: 1_000


def megabytes(chance: random.Random) -> Callable[[], int]:
    """A page of 0.5 to 1.5 MB."""
    return lambda: chance.randint(500_000, 1_500_000)


@dataclass(frozen=True)
class Outcome:
    accepted: int  # by the server, other programs' included
    used: float  # share of what a client that knows all would have got
    refused: int
    server: QuotaServer
    pauses: tuple[tuple[float, float], ...]  # (told at, until)
    lessons: tuple[Learned, ...]


class HandClock:
    """Virtual time that is set by hand. Nobody sleeps on it."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def now(self) -> datetime:
        return datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        raise AssertionError


Happening = tuple[float, int, Literal["arrives", "answered", "others"], Ticket | None, float, Told | None]


def simulate(
    kind: Kind,
    quota: Quota,
    hours: float,
    seed: int,
    *,
    headers: bool = True,
    known: Quota | None = None,
    count_refused: bool = False,
    lost: float = 0.0,
    others_every: float | None = None,
    names_window: bool = False,
    latency: Latency = lognormal,
    lanes: int = LANES,
    learned: tuple[Learned, ...] = (),
    volume: Quota = (),
    size: Size = thousand_bytes,
) -> Outcome:
    """A backlog that always waits, on *lanes* walks.

    Args:
        headers: answers carry Remaining and Reset of every window.
        known: the windows of the budget; None: those of the server.
        lost: share of requests that end without an answer.
        others_every: mean seconds between requests of another program on the credential.
        names_window: a refusal says which window it is about, as Centris does.
        learned: lessons of an earlier run against the same server.
        volume: windows of bytes, always part of the budget; *size* draws those of each body.
    """
    horizon = hours * 3600
    chance, skew = server_chance(seed)
    network, losses = random.Random(seed + 1), random.Random(seed + 2)
    draw = latency(network)
    server = QuotaServer(kind, quota, chance, skew, draw, count_refused, volume, size(random.Random(seed + 3)))
    lessons: list[Learned] = []
    pauses: list[tuple[float, float]] = []
    clock = HandClock()
    budget = _budget(quota if known is None else known, volume, lanes)
    gate = Governor(budget, clock, name="Hidden", source="hidden", learned=learned, teach=lessons.append)

    coming: list[Happening] = []
    number = 0
    if others_every is not None:
        coming.append((chance.expovariate(1 / others_every), number, "others", None, 0.0, None))
    wake = 0.0
    while True:
        now = coming[0][0] if coming and coming[0][0] < wake else wake
        if now >= horizon:
            break
        clock.elapsed = now
        changed = now == wake
        while coming and coming[0][0] <= now:
            _, _, what, ticket, left, told = heapq.heappop(coming)
            number += 1
            if what == "arrives":
                heapq.heappush(coming, (now + left, number, "answered", ticket, 0.0, server.answer(now)))
            elif what == "others" and others_every is not None:
                server.somebody_else(now)
                heapq.heappush(coming, (now + chance.expovariate(1 / others_every), number, what, None, 0.0, None))
            elif ticket is not None and told is not None:
                changed = True
                if losses.random() < lost:
                    gate.settle(ticket, 0, answered=False)
                    continue
                if not told.ok:
                    pauses.append((now, now + told.retry_after))
                gate.observe(_signal(told, quota, volume, headers=headers, names_window=names_window))
                gate.settle(ticket, told.size)
        if not changed:
            continue
        while (ticket := gate.admit_now()) is not None:
            number += 1
            way = draw()
            rest = (1 - WAY_THERE) * way
            heapq.heappush(coming, (now + WAY_THERE * way, number, "arrives", ticket, rest, None))
        wake = now + max(gate.next_free(), 1e-6)

    accepted = server.accepted + server.others
    used = accepted / possible(kind, quota, hours, seed, volume, size)
    return Outcome(accepted, used, server.refused, server, tuple(pauses), tuple(lessons))


def _budget(quota: Quota, volume: Quota, lanes: int) -> Budget:
    windows = [Window(seconds=seconds, requests=limit) for limit, seconds in quota]
    windows += [Window(seconds=seconds, bytes=limit) for limit, seconds in volume]
    return Budget(windows=tuple(windows), in_flight=lanes)


def _signal(told: Told, quota: Quota, volume: Quota, *, headers: bool, names_window: bool) -> RateSignal:
    windows = []
    for number, ((limit, seconds), (left, reset)) in enumerate(zip(quota + volume, told.windows, strict=True)):
        unit = "requests" if number < len(quota) else "bytes"
        if headers and told.ok:
            resets_in = max(0.0, float(reset - told.date))
            at = float(reset)
            windows.append(WindowSignal(seconds=seconds, remaining=left, resets_in=resets_in, resets_at=at, unit=unit))
        elif names_window and not told.ok and left == 0:
            wait = float(told.retry_after)
            windows.append(WindowSignal(seconds=seconds, limit=limit, remaining=0, resets_in=wait, unit=unit))
    wait_for = None if told.ok else float(told.retry_after)
    return RateSignal(refused=not told.ok, retry_after=wait_for, windows=tuple(windows))


@cache
def possible(kind: Kind, quota: Quota, hours: float, seed: int, volume: Quota = (), size: Size = thousand_bytes) -> int:
    """What a client gets of the server of *seed* that knows its windows, and all sizes, and has no latency."""
    phases, skew = server_chance(seed)
    del skew
    return oracle(kind, quota, phases, hours * 3600, volume=volume, size=size(random.Random(seed + 3)))


def server_chance(seed: int) -> tuple[random.Random, float]:
    """The stream that a server's phases are drawn from, and its skew in seconds."""
    chance = random.Random(seed)
    return chance, chance.uniform(-20, 20)
