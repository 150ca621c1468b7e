"""A backlog that always waits, the real governor, and a server with hidden windows, on virtual time."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from harvester.governor.governor import Governor
from harvester.governor.learned import Learned
from harvester.model import Budget, RateSignal, Window, WindowSignal
from tests.fakes.loop import LoopClock, run
from tests.fakes.quota_servers import Kind, Quota, QuotaServer, Told, oracle

LANES = 8
Latency = Callable[[random.Random], Callable[[], float]]


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


@dataclass(frozen=True)
class Outcome:
    used: float  # share of what the oracle got
    refused: int
    server: QuotaServer
    pauses: tuple[tuple[float, float], ...]  # (told at, until)
    lessons: tuple[Learned, ...]


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
) -> Outcome:
    """A backlog that always waits, on *lanes* walks.

    Args:
        headers: answers carry Remaining and Reset of every window.
        known: the windows of the budget; None: those of the server.
        lost: share of requests that end without an answer.
        others_every: mean seconds between requests of another program on the credential.
        names_window: a refusal says which window it is about, as Centris does.
        learned: lessons of an earlier run against the same server.
    """
    horizon = hours * 3600
    chance = random.Random(seed)
    skew = chance.uniform(-20, 20)
    phases = random.Random()
    phases.setstate(chance.getstate())
    best = oracle(kind, quota, phases, horizon)
    network = random.Random(seed + 1)
    server = QuotaServer(kind, quota, chance, skew, latency(network), count_refused)
    lessons: list[Learned] = []
    pauses: list[tuple[float, float]] = []

    def signal(told: Told) -> RateSignal:
        windows = []
        for (limit, seconds), (left, reset) in zip(quota, told.windows, strict=True):
            if headers and told.ok:
                windows.append(WindowSignal(seconds=seconds, remaining=left, resets_in=max(0.0, reset - told.date)))
            elif names_window and not told.ok and left == 0:
                windows.append(
                    WindowSignal(seconds=seconds, limit=limit, remaining=0, resets_in=float(told.retry_after))
                )
        return RateSignal(
            refused=not told.ok, retry_after=None if told.ok else float(told.retry_after), windows=tuple(windows)
        )

    async def main() -> None:
        clock = LoopClock()
        gate = Governor(
            Budget(
                windows=tuple(Window(seconds=s, requests=n) for n, s in (quota if known is None else known)),
                in_flight=lanes,
            ),
            clock,
            name="Hidden",
            source="hidden",
            learned=learned,
            teach=lessons.append,
        )

        async def lane() -> None:
            while True:
                ticket = await gate.admit()
                if clock.monotonic() >= horizon:
                    return
                told = await server.request()
                if network.random() < lost:
                    gate.settle(ticket, 0, answered=False)
                    continue
                if not told.ok:
                    pauses.append((clock.monotonic(), clock.monotonic() + told.retry_after))
                gate.observe(signal(told))
                gate.settle(ticket, 1_000)

        async def others(mean: float) -> None:
            while True:
                await clock.sleep(chance.expovariate(1 / mean))
                server.somebody_else(clock.monotonic())

        tasks = [asyncio.ensure_future(lane()) for _ in range(lanes)]
        if others_every is not None:
            tasks.append(asyncio.ensure_future(others(others_every)))
        await clock.sleep(horizon)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(main())
    return Outcome((server.accepted + server.others) / best, server.refused, server, tuple(pauses), tuple(lessons))
