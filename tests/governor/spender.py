"""A process that sends as fast as its governor lets it, and prints when: ``spender.py LEDGER LIMIT SECONDS``.

Runs until it is killed. Printed times are monotonic, which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from harvester.clock import SystemClock
from harvester.governor.governor import Governor
from harvester.governor.ledger import SqliteLedger
from harvester.model import Budget, Window


async def main(path: str, limit: str, seconds: str) -> None:
    clock = SystemClock()
    ledger = SqliteLedger(Path(path), "key", clock)
    budget = Budget(windows=(Window(seconds=float(seconds), requests=int(limit)),), in_flight=16)
    gate = Governor(budget, clock, name="Lakeside", source="lakeside", ledger=ledger)

    async def lane() -> None:
        while True:
            ticket = await gate.admit()
            sys.stdout.write(f"{clock.monotonic()}\n")
            sys.stdout.flush()
            await clock.sleep(0.005)
            gate.settle(ticket, 100)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(lane())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
