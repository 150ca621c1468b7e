"""``harvester probe``: how a server pages, what it honours, and the walk that follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console

from harvester.cli.context import Given
from harvester.report import units
from harvester.report.render import safe, table_of, write_line

if TYPE_CHECKING:
    from harvester.api.probe import ProbedResource, ProbedSource


async def probe(
    source: str | None = None,
    resource: str | None = None,
    /,
    *,
    config: Annotated[Path | None, Parameter(alias="-c")] = None,
    refresh: bool = False,
    out: str | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None,
    json: bool = False,
    debug: bool = False,
    context: Given,
) -> int:
    """Find out how a server pages, with at most six requests a resource, and which walk cannot lose rows there.

    It tells the real page cap, what $filter, $orderby, $top, $select and $count do, the order of records, what next
    links hold, and how fast pages come; what six requests cannot tell is unknown. A run of a server that has no
    contract (provider odata) asks the same by itself before its first walk. Answers are kept in the output directory
    for a week (probe_lifetime).

    Exit status:

    - 0: told
    - 1: a resource could not be probed
    - 2: wrong arguments
    - 70: a bug in harvester
    - 73, 74: the output directory cannot be used
    - 75: quota reached; run again later
    - 77: credentials refused
    - 78: the configuration is wrong

    Parameters
    ----------
    source
        only this source; all if not given.
    resource
        only this resource of it; all that are configured if not given.
    config
        the configuration file; harvester.toml in the current directory if not given.
    refresh
        ask again, also what is kept.
    out
        the output directory, over the one in the configuration.
    set_
        KEY=VALUE over the configuration, for example sources.north.select=["ListingKey"]; can be given several times.
    json
        one JSON object instead of text.
    debug
        show tracebacks and log everything to standard error.
    """
    settings = context.settings(config, set_, out)
    report = await context.api.probe(
        settings,
        sources=() if source is None else (source,),
        resources=() if resource is None else (resource,),
        refresh=refresh,
        ports=context.ports,
    )
    if json:
        context.raw_stdout.write(msgspec.json.encode(report) + b"\n")
    else:
        for probed in report.sources:
            _write(probed, context.console)
    return 0 if report.whole else 1


def _write(probed: ProbedSource, console: Console) -> None:
    write_line(console, f"{probed.source}: {probed.provider}, {probed.base_url}", "bold")
    for item in probed.resources:
        _write_resource(item, console)
        console.print()


def _write_resource(item: ProbedResource, console: Console) -> None:
    name = f"{item.resource} (needed by others)" if item.implied else item.resource
    if item.problem:
        write_line(console, f"{name}: could not be probed: {item.problem}", "red")
        return
    write_line(console, f"{name}: {item.walk}: {item.reason}", "bold")
    if item.fixed:
        agrees = "as well" if item.fixed == item.walk else "all the same"
        write_line(console, f"a run walks by {item.fixed} {agrees}: the contract or the configuration fixes it")
    if item.doubt:
        write_line(console, f"in doubt: {item.doubt}", "yellow")
    table = table_of("what", "found", "seen by")
    for finding in item.findings:
        table.add_row(safe(finding.about), safe(finding.found), safe(finding.seen))
    if item.findings:
        console.print(table)
    write_line(console, _cost(item))


def _cost(item: ProbedResource) -> str:
    sized = item.page_size is not None and not item.fixed
    size = f"pages of {units.count(item.page_size or 0)} will be asked for; " if sized else ""
    asked = units.number_of(item.requests, "request")
    if not item.kept or item.at is None:
        return f"{size}{asked}"
    return f"{size}found out {item.at:%Y-%m-%d %H:%M} UTC with {asked}; --refresh asks again"
