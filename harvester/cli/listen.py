"""``harvester listen``: receive what providers post."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import anyio
from cyclopts import Parameter

from harvester.cli.context import Context, Given, as_path
from harvester.cli.display import displaying
from harvester.cli.endings import READER_GONE, saved_in
from harvester.cli.signals import stopping_on_signals
from harvester.contracts import Sink
from harvester.errors import ArgumentError, StorageError
from harvester.events import Event
from harvester.report.pushes import told_of, write_pushes


async def listen(
    *source: str,
    config: Annotated[Path | None, Parameter(alias="-c")] = None,
    bind: str | None = None,
    path: str = "/",
    once: bool = False,
    out: str | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None,
    max_wait: str | None = None,
    json: bool = False,
    debug: bool = False,
    context: Given,
) -> int:
    """Receive notices of changed records (Centris webhooks, RESO EntityEvent) and fetch each record within the quota.

    A post is answered 202 once it is on disk; nothing of it is believed but which record to look at. Records come as
    runs of their own, soon after; one that is not there any more is looked at twice and then gets a tombstone. Notices
    may be lost, so that deltas and sweeps stay needed: harvester run may work beside it.

    Posts go to http://ADDRESS/SOURCE, with one source also to http://ADDRESS/. GET /health tells how things stand.
    With webhook_secret in the configuration only posts that are signed by it, or hold it, are taken.

    Exit status:

    - 0: --once, and nothing waits any more
    - 2: wrong arguments
    - 65: a provider broke its protocol
    - 70: a bug in harvester
    - 73: the output cannot be created
    - 74: reading or writing the output failed
    - 75: --once, and notices still wait: for the quota, for another harvest or for the first one
    - 77: credentials refused
    - 78: the configuration is wrong
    - 79: another process listens for one of the sources
    - 129, 130, 143: stopped by SIGHUP, SIGINT or SIGTERM, in good order; what waits goes on at the next start
    - 141: the reader of standard output went away

    Parameters
    ----------
    source
        only these sources; all whose providers post if none is given.
    config
        the configuration file; harvester.toml in the current directory if not given.
    bind
        the address to listen at: 127.0.0.1:8081 if not given here or as listen in the configuration. Put a server that
        speaks TLS in front of it.
    path
        what stands before the name of the source in the URL.
    once
        do not listen: work off what was received before, then end.
    out
        the output directory, over the one in the configuration.
    set_
        KEY=VALUE over the configuration; can be given several times.
    max_wait
        wait at most so long for quota; where it takes longer, nothing is asked for five minutes.
    json
        JSON lines also on a terminal.
    debug
        show tracebacks and log everything to standard error.
    """
    if not path.startswith("/"):
        raise ArgumentError("--path begins with a slash")
    given = {"listen": bind, "out": out, "max_wait": max_wait}
    overrides = [*(set_ or ()), *(f"{key}={value}" for key, value in given.items() if value is not None)]
    settings = context.api.load_config(as_path(config), overrides=overrides, ports=context.ports)
    stop, loop = anyio.Event(), asyncio.get_running_loop()

    def nobody_reads() -> None:
        loop.call_soon_threadsafe(stop.set)  # from the writing thread (FAULTS R08)

    def status_of(status: int) -> int:
        if display.failure is not None:
            return StorageError.exit_status
        return stopper.exit_status or (READER_GONE if display.reader_gone else status)

    with (
        saved_in(settings.out),
        stopping_on_signals(stop, announcement="Stopping: what has come is written first.") as stopper,
        displaying(context, as_json=json, on_gone=nobody_reads, live=lambda: _lines(context)) as display,
    ):
        stopper.on_first.append(display.hurry)
        display.status_of = status_of
        report = await context.api.listen(
            settings, sources=source, path=path, once=once, sink=display, stop=stop, ports=context.ports
        )
    status = status_of(report.exit_status)
    if display.failure is not None:
        context.stderr.write(f"harvester: standard output cannot be written ({display.failure.strerror}).\n")
    if context.for_a_person and not json:
        write_pushes(context.console, report.sources)
    if stopper.received is not None:
        context.stderr.write(
            f"harvester: stopped. What was acknowledged is safe in {settings.out}; run it again to go on.\n"
        )
    return status


def _lines(context: Context) -> AbstractContextManager[Sink]:
    """One line for what a person wants to hear of."""

    def tell(event: Event) -> None:
        for line in told_of(event):
            context.console.print(line)

    return nullcontext(tell)
