"""One resource from its first walk to its manifest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import TypeVar

import anyio
import msgspec

from harvester.contracts import Clock, Fs, Rng, Sink, Transport
from harvester.decode.heads import HeadReader
from harvester.engine.ask import count
from harvester.engine.sieve import Sieve
from harvester.engine.source import Blueprint, Source
from harvester.engine.worker import Position, WalkWorker, Workshop, resume, stamp_of
from harvester.errors import ConfigError, HarvesterError
from harvester.events import Event, Requested, ResourceFinished, ResourceStarted
from harvester.model import Phase, Walk
from harvester.store import commits as commit_logs
from harvester.store import layout
from harvester.store.commits import Commit, CommitLog
from harvester.store.keys import SeenKeys
from harvester.store.manifest import KeyDigest, Manifest, WalkEvidence, read_manifest, write_manifest
from harvester.store.runs import tidy
from harvester.store.shards import Compression, ShardEntry, read_lines

T = TypeVar("T")

_CLOSING_ROUNDS = "cde"  # first letters of the walk ids: a short count is answered by closing again, twice
_REMEMBER = 1000  # lines taken at a time when an earlier attempt is read back


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where and with what a harvest writes; shared by all its resources."""

    out: PurePath
    fs: Fs
    clock: Clock
    rng: Rng
    sink: Sink
    executor: Executor
    compression: Compression
    shard_bytes: int
    commit_seconds: float
    stop: anyio.Event
    keys_on_disk: bool = True  # False: the key index stays in memory (simulations)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a resource ended. *error* is what stopped it; None when it finished or was interrupted."""

    resource: str
    verdict: str  # complete | incomplete | failed | interrupted
    reason: str = ""
    error: HarvesterError | None = None


