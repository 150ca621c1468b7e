"""Writes a Report for a person (a table) or a program (one JSON object)."""

from __future__ import annotations

from typing import IO

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harvester.report import units
from harvester.report.printable import printable
from harvester.report.tally import COMPLETE, Report, ResourceRow

PIPE_WIDTH = 160  # columns when the stream is no terminal and has no width of its own
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


def table_of(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table in the one style of all commands; the columns in *right* hold numbers.

    Names and numbers stay whole; on a narrow terminal the other columns are folded.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        whole = column in right or column in {"source", "resource"}
        table.add_column(column, justify="right" if column in right else "left", no_wrap=whole, overflow="fold")
    return table


def verdict(word: str, reason: str = "") -> Text:
    """``complete``, or the verdict with its reason."""
    return safe(f"{word}: {reason}" if reason else word, _STYLES.get(word, ""))


def write_report(report: Report, console: Console) -> None:
    """The closing table, what failed as a whole, warnings, and one line that sums up."""
    numbers = ("records", "requests", "bytes", "waits", "quarantined", "time")
    table = table_of("source", "resource", *numbers, "verdict", right=numbers)
    for row in report.resources:
        table.add_row(safe(row.source), safe(row.resource), *_numbers(row), verdict(row.verdict, row.reason))
    if report.resources:
        console.print(table)
    for failure in report.failures:
        write_line(console, f"{failure.source} failed: {failure.reason}", "red")
    for warning in report.warnings:
        write_line(console, f"warning: {warning}", "yellow")
    write_line(console, summary(report), "bold")


def summary(report: Report) -> str:
    """One line: how much is complete, and what it took."""
    done = sum(row.verdict == COMPLETE for row in report.resources)
    totals = report.totals
    return (
        f"{done} of {len(report.resources)} resources complete: {units.count(totals.records)} records, "
        f"{units.size(totals.bytes)} in {report.out}, {units.count(totals.requests)} requests, "
        f"{units.duration(report.seconds)} ({units.duration(totals.waits)} waiting)"
    )


def report_json(report: Report) -> bytes:
    """The whole Report as one JSON object on one line, without line end; times RFC 3339, durations seconds."""
    return msgspec.json.encode(report)


def _numbers(row: ResourceRow) -> tuple[str, ...]:
    return (
        units.count(row.records),
        units.count(row.requests),
        units.size(row.bytes),
        units.duration(row.waits),
        units.count(row.quarantined),
        units.duration(row.seconds),
    )
