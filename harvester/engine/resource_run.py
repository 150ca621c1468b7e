"""One resource from its first walk to its manifest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import PurePath
from typing import TypeVar

from msgspec.structs import replace

from harvester.contracts import LinkedPager, Transport
from harvester.engine.assignment import assign
from harvester.engine.closing import Closing
from harvester.engine.crew import Crew
from harvester.engine.earlier import Earlier
from harvester.engine.endings import Endings
from harvester.engine.evidence import Evidence
from harvester.engine.held import Held, is_changes_only
from harvester.engine.holdings import Holdings, clear_away, scratch_beside
from harvester.engine.met import Met
from harvester.engine.past_runs import PastRuns
from harvester.engine.proof import LETTERS, prove
from harvester.engine.quarantine import Quarantine
from harvester.engine.related import Related
from harvester.engine.sets_view import load_member_state
from harvester.engine.sharing import Sharing
from harvester.engine.sieve import Sieve
from harvester.engine.site import Outcome, Site
from harvester.engine.source import Blueprint, Source
from harvester.engine.state import Run, grounded, load_state
from harvester.engine.views import agree
from harvester.engine.whole_state import load_whole_state
from harvester.engine.workshop import Workshop
from harvester.errors import ConfigError, FilterIgnored, HarvesterError
from harvester.events import Event, Requested, ResourceFinished, ResourceStarted, Warned
from harvester.model import Phase, Walk
from harvester.store import layout
from harvester.store.commits import Commit
from harvester.store.key_table import KeyTable
from harvester.store.keys import SeenKeys
from harvester.store.manifest import CredentialUse, KeyDigest, Manifest, write_manifest
from harvester.store.runs import tidy
from harvester.store.splits import Sketches

T = TypeVar("T")

_OF_A_SWEEP = {Phase.SWEEP, Phase.REPAIR}


class ResourceRun:
    """Runs (or continues) one resource and leaves a manifest when it has finished."""

    def __init__(self, source: Source, blueprint: Blueprint, site: Site, run: str) -> None:
        self._source, self._blueprint, self._site = source, blueprint, site
        self._resource = blueprint.resource
        self._run = run
        self.directory = layout.run_directory(site.out, source.name, self._resource.dirname, run)
        self._earlier = Earlier(site.fs, site.rng, self.directory, source.name, blueprint)
        self._past = PastRuns(site.fs, site.out, source.name, blueprint, self.directory, site.memory)
        self._requests = 0
        self._by_credential: dict[str, int] = {}
        self._transport: Transport = source.connect(self._count_request)
        self._crew = Crew(source, site, self.directory)
        self._digest = KeyDigest()
        self._started: datetime = site.clock.now()
        self._sketches = Sketches()
        self._evidence = Evidence(
            source, blueprint, site, run, self._transport, self._crew, self._digest, self._sketches
        )
        self._closing = Closing(blueprint, self._crew, self._evidence, Endings(source, self._transport, self._crew))
        self._clocked = site.clock.monotonic()
        self._mode = Phase.FULL
        self._watermark: str | None = None
        self._held_in = ""  # the earlier run whose records this one found unchanged
        self._changes = 0  # records and tombstones that it leaves behind, once it has finished
        self._held: Held | None = None
        self._state: tuple[Run, ...] = ()  # the runs that a sweep is about
        self._whole_records = False
        self._swept: Sequence[Walk] = ()  # what it would take to read everything; none of it is

    async def run(self, values: Sequence[str] | None, doubt: str = "") -> Outcome:
        """Harvest the resource.

        Args:
            values: of the parent resource, one walk each; None when there is no parent.
            doubt: why *values* may not be all of them; "" when they are. The run is then not complete either.
        Raises nothing of ``HarvesterError``: a failure is an Outcome, so that the siblings go on.
        """
        try:
            finished = await self._in_thread(self._past.of_this_run, self._run)
            if finished is not None:
                manifest, self._held_in = finished
                self._earlier.check_fingerprint(manifest.fingerprint)
                return self._report_finished(manifest)
            await agree(self._source, self._blueprint, site=self._site, transport=self._transport, values=values)
            return await self._harvest(values, doubt)
        except HarvesterError as error:
            await self._in_thread(self._earlier.drop_empty)
            return self._conclude("failed", str(error), error)

    # -------------------------------------------------------------- the run

    async def _harvest(self, values: Sequence[str] | None, doubt: str) -> Outcome:
        site = self._site
        earlier = await self._in_thread(self._earlier.load, self._crew)
        related = await self._relate(earlier)
        walks = [] if related is not None and related.by_parent else await self._begin_with(values, earlier)
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
        seen_at = layout.state_directory(site.out) / "seen" / f"{self._source.name}.{self._resource.dirname}.sqlite"
        await self._in_thread(self._make_room, seen_at)
        with ExitStack() as tables:
            seen = tables.enter_context(SeenKeys(site.fs, seen_at if site.keys_on_disk else None))
            holdings = tables.enter_context(self._holdings(seen_at)) if self._must_prove(earlier) else None
            shop = self._shop(seen, holdings)
            for commits in earlier.values():
                self._requests += commits[-1].tally.requests
                await self._in_thread(self._earlier.remember, shop, commits)
            if related is not None:
                outcome = await self._see_to_sets(related, shop, earlier, partial(self._table, tables, seen_at), doubt)
                if outcome is not None:
                    return outcome
            unfiltered = ""
            try:
                if not await self._crew.run(walks, shop, earlier, await self._sharing(shop)):
                    return self._conclude("interrupted", "stopped; run the same command again to go on")
            except FilterIgnored as error:  # a delta that will not be one; gone on with, it would be the same again
                unfiltered = str(error)
            closed = await self._closing.run(walks, shop, earlier)
            if closed is None:
                return self._conclude("interrupted", "stopped; run the same command again to go on")
            reason = closed.reason
            unasked = closed.unasked or unfiltered or self._blueprint.doubt or self._doubt_of(walks)
            if holdings is not None:
                sweeping = self._mode is Phase.SWEEP
                if sweeping:
                    await self._in_thread(self._hold_state, holdings, scratch_beside(seen_at))
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
                    whole_records=self._whole_records,
                )
                if proven is None:
                    return self._conclude("interrupted", "stopped; run the same command again to go on")
                self._evidence.take(proven)
                reason, unasked = proven.settle(reason, unasked)
            elif self._site.prove and not self._resource.key and self._crew.total("requests") > len(walks):
                reason = reason or "its records have no key, so that nothing can prove that all of its pages came"
            reason = self._crew.gaps(walks) or doubt or self._blueprint.gap or unasked or reason
            reason = reason or self._rejected()
            await self._in_thread(self._finish, reason)
        return self._conclude("incomplete" if reason else "complete", reason)

    def _make_room(self, seen_at: PurePath) -> None:
        fs = self._site.fs
        fs.make_directory(self.directory)
        fs.make_directory(seen_at.parent, private=True)
        clear_away(fs, seen_at)

    async def _relate(self, earlier: Mapping[str, tuple[Commit, ...]]) -> Related | None:
        """What there is to do for a related resource; None: it is none."""
        if self._resource.relation is None:
            return None
        own = await self._in_thread(self._past.finished)
        related = Related(self._site, self._source.name, self._blueprint, self.directory, own)
        await self._in_thread(related.plan, earlier)
        if related.by_parent:
            self._mode = self._evidence.mode = related.mode
        else:
            self._source.shared_sets.leave(self._resource.name)
        return related

    async def _see_to_sets(
        self,
        related: Related,
        shop: Workshop,
        earlier: Mapping[str, tuple[Commit, ...]],
        table: Callable[[str], KeyTable],
        doubt: str,
    ) -> Outcome | None:
        """Read what has to be read set by set; None: nothing has, but all sets together, from now on."""
        if related.by_parent or self._mode is Phase.FULL:
            self._evidence.as_new_as = related.as_new_as
        if not related.by_parent:
            if self._mode is Phase.FULL:
                await related.call_the_roll(self._crew, shop, earlier, table)
            return None
        reason = await related.read(self._crew, shop, earlier, table)
        if reason is None:
            return self._conclude("interrupted", "stopped; run the same command again to go on")
        reason = doubt or reason or self._rejected()
        await self._in_thread(self._finish, reason)
        return self._conclude("incomplete" if reason else "complete", reason)

    def _rejected(self) -> str:
        quarantined, cut = self._crew.total("quarantined"), self._crew.total("cut")
        if quarantined:
            return f"{quarantined:,} records could not be taken; they are in the quarantine shards"
        if cut:
            return (
                f"{cut:,} records hold an expanded set that goes on behind a link; ask for it as a resource, or related"
            )
        return ""

    def _table(self, tables: ExitStack, seen_at: PurePath, name: str) -> KeyTable:
        """A table beside the others of this run, closed with them."""
        at = seen_at.with_suffix(f".{name}") if self._site.keys_on_disk else None
        return tables.enter_context(KeyTable(self._site.fs, at))

    async def _begin_with(self, values: Sequence[str] | None, earlier: Mapping[str, tuple[Commit, ...]]) -> list[Walk]:
        """The walks of the run: those that read everything, or those that bring what changed since the last.

        Raises:
            ConfigError: a delta is asked for, or was begun, and there is nothing to go on from.
        """
        full = self._blueprint.walks(values, self._started)
        begun = {commits[-1].walk.phase for commits in earlier.values() if commits}
        if Phase.SETS in begun:  # a full run has noted what the parents told
            begun = begun - {Phase.SETS} | {Phase.FULL}
        if self._blueprint.changes is not None and (begun <= _OF_A_SWEEP if begun else self._site.mode == Phase.SWEEP):
            self._state = grounded(await self._in_thread(self._past.finished))
            if self._state:
                self._mode = self._evidence.mode = Phase.SWEEP
                self._swept = full
                self._whole_records = self._is_of_whole_records(earlier)
                if self._source.provider.listing.whole and full:  # what it has to read again, it reads whole
                    self._held = await self._in_thread(self._past.held, self._state, full[0])
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
        runs = await self._in_thread(self._past.basis)
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
        self._tell_vanished(runs, values)
        walks = assign(changes, earlier)
        if any(map(is_changes_only, walks)):
            self._held = await self._in_thread(lambda: self._past.held(self._past.finished(), walks[0]))
        return walks

    def _tell_vanished(self, runs: Sequence[Run], values: Sequence[str] | None) -> None:
        """Tell once which values the parent names no more: that purges nothing (IMS contract, section 8)."""
        if values is None:
            return
        site, before = self._site, {walk.value for walk in runs[-1][1].walks if walk.value is not None}
        for value in sorted(before.difference(values)):
            message = f"{self._resource.needs} names {value} no more; what {self._resource.name} holds of it is kept"
            site.sink(Warned(at=site.clock.now(), source=self._source.name, message=message))

    def _is_of_whole_records(self, earlier: Mapping[str, tuple[Commit, ...]]) -> bool:
        """Whether the sweep compares what records say. Where a listing reads all of it, that costs nothing more."""
        begun = [commits[-1].walk for commits in earlier.values() if commits]
        if self._source.provider.listing.whole or not begun:
            return self._source.provider.listing.whole or self._site.whole_records
        return any(walk.whole for walk in begun)

    def _hold_state(self, holdings: Holdings, scratch: PurePath) -> None:
        """Take what the runs hold together, of those values of the parent that there still are."""
        values = {walk.value for walk in self._swept}
        if self._resource.relation is not None:
            load_member_state(self._site.fs, self._state, self._resource, holdings.before, scratch)
            return
        if self._whole_records:
            load_whole_state(self._site.fs, self._state, values, holdings.before, scratch)
            return
        load_state(self._site.fs, self._state, self._resource, values, holdings.before)

    def _full_requests(self) -> int:
        """What reading everything took the last time."""
        return sum(walk.requests for walk in self._state[0][1].walks if walk.phase == Phase.FULL)

    def _doubt_of(self, walks: Sequence[Walk]) -> str:
        """Why what has read *walks* may lose rows that move, in the provider's words; "" when it may not."""
        doubts = {**self._source.provider.doubts, **self._blueprint.doubts}
        read = [each for walk in walks for each in self._crew.family(walk.id) if each.phase is Phase.FULL]
        return next((doubts[walk.pager] for walk in read if walk.pager in doubts), "")

    async def _sharing(self, shop: Workshop) -> Sharing | None:
        """What cuts the walks into parts, by what the last run learned; None: they stay whole."""
        cuttings = self._blueprint.cuttings
        if not cuttings or self._mode not in {Phase.FULL, Phase.DELTA}:
            return None
        return Sharing(self._crew, shop, cuttings, await self._in_thread(self._past.learned))

    # -------------------------------------------------------------- the end

    def _finish(self, reason: str) -> None:
        site = self._site
        manifest = replace(
            self._evidence.manifest(reason, requests=self._requests, started=self._started),
            credentials=tuple(CredentialUse(name=name, requests=n) for name, n in sorted(self._by_credential.items())),
        )
        self._watermark = manifest.watermark
        tidy(site.fs, self.directory, {entry.path for entry in manifest.shards})
        held_in = self._past.renew(manifest, self._crew.walks.values()) if site.renews else None
        if held_in is None:
            write_manifest(site.fs, self.directory, manifest)
            self._changes = manifest.records + manifest.tombstones
        else:
            self._held_in = held_in

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
            changes=self._changes,
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
            sieve=Sieve(self._resource, seen, self._digest, holdings, self._sketches, self._held, self._met()),
            stop=site.stop,
            quarantine=Quarantine(),
            count=self._blueprint.count,
        )

    def _met(self) -> Met:
        linked = [name for name, pager in self._source.provider.pagers.items() if isinstance(pager, LinkedPager)]
        return Met(linked, every=self._mode is Phase.DELTA)

    def _count_request(self, event: Event) -> None:
        if isinstance(event, Requested):
            self._requests += 1
            if event.credential:
                self._by_credential[event.credential] = self._by_credential.get(event.credential, 0) + 1
        self._site.sink(event)

    async def _in_thread(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._site.executor, lambda: function(*args))