class ResourceRun:
    """Runs (or continues) one resource and leaves a manifest when it has finished."""

    def __init__(self, source: Source, blueprint: Blueprint, site: Site, run: str) -> None:
        self._source, self._blueprint, self._site = source, blueprint, site
        self._resource = blueprint.resource
        self._run = run
        self.directory = layout.run_directory(site.out, source.name, self._resource.dirname, run)
        self._requests = 0
        self._transport: Transport = source.connect(self._count_request)
        self._logs: dict[str, CommitLog] = {}
        self._positions: dict[str, Position] = {}
        self._walks: dict[str, Walk] = {}
        self._digest = KeyDigest()
        self._started: datetime = site.clock.now()
        self._count_after: int | None = None
        self._clocked = site.clock.monotonic()

    async def run(self, values: Sequence[str] | None) -> Outcome:
        """Harvest the resource.

        Args:
            values: of the parent resource, one walk each; None when there is no parent.
        Raises nothing of ``HarvesterError``: a failure is an Outcome, so that the siblings go on.
        """
        try:
            finished = read_manifest(self._site.fs, self.directory)
            if finished is not None:
                return self._report_finished(finished)
            return await self._harvest(values)
        except HarvesterError as error:
            return self._conclude("failed", str(error), error)

    # -------------------------------------------------------------- the run

    async def _harvest(self, values: Sequence[str] | None) -> Outcome:
        site = self._site
        earlier = await self._in_thread(self._load)
        walks = self._assign(self._blueprint.walks(values, self._started), earlier)
        held = sum(commits[-1].tally.records for commits in earlier.values() if commits)
        site.sink(
            ResourceStarted(
                at=site.clock.now(),
                source=self._source.name,
                resource=self._resource.name,
                run=self._run,
                mode=Phase.FULL,
                resumed=bool(earlier),
                records=held,
            )
        )
        await self._in_thread(site.fs.make_directory, self.directory)
        seen_at = layout.state_directory(site.out) / "seen" / f"{self._source.name}.{self._resource.dirname}.sqlite"
        await self._in_thread(lambda: site.fs.make_directory(seen_at.parent, private=True))
        with SeenKeys(site.fs, seen_at if site.keys_on_disk else None) as seen:
            shop = self._shop(seen)
            for commits in earlier.values():
                self._requests += commits[-1].tally.requests
                await self._in_thread(self._remember, shop.sieve, commits)
            if not await self._work(walks, shop, earlier):
                return self._conclude("interrupted", "stopped; run the same command again to go on")
            reason = ""
            for letter in _CLOSING_ROUNDS:
                closing = [closed for walk in walks if (closed := self._close(walk, letter)) is not None]
                if not await self._work(closing, shop, earlier):
                    return self._conclude("interrupted", "stopped; run the same command again to go on")
                reason = await self._shortfall(walks)
                if not reason or not closing:
                    break
            quarantined = self._sum("quarantined")
            if quarantined:
                reason = reason or f"{quarantined:,} records could not be taken; they are in the quarantine shards"
            await self._in_thread(self._finish, reason)
        return self._conclude("incomplete" if reason else "complete", reason)

    async def _work(self, walks: Sequence[Walk], shop: Workshop, earlier: dict[str, tuple[Commit, ...]]) -> bool:
        """Run *walks*, a few at a time. True: all have ended. The first failure is raised after the others stopped."""
        failures: list[HarvesterError] = []
        ended: list[bool] = []
        limiter = anyio.CapacityLimiter(self._source.workers)

        async def one(walk: Walk) -> None:
            async with limiter:
                if shop.stop.is_set() or failures:
                    ended.append(False)
                    return
                self._walks[walk.id] = walk
                pager = self._source.provider.pagers[walk.pager]
                position = resume(walk, pager.first(walk), earlier.get(walk.id, ()))
                self._positions[walk.id] = position
                log = self._logs.get(walk.id) or CommitLog(self._site.fs, self.directory, walk.id, self._site.rng)
                self._logs[walk.id] = log
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

    def _close(self, walk: Walk, letter: str) -> Walk | None:
        position = self._positions[walk.id]
        closing = self._blueprint.close(walk, position.anchor, position.reached)
        return msgspec.structs.replace(closing, id=f"{letter}{walk.id[1:]}") if closing is not None else None

    async def _shortfall(self, walks: Sequence[Walk]) -> str:
        """Why the provider's count says that rows are missing; "" when it does not say so.

        Counts are taken before and after: rows may honestly come and go, so only fewer keys than *both* counts is
        a gap. A count can never prove that nothing is missing (FAULTS P13), it can only disprove it (P06).
        """
        before = [self._positions[walk.id].expected for walk in walks]
        if self._blueprint.count is None:
            self._count_after = None
            known = [count for count in before if count is not None]
            claimed = sum(known) if len(known) == len(walks) and walks else None
        else:
            asked = [await count(self._source, self._transport, walk, self._blueprint.count(walk)) for walk in walks]
            self._count_after = sum(number or 0 for number in asked)
            known = [count for count in before if count is not None]
            claimed = min(sum(known), self._count_after) if len(known) == len(walks) else self._count_after
        taken = self._digest.number if self._resource.key else self._sum("records")
        missing = (claimed or 0) - taken - self._sum("quarantined")
        if claimed is None or missing <= 0:
            return ""
        return f"the provider counts {claimed:,} records, {missing:,} more than could be read"

    # -------------------------------------------------------------- what an earlier attempt left

    def _load(self) -> dict[str, tuple[Commit, ...]]:
        fs = self._site.fs
        earlier: dict[str, tuple[Commit, ...]] = {}
        for name in commit_logs.walks(fs, self.directory):
            log = CommitLog(fs, self.directory, name, self._site.rng)
            commits = log.load()
            if commits:
                earlier[name] = commits
                self._logs[name] = log
                self._check_fingerprint(commits[-1])
        keep = {entry.path for commits in earlier.values() for commit in commits for entry in commit.add}
        tidy(fs, self.directory, keep)
        return earlier

    def _check_fingerprint(self, commit: Commit) -> None:
        if commit.fingerprint != self._blueprint.fingerprint:
            raise ConfigError(
                f"{self.directory} holds an unfinished run made with other settings (base URL, select, filter, "
                "expand, language or walk). Nothing was changed. Run again with the earlier settings to finish it, "
                "with --restart to give it up, or with another output directory.",
                path=f"sources.{self._source.name}",
            )

    def _assign(self, walks: Sequence[Walk], earlier: dict[str, tuple[Commit, ...]]) -> list[Walk]:
        """Give each walk the id under which its value was committed before; new values get the next free ids."""
        known = {
            commits[-1].walk.value: commits[-1].walk
            for commits in earlier.values()
            if commits[-1].walk.phase is Phase.FULL
        }
        taken = {walk.id for walk in known.values()}
        free = (name for index in range(len(walks) + len(taken)) if (name := f"w{index:02d}") not in taken)
        assigned = []
        for walk in walks:
            before = known.pop(walk.value, None)
            assigned.append(before if before is not None else msgspec.structs.replace(walk, id=next(free)))
        # A value that has gone from the parent keeps what was read of it; its walk is finished all the same.
        assigned.extend(known.values())
        return assigned

    def _remember(self, sieve: Sieve, commits: tuple[Commit, ...]) -> None:
        """Read back what is committed, so that nothing of it is written twice."""
        walk = commits[-1].walk
        stamp = stamp_of(walk)
        reader = HeadReader(self._resource)
        if not self._resource.key:
            return
        batch: list[bytes] = []
        for commit in commits:
            for entry in commit.add:
                if not entry.path.startswith("part-"):
                    continue
                for line in read_lines(self._site.fs, self.directory / entry.path):
                    batch.append(b"{" + line[len(stamp) :] if stamp and line.startswith(stamp) else line)
                    if len(batch) == _REMEMBER:
                        sieve.remember(walk, batch, reader)
                        batch = []
        if batch:
            sieve.remember(walk, batch, reader)

    # -------------------------------------------------------------- the end

    def _finish(self, reason: str) -> None:
        site = self._site
        commits = {name: log.load() for name, log in self._logs.items()}
        shards: list[ShardEntry] = [entry for log in commits.values() for commit in log for entry in commit.add]
        before = [position.expected for name, position in self._positions.items() if name.startswith("w")]
        # Sending times of the first and last page are in the commits; the run began with the earliest.
        started = min((log[0].at for log in commits.values() if log), default=self._started)
        anchors = [p.anchor for n, p in self._positions.items() if n.startswith("w") and p.anchor is not None]
        manifest = Manifest(
            run=self._run,
            source=self._source.name,
            provider=self._source.provider.name,
            resource=self._resource.name,
            mode=Phase.FULL,
            verdict="incomplete" if reason else "complete",
            reason=reason,
            fingerprint=self._blueprint.fingerprint,
            records=self._sum("records"),
            bytes=sum(entry.bytes for entry in shards),
            requests=self._requests,
            started=min(started, self._started),
            finished=site.clock.now(),
            watermark=min(anchors, default=None),
            count_before=sum(c for c in before if c is not None) if before and None not in before else None,
            count_after=self._count_after,
            keys=self._digest.key_set() if self._resource.key else None,
            quarantined=self._sum("quarantined"),
            tombstones=0,
            walks=tuple(
                WalkEvidence(
                    id=name,
                    phase=walk.phase,
                    value=walk.value,
                    pager=walk.pager,
                    since=walk.since,
                    anchor=self._positions[name].anchor,
                    watermark=self._positions[name].watermark,
                    requests=self._positions[name].tally.requests,
                    records=self._positions[name].tally.records,
                    duplicates=self._positions[name].tally.duplicates,
                )
                for name, walk in sorted(self._walks.items())
            ),
            shards=tuple(shards),
        )
        tidy(site.fs, self.directory, {entry.path for entry in shards})
        write_manifest(site.fs, self.directory, manifest)

    def _conclude(self, verdict: str, reason: str, error: HarvesterError | None = None) -> Outcome:
        site = self._site
        site.sink(
            ResourceFinished(
                at=site.clock.now(),
                source=self._source.name,
                resource=self._resource.name,
                run=self._run,
                verdict=verdict,
                reason=reason,
                records=self._sum("records"),
                bytes=sum(position.bytes for position in self._positions.values()),
                requests=self._requests,
                quarantined=self._sum("quarantined"),
                seconds=site.clock.monotonic() - self._clocked,
            )
        )
        return Outcome(resource=self._resource.name, verdict=verdict, reason=reason, error=error)

    def _report_finished(self, manifest: Manifest) -> Outcome:
        """The resource was finished by an earlier attempt at this harvest."""
        site = self._site
        site.sink(
            ResourceFinished(
                at=site.clock.now(),
                source=self._source.name,
                resource=self._resource.name,
                run=self._run,
                verdict=manifest.verdict,
                reason=manifest.reason,
                records=manifest.records,
                bytes=manifest.bytes,
                requests=manifest.requests,
                quarantined=manifest.quarantined,
                seconds=0.0,
            )
        )
        return Outcome(resource=self._resource.name, verdict=manifest.verdict, reason=manifest.reason)

    # -------------------------------------------------------------- small things

    def _shop(self, seen: SeenKeys) -> Workshop:
        site = self._site
        return Workshop(
            source=self._source,
            transport=self._transport,
            directory=self.directory,
            fs=site.fs,
            clock=site.clock,
            rng=site.rng,
            sink=site.sink,
            executor=site.executor,
            compression=site.compression,
            shard_bytes=site.shard_bytes,
            commit_seconds=site.commit_seconds,
            fingerprint=self._blueprint.fingerprint,
            sieve=Sieve(self._resource, seen, self._digest),
            stop=site.stop,
        )

    def _sum(self, field: str) -> int:
        return sum(getattr(position.tally, field) for position in self._positions.values())

    def _count_request(self, event: Event) -> None:
        if isinstance(event, Requested):
            self._requests += 1
        self._site.sink(event)

    async def _in_thread(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._site.executor, lambda: function(*args))
