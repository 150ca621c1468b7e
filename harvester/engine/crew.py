"""The walks of one resource's run, side by side: where each stands, and what they hold together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

import anyio

from harvester.engine.site import Site
from harvester.engine.source import Source
from harvester.engine.worker import Position, WalkWorker, resume
from harvester.engine.workshop import Workshop
from harvester.errors import HarvesterError
from harvester.model import Walk
from harvester.store.commits import Commit, CommitLog


class Crew:
    """Runs walks, a few at a time, and remembers what became of each."""

    def __init__(self, source: Source, site: Site, directory: PurePath) -> None:
        self._source, self._site, self._directory = source, site, directory
        self.walks: dict[str, Walk] = {}
        self.positions: dict[str, Position] = {}
        self.logs: dict[str, CommitLog] = {}

    async def run(self, walks: Sequence[Walk], shop: Workshop, earlier: dict[str, tuple[Commit, ...]]) -> bool:
        """Run *walks*, a few at a time. True: all have ended. The first failure is raised after the others stopped."""
        failures: list[HarvesterError] = []
        ended: list[bool] = []
        limiter = anyio.CapacityLimiter(self._source.workers)

        async def one(walk: Walk) -> None:
            async with limiter:
                if shop.stop.is_set() or failures:
                    ended.append(False)
                    return
                self.walks[walk.id] = walk
                pager = self._source.provider.pager(walk.pager)
                position = resume(walk, pager.first(walk), earlier.get(walk.id, ()))
                self.positions[walk.id] = position
                log = self.logs.get(walk.id) or CommitLog(self._site.fs, self._directory, walk.id, self._site.rng)
                self.logs[walk.id] = log
                try:
                    ended.append(await WalkWorker(walk, shop, log, position).run())
                except HarvesterError as error:
                    failures.append(error)

        async with anyio.create_task_group() as tasks:
            for walk in walks:
                tasks.start_soon(one, walk)
        if failures:
            raise failures[0]
        return all(ended)

    def total(self, field: str) -> int:
        """The sum of one number of the ``Tally`` of every walk."""
        return sum(getattr(position.tally, field) for position in self.positions.values())
