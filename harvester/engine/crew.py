"""The walks of one resource's run, side by side: where each stands, and what they hold together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath

import anyio

from harvester.engine.fallback import instead_of
from harvester.engine.parts import gap, root_of
from harvester.engine.position import Position, resume
from harvester.engine.sharing import Sharing
from harvester.engine.site import Site
from harvester.engine.source import Source
from harvester.engine.worker import WalkWorker
from harvester.engine.workshop import Workshop
from harvester.errors import HarvesterError, ResourceRefused
from harvester.events import Event, PageFetched
from harvester.model import Walk
from harvester.store.commits import Commit, CommitLog, Tally


class Crew:
    """Runs walks, a few at a time, and remembers what became of each."""

    def __init__(self, source: Source, site: Site, directory: PurePath) -> None:
        self._source, self._site, self._directory = source, site, directory
        self.walks: dict[str, Walk] = {}
        self.positions: dict[str, Position] = {}
        self.logs: dict[str, CommitLog] = {}
        self.workers: dict[str, WalkWorker] = {}  # under way
        self._unasked: dict[str, str] = {}  # parts that the server does not let be asked for, and what it says
        self._begun: dict[str, tuple[Commit, ...]] = {}  # commits of this attempt that a walk begins with
        self._instead: dict[str, Walk] = {}  # by root: what reads the whole once its parts have stopped

    async def run(
        self,
        walks: Sequence[Walk],
        shop: Workshop,
        earlier: Mapping[str, tuple[Commit, ...]],
        sharing: Sharing | None = None,
    ) -> bool:
        """Run *walks*, a few at a time. True: all have ended. The first failure is raised after the others stopped.

        A walk that cannot read its set is replaced by another one; one that was cut into parts, when all of those have
        stopped.

        *sharing*: may cut them into parts, before and while they run.
        """
        parts = list(walks)
        if sharing is not None:
            parts = [part for walk in walks for part in await sharing.begin(walk, earlier, len(walks))]
        self._recall_parts(parts, earlier)
        failures: list[HarvesterError] = []
        ended: list[bool] = []
        limiter = anyio.CapacityLimiter(self._source.workers)
        started = 0

        def watch(event: Event) -> None:
            shop.sink(event)
            if sharing is not None and isinstance(event, PageFetched):
                sharing.look()

        watched = shop if sharing is None else replace(shop, sink=watch)

        async def one(walk: Walk) -> None:
            try:
                async with limiter:
                    given_up = root_of(walk.id) in self._instead
                    go_on = not (shop.stop.is_set() or failures or given_up)
                    ended.append((go_on and await self._work(walk, watched, earlier)) or self.is_given_up(walk))
            except HarvesterError as error:
                failures.append(error)
            finally:
                if sharing is not None:
                    sharing.look()

        async def share(sharing: Sharing) -> None:
            try:
                await sharing.run(start, lambda: len(ended) + len(failures) == started)
            except HarvesterError as error:
                failures.append(error)

        async with anyio.create_task_group() as tasks:

            def start(walk: Walk) -> None:
                nonlocal started
                started += 1
                self.walks[walk.id] = walk
                tasks.start_soon(one, walk)

            for part in parts:
                start(part)
            if sharing is not None and started:
                tasks.start_soon(share, sharing)
        if failures:
            raise failures[0]
        if not all(ended) or shop.stop.is_set() or not self._instead:
            return all(ended) and not self._instead
        others, self._instead = list(self._instead.values()), {}
        for other in others:
            await self._replace(other, shop, self.positions.get(other.id) or self._position(other, earlier))
        return await self.run(others, shop, {**earlier, **{each.id: self._begun[each.id] for each in others}}, sharing)

    def is_given_up(self, walk: Walk) -> bool:
        """Whether *walk* is a part of one that another walk will read."""
        return root_of(walk.id) in self._instead

    async def _work(self, walk: Walk, shop: Workshop, earlier: Mapping[str, tuple[Commit, ...]]) -> bool:
        position = self.positions[walk.id] = self._position(walk, earlier)
        worker = WalkWorker(walk, shop, self._log(walk), position)
        self.workers[walk.id] = worker
        try:
            return await worker.run()
        except HarvesterError as error:
            if walk.undated and isinstance(error, ResourceRefused):
                self._unasked[walk.id] = str(error)  # the windows go on; the run is not complete without it
                return True
            other = instead_of(self._source.provider, worker.walk, error)
            if other is None:
                raise
            if len(self.family(other.id)) > 1:
                self._give_up(other)
                return True
            await self._replace(other, shop, position)
        finally:
            del self.workers[walk.id]
        return await self._work(other, shop, earlier)

    def _position(self, walk: Walk, earlier: Mapping[str, tuple[Commit, ...]]) -> Position:
        commits = self._begun.get(walk.id) or earlier.get(walk.id, ())
        return resume(walk, self._source.provider.pager(walk.pager).first(walk), commits)

    def _recall_parts(self, parts: Sequence[Walk], earlier: Mapping[str, tuple[Commit, ...]]) -> None:
        """Count what parts of an earlier attempt hold whose place another walk has taken."""
        going_on, roots = {part.id for part in parts}, {root_of(part.id) for part in parts}
        for name, commits in earlier.items():
            if commits and root_of(name) in roots and name not in going_on and name not in self.positions:
                self.recall(commits)

    def _give_up(self, other: Walk) -> None:
        """Let the parts of a walk stop where they are; *other* will read the whole."""
        self._instead[other.id] = other
        for name, worker in self.workers.items():
            if root_of(name) == other.id:
                worker.end_early()

    async def _replace(self, walk: Walk, shop: Workshop, position: Position) -> None:
        """Make it durable that *walk* goes on instead of the one of its name that stands at *position*."""
        cursor = (self._source.provider.pager(walk.pager).first(walk),)
        await self._append(
            walk,
            shop,
            cursor=cursor,
            done=False,
            tally=position.committed,
            watermark=position.watermark,
            anchor=position.anchor,
            # One of several parts counted its own share only; the whole is counted by the walk that reads it.
            expected=None if len(self.names(walk.id)) > 1 else position.expected,
        )
        self.walks[walk.id] = walk
        loop = asyncio.get_running_loop()
        self._begun[walk.id] = await loop.run_in_executor(self._site.executor, self._log(walk).load)

    def recall(self, commits: tuple[Commit, ...]) -> None:
        """Count what *commits* of an earlier attempt hold, whose walk is not gone on with."""
        walk = commits[-1].walk
        self.walks[walk.id] = walk
        self.positions[walk.id] = resume(walk, self._source.provider.pager(walk.pager).first(walk), commits)

    # -------------------------------------------------------------- parts

    async def found(self, walk: Walk, shop: Workshop, *, anchor: str | None, expected: int | None) -> None:
        """Make *walk* durable before it is begun: a commit with nothing but its first request.

        Args:
            anchor: of the walk it is cut from, None: its own first page will tell. *expected*: likewise.
        """
        cursor = (self._source.provider.pager(walk.pager).first(walk),)
        commit = await self._append(
            walk, shop, cursor=cursor, done=False, tally=Tally(), anchor=anchor, expected=expected
        )
        self._begun[walk.id] = (commit,)

    async def move_end(
        self, walk: Walk, shop: Workshop, commits: tuple[Commit, ...], *, anchor: str | None, expected: int | None
    ) -> None:
        """Make an earlier end of *walk*, which stands where *commits* say, durable.

        Args:
            anchor: of its parts, for a walk that had no commit of its own.
            expected: likewise: records of it and its parts; None: each is told its own, or nobody knows.
        """
        if not commits:
            await self.found(walk, shop, anchor=anchor, expected=expected)
            return
        last = commits[-1]
        commit = await self._append(
            walk,
            shop,
            cursor=last.cursor,
            done=last.done,
            tally=last.tally,
            watermark=last.watermark,
            anchor=last.anchor,
            expected=last.expected,
        )
        self._begun[walk.id] = (*commits, commit)

    async def narrow(self, worker: WalkWorker, walk: Walk) -> None:
        """Give a running walk an earlier end, durably: it goes on as *walk*."""
        self.walks[walk.id] = walk
        await worker.narrow(walk)

    def family(self, root: str) -> tuple[Walk, ...]:
        """The parts of *root*, itself included, as far as they were begun or founded.

        Those that another walk has taken the place of are not among them.
        """
        known = self._known()
        pager = known[root].pager if root in known else None
        return tuple(
            walk for name, walk in sorted(known.items()) if root_of(name) == root and pager in {None, walk.pager}
        )

    def names(self, root: str) -> list[str]:
        """Ids that parts of *root* have or had."""
        return [name for name in {**self._known(), **self.logs} if root_of(name) == root]

    def _known(self) -> dict[str, Walk]:
        return {name: commits[-1].walk for name, commits in self._begun.items()} | self.walks

    # -------------------------------------------------------------- together

    def gaps(self, roots: Sequence[Walk]) -> str:
        """What the parts of *roots* leave out or read twice, in words; "": they are exactly the whole."""
        for told in self._unasked.values():
            return f"the records without a modification time cannot be asked for: {told}; choose another walk"
        for root in roots:
            family = self.family(root.id)
            anchors = {position.anchor for position in self._of(root.id) if position.anchor is not None}
            if len(family) > 1 and (found := gap(family, anchors)):
                return f"{found} ({root.value})" if root.value is not None else found
        return ""

    def anchors(self, root: str) -> list[str | None]:
        """Of each part of *root*."""
        return [position.anchor for position in self._of(root)]

    def anchor(self, root: str) -> str | None:
        """The earliest anchor of the parts of *root*: what changed since is the closing delta's."""
        return min((p.anchor for p in self._of(root) if p.anchor is not None), default=None)

    def reached(self, root: str) -> str | None:
        """The instant at which the last of its parts ended, told like the anchor; None: not in this attempt."""
        return max((p.reached for p in self._of(root) if p.reached is not None), default=None)

    def _of(self, root: str) -> list[Position]:
        return [position for name, position in self.positions.items() if root_of(name) == root]

    def total(self, field: str) -> int:
        """The sum of one number of the ``Tally`` of every walk."""
        return sum(getattr(position.tally, field) for position in self.positions.values())

    # -------------------------------------------------------------- small things

    def _log(self, walk: Walk) -> CommitLog:
        log = self.logs.get(walk.id)
        if log is None:
            log = self.logs[walk.id] = CommitLog(self._site.fs, self._directory, walk.id, self._site.rng)
        return log

    async def _append(self, walk: Walk, shop: Workshop, **fields: object) -> Commit:
        log = self._log(walk)
        return await asyncio.get_running_loop().run_in_executor(
            self._site.executor,
            lambda: log.append(walk=walk, at=shop.clock.now(), fingerprint=shop.fingerprint, add=(), **fields),  # type: ignore[arg-type]
        )
