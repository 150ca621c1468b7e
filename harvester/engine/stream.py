"""Pages of one resource for a program that keeps the records itself; its position moves when it says so."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import compress
from pathlib import PurePath
from typing import TypeVar

import msgspec
from anyio.abc import TaskGroup
from msgspec import structs

from harvester.contracts import Pager, Transport
from harvester.decode.lines import put_stamp
from harvester.engine.ask import find_anchor
from harvester.engine.assignment import assign
from harvester.engine.fallback import instead_of
from harvester.engine.fetched import Fetched
from harvester.engine.frontier import Frontier
from harvester.engine.latest import Latest
from harvester.engine.loop_guard import LoopGuard
from harvester.engine.position import Position, resume
from harvester.engine.reading import open_reader
from harvester.engine.sieve import Sieve
from harvester.engine.site import Site
from harvester.engine.source import Blueprint, Source
from harvester.engine.stamps import stamp_of
from harvester.engine.stream_ends import StreamEnds
from harvester.engine.views import agree
from harvester.engine.worker import MAX_RESTARTS
from harvester.errors import (
    ArgumentError,
    ConfigError,
    CursorExpired,
    OrderViolated,
    ResourceRefused,
    SeamBroken,
)
from harvester.model import PerValue, Phase, Rejected, Walk
from harvester.store import commits as commit_logs
from harvester.store import layout
from harvester.store.commits import Commit, CommitLog
from harvester.store.keys import SeenKeys
from harvester.store.manifest import KeyDigest

T = TypeVar("T")


class DeliveredPage:
    """The new records of one page, and the means to say that they are safe."""

    def __init__(
        self,
        stream: PageStream,
        step: Step,
        records: list[bytes],
        rejected: Sequence[Rejected],
    ) -> None:
        self.source = stream.source.name
        self.resource = step.walk.resource.name
        self.value = step.walk.value  # of the parent resource, e.g. the IMS database; None: there is none
        self.records = records  # one JSON object each, the provider's bytes, stamped like a shard's line
        self.rejected = tuple(rejected)  # records that cannot be taken, with the reason
        self._stream, self._step = stream, step

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

        Raises:
            ArgumentError: it is committed already.
            StorageError: the position could not be made durable; the page is not committed.
        """
        await self._stream.commit_through(self._step)


@dataclass(eq=False)
class Step:
    """One page on the way: what a commit of it settles."""

    walk: Walk
    position: Position
    fetched: Fetched
    silent: bool = False  # nothing of it was delivered; it is committed with the page before it


