"""``harvester plan``: what a run would do, before it does it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from cyclopts import Parameter
from rich.console import Console

from harvester.cli.context import Given, as_path
from harvester.report import units
from harvester.report.render import safe, table_of, write_line

if TYPE_CHECKING:
    from harvester.api.plan import PlannedResource, PlannedSource


async def plan(
    *,
    config: Annotated[Path | None, Parameter(alias="-c")] = None,
    source: list[str] | None = None,
    resource: list[str] | None = None,
    mode: Literal["auto", "full", "delta", "sweep"] = "auto",
    offline: bool = False,
    out: str | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None,
    json: bool = False,
    debug: bool = False,
    context: Given,
) -> int:
    """Tell which walks a run would make and why, how many requests it needs, and when the quota lets each end.

    Providers that can count are asked, one request a resource; the others are estimated from the last finished run.
    A server without a contract is probed first, if it is not known yet: see harvester probe.
    The times come from a rehearsal: the rules that will decide over each request, with what is already spent of
    every window, on a clock that need not wait.

    Exit status:

    - 0: planned
    - 2: wrong arguments
    - 70: a bug in harvester
    - 73, 74: the output directory cannot be used
    - 78: the configuration is wrong

    Parameters
    ----------
    config
        the configuration file; harvester.toml in the current directory if not given.
    source
        only this source; can be given several times.
    resource
        only this resource; can be given several times.
    mode
        of the run that is planned. How much has changed nobody knows before: what deltas and sweeps need is told by the
        last ones, and what they need at least.
    offline
        send nothing.
    out
        the output directory, over the one in the configuration.
    set_
        KEY=VALUE over the configuration, for example sources.centris.budget.per_minute=10; can be given several times.
    json
        one JSON object instead of tables.
    debug
        show tracebacks and log everything to standard error.
    """
    overrides = [*(set_ or ()), *([f"out={out}"] if out is not None else ())]
    settings = context.api.load_config(as_path(config), overrides=overrides, ports=context.ports)
    report = await context.api.plan(
        settings,
        offline=offline,
        sources=tuple(source or ()),
        resources=tuple(resource or ()),
        mode=mode,
        ports=context.ports,
    )
    if json:
        context.raw_stdout.write(msgspec.json.encode(report) + b"\n")
        return 0
    for planned in report.sources:
        _write(planned, context.console)
    return 0


def _write(planned: PlannedSource, console: Console) -> None:
    write_line(console, f"{planned.source}: {planned.provider}, {planned.base_url}", "bold")
    limits = "; ".join(planned.windows) or "no limit is known"
    kept = f"; {planned.kept_back:.0%} of it kept back" if planned.windows and planned.kept_back else ""
    write_line(console, f"quota: {limits}{kept}; at most {units.number_of(planned.in_flight, 'request')} in flight")
    for each in planned.credentials:
        own = "; ".join(each.windows) or "no limit is known"
        write_line(console, f"credential {each.credential}: {own}; at most {each.in_flight} in flight")
    numbers = ("walks", "records", "requests", "bytes", "done in")
    modes = ("mode",) if any(item.mode != "full" for item in planned.resources) else ()
    columns = ("resource", *modes, "walk", *numbers, "estimated from")
    table = table_of(*columns, right=numbers, dispensable=("estimated from", "walks"))
    for item in planned.resources:
        table.add_row(
            safe(f"{item.resource} (needed by others)" if item.implied else item.resource),
            *((safe(item.mode or "refused"),) if modes else ()),
            safe(item.walk if item.mode == "full" else "-"),
            _known(item.walks),
            _known(item.records),
            _requests(item),
            "?" if item.bytes is None else units.size(item.bytes),
            "?" if item.seconds is None else units.duration(item.seconds),
            safe(item.evidence or "-"),
        )
    console.print(table)
    reasons = ((item.walk if item.mode == "full" else item.mode, item.reason) for item in planned.resources)
    for walk, reason in dict.fromkeys((walk, reason) for walk, reason in reasons if walk and reason):
        write_line(console, f"{walk}: {reason}")
    for item in planned.resources:
        if item.probed is not None:
            write_line(console, f"{item.resource}: probed {item.probed:%Y-%m-%d %H:%M} UTC: {'; '.join(item.seen)}")
        if item.doubt:
            write_line(console, f"{item.resource}: in doubt: {item.doubt}", "yellow")
    if changes := [item.resource for item in planned.resources if item.delta and item.mode == "full"]:
        write_line(console, f"{', '.join(changes)}: run brings only what changed; this plan is for run --mode full")
    if planned.problem:
        write_line(console, f"could not count: {planned.problem}", "yellow")
    write_line(console, _forecast(planned))
    console.print()


def _known(number: int | None) -> str:
    return "?" if number is None else units.count(number)


def _requests(item: PlannedResource) -> str:
    """What is usual, or what is the least."""
    return f"≥ {units.count(item.least)}" if item.least and item.least == item.requests else _known(item.requests)


def _forecast(planned: PlannedSource) -> str:
    expected = planned.forecast
    if not expected.requests and not planned.complete:
        counted = any(item.records is not None for item in planned.resources)
        why = "the size of the pages is the server's" if counted else "nothing could be counted"
        return f"how much it takes is not known: {why}, and no run has finished"
    least = "" if planned.complete else "at least "
    size = "" if expected.bytes is None else f", {units.size(expected.bytes)}"
    decides = f", held up by {expected.binding}" if expected.binding else ""
    assumed = "" if planned.measured else " (reckoned with 0.8 s a request; none was measured yet)"
    return (
        f"in all {least}{units.count(expected.requests)} requests{size}, "
        f"about {units.duration(expected.seconds)}{decides}{assumed}"
    )
