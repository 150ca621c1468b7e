"""One resource from its first walk to its manifest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from itertools import islice
from pathlib import PurePath
from typing import TypeVar

import msgspec

from harvester.contracts import Transport
from harvester.decode.heads import HeadReader
from harvester.engine.assignment import assign
from harvester.engine.crew import Crew
from harvester.engine.evidence import Evidence
from harvester.engine.held import Held, is_changes_only
from harvester.engine.holdings import Holdings, clear_away
from harvester.engine.parts import whole
from harvester.engine.proof import LETTERS, LISTINGS, prove
from harvester.engine.quarantine import Quarantine
from harvester.engine.renewing import brings_nothing, found_again
from harvester.engine.sharing import Sharing
from harvester.engine.sieve import Sieve
from harvester.engine.site import Outcome, Site
from harvester.engine.source import Blueprint, Source
from harvester.engine.stamps import stamp_of
from harvester.engine.state import Run, grounded, load_state
from harvester.engine.workshop import Workshop
from harvester.errors import ConfigError, FilterIgnored, HarvesterError, StorageError
from harvester.events import Event, Requested, ResourceFinished, ResourceStarted
from harvester.model import Phase, Walk
from harvester.store import commits as commit_logs
from harvester.store import layout
from harvester.store.commits import Commit, CommitLog
from harvester.store.keys import SeenKeys
from harvester.store.manifest import KeyDigest, Manifest, read_manifest, write_manifest
from harvester.store.renewals import keep_renewal, read_renewal
from harvester.store.runs import find_runs, tidy
from harvester.store.shards import read_lines
from harvester.store.splits import Sketches, Splits

T = TypeVar("T")

_CLOSING_ROUNDS = "cde"  # first letters of the walk ids: a short count is answered by closing again, twice
_OF_A_SWEEP = {Phase.SWEEP, Phase.REPAIR}
_REMEMBER = 1000  # lines taken at a time when an earlier attempt is read back


class ResourceRun:
    """Runs (or continues) one resource and leaves a manifest when it has finished."""

    def __init__(self, source: Source, blueprint: Blueprint, site: Site, run: str) -> None:
        self._source, self._blueprint, self._site = source, blueprint, site
        self._resource = blueprint.resource
        self._run = run
        self.directory = layout.run_directory(site.out, source.name, self._resource.dirname, run)
        self._requests = 0
        self._transport: Transport = source.connect(self._count_request)
        self._crew = Crew(source, site, self.directory)
        self._digest = KeyDigest()
        self._started: datetime = site.clock.now()
        self._sketches = Sketches()
        self._evidence = Evidence(
            source, blueprint, site, run, self._transport, self._crew, self._digest, self._sketches
        )
        self._clocked = site.clock.monotonic()
        self._mode = Phase.FULL
        self._watermark: str | None = None
        self._held_in = ""  # the earlier run whose records this one found unchanged
        self._held: Held | None = None
        self._state: tuple[Run, ...] = ()  # the runs that a sweep is about
        self._swept: Sequence[Walk] = ()  # what it would take to read everything; none of it is

    async def run(self, values: Sequence[str] | None, doubt: str = "") -> Outcome:
        """Harvest the resource.

        Args:
            values: of the parent resource, one walk each; None when there is no parent.
            doubt: why *values* may not be all of them; "" when they are. The run is then not complete either.
        Raises nothing of ``HarvesterError``: a failure is an Outcome, so that the siblings go on.
        """
        try:
            finished = await self._in_thread(self._look_finished)
            if finished is not None:
                self._check_fingerprint(finished.fingerprint)
                return self._report_finished(finished)
            return await self._harvest(values, doubt)
        except HarvesterError as error:
            await self._in_thread(self._sweep_empty)
            return self._conclude("failed", str(error), error)

    # -------------------------------------------------------------- the run

    async def _harvest(self, values: Sequence[str] | None, doubt: str) -> Outcome:
        site = self._site
        earlier = await self._in_thread(self._load)
        walks = await self._begin_with(values, earlier)
        held = sum(commits[-1].tally.records for commits in earlier.values() if commits)
        site.sink(
            ResourceStarted(
                at=site.clock.now(),
                source=self._source.name,
                resource=self._resource.name,
                run=self._run,
                mode=self._mode,
                resumed=bool(earlier),
                records=held,
                walks=len(walks),
            )
        )
        await self._in_thread(site.fs.make_directory, self.directory)
        seen_at = layout.state_directory(site.out) / "seen" / f"{self._source.name}.{self._resource.dirname}.sqlite"
        await self._in_thread(lambda: site.fs.make_directory(seen_at.parent, private=True))
        await self._in_thread(clear_away, site.fs, seen_at)
        with ExitStack() as tables:
            seen = tables.enter_context(SeenKeys(site.fs, seen_at if site.keys_on_disk else None))
            holdings = tables.enter_context(self._holdings(seen_at)) if self._must_prove(earlier) else None
            shop = self._shop(seen, holdings)
            for commits in earlier.values():
                self._requests += commits[-1].tally.requests
                await self._in_thread(self._remember, shop, commits)
            unfiltered = ""
            try:
                if not await self._crew.run(walks, shop, earlier, await self._sharing(shop)):
                    return self._conclude("interrupted", "stopped; run the same command again to go on")
            except FilterIgnored as error:  # a delta that will not be one; gone on with, it would be the same again
                unfiltered = str(error)
            reason, unasked = "", unfiltered or self._blueprint.doubt or self._doubt_of(walks)
            for letter, following in zip(_CLOSING_ROUNDS, f"{_CLOSING_ROUNDS[1:]}-", strict=True):
                full = [walk for walk in walks if walk.phase is Phase.FULL]
                closing = [closed for walk in full if (closed := self._close(walk, letter)) is not None]
                try:
                    if not await self._crew.run(closing, shop, earlier):
                        return self._conclude("interrupted", "stopped; run the same command again to go on")
                except FilterIgnored as error:  # the full walk is whole; only its end cannot be closed (FAULTS P15)
                    unasked = str(error)
                    break
                if self._mode is Phase.FULL:
                    reason, stopped = await self._evidence.shortfall(walks, shop)
                else:  # a count of everything says nothing about what changed
                    stopped = False
                if stopped:
                    return self._conclude("interrupted", "stopped; run the same command again to go on")
                # A round that an earlier attempt began belongs to the run and is finished, needed or not.
                if not any(name.startswith(following) for name in earlier) and (not reason or not closing):
                    break
            if holdings is not None:
                sweeping = self._mode is Phase.SWEEP
                if sweeping:
                    await self._in_thread(self._hold_state, holdings)
                proven = await prove(
                    self._source,
                    self._blueprint,
                    self._crew,
                    self._evidence,
                    holdings,
                    self._swept if sweeping else walks,
                    shop,
                    earlier,
                    whole=self._full_requests() if sweeping else None,
                    purge=site.most_gone if sweeping else None,
                )
                if proven is None:
                    return self._conclude("interrupted", "stopped; run the same command again to go on")
                self._evidence.take(proven)
                reason, unasked = proven.settle(reason, unasked)
            elif self._site.prove and not self._resource.key and self._crew.total("requests") > len(walks):
                reason = reason or "its records have no key, so that nothing can prove that all of its pages came"
            reason = self._crew.gaps(walks) or doubt or self._blueprint.gap or unasked or reason
            quarantined = self._crew.total("quarantined")
            if quarantined:
                reason = reason or f"{quarantined:,} records could not be taken; they are in the quarantine shards"
            await self._in_thread(self._finish, reason)
        return self._conclude("incomplete" if reason else "complete", reason)

    async def _begin_with(self, values: Sequence[str] | None, earlier: Mapping[str, tuple[Commit, ...]]) -> list[Walk]:
        """The walks of the run: those that read everything, or those that bring what changed since the last.

        Raises:
            ConfigError: a delta is asked for, or was begun, and there is nothing to go on from.
        """
        full = self._blueprint.walks(values, self._started)
        begun = {commits[-1].walk.phase for commits in earlier.values() if commits}
        if self._blueprint.changes is not None and (begun <= _OF_A_SWEEP if begun else self._site.mode == Phase.SWEEP):
            self._state = grounded(await self._in_thread(self._finished))
            if self._state:
                self._mode = self._evidence.mode = Phase.SWEEP
                self._swept = full
                return []
            if begun or not self._site.lenient:
                raise ConfigError(
                    f"{self._resource.name} has no complete harvest with these settings that could be swept. "
                    "Run with --mode full first.",
                    path=f"sources.{self._source.name}",
                )
        wanted = Phase.DELTA in begun or (not begun and self._site.mode != Phase.FULL)
        if not wanted or self._blueprint.changes is None:
            return assign(full, earlier)
        runs = await self._in_thread(self._finished)
        changes = self._blueprint.changes([manifest for _, manifest in runs], full)
        if changes is None:
            if begun or (self._site.mode == Phase.DELTA and not self._site.lenient):
                raise ConfigError(
                    f"{self._resource.name} has no complete harvest with these settings that a delta could go on from. "
                    "Run with --mode full first.",
                    path=f"sources.{self._source.name}",
                )
            return assign(full, earlier)
        self._mode = self._evidence.mode = Phase.DELTA
        walks = assign(changes, earlier)
        if any(map(is_changes_only, walks)):
            self._held = await self._in_thread(self._hold, runs, walks[0])
        return walks

    def _finished(self) -> list[tuple[PurePath, Manifest]]:
        """The finished runs of the resource, oldest first, from the last change of settings on.

        What runs with other settings brought lies on top of all that is older: nobody would see the records below.
        """
        fs, newest = self._site.fs, ""
        found: list[tuple[PurePath, Manifest]] = []
        for run in find_runs(fs, self._site.out, self._source.name, self._resource.dirname):
            manifest = read_manifest(fs, run.path) if run.finished else None
            newest = run.name if run.finished else newest
            if manifest is not None and manifest.fingerprint == self._blueprint.fingerprint:
                found.append((run.path, manifest))
            elif manifest is not None:
                found.clear()
        renewal = read_renewal(fs, self._site.out, self._source.name, self._resource.dirname, newest)
        if renewal is not None and not renewal.held_in and renewal.manifest.fingerprint == self._blueprint.fingerprint:
            found.append((self.directory.with_name(f"run={renewal.manifest.run}"), renewal.manifest))
        return found

    def _hold_state(self, holdings: Holdings) -> None:
        """Take what the runs hold together, of those values of the parent that there still are."""
        values = {walk.value for walk in self._swept}
        load_state(self._site.fs, self._state, self._resource, values, holdings.before)

    def _full_requests(self) -> int:
        """What reading everything took the last time."""
        return sum(walk.requests for walk in self._state[0][1].walks if walk.phase == Phase.FULL)

    def _hold(self, runs: Sequence[tuple[PurePath, Manifest]], like: Walk) -> Held:
        """What *runs* hold, from the last full one on."""
        held = Held()
        first = max(index for index, (_, run) in enumerate(runs) if run.mode == Phase.FULL and not run.reason)
        for path, manifest in runs[first:]:
            held.load(self._site.fs, path, manifest, like)
        return held

    def _doubt_of(self, walks: Sequence[Walk]) -> str:
        """Why the pager of *walks* may lose rows that move, in the provider's words; "" when it may not."""
        doubts = self._source.provider.doubts
        return next((doubts[walk.pager] for walk in walks if walk.phase is Phase.FULL and walk.pager in doubts), "")

    def _close(self, walk: Walk, letter: str) -> Walk | None:
        crew = self._crew
        if len(crew.family(walk.id)) > 1:
            walk = whole(walk)
        closing = self._blueprint.close(walk, crew.anchor(walk.id), crew.reached(walk.id))
        return msgspec.structs.replace(closing, id=f"{letter}{walk.id[1:]}") if closing is not None else None

    async def _sharing(self, shop: Workshop) -> Sharing | None:
        """What cuts the walks into parts, by what the last run learned; None: they stay whole."""
        cutting = self._blueprint.cutting
        if cutting is None or self._mode is not Phase.FULL:  # the parts of a delta would be no whole
            return None
        return Sharing(self._crew, shop, cutting, await self._in_thread(self._learned))

    def _learned(self) -> tuple[Splits, ...]:
        """What the last full run learned of the sizes of its parts; (): there was none."""
        fs = self._site.fs
        for run in reversed(find_runs(fs, self._site.out, self._source.name, self._resource.dirname)):
            manifest = read_manifest(fs, run.path) if run.finished else None
            if manifest is not None and manifest.mode == Phase.FULL:
                return manifest.splits
        return ()

    # -------------------------------------------------------------- what an earlier attempt left

    def _load(self) -> dict[str, tuple[Commit, ...]]:
        fs = self._site.fs
        earlier: dict[str, tuple[Commit, ...]] = {}
        for name in commit_logs.walks(fs, self.directory):
            log = CommitLog(fs, self.directory, name, self._site.rng)
            try:
                commits = log.load()
            except StorageError:
                if name[0] not in LISTINGS:
                    raise
                # The end of a run removes what it listed before there is a manifest: killed between, it lists again.
                fs.remove_tree(layout.log_directory(self.directory, name))
                continue
            if commits:
                earlier[name] = commits
                self._crew.logs[name] = log
                self._check_fingerprint(commits[-1].fingerprint)
        keep = {entry.path for commits in earlier.values() for commit in commits for entry in commit.add}
        tidy(fs, self.directory, keep)
        return earlier

    def _check_fingerprint(self, fingerprint: str) -> None:
        if fingerprint != self._blueprint.fingerprint:
            raise ConfigError(
                f"{self.directory} belongs to an unfinished harvest made with other settings (base URL, select, "
                "filter, expand, language, horizon or walk). Nothing was changed. Run again with the earlier settings "
                "to finish it, with --restart to give it up, or with another output directory.",
                path=f"sources.{self._source.name}",
            )

    def _sweep_empty(self) -> None:
        """An attempt that never committed anything leaves no run behind to be gone on with."""
        fs = self._site.fs
        with suppress(StorageError):  # the failure that led here is the one to tell
            if not commit_logs.walks(fs, self.directory) and not fs.exists(layout.manifest_path(self.directory)):
                fs.remove_tree(self.directory)

    def _remember(self, shop: Workshop, commits: tuple[Commit, ...]) -> None:
        """Read back what is committed, so that nothing of it is written twice."""
        walk = commits[-1].walk
        for entry in (entry for commit in commits for entry in commit.add):
            lines = read_lines(self._site.fs, self.directory / entry.path)
            match layout.data_kind(entry.path):
                case layout.ShardKind.QUARANTINE:
                    for line in lines:
                        shop.quarantine.remember(line)
                case layout.ShardKind.PART if self._resource.key:
                    self._remember_records(shop.sieve, walk, lines)

    def _remember_records(self, sieve: Sieve, walk: Walk, lines: Iterator[bytes]) -> None:
        stamp, reader = stamp_of(walk), HeadReader(self._resource)
        while batch := [
            b"{" + line[len(stamp) :] if stamp and line.startswith(stamp) else line for line in islice(lines, _REMEMBER)
        ]:
            sieve.remember(walk, batch, reader)

    def _look_finished(self) -> Manifest | None:
        """The manifest of an earlier attempt at this very run that came to its end."""
        fs, source = self._site.fs, self._source.name
        manifest = read_manifest(fs, self.directory)
        if manifest is None:
            renewal = read_renewal(fs, self._site.out, source, self._resource.dirname)
            if renewal is not None and renewal.manifest.run == self._run:
                self._held_in = renewal.held_in
                return renewal.manifest
        return manifest

    # -------------------------------------------------------------- the end

    def _finish(self, reason: str) -> None:
        site = self._site
        manifest = self._evidence.manifest(reason, requests=self._requests, started=self._started)
        self._watermark = manifest.watermark
        tidy(site.fs, self.directory, {entry.path for entry in manifest.shards})
        if not (site.renews and self._renew(manifest)):
            write_manifest(site.fs, self.directory, manifest)

    def _renew(self, manifest: Manifest) -> bool:
        """Keep *manifest* without its directory, if the run found nothing that earlier ones do not hold."""
        fs, out = self._site.fs, self._site.out
        runs = [run for run in find_runs(fs, out, self._source.name, self._resource.dirname) if run.finished]
        newest = runs[-1].name if runs else ""
        if manifest.run <= newest:
            return False
        if self._blueprint.changes is None:
            held_in = newest
            if not held_in or not found_again(read_manifest(fs, runs[-1].path), manifest):
                return False
        else:
            held_in, like = "", next(iter(self._crew.walks.values()), None)
            if like is None or not brings_nothing(fs, self.directory, manifest, self._finished(), like):
                return False
        keep_renewal(fs, out, self._resource.dirname, manifest, held_in=held_in, after=newest)
        fs.remove_tree(self.directory)
        self._held_in = held_in
        return True

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
                records=sum(position.committed.records for position in self._crew.positions.values()),
                bytes=sum(position.bytes for position in self._crew.positions.values()),
                requests=self._requests,
                quarantined=sum(position.committed.quarantined for position in self._crew.positions.values()),
                seconds=site.clock.monotonic() - self._clocked,
            )
        )
        return Outcome(
            resource=self._resource.name,
            verdict=verdict,
            reason=reason,
            error=error,
            mode=self._mode,
            watermark=self._watermark,
            held_in=self._held_in,
        )

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
        return Outcome(
            resource=self._resource.name,
            verdict=manifest.verdict,
            reason=manifest.reason,
            mode=manifest.mode,
            watermark=manifest.watermark,
            held_in=self._held_in,
        )

    # -------------------------------------------------------------- small things

    def _must_prove(self, earlier: Mapping[str, tuple[Commit, ...]]) -> bool:
        """Whether the keys are to be listed: it is wanted now, or was when the run was begun."""
        if self._mode is Phase.DELTA:
            return False
        return self._mode is Phase.SWEEP or (
            bool(self._resource.key) and (self._site.prove or any(name[0] in LETTERS for name in earlier))
        )

    def _holdings(self, seen_at: PurePath) -> Holdings:
        site = self._site
        return Holdings(site.fs, (lambda name: seen_at.with_suffix(f".{name}")) if site.keys_on_disk else None)

    def _shop(self, seen: SeenKeys, holdings: Holdings | None) -> Workshop:
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
            sieve=Sieve(self._resource, seen, self._digest, holdings, self._sketches, self._held),
            stop=site.stop,
            quarantine=Quarantine(),
            count=self._blueprint.count,
        )

    def _count_request(self, event: Event) -> None:
        if isinstance(event, Requested):
            self._requests += 1
        self._site.sink(event)

    async def _in_thread(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._site.executor, lambda: function(*args))
