"""What does one admission cost, by where the spending is written down?

One governor, three windows with room, requests one after another: ``admit`` until it returns, on this machine. The
servers are on loopback, with their journal kept on disk (``appendonly yes``).
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.measure import machine
from harvester.clock import SystemClock, SystemRng
from harvester.errors import QuotaExhausted
from harvester.governor.governor import Governor
from harvester.governor.ledger import Ledger, MemoryLedger, SqliteLedger
from harvester.governor.ledger.redis import open_redis_ledger
from harvester.model import Budget, Window
from tests.fakes.quota_stores import KINDS, Store, binary

ROUNDS = 5
ADMISSIONS = 1_000
WINDOWS = (
    Window(seconds=600, requests=100_000),
    Window(seconds=3_600, requests=200_000),
    Window(seconds=86_400, requests=500_000),
)


@asynccontextmanager
async def ledger_of(kind: str, directory: Path, budget: Budget) -> AsyncIterator[Ledger]:
    clock = SystemClock()
    if kind == "memory":
        yield MemoryLedger()
    elif kind == "sqlite":
        ledger = SqliteLedger(directory / "quota.db", "key", clock)
        yield ledger
        ledger.close()
    else:
        store = Store(kind, directory)
        store.start()
        try:
            async with open_redis_ledger(store.url, "key", clock, SystemRng(), budget) as shared:
                yield shared
        finally:
            store.stop()


async def check(kind: str) -> None:
    """A limit of ten lets ten through."""
    budget = Budget(windows=(Window(seconds=60, requests=10),), in_flight=16)
    with tempfile.TemporaryDirectory() as directory:
        async with ledger_of(kind, Path(directory), budget) as ledger:
            gate = Governor(budget, SystemClock(), name="x", source="x", ledger=ledger, max_wait=0.0)
            try:
                while True:
                    gate.settle(await gate.admit(), 1)
            except QuotaExhausted:
                assert gate.admitted == 10, gate.admitted


async def measure(kind: str) -> list[float]:
    """Seconds of each admission."""
    budget = Budget(windows=WINDOWS, in_flight=16)
    times = []
    with tempfile.TemporaryDirectory() as directory:
        async with ledger_of(kind, Path(directory), budget) as ledger:
            gate = Governor(budget, SystemClock(), name="x", source="x", ledger=ledger)
            for _ in range(ADMISSIONS):
                began = time.perf_counter()
                ticket = await gate.admit()
                times.append(time.perf_counter() - began)
                gate.settle(ticket, 1_000)
    return times


def main() -> None:
    print(f"One admission under three windows; {ROUNDS} rounds of {ADMISSIONS:,}; {machine()}")
    for kind in ("memory", "sqlite", *KINDS):
        if kind in KINDS and binary(kind) is None:
            print(f"{kind:8} no server on this machine")
            continue
        asyncio.run(check(kind))
        rounds = [sorted(asyncio.run(measure(kind))) for _ in range(ROUNDS)]
        medians = [1e3 * statistics.median(times) for times in rounds]
        late = [1e3 * times[round(0.99 * len(times))] for times in rounds]
        print(
            f"{kind:8} p50 {statistics.median(medians):.3f} ms ({min(medians):.3f} to {max(medians):.3f}), "
            f"p99 {statistics.median(late):.3f} ms ({min(late):.3f} to {max(late):.3f}), "
            f"{1e3 / statistics.median(medians):,.0f}/s"
        )


if __name__ == "__main__":
    main()
