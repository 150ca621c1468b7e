"""``harvester compact``: fewer and larger files that say the same."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import msgspec

from harvester.cli.context import Given
from harvester.report import units
from harvester.report.render import write_line

if TYPE_CHECKING:
    from harvester.api.compaction import ResourceCompaction


async def compact(
    source: str | None = None,
    resource: str | None = None,
    /,
    *,
    out: Path = Path("out"),
    target: str = "128MiB",
    fold: bool = False,
    keep: int = 0,
    dry_run: bool = False,
    json: bool = False,
    debug: bool = False,
    context: Given,
) -> int:
    """Merge the small shards of finished runs; with --fold, make one run of a full one and all that came on top of it.

    Merging changes no line and no order: each run keeps what it held and says of itself. Folding keeps what
    `harvester view` tells, where the next delta goes on, and what proves it; older versions of records, tombstones and
    runs that nobody sees any more are given up. A run that is incomplete and not made up for, and all behind it, is not
    folded, nor are records that are sets of others (Media of listings). Stopped at any time, it has lost nothing; the
    next compact goes on. Whoever reads the files by a glob meanwhile may meet lines twice, never misses one, and may
    find that a file has gone since it was listed: read again.

    Exit status:

    - 0: done, or nothing was to be done
    - 2: wrong arguments, or there is no such source or resource
    - 70: a bug in harvester
    - 73, 74: a file cannot be read or written, or a shard is damaged
    - 79: a harvest of the source, or a view, is under way

    Parameters
    ----------
    source
        only this one; all if not given.
    resource
        only this one, as the provider names it.
    out
        the output directory of a harvest, out if not given.
    target
        size of a shard, for example 256MiB; those of three quarters of it and more stay as they are.
    fold
        make one run of the newest complete full run and all later ones.
    keep
        with --fold, so many of the newest runs of each resource stay as they are.
    dry_run
        change nothing, only tell what would be done.
    json
        one JSON object instead of lines.
    debug
        show tracebacks and log everything to standard error.
    """

    def tell(done: ResourceCompaction) -> None:
        if not json:
            _tell(done, context, dry_run=dry_run)

    report = await context.api.compact(
        PurePath(out),
        source,
        resource,
        fold=fold,
        keep=keep,
        target=target,
        dry_run=dry_run,
        on_progress=tell,
        ports=context.ports,
    )
    if json:
        context.raw_stdout.write(msgspec.json.encode(report) + b"\n")
    return 0


def _tell(done: ResourceCompaction, context: Given, *, dry_run: bool) -> None:
    console, name = context.console, f"{done.source} {done.resource}"
    before = f"{units.number_of(done.runs_before, 'run')}, {units.number_of(done.shards_before, 'shard')}"
    if not done.changed:
        write_line(console, f"{name}: {before}: nothing to do")
    else:
        after = f"{units.number_of(done.runs_after, 'run')}, {units.number_of(done.shards_after, 'shard')}"
        sizes = units.size(done.bytes_before)
        if done.bytes_after is not None:
            sizes += f" -> {units.size(done.bytes_after)}"
        base = f"; base {done.base}" if done.base else ""
        about = "about " if dry_run and done.base else ""
        write_line(console, f"{name}: {before} {'would become' if dry_run else '->'} {about}{after} ({sizes}{base})")
    if done.why_not:
        write_line(console, f"{name}: no more was folded: {done.why_not}", "yellow")
