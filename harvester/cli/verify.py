"""``harvester verify``: is what lies on disk what was harvested, and what the provider has?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console
from rich.text import Text

from harvester.cli.context import Context, Given
from harvester.report import units
from harvester.report.render import safe, table_of, write_line

if TYPE_CHECKING:
    from harvester.api.verify import ResourceCheck, VerifyReport


_SHOWN_EVERY = 16 << 20  # bytes


async def verify(
    out: Path = Path("out"),
    /,
    *,
    against: str | None = None,
    json: bool = False,
    debug: bool = False,
    context: Given,
) -> int:
    """Compare a harvest with its manifests: every shard, hash, row, key and total. Optionally with a sandbox's truth.

    Exit status:

    - 0: everything matches
    - 1: something differs
    - 2: wrong arguments, or there is no harvest in the directory
    - 65: the sandbox did not answer as one
    - 70: a bug in harvester
    - 74: the directory cannot be read

    Parameters
    ----------
    out
        the output directory of a harvest, out if not given.
    against
        the URL of a running sandbox: compare every record with what it serves.
    json
        one JSON object instead of a table.
    debug
        show tracebacks and log everything to standard error.
    """
    with _reading(context) as on_bytes:
        report = await context.api.verify(PurePath(out), against=against, on_bytes=on_bytes, ports=context.ports)
    if json:
        context.raw_stdout.write(msgspec.json.encode(report) + b"\n")
    else:
        write_checks(report, context.console)
    return 0 if report.matches else 1


@contextmanager
def _reading(context: Context) -> Iterator[Callable[[PurePath, int], None] | None]:
    """What is read, on one line of the terminal while the block lasts; elsewhere nothing."""
    if not context.for_a_person:
        yield None
        return
    read = 0
    with context.console.status("reading") as status:

        def on_bytes(path: PurePath, size: int) -> None:
            nonlocal read
            before, read = read, read + size
            if before // _SHOWN_EVERY != read // _SHOWN_EVERY:
                resource = path.parent.parent.name.removeprefix("resource=")
                status.update(safe(f"reading {resource}: {units.size(read)} so far"))

        yield on_bytes


def write_checks(report: VerifyReport, console: Console, *, only_differences: bool = False) -> None:
    """One row a run, every problem on a line of its own, and a line that sums up."""
    shown = [run for run in report.runs if _differs(run) or not only_differences]
    numbers = ("records", "bytes", *(("missing", "surplus") if report.against else ()))
    columns = ("source", "resource", "run", *numbers, "result")
    table = table_of(*columns, right=numbers, dispensable=("bytes", "run"))
    for run in shown:
        compared = (units.count(run.missing), units.count(run.extra)) if run.compared else ("-", "-")
        table.add_row(
            safe(run.source),
            safe(run.resource),
            safe(run.run),
            units.count(run.records),
            units.size(run.bytes),
            *(compared if report.against else ()),
            _result(run),
        )
    if shown:
        console.print(table)
    for run in report.runs:
        for problem in run.problems:
            write_line(console, problem, "red")
    finished = sum(run.finished for run in report.runs)
    right = sum(run.finished and not _differs(run) for run in report.runs)
    with_what = "their manifests and the truth" if report.against else "their manifests"
    records = units.number_of(sum(run.records for run in report.runs if run.finished), "record")
    runs = "finished run equals" if finished == 1 else "finished runs equal"
    write_line(console, f"{right} of {finished} {runs} {with_what}; {records} read.", "bold")


def _differs(run: ResourceCheck) -> bool:
    return bool(run.problems or run.missing or run.extra)


def _result(run: ResourceCheck) -> Text:
    if not run.finished:
        return Text("unfinished", "yellow")
    if _differs(run):
        return Text("differs", "red")
    return Text("equal", "green")
