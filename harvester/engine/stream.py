"""Pages of one resource for a program that keeps the records itself; its position moves when it says so."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from itertools import compress
from pathlib import PurePath
from typing import TypeVar

import msgspec
from anyio.abc import TaskGroup

from harvester.contracts import Transport
from harvester.decode.heads import HeadReader, PageHeads
from harvester.decode.lines import put_stamp
from harvester.engine.ask import ask, find_anchor
from harvester.engine.loop_guard import LoopGuard
from harvester.engine.reader import Fetched, WalkReader
from harvester.engine.resource_run import Site
from harvester.engine.sieve import Sieve
from harvester.engine.source import Blueprint, Source
from harvester.engine.worker import Position, resume, stamp_of
from harvester.errors import ArgumentError, ConfigError
from harvester.model import PerValue, Rejected, Walk
from harvester.store import layout
from harvester.store.commits import CommitLog, Tally
from harvester.store.keys import SeenKeys
from harvester.store.manifest import KeyDigest
from harvester.store.runs import find_runs

T = TypeVar("T")


class DeliveredPage:
    """The new records of one page, and the means to say that they are safe."""

    def __init__(
        self,
        stream: PageStream,
        walk: Walk,
        position: Position,
        fetched: Fetched,
        records: list[bytes],
        rejected: Sequence[Rejected],
    ) -> None:
        self.source = stream.source.name
        self.resource = walk.resource.name
        self.value = walk.value  # of the parent resource, e.g. the IMS database; None: there is none
        self.records = records  # one JSON object each, the provider's bytes, stamped like a shard's line
        self.rejected = tuple(rejected)  # records that cannot be taken, with the reason
        self._stream, self._walk, self._position, self._fetched = stream, walk, position, fetched

    def decode(self, kind: type[T]) -> list[T]:
        """The records as *kind*, a Struct, TypedDict, dataclass or ``dict``.

        Raises:
            msgspec.ValidationError: a record does not fit; it names the member.
        """
        decoder = msgspec.json.Decoder(kind)
        return [decoder.decode(record) for record in self.records]

    async def commit(self) -> None:
        """Say that this page, and every page delivered before it, is safe with you: a restart goes on behind it.

        A page that is not committed is delivered again after a restart.
        """
        await self._stream.commit_through(self)


class PageStream:
    """``async for page in stream``: the resource's full walk, its closing delta included.

    Positions live below ``<out>/_harvester/positions`` until the walk has ended; the next stream then begins anew.
    Each page is delivered once as long as every page is committed; after a crash those not committed come again.
    """

    def __init__(
        self, source: Source, blueprint: Blueprint, parents: Sequence[Blueprint], site: Site, tasks: TaskGroup
    ) -> None:
        self.source = source
        self._blueprint, self._site, self._tasks = blueprint, site, tasks
        self._parents = {parent.resource.name: parent for parent in parents}
        self._transport: Transport = source.connect(site.sink)
        self._delivered: deque[DeliveredPage] = deque()
        self._logs: dict[str, CommitLog] = {}
        self._pages = self._iterate()

    def __aiter__(self) -> AsyncIterator[DeliveredPage]:
        return self._pages

    async def aclose(self) -> None:
        """End the iteration; fetches under way are dropped."""
        await self._pages.aclose()

    async def commit_through(self, page: DeliveredPage) -> None:
        """Move the position behind *page*; see ``DeliveredPage.commit``."""
        if page not in self._delivered:
            raise ArgumentError("this page is committed already, or its stream has ended")
        moved: dict[str, tuple[Walk, Position]] = {}
        while True:
            first = self._delivered.popleft()
            fetched, position = first._fetched, first._position  # noqa: SLF001 - one concept in two classes
            position.frontier.settle(fetched.request, fetched.followers)
            position.tally = _tallied(position.tally, first)
            moved[first._walk.id] = (first._walk, position)  # noqa: SLF001
            if first is page:
                break
        for walk, position in moved.values():
            await self._append(walk, position)

    # -------------------------------------------------------------- reading

    async def _iterate(self) -> AsyncGenerator[DeliveredPage, None]:
        site, blueprint = self._site, self._blueprint
        run = await self._in_thread(self._choose_run)
        directory = self._directory(run)
        walks = blueprint.walks(await self._values(blueprint.resource.per_value), site.clock.now())
        with SeenKeys(site.fs, None) as seen:
            sieve = Sieve(blueprint.resource, seen, KeyDigest())
            anchors: dict[str, str | None] = {}
            for walk in walks:
                async for page in self._walk(walk, directory, sieve, anchors):
                    yield page
            for walk in walks:
                closing = blueprint.close(walk, anchors[walk.id], None)
                if closing is not None:
                    async for page in self._walk(closing, directory, sieve, anchors):
                        yield page
        if not self._delivered:
            await self._in_thread(lambda: site.fs.remove_tree(directory))

    async def _walk(
        self, walk: Walk, directory: PurePath, sieve: Sieve, anchors: dict[str, str | None]
    ) -> AsyncGenerator[DeliveredPage, None]:
        site = self._site
        pager = self.source.provider.pagers[walk.pager]
        log = self._logs[walk.id] = CommitLog(site.fs, directory, walk.id, site.rng)
        commits = await self._in_thread(log.load)
        if commits and commits[-1].fingerprint != self._blueprint.fingerprint:
            raise ConfigError(
                f"{directory} holds the position of a stream with other settings. Use the earlier settings, or "
                "remove that directory to begin anew.",
                path=f"sources.{self.source.name}",
            )
        position = resume(walk, pager.first(walk), commits)
        if not commits and walk.since is None:
            position.anchor = await find_anchor(self.source, self._transport, walk)
        anchors[walk.id] = position.anchor
        if position.done:
            return
        guard = LoopGuard()
        stamp = stamp_of(walk)
        reader = WalkReader(
            walk,
            position.frontier,
            source=self.source,
            transport=self._transport,
            clock=site.clock,
            tasks=self._tasks,
        )
        try:
            while (fetched := await reader.next()) is not None:
                guard.check(fetched.heads)
                if position.anchor is None and fetched.page.served_at is not None and walk.since is None:
                    position.anchor = fetched.page.served_at.strftime("%Y-%m-%dT%H:%M:%SZ")
                    anchors[walk.id] = position.anchor
                sifted = sieve.sift(walk, pager, fetched)
                kept = fetched.page.records if sifted.keep is None else compress(fetched.page.records, sifted.keep)
                records = [put_stamp(stamp, record) if stamp else bytes(record) for record in kept]
                page = DeliveredPage(self, walk, position, fetched, records, sifted.rejected)
                self._delivered.append(page)
                yield page
        finally:
            reader.close()

    async def _values(self, per_value: PerValue | None) -> tuple[str, ...] | None:
        """The parent's values, read from the provider: nothing of it is kept."""
        if per_value is None:
            return None
        parent = self._parents[per_value.resource]
        values: dict[str, None] = {}
        decode = msgspec.json.Decoder(dict[str, object]).decode
        read = HeadReader(parent.resource)
        for walk in parent.walks(await self._values(parent.resource.per_value), self._site.clock.now()):
            pager = self.source.provider.pagers[walk.pager]
            todo = deque([pager.first(walk)])
            while todo:
                page = await ask(self.source, self._transport, walk, todo.popleft())
                for record in page.records:
                    value = decode(record).get(per_value.member)
                    if value is not None and value != "":
                        values[str(value)] = None
                todo.extend(pager.follow(walk, page, PageHeads(page.records, read)))
        return tuple(values)

    # -------------------------------------------------------------- positions

    def _choose_run(self) -> str:
        site = self._site
        runs = find_runs(site.fs, self._positions, self.source.name, self._blueprint.resource.dirname)
        return runs[-1].name if runs else layout.run_name(site.clock.now())

    def _directory(self, run: str) -> PurePath:
        return layout.run_directory(self._positions, self.source.name, self._blueprint.resource.dirname, run)

    @property
    def _positions(self) -> PurePath:
        return layout.state_directory(self._site.out) / "positions"

    async def _append(self, walk: Walk, position: Position) -> None:
        log, site = self._logs[walk.id], self._site
        done = not position.frontier.cursor
        commit = await self._in_thread(
            lambda: log.append(
                walk=walk,
                at=site.clock.now(),
                fingerprint=self._blueprint.fingerprint,
                add=(),
                cursor=position.frontier.cursor,
                done=done,
                tally=position.tally,
                anchor=position.anchor,
                expected=position.expected,
            )
        )
        position.number, position.done = commit.number, done

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._site.executor, function)


def _tallied(tally: Tally, page: DeliveredPage) -> Tally:
    return msgspec.structs.replace(
        tally,
        records=tally.records + len(page.records),
        quarantined=tally.quarantined + len(page.rejected),
        requests=tally.requests + 1,
    )
