"""Tables on terminals of every width: what is shown is whole."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from harvester.report.render import table_of, write_report
from harvester.report.tally import Tally
from tests.fakes import happenings as h

REASON = "the account is not entitled to this resource; ask the provider, then run the same command again from /my/path"
WIDTHS = [30, 60, 80, 100, 160]


def report_at(width: int) -> list[str]:
    """The closing table of a complete resource and of eight that failed for one reason."""
    tally = Tally()
    tally(h.run_started())
    tally(h.finished("clients.rentlistings", "spark_reso", records=10_070))
    for number in range(8):
        tally(h.finished(f"Resource{number}", "spark_reso", verdict="failed", reason=REASON, records=0))
    tally(h.run_finished(1))
    stream = io.StringIO()
    write_report(tally.report(), Console(file=stream, width=width))
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("width", WIDTHS)
def test_numbers_and_verdicts_are_whole_at_every_width(width: int) -> None:
    lines = report_at(width)
    text = "\n".join(lines)
    assert text.count("10,070") == 2, text  # in the table and in the sum
    assert sum("complete" in line.split() for line in lines) == 1
    assert sum("failed" in line.split() for line in lines) == 8
    assert all(len(line) <= width for line in lines if "spark_reso Resource0" not in line and "of 9" not in line)


@pytest.mark.parametrize("width", WIDTHS)
def test_each_reason_is_told_once_on_one_unbroken_line_below_the_table(width: int) -> None:
    """One wrong key fails every resource alike."""
    (told,) = (line for line in report_at(width) if REASON in line)
    named = ", ".join(f"Resource{number}" for number in range(6))
    assert told == f"spark_reso {named} and 2 more: failed: {REASON}"


@pytest.mark.parametrize(
    ("width", "absent"),
    [
        (160, set()),
        (100, set()),
        (80, {"waits", "quarantined"}),
        (60, {"waits", "quarantined", "bytes", "requests"}),
        (50, {"waits", "quarantined", "bytes", "requests", "time"}),
    ],
)
def test_a_narrow_terminal_does_without_the_less_important_columns(width: int, absent: set[str]) -> None:
    columns = {"source", "resource", "records", "requests", "bytes", "waits", "quarantined", "time", "verdict"}
    assert set(report_at(width)[0].split()) == columns - absent


def test_words_are_folded_before_anything_is_left_out_that_must_be_there() -> None:
    table = table_of("resource", "records", "why", right=("records",))
    table.add_row("Property", "1,234,567", "it is the shortest of all the walks that can be trusted")
    stream = io.StringIO()
    Console(file=stream, width=40).print(table)
    lines = stream.getvalue().splitlines()
    assert lines[2].split()[:2] == ["Property", "1,234,567"]
    assert " ".join(" ".join(lines[2:]).split()).endswith("can be trusted")
    assert all(len(line) <= 40 for line in lines)
