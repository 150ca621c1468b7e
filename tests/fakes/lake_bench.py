"""A harvest of the Lakeside provider in one process: the real engine between a lake server and a directory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio

from harvester.contracts import Fs
from harvester.engine.reconcile import Reconcile
from harvester.engine.site import Outcome, Site
from harvester.engine.source import Blueprint, Source
from harvester.engine.stream import PageStream
from harvester.engine.supervisor import Supervisor
from harvester.events import Event
from harvester.model import PageRequest, Walk
from harvester.planning.closing import closing_walk
from harvester.planning.delta import delta_walks, essential
from harvester.planning.plan import Wanted, full_walks, with_parents
from harvester.planning.reconcile import listing_walks, moved_walks, purges, repair_walks, ways_of_repair
from harvester.store.files import DiskFs
from harvester.store.manifest import Manifest, read_manifest
from harvester.store.shards import Compression, read_lines
from harvester.wire.origin import Origin
from tests.fakes.clock import FakeClock, SeededRng
from tests.fakes.lake_server import LakeServer, Row
from tests.fakes.lakeside import PROVIDER

PATIENCE = 10  # real seconds for what waits for nothing but the processor; a test that needs them has failed


class Bench:
    """One lake server and one output directory; every ``run`` and every ``stream`` is an attempt of its own.

    The attributes may be changed between attempts.

    Args:
        fs: where everything is written, with the key index in memory; None: the real disk.
    """

    def __init__(
        self, out: Path, tables: dict[str, list[Row]], *, page: int = 10, at_risk: int = 3, fs: Fs | None = None
    ) -> None:
        self.out, self.clock = out, FakeClock()
        self.server = LakeServer(tables, self.clock, page=page)
        self.provider = PROVIDER
        self.count: Callable[[Walk], PageRequest] | None = None  # None: the provider cannot be asked
        self.at_risk = at_risk  # pages between two commits
        self.mode = "full"
        self.prove = False  # list all keys at the end
        self.whole_records = False  # compared by sweeps
        self.most_gone = 0.2  # share that a sweep may take for deleted
        self.doubt = ""  # why a run that meets no failure may still miss something
        self.fingerprints: dict[str, str] = {}  # by resource, of settings that differ from the configured ones
        self.fs: Fs = DiskFs(SeededRng(1)) if fs is None else fs
        self._keys_on_disk = fs is None
        self.renews = False  # a run that found nothing new leaves no directory
        self.whole = False  # nothing can be asked for changes
        self.events: list[Event] = []
        self.stop = anyio.Event()

    # -------------------------------------------------------------- attempts

    async def run(self, *resources: str, restart: bool = False) -> dict[str, Outcome]:
        """Harvest; the outcome of each resource, parents included."""
        with ThreadPoolExecutor(1) as executor:
            outcomes = await Supervisor([self._source(resources)], self._site(executor), restart=restart).run()
        return {outcome.resource: outcome for outcome in outcomes}

    async def run_side_by_side(self, **sources: str) -> dict[str, Outcome]:
        """One harvest of several sources with one resource each; the outcome of each resource."""
        ready = [replace(self._source((resource,)), name=name) for name, resource in sources.items()]
        with ThreadPoolExecutor(1) as executor:
            outcomes = await Supervisor(ready, self._site(executor)).run()
        return {outcome.resource: outcome for outcome in outcomes}

    @asynccontextmanager
    async def under_way(self, *resources: str) -> AsyncIterator[dict[str, Outcome]]:
        """A ``run`` beside the block; its outcomes are there once the block is left, which waits for them."""
        outcomes: dict[str, Outcome] = {}

        async def attempt() -> None:
            outcomes.update(await self.run(*resources))

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(attempt)
                yield outcomes

    @asynccontextmanager
    async def stream(self, resource: str, mode: str = "full") -> AsyncIterator[PageStream]:
        """The pages of one resource, in a session that ends with the block and closes them."""
        source = self._source((resource,))
        blueprint = next(each for each in source.blueprints if each.resource.name == resource)
        failure: BaseException | None = None
        with anyio.fail_after(PATIENCE), ThreadPoolExecutor(1) as executor:
            async with anyio.create_task_group() as tasks:
                try:
                    async with aclosing(
                        PageStream(source, blueprint, source.blueprints, self._site(executor), tasks, mode=mode)
                    ) as stream:
                        yield stream
                except BaseException as error:
                    failure = error
                tasks.cancel_scope.cancel()
            if failure is not None:
                raise failure  # outside the task group, which would wrap it

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the attempt go on until *condition* holds."""
        with anyio.fail_after(PATIENCE):
            while not condition():
                await anyio.lowlevel.checkpoint()

    # -------------------------------------------------------------- what they left

    def runs(self, resource: str) -> list[Path]:
        return sorted((self.out / "source=lake" / f"resource={resource}").glob("run=*"))

    def manifest(self, resource: str, run: int = -1) -> Manifest:
        """Of a *run*, which has finished; of the newest."""
        manifest = read_manifest(self.fs, self.runs(resource)[run])
        assert manifest is not None
        return manifest

    def lines(self, resource: str, kind: str = "part") -> list[Row]:
        """Of every run, finished or not."""
        return [
            json.loads(line)
            for run in self.runs(resource)
            for shard in sorted(run.glob(f"{kind}-*"))
            for line in read_lines(self.fs, shard)
        ]

    def lines_and_runs(self, resource: str) -> list[tuple[Row, Path]]:
        """Every record with the directory of its run."""
        return [
            (json.loads(line), run)
            for run in self.runs(resource)
            for shard in sorted(run.glob("part-*"))
            for line in read_lines(self.fs, shard)
        ]

    def keys(self, resource: str) -> list[str]:
        """Of every line, sorted."""
        member = next(each.key[0] for each in self.provider.resources if each.name == resource)
        return sorted(str(row[member]) for row in self.lines(resource))

    # -------------------------------------------------------------- parts

    def source(self, *resources: str) -> Source:
        """What an attempt at *resources* is made from."""
        return self._source(resources)

    def _source(self, resources: tuple[str, ...]) -> Source:
        provider = self.provider
        wanted = with_parents(provider, [Wanted(resource=r) for r in provider.resources if r.name in resources])
        parents = {item.resource.per_value.resource for item in wanted if item.resource.per_value is not None}
        return Source(
            name="lake",
            provider=provider,
            origin=Origin.parse("https://api.lakeside.example/odata"),
            connect=self.server.connect,
            blueprints=tuple(
                Blueprint(
                    resource=item.resource,
                    walks=partial(full_walks, provider, item),
                    reconcile=Reconcile(
                        listings=partial(listing_walks, provider),
                        elsewhere=partial(moved_walks, provider),
                        ways=partial(ways_of_repair, provider),
                        repairs=partial(repair_walks, provider),
                        purges=partial(purges, provider),
                        beyond=provider.beyond,
                    ),
                    essential=essential,
                    changes=None if self.whole or item.resource.name in parents else partial(delta_walks, provider),
                    close=partial(closing_walk, provider),
                    count=self.count,
                    fingerprint=self.fingerprints.get(item.resource.name, "as configured"),
                    doubt=self.doubt,
                )
                for item in wanted
            ),
            requests_at_risk=self.at_risk,
        )

    def site(self, executor: Executor) -> Site:
        """Where an attempt writes."""
        return self._site(executor)

    def _site(self, executor: Executor) -> Site:
        return Site(
            out=self.out,
            renews=self.renews,
            fs=self.fs,
            clock=self.clock,
            rng=SeededRng(len(self.events) + 7),
            sink=self.events.append,
            executor=executor,
            compression=Compression.ZSTD,
            shard_bytes=1 << 20,
            commit_seconds=60,
            stop=self.stop,
            keys_on_disk=self._keys_on_disk,
            mode=self.mode,
            prove=self.prove,
            most_gone=self.most_gone,
            whole_records=self.whole_records,
        )
