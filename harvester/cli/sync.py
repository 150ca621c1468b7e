"""``harvester sync``: keep all sources current in one process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import anyio
from cyclopts import Parameter

from harvester.cli.context import Given, as_path
from harvester.cli.display import displaying
from harvester.cli.endings import READER_GONE, saved_in
from harvester.cli.signals import stopping_on_signals
from harvester.errors import ArgumentError, StorageError
from harvester.report.render import write_reasons
from harvester.report.watch import Watch, picture

_ROWS = 1_000_000


async def sync(
    *source: str,
    config: Annotated[Path | None, Parameter(alias="-c")] = None,
    every: str | None = None,
    sweep_every: str | None = None,
    sweep_at: str | None = None,
    health: str | None = None,
    listen: str | None = None,
    for_: Annotated[str | None, Parameter(name="--for")] = None,
    rounds: int | None = None,
    out: str | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None,
    max_wait: str | None = None,
    json: bool = False,
    debug: bool = False,
    context: Given,
) -> int:
    """Keep every source current: everything at first, then what changed, again and again until it is stopped.

    Each resource has its own rhythm, so that a slow one delays no other; those that need each other go together. All
    share one quota a credential: changes go before sweeps, and sweeps before first harvests. What fails is told and
    tried again, more rarely each time; a source whose credential is refused is not asked any more, the others go on.

    Deletions are found by sweeps only: give --sweep-every or --sweep-at.

    On a terminal it shows one line a resource; otherwise standard output gets one JSON line an event and nothing else.

    Exit status:

    - 0: ended by --for or --rounds, and the last round of everything was complete
    - 1: the last rounds of some resources failed or are incomplete
    - 2: wrong arguments
    - 65: a provider broke its protocol
    - 70: a bug in harvester
    - 73: the output cannot be created
    - 74: reading or writing the output failed
    - 75: ended by --for before everything was complete once; run again to go on
    - 77: all credentials refused
    - 78: the configuration is wrong
    - 79: another harvester sync keeps one of the sources current
    - 129, 130, 143: stopped by SIGHUP, SIGINT or SIGTERM, in good order; run again to go on
    - 141: the reader of standard output went away; run again to go on

    Parameters
    ----------
    source
        only these sources; all that are configured if none is given.
    config
        the configuration file; harvester.toml in the current directory if not given.
    every
        from one question for changes to the next: 300s, 5m (the default), 1h30m. A source's own key goes before it.
    sweep_every
        list all keys so often, to find what was missed or deleted: 24h, 7d.
    sweep_at
        or each day at this time, UTC: 03:00.
    health
        tell at this address whether all is current: 8080 or 127.0.0.1:8080. GET /health is 200 while the last success
        of every resource is at most three intervals old, else 503; /metrics is for Prometheus; /live is 200 always.
    listen
        take at this address what providers post, as harvester listen does: 127.0.0.1:8081.
    for_
        stop, in good order, after so long: 90s, 30m, 2h.
    rounds
        stop after so many rounds of each resource.
    out
        the output directory, over the one in the configuration.
    set_
        KEY=VALUE over the configuration, for example sources.centris.every=1h; can be given several times.
    max_wait
        wait at most so long for quota; where it takes longer, the round ends and another one begins when it is free.
    json
        JSON lines also on a terminal.
    debug
        show tracebacks and log everything to standard error.
    """
    overrides = list(set_ or ())
    given = {
        "every": every,
        "sweep_every": sweep_every,
        "sweep_at": sweep_at,
        "health": health,
        "listen": listen,
        "deadline": for_,
        "out": out,
        "max_wait": max_wait,
    }
    overrides += [f"{key}={value}" for key, value in given.items() if value is not None]
    if rounds is not None and rounds < 1:
        raise ArgumentError("--rounds: at least one round must be made")
    settings = context.api.load_config(as_path(config), overrides=overrides, ports=context.ports)
    stop, loop = anyio.Event(), asyncio.get_running_loop()
    pulse = context.api.pulse_of(context.ports)

    def nobody_reads() -> None:
        loop.call_soon_threadsafe(stop.set)  # from the writing thread (FAULTS R08)

    def status_of(status: int) -> int:
        if display.failure is not None:
            return StorageError.exit_status
        return stopper.exit_status or (READER_GONE if display.reader_gone else status)

    with (
        saved_in(settings.out),
        stopping_on_signals(stop) as stopper,
        displaying(
            context, as_json=json, on_gone=nobody_reads, live=lambda: Watch(context.console, pulse.health)
        ) as display,
    ):
        stopper.on_first.append(display.hurry)
        display.status_of = status_of
        report = await context.api.sync(
            settings,
            sources=source,
            sink=display,
            stop=stop,
            lasting=settings.deadline if for_ is not None else None,
            rounds=rounds,
            pulse=pulse,
            ports=context.ports,
        )
    status = status_of(report.exit_status)
    if display.failure is not None:
        context.stderr.write(f"harvester: standard output cannot be written ({display.failure.strerror}).\n")
    if context.for_a_person and not json:
        console = context.console
        console.print(picture(report.health, _ROWS))
        resources = [resource for each in report.health.sources for resource in each.resources]
        write_reasons(console, [(row.source, row.resource, row.verdict, row.reason) for row in resources])
    if stopper.received is not None:
        context.stderr.write(
            f"harvester: stopped. What was committed is safe in {settings.out}; run it again to go on.\n"
        )
    return status
