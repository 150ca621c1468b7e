"""Harvest what a configuration asks for: the same work whether a command or a program asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import PurePath

import anyio
from msgspec import structs

from harvester.api.assembly import assemble, choose
from harvester.api.discovery import discover
from harvester.api.locks import lock_source
from harvester.api.modes import MODES
from harvester.api.ports import Ports
from harvester.api.probe import forget_surprises, settle
from harvester.api.promise import promises_of
from harvester.config.schema import Config
from harvester.contracts import Clock, Sink
from harvester.engine.site import Outcome, Site
from harvester.engine.supervisor import Supervisor
from harvester.errors import ArgumentError, DeadlineReached, HarvesterError
from harvester.events import Event, ResourceFinished, RunFinished, RunStarted
from harvester.report.tally import Report, Tally
from harvester.store.prepare import prepare_output
from harvester.store.shards import Compression


async def run(
    config: Config,
    *,
    mode: str = "auto",
    sink: Sink | None = None,
    sources: Sequence[str] = (),
    resources: Sequence[str] = (),
    deadline: float | None = None,
    stop: anyio.Event | None = None,
    restart: bool = False,
    prove: bool | None = None,
    allow_purge: bool = False,
    whole_records: bool = False,
    ports: Ports | None = None,
) -> Report:
    """Harvest every configured resource into ``config.out``, going on with what an earlier attempt left.

    Args:
        mode: ``full`` reads everything, ``delta`` what changed since the last complete harvest, ``auto`` the latter
            where there is one; ``sweep`` lists all keys, fetches what differs and writes tombstones for what has gone.
            An unfinished harvest is finished first, as it was begun.
        sink: receives every event as it happens.
        sources, resources: names to restrict the run to; (): all that are configured.
        deadline: seconds after which the run stops, resumable, with exit status 75; None: ``config.deadline``.
        stop: set it to end the run in good order: what was fetched is committed, the rest stays for the next run.
        restart: give up unfinished runs and begin anew.
        prove: list the keys of every resource once it has been read, and fetch what is missing or different; None:
            ``config.prove``. It reads everything, also where a delta would do. A run that was begun so is finished so.
        allow_purge: a sweep may take any share of the keys for deleted; else a fifth of a resource's at most.
        whole_records: a sweep reads whole records and compares what they say: it finds changes that got no new time,
            and takes as many requests as ``full``.
        ports: the outside world; None: the real one.
    Returns:
        What became of each resource. A failed resource is in the report; it does not raise.
    Raises:
        ConfigError, ArgumentError: before anything was sent.
        CannotCreate, Locked: the output directory cannot be used, or another process uses it.
    """
    mode, proving = _what(config, mode, prove, whole_records=whole_records)
    ports = ports or Ports()
    discovery = await discover(config, sources, ports=ports, tolerant=True)
    config = discovery.config
    chosen = choose(config, discovery.found(sources), resources, ports)
    stop = stop or anyio.Event()
    tally = Tally()

    limit = deadline if deadline is not None else config.deadline
    config = structs.replace(config, deadline=limit)  # for the governor: what lies beyond it is not waited for
    late = anyio.Event()  # set with *stop* when it is the deadline that ends the run

    def publish(event: Event) -> None:
        if late.is_set() and limit is not None and isinstance(event, ResourceFinished):
            event = _told_of_deadline(event, limit)
        tally(event)
        if sink is not None:
            sink(event)

    out = PurePath(config.out)
    names = tuple(each.name for each in chosen)
    began = ports.clock.monotonic()
    prepare_output(ports.fs, out)
    with ExitStack() as held:
        for name in sorted(names):
            held.callback((await lock_source(ports.fs, out, name, ports.clock)).release)
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="harvester-store")
        held.callback(executor.shutdown)
        publish(RunStarted(at=ports.clock.now(), sources=names, out=str(out)))
        for event in discovery.events:
            publish(event)
        if not proving and mode != "sweep":  # what a listing of keys will show nobody knows before
            foresee = partial(promises_of, config, chosen, ports, resources, mode=mode)
            for event in await asyncio.get_running_loop().run_in_executor(executor, foresee):
                publish(event)
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
            stop=stop,
            keys_on_disk=ports.keeps_state,
            mode=mode,
            whole_records=whole_records,
            most_gone=1.0 if allow_purge else Site.most_gone,
            prove=proving,
        )
        async with assemble(config, chosen, ports=ports, sink=publish) as ready:

            async def harvest() -> tuple[Outcome, ...]:
                settled = await settle(
                    config, chosen, ready, resources=resources, ports=ports, sink=publish, stop=site.stop
                )
                found = await Supervisor(settled, site, restart=restart).run()
                forget_surprises(config, chosen, settled, found, ports)
                return found

            outcomes = await _supervise(harvest, stop, late, limit, ports.clock)
    outcomes += tuple(source_failed(error) for error in discovery.failures.values())
    ended_late = late.is_set()
    status = exit_status(outcomes, interrupted=stop.is_set() and not ended_late, late=ended_late)
    if status == 0 and discovery.refused:
        status = HarvesterError.exit_status
    publish(RunFinished(at=ports.clock.now(), exit_status=status, seconds=ports.clock.monotonic() - began))
    return tally.report()


def _what(config: Config, mode: str, prove: bool | None, *, whole_records: bool) -> tuple[str, bool]:
    """The mode to run in, and whether to prove. Raises ArgumentError where the wishes contradict each other."""
    if mode not in MODES:
        raise ArgumentError(f"there is no mode {mode!r}; there is {', '.join(MODES)}")
    if whole_records and mode != "sweep":
        raise ArgumentError("whole records are compared by sweeps: choose mode sweep")
    proving = config.prove if prove is None else prove
    if prove and mode in {"delta", "sweep"}:
        raise ArgumentError("only a full harvest can be proven: leave prove out, or choose mode full")
    return "full" if proving and mode == "auto" else mode, proving


async def _supervise(
    harvest: Callable[[], Awaitable[tuple[Outcome, ...]]],
    stop: anyio.Event,
    late: anyio.Event,
    limit: float | None,
    clock: Clock,
) -> tuple[Outcome, ...]:
    """The outcomes of *harvest*; *late* is set when the deadline ended it."""

    async def watch(seconds: float) -> None:
        await clock.sleep(seconds)
        if not stop.is_set():
            late.set()
        stop.set()

    async with anyio.create_task_group() as tasks:
        if limit is not None:
            tasks.start_soon(watch, limit)
        outcomes = await harvest()
        tasks.cancel_scope.cancel()
    return outcomes


def _told_of_deadline(event: ResourceFinished, limit: float) -> ResourceFinished:
    if event.verdict != "interrupted":
        return event
    reason = f"the deadline of {limit:g} s was reached; run the same command again to go on"
    return structs.replace(event, reason=reason)


def exit_status(outcomes: Sequence[Outcome], *, interrupted: bool, late: bool) -> int:
    """The exit status a run's outcomes amount to.

    0 when every resource is complete. One reason shared by everything that is not complete decides; several
    reasons are status 1. An interrupted run is 130 and a deadline 75: both can be resumed.
    """
    if all(outcome.verdict == "complete" for outcome in outcomes) and outcomes:
        return 0
    if late:
        return DeadlineReached.exit_status
    if interrupted:
        return 130
    statuses = {_status(outcome) for outcome in outcomes if outcome.verdict != "complete"}
    return statuses.pop() if len(statuses) == 1 else HarvesterError.exit_status


def source_failed(error: HarvesterError) -> Outcome:
    """The outcome of a source of which no resource was begun."""
    return Outcome(resource="", verdict="failed", reason=str(error), error=error)


def _status(outcome: Outcome) -> int:
    return outcome.error.exit_status if outcome.error is not None else HarvesterError.exit_status
