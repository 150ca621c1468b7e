"""A process that sends as fast as its governor lets it, until it is killed.

``spender.py LEDGER PORT REQUESTS/SECONDS…``: LEDGER is the path of a SQLite file or the URL of a store.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from harvester.clock import SystemClock, SystemRng
from harvester.governor.governor import Governor
from harvester.governor.ledger import Ledger, SqliteLedger
from harvester.governor.ledger.redis import open_redis_ledger
from harvester.model import Budget, Window
from tests.fakes.quota_port import Asker

LANES = 4


@asynccontextmanager
async def ledger_at(where: str, clock: SystemClock, budget: Budget) -> AsyncIterator[Ledger]:
    if "://" in where:
        async with open_redis_ledger(where, "key", clock, SystemRng(), budget) as shared:
            yield shared
    else:
        ledger = SqliteLedger(Path(where), "key", clock)
        yield ledger
        ledger.close()


async def main(where: str, port: str, *limits: str) -> None:
    clock = SystemClock()
    pairs = [limit.split("/") for limit in limits]
    windows = tuple(Window(seconds=float(seconds), requests=int(requests)) for requests, seconds in pairs)
    budget = Budget(windows=windows, in_flight=16)
    async with ledger_at(where, clock, budget) as ledger:
        gate = Governor(budget, clock, name="Lakeside", source="lakeside", ledger=ledger)

        async def lane() -> None:
            asker = Asker(int(port))
            while True:
                ticket = await gate.admit()
                await asker.ask()
                gate.settle(ticket, 100)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(LANES):
                tasks.create_task(lane())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
