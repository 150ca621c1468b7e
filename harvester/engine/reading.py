"""The reader that a walk needs: page after page, or by offset with many pages in flight."""

from __future__ import annotations

from typing import Protocol

from anyio.abc import TaskGroup

from harvester.contracts import Clock, OffsetPager, SetPager, Transport
from harvester.engine.fetched import Fetched
from harvester.engine.frontier import Frontier
from harvester.engine.offset_reader import OffsetReader
from harvester.engine.reader import WalkReader
from harvester.engine.set_reader import SetReader
from harvester.engine.source import Source
from harvester.model import Walk


class Reader(Protocol):
    """One walk as a stream of decoded pages."""

    async def next(self) -> Fetched | None: ...

    def narrow(self, walk: Walk) -> None: ...

    def close(self) -> None: ...


def open_reader(
    walk: Walk,
    frontier: Frontier,
    *,
    source: Source,
    transport: Transport,
    clock: Clock,
    tasks: TaskGroup,
    expected: int | None = None,
) -> Reader:
    """Begin to read *walk* at *frontier*; whoever opens it closes it.

    Args:
        expected: how many records the provider says there are; None: it does not say.
    """
    pager = source.provider.pager(walk.pager)
    if isinstance(pager, SetPager):
        return SetReader(
            walk,
            frontier,
            pager,
            source=source,
            transport=transport,
            clock=clock,
            tasks=tasks,
            lanes=max(1, source.workers // 2),
        )
    if isinstance(pager, OffsetPager):
        return OffsetReader(
            walk,
            frontier,
            pager,
            source=source,
            transport=transport,
            clock=clock,
            tasks=tasks,
            lanes=max(1, source.workers // 2),  # as many as may be in flight; the governor decides the rest
            expected=expected,
        )
    return WalkReader(walk, frontier, source=source, transport=transport, clock=clock, tasks=tasks)
