"""``harvester view``: what a resource holds now, over all runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import msgspec

from harvester.cli.context import Context, Given, as_path
from harvester.report import units
from harvester.report.lines import RawOutput
from harvester.report.render import console_on, write_line

if TYPE_CHECKING:
    from harvester.api.view import ViewReport


def view(
    resource: str,
    /,
    *,
    out: Path = Path("out"),
    source: str | None = None,
    to: Path | None = None,
    json: bool = False,
    debug: bool = False,
    context: Given,
) -> int:
    """Tell the current state of a resource: the latest version of each key over all runs, minus what is proven gone.

    Without --to the records go to standard output as NDJSON, the bytes the provider wrote. What they were made of is
    told on standard error. The newest complete full run is the ground, every later run lies on top. Of related records
    (photos, rooms) it tells those in the current sets of listings that are there.

    Exit status:

    - 0: told
    - 1: told, but a run it is made of is not complete
    - 2: wrong arguments
    - 70: a bug in harvester
    - 73, 74: a file cannot be read or written, or a shard is damaged
    - 79: another view of the directory is under way
    - 141: the reader of standard output went away

    Parameters
    ----------
    resource
        as the provider names it, for example Property or clients/featured.
    out
        the output directory of a harvest, out if not given.
    source
        where several sources have the resource.
    to
        a file to write, by its suffix: .ndjson, .parquet or .duckdb; the last two need the extra duckdb.
    json
        one JSON object that tells what was done; with --to only.
    debug
        show tracebacks and log everything to standard error.
    """
    report = context.api.view(
        PurePath(out),
        resource,
        source=source,
        to=as_path(to),
        write=None if to is not None else partial(_write, context.raw_stdout),
        ports=context.ports,
    )
    if json and to is not None:
        context.raw_stdout.write(msgspec.json.encode(report) + b"\n")
    else:
        _tell(report, context)
    return 0 if report.whole else 1


def _write(output: RawOutput, data: bytes) -> None:
    """All of *data*: a pipe may take less at a time."""
    rest = memoryview(data)
    while rest:
        written = output.write(bytes(rest))
        rest = rest[len(rest) if written is None else written :]


def _tell(report: ViewReport, context: Context) -> None:
    console = console_on(context.stdout if report.target and context.for_a_person else context.stderr)
    made = f"{report.source} {report.resource}: {units.number_of(report.records, 'record')} from "
    made += f"{units.number_of(len(report.runs), 'run')}, the first of them {report.runs[0]}"
    if report.superseded or report.tombstones:
        made += f"; {units.count(report.superseded)} replaced, {units.number_of(report.tombstones, 'key')} gone"
    if report.ended:
        made += f"; {units.count(report.ended)} in no current set"
    write_line(console, f"{made}{f', in {report.target}' if report.target else ''}")
    for note in report.notes:
        write_line(console, f"warning: {note}", "yellow")
