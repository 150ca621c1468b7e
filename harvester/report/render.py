"""Writes a Report for a person (a table) or a program (one JSON object)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

import msgspec
from rich.console import Console
from rich.text import Text

from harvester.report import units
from harvester.report.printable import printable
from harvester.report.promises import promise_line
from harvester.report.sheet import Sheet
from harvester.report.tally import COMPLETE, Report, ResourceRow

PIPE_WIDTH = 160  # columns when the stream is no terminal and has no width of its own
NAMED_RESOURCES = 6  # of those that share a reason; the table names all of them
_STYLES = {COMPLETE: "green", "incomplete": "yellow", "interrupted": "yellow", "failed": "red"}


def console_on(stream: IO[str]) -> Console:
    """A console that shows text as it is: no markup, no emoji codes, no guessing of colours for numbers."""
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(file=stream, markup=False, emoji=False, highlight=False, width=width)


def write_line(console: Console, text: str, style: str = "") -> None:
    """One line of text from anywhere; never broken, so that a path in it can be copied."""
    console.print(safe(text, style), soft_wrap=True)


def safe(text: str, style: str = "") -> Text:
    """Text from outside, for a cell or a line."""
    return Text(printable(text), style=style, overflow="fold")


def table_of(*columns: str, right: tuple[str, ...] = (), dispensable: tuple[str, ...] = ()) -> Sheet:
    """An empty table in the one style of all commands.

    Args:
        right: the columns that hold numbers.
        dispensable: the columns that a narrow terminal does without, the first one first.
    """
    return Sheet(columns, right=right, dispensable=dispensable)


def verdict(word: str, reason: str = "") -> Text:
    """``complete``, or the verdict with its reason."""
    return safe(f"{word}: {reason}" if reason else word, _STYLES.get(word, ""))


def write_reasons(console: Console, rows: Sequence[tuple[str, str, str, str]]) -> None:
    """Every reason once, on a line of its own that begins with those it holds for.

    Args:
        rows: source, resource, verdict and reason of each resource; "" needs no line.
    """
    sharers: dict[tuple[str, str], dict[str, list[str]]] = {}
    for source, resource, word, reason in rows:
        if reason:
            sharers.setdefault((word, reason), {}).setdefault(source, []).append(resource)
    for (word, reason), by_source in sharers.items():
        who = "; ".join(f"{source} {_some(names)}" for source, names in by_source.items())
        write_line(console, f"{who}: {word}: {reason}", _STYLES.get(word, ""))


def write_report(report: Report, console: Console) -> None:
    """The closing table, why what is not complete is not, warnings, and one line that sums up."""
    numbers = ("records", "requests", "bytes", "waits", "quarantined", "time")
    dispensable = ("waits", "quarantined", "bytes", "requests", "time")
    # Few records are no surprise where only changes were read; where everything was, the mode says nothing.
    modes = ("mode",) if any(row.mode not in {"", "full"} for row in report.resources) else ()
    table = table_of("source", "resource", *modes, *numbers, "verdict", right=numbers, dispensable=dispensable)
    first = {row.source: number for number, row in reversed([*enumerate(report.resources)])}
    for row in sorted(report.resources, key=lambda row: first[row.source]):  # side by side they begin in any order
        mode = (safe(row.mode or "-"),) if modes else ()
        table.add_row(safe(row.source), safe(row.resource), *mode, *_numbers(row), verdict(row.verdict))
    if report.resources:
        console.print(table)
    write_reasons(console, [(row.source, row.resource, row.verdict, row.reason) for row in report.resources])
    told = {(row.source, row.reason) for row in report.resources}
    for failure in report.failures:
        if (failure.source, failure.reason) in told:
            continue
        write_line(console, f"{failure.source} failed: {failure.reason}", "red")
    for warning in report.warnings:
        write_line(console, f"warning: {warning}", "yellow")
    for source, line in _shares(report).items():
        write_line(console, f"{source}: {line}")
    for promise in report.promises:
        write_line(console, promise_line(promise))
    write_line(console, summary(report), "bold")


def summary(report: Report) -> str:
    """One line: how much is complete, and what it took."""
    done = sum(row.verdict == COMPLETE for row in report.resources)
    totals = report.totals
    return (
        f"{done} of {units.number_of(len(report.resources), 'resource')} complete: "
        f"{units.number_of(totals.records, 'record')}, {units.size(totals.bytes)} in {report.out}, "
        f"{units.number_of(totals.requests, 'request')}, "
        f"{units.duration(report.seconds)} ({units.duration(totals.waits)} waiting)"
    )


def report_json(report: Report) -> bytes:
    """The whole Report as one JSON object on one line, without line end; times RFC 3339, durations seconds."""
    return msgspec.json.encode(report)


def _shares(report: Report) -> dict[str, str]:
    """By source with several credentials: what each of them did."""
    told: dict[str, list[str]] = {}
    for row in report.credentials:
        lost = ", refused" if row.refused else ""
        told.setdefault(row.source, []).append(
            f"{row.credential} {units.number_of(row.requests, 'request')}{lost} ({units.duration(row.waits)} waiting)"
        )
    return {source: ", ".join(lines) for source, lines in told.items()}


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:NAMED_RESOURCES])
    more = len(names) - NAMED_RESOURCES
    return f"{shown} and {more} more" if more > 0 else shown


def _numbers(row: ResourceRow) -> tuple[str, ...]:
    return (
        units.count(row.records),
        units.count(row.requests),
        units.size(row.bytes),
        units.duration(row.waits),
        units.count(row.quarantined),
        units.duration(row.seconds),
    )
