"""Embedding: take the records yourself, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from pathlib import PurePath

import anyio
from anyio.abc import TaskGroup

from harvester.api.assembly import assemble, choose
from harvester.api.discovery import discover
from harvester.api.ports import Ports
from harvester.api.probe import doubts_of, settle
from harvester.config.schema import Config
from harvester.contracts import Sink
from harvester.engine.site import Site
from harvester.engine.source import Source
from harvester.engine.stream import PageStream
from harvester.errors import ArgumentError
from harvester.events import Event
from harvester.store import layout
from harvester.store.prepare import prepare_output
from harvester.store.shards import Compression

_MODES = ("full", "delta", "auto")  # of a stream


class Session:
    """Open connections to the configured sources; made by ``open_session``."""

    def __init__(self, sources: Sequence[Source], site: Site, tasks: TaskGroup) -> None:
        self._sources = {source.name: source for source in sources}
        self._site, self._tasks = site, tasks
        self._streams: list[PageStream] = []

    def pages(self, source: str, resource: str, *, mode: str = "full") -> PageStream:
        """Every page of *resource*, from where the last committed page ended.

        Args:
            mode: ``full`` is everything; ``delta`` what changed since the last stream of which every page was
                committed; ``auto`` the latter where there is such a one. A stream that was broken off is gone on with
                as it was begun. Records come again, as many as the provider's overlap makes; none tells of a deletion.
        Raises:
            ArgumentError: the configuration has no such source or resource, or there is no such mode.
        """
        if mode not in _MODES:
            raise ArgumentError(f"there is no mode {mode!r}; there is {', '.join(_MODES)}")
        found = self._sources.get(source)
        if found is None:
            raise ArgumentError(f"there is no source {source!a}; there is {', '.join(sorted(self._sources))}")
        for blueprint in found.blueprints:
            if blueprint.resource.name == resource:
                stream = PageStream(found, blueprint, found.blueprints, self._site, self._tasks, mode=mode)
                self._streams.append(stream)
                return stream
        known = ", ".join(blueprint.resource.name for blueprint in found.blueprints)
        raise ArgumentError(f"the source {source} has no resource {resource!a} configured; there is {known}")

    async def aclose(self) -> None:
        """End every stream that was left early."""
        for stream in self._streams:
            await stream.aclose()


@asynccontextmanager
async def open_session(
    config: Config, *, sink: Sink | None = None, ports: Ports | None = None
) -> AsyncIterator[Session]:
    """Connect to every source of *config*; ``config.out`` keeps only positions and quota.

    Raises:
        ConfigError: before anything was sent.
        CannotCreate, Locked: the output directory cannot be used, or another process uses it.
    """
    ports = ports or Ports()
    discovery = await discover(config, ports=ports)
    config = discovery.config
    chosen = choose(config, (), (), ports)
    out = PurePath(config.out)
    prepare_output(ports.fs, out)

    def publish(event: Event) -> None:
        if sink is not None:
            sink(event)

    for event in discovery.events:
        publish(event)
    with ExitStack() as held:
        for name in sorted(each.name for each in chosen):
            held.callback(ports.fs.lock(layout.state_directory(out) / f"{name}.lock").release)
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="harvester-store")
        held.callback(executor.shutdown)
        site = Site(
            out=out,
            fs=ports.fs,
            clock=ports.clock,
            rng=ports.rng,
            sink=publish,
            executor=executor,
            compression=Compression(config.compression),
            shard_bytes=config.shard_bytes,
            commit_seconds=config.commit_seconds,
            stop=anyio.Event(),
            keys_on_disk=ports.keeps_state,
        )
        async with assemble(config, chosen, ports=ports, sink=publish) as ready:
            sources = await settle(config, chosen, ready, ports=ports, sink=publish, stop=site.stop)
            for warning in doubts_of(sources, ports):  # a stream has no verdict to tell them in
                publish(warning)
            failure: BaseException | None = None
            async with anyio.create_task_group() as tasks:
                session = Session(sources, site, tasks)
                try:
                    yield session
                except BaseException as error:
                    failure = error
                finally:
                    await session.aclose()
                tasks.cancel_scope.cancel()
            if failure is not None:
                # Outside the task group, which would wrap the caller's own exception.
                raise failure
