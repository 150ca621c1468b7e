"""One harvest as ``run`` and ``demo`` show it: live display, signals, closing table, exit status."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import anyio
from msgspec import Struct

from harvester.cli.context import Context
from harvester.cli.display import close_display, displaying
from harvester.cli.endings import GO_ON, READER_GONE, saved_in
from harvester.cli.signals import stopping_on_signals
from harvester.errors import StorageError

if TYPE_CHECKING:
    from harvester.api.configuration import Config


class Choices(Struct, frozen=True, kw_only=True):
    """What the command line says about a run, besides the configuration."""

    mode: str = "auto"
    sources: Sequence[str] = ()  # (): all
    resources: Sequence[str] = ()  # (): all
    restart: bool = False  # give up an unfinished run instead of going on with it
    prove: bool | None = None  # None: as configured
    allow_purge: bool = False
    whole_records: bool = False


async def harvest(
    context: Context, config: Config, choices: Choices, *, as_json: bool, always_sum_up: bool = False, then: str = GO_ON
) -> int:
    """Run *config* to its end, a signal or an error. Returns the exit status.

    Args:
        always_sum_up: show the closing table also where the output is for a program and all went well.
        then: what the user can do after an interruption, to end a sentence.
    """
    stop = anyio.Event()
    loop = asyncio.get_running_loop()

    def nobody_reads() -> None:
        # From the writing thread. Nobody reads what is told: stop where it is safe (FAULTS R08).
        loop.call_soon_threadsafe(stop.set)

    def status_of(status: int) -> int:
        if display.failure is not None:
            return StorageError.exit_status
        if status == 0:
            return 0  # a signal that came too late to interrupt anything is no failure
        return stopper.exit_status or (READER_GONE if display.reader_gone else status)

    with (
        saved_in(config.out, then),
        stopping_on_signals(stop) as stopper,
        displaying(context, as_json=as_json, on_gone=nobody_reads) as display,
    ):
        stopper.on_first.append(display.hurry)
        display.status_of = status_of
        report = await context.api.run(
            config,
            mode=choices.mode,
            sink=display,
            sources=choices.sources,
            resources=choices.resources,
            deadline=config.deadline,
            stop=stop,
            restart=choices.restart,
            prove=choices.prove,
            allow_purge=choices.allow_purge,
            whole_records=choices.whole_records,
        )
    status = status_of(report.exit_status)
    if display.failure is not None:
        context.stderr.write(
            f"harvester: standard output cannot be written ({display.failure.strerror}). "
            f"Committed work is safe in {config.out}; {then}.\n"
        )
        return status
    if display.reader_gone and stopper.received is None and status:
        context.stderr.write(
            f"harvester: nobody reads standard output any more. Committed work is safe in {config.out}; {then}.\n"
        )
        return status
    close_display(context, report, as_json=as_json, always=always_sum_up)
    if stopper.received is not None and status:
        context.stderr.write(f"harvester: stopped. What was committed is safe in {config.out}; {then}.\n")
    return status
