"""Keep sources current in one process: deltas by interval, sweeps by schedule, one governor a credential throughout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from functools import partial
from pathlib import PurePath

import anyio
import msgspec
from msgspec import Struct, structs

from harvester.api.assembly import Chosen, assemble, choose
from harvester.api.discovery import discover
from harvester.api.harvest import exit_status, source_failed
from harvester.api.listen import Listener
from harvester.api.ports import Ports
from harvester.api.probe import settle
from harvester.api.rounds import Home, Keeping, Party
from harvester.api.turns import Turns, keeper_file
from harvester.config.check import check_address, check_config, check_source_names
from harvester.config.schema import Config
from harvester.contracts import FileLock, Sink
from harvester.engine.last_success import LastSuccess
from harvester.engine.run_memory import RunMemory
from harvester.engine.site import Outcome, Site
from harvester.engine.source import Source
from harvester.engine.stopping import unless_stopped
from harvester.errors import ArgumentError, ConfigError, HarvesterError, Locked, MendError
from harvester.events import Event, Listening, RunFinished, RunStarted, Warned
from harvester.planning.closing import read_instant
from harvester.planning.rhythm import Rhythm, next_try_in, parse_time, parties_of
from harvester.report.metrics import TYPE, metrics_of
from harvester.report.pulse import Health, Pulse
from harvester.store.current import begin_current, end_current, read_current
from harvester.store.prepare import prepare_output
from harvester.store.shards import Compression
from harvester.wire.status_server import Told, telling


class SyncReport(Struct, frozen=True, kw_only=True):
    """How things stood when the process ended."""

    out: str
    seconds: float
    exit_status: int  # 0: the last round of everything was complete
    health: Health


async def sync(
    config: Config,
    *,
    sources: Sequence[str] = (),
    sink: Sink | None = None,
    stop: anyio.Event | None = None,
    lasting: float | None = None,
    rounds: int | None = None,
    pulse: Pulse | None = None,
    ports: Ports | None = None,
) -> SyncReport:
    """Keep every resource of *config* current: whole at first, then what changed, every ``config.every`` seconds.

    Resources that do not need each other are harvested in their own time, so that a slow one delays no other. What
    fails is told as an event and tried again; a source whose credential is refused, or whose configuration a person
    must mend, is not asked any more, and the others go on. ``config.deadline`` is for ``run`` and means nothing here.

    Args:
        sources: names to restrict it to; (): all that are configured.
        sink: receives every event as it happens.
        stop: set it to end in good order: what was fetched is committed.
        lasting: seconds after which it ends in the same way; None: not by itself.
        rounds: of each part of a source, then that part ends; None: without end.
        pulse: tells at any time how current everything is, see ``pulse_of``; None: nobody asks.
        ports: the outside world; None: the real one.
    Returns:
        How things stood at the end. A failure is in it; it does not raise.
    Raises:
        ConfigError, ArgumentError: before anything was sent.
        CannotCreate: the output directory cannot be used.
        Locked: another process keeps one of the sources current.
    """
    ports = ports or Ports()
    if rounds is not None and rounds < 1:
        raise ArgumentError("at least one round must be made")
    config = structs.replace(config, deadline=None)
    _check(config, sources, ports)
    stop = stop or anyio.Event()
    pulse = pulse or pulse_of(ports)
    late = anyio.Event()  # set with *stop* when it is its time that ends it
    names = tuple(sources) or tuple(config.sources)
    for name in names:
        pulse.expect(name, rhythm_of(config, name).every)

    def publish(event: Event) -> None:
        pulse(event)
        if sink is not None:
            sink(event)

    out, began = PurePath(config.out), ports.clock.monotonic()
    prepare_output(ports.fs, out)
    async with AsyncExitStack() as opened:
        locks = opened.enter_context(ExitStack())
        for name in sorted(names):
            locks.callback(_keep_alone(ports, out, name).release)
        if config.health is not None:
            host, port = check_address(config.health, "health")
            url = await opened.enter_async_context(telling(host, port, _pages(pulse), path="health"))
            publish(Listening(at=ports.clock.now(), purpose="health", url=f"{url}/health"))
        publish(RunStarted(at=ports.clock.now(), sources=names, out=str(out)))
        process = _Process(config, ports, publish, pulse, stop, rounds)
        async with anyio.create_task_group() as tasks:
            if lasting is not None:
                tasks.start_soon(_end_after, lasting, ports, stop, late)
            await process.run(names)
            tasks.cancel_scope.cancel()
    seconds = ports.clock.monotonic() - began
    outcomes = process.outcomes()
    cut = any(outcome.verdict == "interrupted" for outcome in outcomes)  # before it was whole for the first time
    status = exit_status(outcomes, interrupted=cut and not late.is_set(), late=cut and late.is_set())
    publish(RunFinished(at=ports.clock.now(), exit_status=status, seconds=seconds))
    return SyncReport(out=str(out), seconds=seconds, exit_status=status, health=pulse.health())


def pulse_of(ports: Ports | None = None) -> Pulse:
    """What ``sync`` keeps up to date when it is given it; ``pulse.health()`` tells."""
    return Pulse((ports or Ports()).clock, read_instant)


def rhythm_of(config: Config, name: str) -> Rhythm:
    """What the source says for itself, else what is said for all."""
    section = config.sources[name]
    own = section.sweep_every is not None or section.sweep_at is not None
    sweeps = section if own else config
    return Rhythm(
        every=section.every or config.every,
        sweep_every=sweeps.sweep_every,
        sweep_at=None if sweeps.sweep_at is None else parse_time(sweeps.sweep_at),
    )


def _check(config: Config, sources: Sequence[str], ports: Ports) -> None:
    """Refuse what can be refused before anything is opened."""
    check_config(config)
    check_source_names(sources, config)
    told = [name for name in sources or config.sources if not config.sources[name].everything]
    if told:
        choose(config, told, (), ports)


def _keep_alone(ports: Ports, out: PurePath, name: str) -> FileLock:
    try:
        return ports.fs.lock(keeper_file(out, name))
    except Locked as error:
        raise Locked(f"another harvester sync keeps the source {name} in {out} current; it goes on.") from error


async def _end_after(seconds: float, ports: Ports, stop: anyio.Event, late: anyio.Event) -> None:
    await ports.clock.sleep(seconds)
    if not stop.is_set():
        late.set()
    stop.set()


def _pages(pulse: Pulse) -> dict[str, Callable[[], Told]]:
    def health() -> Told:
        told = pulse.health()
        return Told(status=200 if told.current else 503, body=msgspec.json.encode(told) + b"\n")

    return {
        "/health": health,
        "/live": lambda: Told(body=b'{"status":"alive"}\n'),
        "/metrics": lambda: Told(type=TYPE, body=metrics_of(pulse.health())),
    }


class _Process:
    """The sources of one call, opened once and kept open."""

    def __init__(
        self, config: Config, ports: Ports, publish: Sink, pulse: Pulse, stop: anyio.Event, rounds: int | None
    ) -> None:
        self._config, self._ports, self._pulse, self._stop = config, ports, pulse, stop
        self._told = publish
        self._out = PurePath(config.out)
        self._parties: list[Party] = []
        self._unopened: dict[str, HarvesterError] = {}
        self._listener: Listener | None = None
        self._listens = False
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="harvester-store")
        site = Site(
            out=self._out,
            fs=ports.fs,
            clock=ports.clock,
            rng=ports.rng,
            sink=self._publish,
            executor=self._executor,
            compression=Compression(config.compression),
            shard_bytes=config.shard_bytes,
            commit_seconds=config.commit_seconds,
            stop=stop,
            keys_on_disk=ports.keeps_state,
            prove=config.prove,
            lenient=True,
            memory=RunMemory(),
            renews=True,
        )
        self._keeping = Keeping(
            config=config,
            ports=ports,
            site=site,
            turns=Turns(ports.fs, self._out, ports.clock, stop, self._waits),
            sink=self._publish,
            stop=stop,
            rounds=rounds,
            recall=self._recall,
        )

    async def run(self, names: Sequence[str]) -> None:
        """Until everything has ended."""
        try:
            config = await self._discovered(names)
            found = [name for name in names if name in config.sources]
            async with anyio.create_task_group() as tasks:
                if found:
                    tasks.start_soon(self._keep, config, choose(config, found, (), self._ports))
                for name in names:
                    if name not in config.sources:
                        tasks.start_soon(self._keep_later, name)
        finally:
            self._executor.shutdown(wait=False)

    def outcomes(self) -> tuple[Outcome, ...]:
        """How the last rounds went."""
        found = [outcome for party in self._parties for outcome in party.outcomes()]
        return (*found, *map(source_failed, self._unopened.values()))

    # -------------------------------------------------------------- sources

    async def _discovered(self, names: Sequence[str]) -> Config:
        """The configuration with every resource named; sources that cannot tell theirs now are not in it."""
        ask = partial(discover, self._config, names, ports=self._ports, tolerant=True)
        discovery, stopped = await unless_stopped(self._stop, ask)
        if stopped or discovery is None:
            return structs.replace(self._config, sources={})
        for event in discovery.events:
            self._publish(event)
        self._unopened.update(discovery.failures)
        for name in names:
            if name not in discovery.failures:
                self._unopened.pop(name, None)
        return discovery.config

    async def _keep_later(self, name: str) -> None:
        """Ask again and again what a source has, and keep it current from then on."""
        rhythm, failures = rhythm_of(self._config, name), 1
        while not isinstance(self._unopened.get(name), MendError):
            wait = next_try_in(rhythm, failures)
            _, stopped = await unless_stopped(self._stop, lambda wait=wait: self._ports.clock.sleep(wait))  # type: ignore[misc]
            if stopped:
                return
            config = await self._discovered([name])
            if name in config.sources:
                await self._keep(config, choose(config, [name], (), self._ports))
                return
            failures += 1
        self._pulse.stop(name, str(self._unopened[name]))

    async def _keep(self, config: Config, chosen: Sequence[Chosen]) -> None:
        """Open *chosen* and make the rounds of all their parties."""
        async with AsyncExitStack() as opened:
            ready = await opened.enter_async_context(assemble(config, chosen, ports=self._ports, sink=self._publish))
            async with anyio.create_task_group() as beside:
                if self._begins_to_listen(config, chosen):
                    opened.callback(setattr, self, "_listens", False)
                    beside.start_soon(self._listen, config, chosen, ready)
                async with anyio.create_task_group() as tasks:
                    for each, source in zip(chosen, ready, strict=True):
                        # A thread of its own: a listing of millions of keys must not keep others from writing.
                        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"harvester-{source.name}")
                        opened.callback(executor.shutdown)
                        home = Home(
                            chosen=each, source=source, executor=executor, rhythm=rhythm_of(config, source.name)
                        )
                        tasks.start_soon(self._keep_source, home, replace(self._keeping, config=config))
                if not self._stop.is_set():  # else it ends in good order by itself
                    beside.cancel_scope.cancel()

    def _begins_to_listen(self, config: Config, chosen: Sequence[Chosen]) -> bool:
        """Whether posts of *chosen* are to be taken from now on, by a listener of their own.

        One process listens at one address, and a listener takes no further sources: of those that come later nothing
        is taken, and deltas and sweeps bring what changed.
        """
        posting = [each.name for each in chosen if each.setup.provider.push is not None]
        if config.listen is None or not posting:
            return False
        if self._listens:
            message = "what is posted is not taken before a restart: this source could be opened only after the others"
            for name in posting:
                self._publish(Warned(at=self._ports.clock.now(), source=name, message=message))
            return False
        self._listens = True
        return True

    async def _listen(self, config: Config, chosen: Sequence[Chosen], ready: Sequence[Source]) -> None:
        """Take what is posted, as long as anything else is done. A failure is told and tried again."""
        ports, failures = self._ports, 0
        settled = await settle(config, chosen, ready, ports=ports, sink=self._publish, stop=self._stop)
        while not self._stop.is_set():
            listener = Listener(config, chosen, settled, self._keeping.site, self._keeping.turns, ports)
            self._listener, failures = listener, failures + 1
            self._pulse.pushes = listener.health
            try:
                await listener.run(config.listen)
            except ConfigError:
                raise  # the address is taken
            except HarvesterError as error:
                wait = next_try_in(Rhythm(every=config.every), failures)
                message = f"nothing that is posted is taken now: {error} It is tried again in {wait:.0f} s."
                for name in listener.names:
                    self._publish(Warned(at=ports.clock.now(), source=name, message=message))
                await unless_stopped(self._stop, lambda wait=wait: ports.clock.sleep(wait))  # type: ignore[misc]

    async def _keep_source(self, home: Home, keeping: Keeping) -> None:
        source = home.source
        groups = parties_of([blueprint.resource for blueprint in source.blueprints])
        self._pulse.expect(source.name, home.rhythm.every, [name for group in groups for name in group])
        parties = [Party(keeping=keeping, home=home, source=_part(source, group, len(groups))) for group in groups]
        self._parties += parties
        if len(groups) > 1:
            self._hand_over(source, parties)
        async with anyio.create_task_group() as tasks:
            for party in parties:
                tasks.start_soon(party.keep)
        if home.refused is not None:
            self._pulse.stop(source.name, str(home.refused))
        elif not self._stop.is_set() and all(party.over for party in parties):
            self._pulse.stop(source.name, next(o.reason for party in parties for o in party.last))

    def _hand_over(self, source: Source, parties: Sequence[Party]) -> None:
        """A harvest of the whole source that was broken off is gone on with by its parts."""
        fs = self._ports.fs
        note = read_current(fs, self._out, source.name)
        if note is None:
            return
        for party in parties:
            mine = tuple(name for name in party.names if name in note.resources)
            if mine and read_current(fs, self._out, party.source.note) is None:
                begin_current(fs, self._out, party.source.note, structs.replace(note, resources=mine))
        end_current(fs, self._out, source.name)

    # -------------------------------------------------------------- what is told

    def _publish(self, event: Event) -> None:
        if self._listener is not None:
            self._listener.watch(event)
        self._told(event)

    def _waits(self, name: str) -> None:
        message = f"another process works on it in {self._out}; its next round begins when that has ended"
        self._publish(Warned(at=self._ports.clock.now(), source=name, message=message))

    def _recall(self, source: str, resource: str, found: LastSuccess) -> None:
        if found.finished is not None:
            self._pulse.recall(source, resource, success=found.finished, watermark=found.watermark, listed=found.listed)


def _part(source: Source, names: Sequence[str], groups: int) -> Source:
    """*source* with the resources *names* only; with a name of their own where it has others, too."""
    mine = tuple(blueprint for blueprint in source.blueprints if blueprint.resource.name in names)
    return replace(source, blueprints=mine, party=mine[0].resource.dirname if groups > 1 else "")