class PageStream:
    """``async for page in stream``: the resource's full walk, its closing delta included, or what changed since.

    Positions live below ``<out>/_harvester/positions`` until everything is committed; then the instant before the
    first request stays there, at which a delta begins. Each page is delivered once as long as every page is committed.
    After a crash, and where the server has forgotten a position, pages come again. Nothing is compared with the
    provider's count here. One that was broken off is gone on with as it was begun, whatever *mode* says.

    Args:
        mode: ``full``; ``delta``, what changed since the last stream that came to its end; ``auto``, the latter where
            there is one.
    """

    def __init__(
        self,
        source: Source,
        blueprint: Blueprint,
        parents: Sequence[Blueprint],
        site: Site,
        tasks: TaskGroup,
        *,
        mode: str = "full",
    ) -> None:
        self.source = source
        self._mode = mode
        at = layout.resource_directory(
            layout.state_directory(site.out) / "positions", source.name, blueprint.resource.dirname
        )
        self._ends = StreamEnds(site.fs, at, source.name, source.provider.name, blueprint)
        self._begun: list[Walk] = []
        self._brought: set[str] = set()  # ids of walks that any record came of
        self._positions: dict[str, Position] = {}
        self._blueprint, self._site, self._tasks = blueprint, site, tasks
        self._parents = {parent.resource.name: parent for parent in parents}
        self._transport: Transport = source.connect(site.sink)
        self._open: deque[Step] = deque()  # delivered, not committed
        self._ended = False  # the last page was delivered
        self._directory: PurePath | None = None
        self._logs: dict[str, CommitLog] = {}
        self._pages = self._iterate()

    def __aiter__(self) -> AsyncIterator[DeliveredPage]:
        return self._pages

    async def aclose(self) -> None:
        """End the iteration; fetches under way are dropped."""
        await self._pages.aclose()

    async def commit_through(self, step: Step | None) -> None:
        """Move the position behind *step*, and behind what was silent after it; None: only behind what is silent."""
        if step is not None and step not in self._open:
            raise ArgumentError("this page is committed already, or its stream has ended")
        steps = list(self._open)
        end = 0 if step is None else steps.index(step) + 1
        while end < len(steps) and steps[end].silent:
            end += 1
        moved: dict[str, tuple[Walk, Position]] = {}
        for each in steps[:end]:
            position = moved[each.walk.id][1] if each.walk.id in moved else each.position.copy()
            position.frontier.settle(each.fetched.asked, each.fetched.followers)
            moved[each.walk.id] = (each.walk, position)
        for walk, position in moved.values():
            await self._append(walk, position)
        for each in steps[:end]:
            # Only now, so that a commit that failed can be tried again.
            each.position.frontier.settle(each.fetched.asked, each.fetched.followers)
            self._open.popleft()
        await self._clear_if_done()

    # -------------------------------------------------------------- reading

    async def _iterate(self) -> AsyncGenerator[DeliveredPage, None]:
        site, blueprint = self._site, self._blueprint
        self._directory = await self._in_thread(self._choose_directory)
        relation = blueprint.resource.relation
        if relation is not None and not relation.collection:
            raise ArgumentError(
                f"{blueprint.resource.name} is read set by set, from what is on disk of {relation.parent}: "
                "a run does that, a stream does not"
            )
        values = await self._values(blueprint.resource.per_value)
        earlier = await self._in_thread(self._load)
        walks = self._begun = assign(await self._in_thread(lambda: self._plan(values, earlier)), earlier)
        await agree(self.source, blueprint, site=site, transport=self._transport, values=values)
        with SeenKeys(site.fs, None) as seen:
            sieve = Sieve(blueprint.resource, seen, KeyDigest())
            positions = self._positions
            for walk in walks:
                async with aclosing(self._walk(walk, earlier, sieve, positions)) as pages:
                    async for page in pages:
                        yield page
            for walk in walks:
                if walk.phase is not Phase.FULL:
                    continue
                closing = blueprint.close(walk, positions[walk.id].anchor, positions[walk.id].reached)
                if closing is not None:
                    async with aclosing(self._walk(closing, earlier, sieve, positions)) as pages:
                        async for page in pages:
                            yield page
        self._ended = True
        await self.commit_through(None)

    async def _walk(
        self,
        walk: Walk,
        earlier: Mapping[str, tuple[Commit, ...]],
        sieve: Sieve,
        positions: dict[str, Position],
    ) -> AsyncGenerator[DeliveredPage, None]:
        pager = self.source.provider.pagers[walk.pager]
        commits = earlier.get(walk.id, ())
        position = positions[walk.id] = resume(walk, pager.first(walk), commits)
        if position.done:
            return
        if not commits and walk.phase is Phase.FULL:
            position.anchor = await find_anchor(self.source, self._transport, walk)
        restarts = 0
        while True:
            try:
                async with aclosing(self._read(walk, pager, position, sieve)) as pages:
                    async for page in pages:
                        restarts = 0
                        yield page
                return
            except CursorExpired:
                restarts += 1
                if restarts > MAX_RESTARTS or self._open:
                    # With pages in hand that are not committed there is no position to go back to.
                    raise
                position.frontier.restart(pager.first(walk))
            except (SeamBroken, OrderViolated, ResourceRefused) as error:
                # A stream cannot tell at its end that something may be missing.
                doubtful = {*self.source.provider.doubts, *self._blueprint.doubts}
                other = instead_of(self.source.provider, walk, error, avoid=doubtful)
                if other is None or self._open:
                    raise
                walk, pager = other, self.source.provider.pager(other.pager)
                position.frontier.restart(pager.first(walk))

    async def _read(
        self, walk: Walk, pager: Pager, position: Position, sieve: Sieve
    ) -> AsyncGenerator[DeliveredPage, None]:
        guard, latest = LoopGuard(), Latest()
        anchored = self.source.provider.anchor is not None
        stamp = stamp_of(walk)
        reader = open_reader(
            walk,
            position.frontier,
            source=self.source,
            transport=self._transport,
            clock=self._site.clock,
            tasks=self._tasks,
            expected=position.expected,
        )
        try:
            while (fetched := await reader.next()) is not None:
                guard.check(fetched.heads)
                position.meet(fetched.page, anchored=anchored)
                sifted = sieve.sift(walk, pager, fetched)
                if fetched.page.records or fetched.page.rejected:
                    self._brought.add(walk.id)
                if walk.phase is Phase.DELTA and anchored:  # such a walk goes in the order of time
                    times = fetched.heads.columns.times
                    latest.take(times if sifted.keep is None else compress(times, sifted.keep), fetched.page.served_at)
                    position.anchor = max((position.anchor or "", latest.watermark or "")) or None
                if walk.enough is not None and position.anchor is not None and walk.enough < position.anchor:
                    # What is enough by this machine's clock may lie before the walk began by the provider's (T06).
                    walk = structs.replace(walk, enough=position.anchor)
                    reader.narrow(walk)
                kept = fetched.page.records if sifted.keep is None else compress(fetched.page.records, sifted.keep)
                records = [put_stamp(stamp, record) if stamp else bytes(record) for record in kept]
                step = Step(walk, position, fetched, silent=not records and not sifted.rejected)
                self._open.append(step)
                if not step.silent:
                    yield DeliveredPage(self, step, records, sifted.rejected)
                elif self._open[0].silent:
                    await self.commit_through(None)
        finally:
            reader.close()

    async def _values(self, per_value: PerValue | None) -> tuple[str, ...] | None:
        """The parent's values, read from the provider: nothing of it is kept."""
        if per_value is None:
            return None
        parent = self._parents[per_value.resource]
        values: dict[str, None] = {}
        decode = msgspec.json.Decoder(dict[str, object]).decode
        walks = parent.walks(await self._values(parent.resource.per_value), self._site.clock.now())
        for walk in walks:
            pager = self.source.provider.pagers[walk.pager]
            reader = open_reader(
                walk,
                Frontier((pager.first(walk),)),
                source=self.source,
                transport=self._transport,
                clock=self._site.clock,
                tasks=self._tasks,
            )
            try:
                while (fetched := await reader.next()) is not None:
                    for record in fetched.page.records:
                        value = decode(record).get(per_value.member)
                        if value is not None and value != "":
                            values[str(value)] = None
            finally:
                reader.close()
        return tuple(values)

    # -------------------------------------------------------------- positions

    @property
    def directory(self) -> PurePath:
        """Where the positions of this stream are."""
        if self._directory is None:
            raise ArgumentError("the stream has not begun")
        return self._directory

    def _choose_directory(self) -> PurePath:
        site = self._site
        positions = layout.state_directory(site.out) / "positions"
        run = self._ends.unfinished() or layout.run_name(site.clock.now(), self._ends.taken())
        return layout.run_directory(positions, self.source.name, self._blueprint.resource.dirname, run)

    def _plan(self, values: Sequence[str] | None, earlier: Mapping[str, tuple[Commit, ...]]) -> Sequence[Walk]:
        """The walks that read everything, or those that bring what changed since the last stream.

        Raises:
            ConfigError: only a delta will do, and there is nothing to go on from.
        """
        full = self._blueprint.walks(values, self._site.clock.now())
        phases = {commits[-1].walk.phase for commits in earlier.values()}
        if Phase.DELTA not in phases and (phases or self._mode == "full"):
            return full
        settled = self._ends.settled()
        changes = self._blueprint.changes(settled, full) if self._blueprint.changes is not None and settled else None
        if changes is not None:
            return changes
        if self._mode == "delta" or phases:
            raise ConfigError(
                f"{self._blueprint.resource.name} has no stream with these settings that came to its end, or cannot be "
                "asked for changes. Take a full one first.",
                path=f"sources.{self.source.name}",
            )
        return full

    def _load(self) -> dict[str, tuple[Commit, ...]]:
        site = self._site
        found: dict[str, tuple[Commit, ...]] = {}
        for name in commit_logs.walks(site.fs, self.directory):
            self._logs[name] = CommitLog(site.fs, self.directory, name, site.rng)
            found[name] = self._logs[name].load()
        if any(commits and commits[-1].fingerprint != self._blueprint.fingerprint for commits in found.values()):
            raise ConfigError(
                f"{self.directory} holds the position of a stream with other settings. Use the earlier settings, or "
                "remove that directory to begin anew.",
                path=f"sources.{self.source.name}",
            )
        return {name: commits for name, commits in found.items() if commits}

    async def _append(self, walk: Walk, position: Position) -> None:
        site = self._site
        log = self._logs.get(walk.id)
        if log is None:
            log = self._logs[walk.id] = CommitLog(site.fs, self.directory, walk.id, site.rng)
        await self._in_thread(
            lambda: log.append(
                walk=walk,
                at=site.clock.now(),
                fingerprint=self._blueprint.fingerprint,
                add=(),
                cursor=position.frontier.cursor,
                done=not position.frontier.cursor,
                tally=position.tally,
                anchor=position.anchor,
                expected=position.expected,
            )
        )

    async def _clear_if_done(self) -> None:
        """Everything is with the caller: the next stream begins anew."""
        if self._ended and not self._open:
            ends = [(walk, self._positions[walk.id]) for walk in self._begun]
            run, at = self.directory.name.removeprefix("run="), self._site.clock.now()
            await self._in_thread(lambda: self._ends.settle(run, at, ends, self._brought))

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._site.executor, function)
