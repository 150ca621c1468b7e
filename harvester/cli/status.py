"""``harvester status``: what a directory holds, and how to go on with it."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import msgspec
from rich.text import Text

from harvester.cli.context import Given
from harvester.report import units
from harvester.report.render import safe, table_of, verdict, write_line, write_reasons

if TYPE_CHECKING:
    from harvester.api.status import ResourceStatus


def status(out: Path = Path("out"), /, *, json: bool = False, debug: bool = False, context: Given) -> int:
    """Tell what an output directory holds: for each resource the last finished run, and one that can be gone on with.

    Reads only; it can be asked while a harvest runs.

    Exit status:

    - 0: told
    - 2: wrong arguments, or there is no harvest in the directory
    - 70: a bug in harvester
    - 74: the directory cannot be read, or a file in it is damaged

    Parameters
    ----------
    out
        the output directory of a harvest, out if not given.
    json
        one JSON object instead of a table.
    debug
        show tracebacks and log everything to standard error.
    """
    report = context.api.status(PurePath(out), ports=context.ports)
    if json:
        context.raw_stdout.write(msgspec.json.encode(report) + b"\n")
        return 0
    numbers = ("records", "bytes")
    # Runs that found nothing new leave no run behind, only when that was.
    checked = ("checked",) if any(row.checked for row in report.resources) else ()
    columns = ("source", "resource", "verdict", "mode", *numbers, "last run", *checked, "watermark")
    table = table_of(*columns, right=numbers, dispensable=("watermark", "bytes", "last run", "mode", "checked"))
    for row in report.resources:
        table.add_row(
            safe(row.source),
            safe(row.resource),
            verdict(row.verdict) if row.finished_run else Text("-"),
            safe(row.mode or "-"),
            units.count(row.records) if row.finished_run else "-",
            units.size(row.bytes) if row.finished_run else "-",
            safe(row.finished_run or "none"),
            *((f"{row.checked:%Y-%m-%d %H:%M}" if row.checked else "-",) if checked else ()),
            safe(row.watermark or "-"),
        )
    console = context.console
    console.print(table)
    write_reasons(console, [(row.source, row.resource, row.verdict, row.reason) for row in report.resources])
    for row in report.resources:
        if row.credentials:
            shares = ", ".join(f"{each.name} {units.number_of(each.requests, 'request')}" for each in row.credentials)
            write_line(console, f"{row.source} {row.resource}: {shares}")
        if row.unfinished_run:
            write_line(console, _unfinished(row), "yellow")
    if report.unfinished:
        context.narrate("Unfinished runs go on from their last commit when harvester run is started again.")
    return 0


def _unfinished(row: ResourceStatus) -> str:
    walks = f"{row.walks_done} of {units.number_of(row.walks_done + row.walks_open, 'walk')} done"
    committed = units.number_of(row.committed, "record")
    return f"{row.source} {row.resource}: run {row.unfinished_run} is unfinished: {committed} committed, {walks}"
