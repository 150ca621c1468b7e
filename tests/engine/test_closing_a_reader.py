"""A reader that is closed sends nothing more, also what it had only decided to send."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import anyio

from harvester.engine.frontier import Frontier
from harvester.engine.reader import WalkReader
from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import listings


async def test_a_fetch_that_has_not_begun_when_the_reader_is_closed_never_begins(out: Path) -> None:
    """A stop may come between the decision and the first step of its task: no request, and no error of ours."""
    bench = Bench(out, {"Property": listings(35)})
    source = bench.source("Property")
    (walk,) = source.blueprints[0].walks(None, bench.clock.now())
    first = source.provider.pager(walk.pager).first(walk)

    async def ask(reader: WalkReader) -> None:
        with suppress(anyio.EndOfStream, anyio.ClosedResourceError):
            await reader.next()

    async with anyio.create_task_group() as tasks:
        reader = WalkReader(
            walk,
            Frontier((first,)),
            source=source,
            transport=source.connect(bench.events.append),
            clock=bench.clock,
            tasks=tasks,
        )
        tasks.start_soon(ask, reader)
        await anyio.lowlevel.checkpoint()  # it has decided to send now, and the task that will has not run
        reader.close()
    assert bench.server.asked == []
