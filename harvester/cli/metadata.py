"""``harvester metadata``: what a provider says of its data, and whether its records keep to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from harvester.cli.context import Context, Given, as_path
from harvester.errors import ArgumentError
from harvester.report.data_model import write_resources, write_type
from harvester.report.drift import write_drift
from harvester.report.render import write_line

if TYPE_CHECKING:
    from harvester.api.metadata import MetadataReport


async def metadata(
    source: str,
    /,
    *,
    config: Annotated[Path | None, Parameter(alias="-c")] = None,
    resource: list[str] | None = None,
    check: bool = False,
    limit: int | None = None,
    file: Path | None = None,
    offline: bool = False,
    out: str | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None,
    json: bool = False,
    debug: bool = False,
    context: Given,
) -> int:
    """Tell the data model of a source: its resources, their keys, fields, types and what they lead to.

    It is asked of the provider through the quota like everything else, and kept in the output directory. With --check
    the records of the last finished runs are held against it: new, missing and retyped fields, how often each is
    filled, values outside their list. Records that were expanded inside others are looked into as well. The values of
    RESO lists are those of the resource Lookup, where it was harvested.

    Exit status:

    - 0: told; with --check: no field differs
    - 1: --check found fields that differ, or nothing that it could check
    - 2: wrong arguments, or the provider tells no data model
    - 65: the metadata cannot be read
    - 70: a bug in harvester
    - 73, 74: a file cannot be read or written, or a shard is damaged
    - 75: quota reached; run again later
    - 77: credentials refused
    - 78: the configuration is wrong

    Parameters
    ----------
    source
        a source of the configuration.
    config
        the configuration file; harvester.toml in the current directory if not given.
    resource
        show every field of this resource; can be given several times.
    check
        hold the harvested records against the data model.
    limit
        with --check, look at no more than so many records of each resource.
    file
        a data model to use in the place of the provider's: CSDL as XML or JSON. Nothing is sent.
    offline
        use the last data model that could be read. Nothing is sent.
    out
        the output directory, over the one in the configuration.
    set_
        KEY=VALUE over the configuration, for example sources.centris.budget.per_minute=10; can be given several times.
    json
        one JSON object instead of tables.
    debug
        show tracebacks and log everything to standard error.
    """
    if limit is not None and (limit < 1 or not check):
        raise ArgumentError("--limit is a number of records, 1 or more, and needs --check")
    if file is not None and offline:
        raise ArgumentError("--file and --offline both say where the data model comes from; give one of them")
    settings = context.settings(config, set_, out)
    report = await context.api.metadata(
        settings,
        source,
        resources=tuple(resource or ()),
        check=check,
        limit=limit,
        file=as_path(file),
        offline=offline,
        ports=context.ports,
    )
    if json:
        context.raw_stdout.write(msgspec.json.encode(report) + b"\n")
    else:
        _write(report, tuple(resource or ()), context)
    return _status(report)


def _status(report: MetadataReport) -> int:
    drift = report.drift
    return 1 if drift is not None and (drift.drifts or not drift.resources) else 0


def _write(report: MetadataReport, shown: tuple[str, ...], context: Context) -> None:
    console, model = context.console, report.model
    write_line(console, f"{report.source}: {report.provider}, {report.origin}", "bold")
    if report.stale and report.fetched is not None:
        told = f"the data model of {report.fetched:%Y-%m-%d %H:%M} UTC is shown: {report.stale}"
        write_line(console, told, "yellow")
    if report.drift is not None:
        write_drift(report.drift.resources, report.drift.unchecked, console, fields=bool(shown))
        return
    if not shown:
        write_resources(model, console)
        return
    types = model.types_by_name()
    for resource in model.resources:
        declared = types.get(resource.type)
        if resource.name in shown and declared is not None:
            write_type(resource.name, declared, model, console)
