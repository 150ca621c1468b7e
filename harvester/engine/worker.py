"""One walk from its first page to its last: pages into shards, shards and position into commits."""

from __future__ import annotations

import asyncio
from itertools import compress

import anyio
import msgspec

from harvester.contracts import LinkedPager
from harvester.decode.nested import count_cut
from harvester.engine.ask import count, find_anchor
from harvester.engine.fetched import Fetched
from harvester.engine.intake import ShardIntake
from harvester.engine.latest import Latest
from harvester.engine.listing import goes_by_offset
from harvester.engine.loop_guard import LoopGuard
from harvester.engine.position import Position, second_after
from harvester.engine.reading import Reader, open_reader
from harvester.engine.sieve import Sifted
from harvester.engine.stopping import unless_stopped
from harvester.engine.workshop import Intake, Workshop
from harvester.errors import CursorExpired, HarvesterError, OrderViolated, StorageError, WentRound
from harvester.events import Committed, Counted, PageFetched
from harvester.model import Phase, Walk
from harvester.store.commits import Commit, CommitLog

MAX_RESTARTS = 3  # times a walk begins again at its start because the server lost its position


class WalkWorker:
    """Runs one walk. ``run`` returns True when the walk has ended, False when it was asked to stop.

    A failed walk has committed everything it wrote before it raises, so that the next attempt goes on from there.
    """

    def __init__(self, walk: Walk, shop: Workshop, log: CommitLog, position: Position) -> None:
        self.walk, self.position = walk, position
        self._shop, self._log = shop, log
        self._pager = shop.source.provider.pager(walk.pager)
        self._intake: Intake = (
            ShardIntake(walk, shop, shards=position.shards, quarantines=position.quarantines)
            if shop.intake is None
            else shop.intake(walk, shop, position.number)
        )
        self._saving = anyio.Lock()
        self._pages_at_risk = 0
        self._committed_at = shop.clock.monotonic()
        self._dirty = False
        self._timed_failure: HarvesterError | None = None
        # What a closing walk brings is no part of the whole, and what a part brings is not the whole.
        cut = bool(walk.part_of) or walk.below is not None or walk.until is not None
        self._count_told = walk.phase is not Phase.FULL or cut
        self._reader: Reader | None = None
        self._abandoned = self._given_up = False
        self._reading: anyio.CancelScope | None = None  # while pages are being read
        self._latest = Latest()

    async def run(self) -> bool:
        self._tell_count()
        if self.position.done:
            return True
        ended = False
        failure: HarvesterError | None = None
        try:
            ended = await self._prepare() and await self._read_all()
        except StorageError:
            await self._abandon()
            raise
        except HarvesterError as error:
            failure = error
            if isinstance(error, OrderViolated | WentRound) and self.walk.resource.key:
                # Where pages came in the wrong order the position proves nothing (FAULTS P15), and what is remembered
                # of a circle would find it again for ever. What is held is recognised by its key.
                self.position.frontier.restart(self._pager.first(self.walk))
                self._dirty = True
        except BaseException:
            await self._abandon()
            raise
        # A commit once begun is finished, also when the run is being cancelled (FAULTS R05).
        with anyio.CancelScope(shield=True):
            try:
                await self._commit(done=ended)
            except BaseException:
                await self._abandon()
                raise
        if failure is not None:
            raise failure
        return ended

    async def narrow(self, walk: Walk) -> None:
        """Go on as *walk*, which is this one with an earlier end; durable when this returns.

        Whoever reads the rest must be durable before: between the two, both hold the rest, and that is harmless.
        """
        self.walk = walk
        if self._reader is not None:
            self._reader.narrow(walk)
        self._dirty = True
        with anyio.CancelScope(shield=True):
            await self._commit(done=False)

    # -------------------------------------------------------------- reading

    async def _prepare(self) -> bool:
        """Ask what must be known before the first page: the anchor, and the provider's count. False: stopped."""
        shop, position = self._shop, self.position
        if position.number or self.walk.phase is not Phase.FULL:
            return True
        if position.anchor is None:
            position.anchor, stopped = await unless_stopped(
                shop.stop, lambda: find_anchor(shop.source, shop.transport, self.walk)
            )
            if stopped:
                return False
        if shop.count is not None and not shop.source.provider.counts_pages:
            request = shop.count(self.walk)
            position.expected, stopped = await unless_stopped(
                shop.stop, lambda: count(shop.source, shop.transport, self.walk, request)
            )
            self._tell_count()
            return not stopped
        return True

    def _tell_count(self) -> None:
        expected = self.position.expected
        if expected is None or self._count_told:
            return
        self._count_told = True
        shop, name = self._shop, self.walk.resource.name
        shop.sink(
            Counted(at=shop.clock.now(), source=shop.source.name, resource=name, walk=self.walk.id, expected=expected)
        )

    async def _read_all(self) -> bool:
        restarts = 0
        while True:
            before = self.position.tally.records
            try:
                return await self._read_from_frontier()
            except CursorExpired:
                # Everything held already is recognised by its key, so beginning again costs requests, not rows.
                restarts = 1 if self.position.tally.records > before else restarts + 1
                if restarts > MAX_RESTARTS or not self.walk.resource.key:
                    raise
                self.position.frontier.restart(self._pager.first(self.walk))

    async def _read_from_frontier(self) -> bool:
        shop = self._shop
        guard = LoopGuard()
        async with anyio.create_task_group() as tasks:
            reader = open_reader(
                self.walk,
                self.position.frontier,
                source=shop.source,
                transport=shop.transport,
                clock=shop.clock,
                tasks=tasks,
                expected=self.position.expected,
            )
            self._reader = reader
            failure: HarvesterError | None = None
            ended = False
            try:
                with anyio.CancelScope() as reading:
                    self._reading = reading
                    tasks.start_soon(self._watch_stop, reading)
                    tasks.start_soon(self._commit_by_time, reading)
                    while (fetched := await reader.next()) is not None:
                        guard.check(fetched.heads)
                        with anyio.CancelScope(shield=True):
                            await self._take(fetched)
                        if shop.stop.is_set() or self._given_up:
                            break
                    else:
                        ended = True
            except HarvesterError as error:
                failure = error
            finally:
                reader.close()
            tasks.cancel_scope.cancel()
        # Raised outside the task group, which would wrap it.
        failure = failure or self._timed_failure
        if failure is not None:
            raise failure
        return ended

    def end_early(self) -> None:
        """Stop as if the run were to stop: another walk will read what this one does not."""
        self._given_up = True
        if self._reading is not None:
            self._reading.cancel()

    async def _watch_stop(self, reading: anyio.CancelScope) -> None:
        await self._shop.stop.wait()
        reading.cancel()

    async def _commit_by_time(self, reading: anyio.CancelScope) -> None:
        """Commit while the walk waits for its quota: what was read an hour ago must not be lost by a crash now."""
        shop = self._shop
        while True:
            due = self._committed_at + shop.commit_seconds - shop.clock.monotonic()
            if due > 0:
                await shop.clock.sleep(due)
            elif self._dirty:
                try:
                    with anyio.CancelScope(shield=True):
                        await self._commit(done=False)
                except HarvesterError as error:
                    self._timed_failure = error
                    reading.cancel()
                    return
            else:
                self._committed_at = shop.clock.monotonic()

    # -------------------------------------------------------------- writing

    async def _take(self, fetched: Fetched) -> None:
        """Write one page; afterwards the frontier stands behind it."""
        shop, page = self._shop, fetched.page
        async with self._saving:
            sifted = await self._intake.take(self.walk, self._pager, fetched)
            self._account(fetched, sifted)
            self.position.frontier.settle(fetched.asked, fetched.followers)
            self._pages_at_risk += 1
            self._dirty = True
        self._tell_count()
        shop.sink(
            PageFetched(
                at=shop.clock.now(),
                source=shop.source.name,
                resource=self.walk.resource.name,
                walk=self.walk.id,
                records=sifted.rows,
                duplicates=sifted.duplicates,
                bytes=page.size,
                seconds=fetched.seconds,
            )
        )
        if (
            self._pages_at_risk >= shop.source.requests_at_risk
            or self._intake.open_disk_bytes >= shop.shard_bytes
            or shop.clock.monotonic() - self._committed_at >= shop.commit_seconds
        ) and self.position.frontier.cursor:
            await self._commit(done=False)

    def _account(self, fetched: Fetched, sifted: Sifted) -> None:
        position, page = self.position, fetched.page
        tally = position.tally
        position.tally = msgspec.structs.replace(
            tally,
            records=tally.records + sifted.rows,
            duplicates=tally.duplicates + sifted.duplicates,
            quarantined=tally.quarantined + len(sifted.rejected),
            requests=tally.requests + 1,
            offsets=tally.offsets + (page.next_link is not None and goes_by_offset(page.next_link)),
            bytes=tally.bytes + page.size,
            wire_bytes=tally.wire_bytes + fetched.wire_bytes,
            seconds=tally.seconds + fetched.travelled,
            seams=tally.seams + fetched.seams,
            seams_mended=tally.seams_mended + fetched.mended,
            extra_requests=tally.extra_requests + fetched.extra,
            cut=tally.cut + (count_cut(page.records) if self.walk.expand else 0),
            met=sifted.met,
            ending=self._pager.ending(self.walk, page) if isinstance(self._pager, LinkedPager) else "",
        )
        anchored = self._shop.source.provider.anchor is not None
        position.meet(page, anchored=anchored)
        if self.walk.phase is Phase.DELTA and anchored:  # such a walk goes in the order of time
            times = fetched.heads.columns.times
            self._latest.take(times if sifted.keep is None else compress(times, sifted.keep), page.served_at)
            if self._latest.watermark is not None:
                position.anchor = max(position.anchor or "", self._latest.watermark)
        self._see_to_the_anchor()
        if fetched.heads:
            position.last = fetched.heads[-1]
        if sifted.last_modified is not None and sifted.last_modified > (position.watermark or ""):
            position.watermark = sifted.last_modified
        if anchored:
            position.reached = position.watermark

    def _see_to_the_anchor(self) -> None:
        """What is enough by this machine's clock may lie before the walk began by the provider's (FAULTS T06).

        Between the two nobody would read: what follows the walk begins at its anchor. A clock that is told in seconds
        says the same throughout one: what changed in that second changed before, perhaps.
        """
        enough, anchor = self.walk.enough, second_after(self.position.anchor)
        if enough is not None and anchor is not None and enough < anchor:
            self.walk = msgspec.structs.replace(self.walk, enough=anchor)
            if self._reader is not None:
                self._reader.narrow(self.walk)

    async def _commit(self, *, done: bool) -> None:
        """Seal the open shards and append the commit that names them and the position behind them."""
        async with self._saving:
            if self.position.done or self._abandoned or not (self._dirty or done):
                return
            added = await self._intake.seal()
            shop, position = self._shop, self.position
            loop = asyncio.get_running_loop()
            commit: Commit = await loop.run_in_executor(
                shop.executor,
                lambda: self._log.append(
                    walk=self.walk,
                    at=shop.clock.now(),
                    fingerprint=shop.fingerprint,
                    add=added,
                    cursor=position.frontier.cursor,
                    done=done,
                    tally=position.tally,
                    watermark=position.watermark,
                    anchor=position.anchor,
                    expected=position.expected,
                ),
            )
            position.number, position.done, position.committed = commit.number, done, commit.tally
            position.bytes += sum(entry.bytes for entry in added)
            self._pages_at_risk, self._dirty = 0, False
            self._committed_at = shop.clock.monotonic()
        shop.sink(
            Committed(
                at=shop.clock.now(),
                source=shop.source.name,
                resource=self.walk.resource.name,
                walk=self.walk.id,
                number=commit.number,
                rows=sum(entry.rows for entry in added),
                bytes=sum(entry.bytes for entry in added),
            )
        )

    async def _abandon(self) -> None:
        self._abandoned = True
        with anyio.CancelScope(shield=True):
            await self._intake.abandon()
