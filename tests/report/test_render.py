"""What a person sees, and that no server can draw on their terminal."""

from __future__ import annotations

import io

import pytest
from msgspec import structs
from rich.console import Console

from harvester.events import SourceFailed
from harvester.report import units
from harvester.report.printable import printable
from harvester.report.render import console_on, safe, write_report
from harvester.report.tally import Tally
from tests.fakes import happenings as h

EVIL = "\x1b]0;owned\x07\x1b[2J\r[red]x[/red]\u202e\n{}\x9b31m\u2028:smile:"
NUMBERS = ["records", "requests", "bytes", "waits", "quarantined", "time"]


def shown(tally: Tally) -> str:
    stream = io.StringIO()
    write_report(tally.report(), console_on(stream))
    return stream.getvalue()


def harmless(text: str) -> bool:
    return all(char.isprintable() or char == "\n" for char in text)


def test_the_closing_table_says_for_each_resource_complete_or_why_not() -> None:
    tally = Tally()
    for event in (
        h.run_started(),
        h.started(),
        h.started("Member"),
        h.waiting(0, 41),
        h.finished(records=1234),
        h.finished("Member", verdict="incomplete", reason="the server counts 7 more than it served"),
        h.run_finished(1),
    ):
        tally(event)
    text = shown(tally)
    header, _, property_row, member_row = text.splitlines()[:4]
    assert header.split() == ["source", "resource", *NUMBERS, "verdict"]
    assert " ".join(property_row.split()) == "ims Property 1,234 7 1.0 kB 41 s 2 50 s complete"
    assert member_row.split()[-1] == "incomplete"
    assert "\nims Member: incomplete: the server counts 7 more than it served\n" in text
    assert "1 of 2 resources complete: 1,334 records, 2.0 kB in out, 0 requests, 1m 00s (41 s waiting)" in text


def test_resources_that_began_side_by_side_stand_with_their_source() -> None:
    tally = Tally()
    tally(h.run_started())
    for source, resource in (("ims", "Database"), ("centris", "Office"), ("ims", "Property")):
        tally(structs.replace(h.started(resource), source=source))
        tally(structs.replace(h.finished(resource), source=source))
    rows = [line.split()[:2] for line in shown(tally).splitlines()[2:5]]
    assert rows == [["ims", "Database"], ["ims", "Property"], ["centris", "Office"]]


def test_a_failure_that_a_resource_has_told_is_not_told_again() -> None:
    tally = Tally()
    tally(h.run_started())
    tally(h.started())
    tally(h.finished(verdict="failed", reason="credentials refused"))
    for source, reason in (("ims", "credentials refused"), ("centris", "no route")):
        tally(SourceFailed(at=h.START, source=source, reason=reason))
    text = shown(tally)
    assert text.count("credentials refused") == 1
    assert "centris failed: no route" in text


def test_server_text_cannot_steer_the_terminal() -> None:
    """FAULTS E06: escapes, bells, carriage returns and direction marks are shown, not obeyed; markup is text."""
    tally = Tally()
    tally(h.run_started())
    tally(h.finished(f"Prop{EVIL}", verdict="failed", reason=EVIL))
    tally(SourceFailed(at=h.START, source="centris", reason=EVIL))
    text = shown(tally)
    assert harmless(text)
    assert "\\x1b]0;owned\\x07" in text
    assert "[red]x[/red]" in text
    assert ":smile:" in text
    stream = io.StringIO()
    Console(file=stream, force_terminal=True, color_system=None, width=200).print(safe(EVIL))
    assert harmless(stream.getvalue())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Québec, 450 000 $ 🏠", "Québec, 450 000 $ 🏠"),
        ("450\u00a0000\u202f$", "450 000 $"),
        ("a\x1b[0m\x00\x7f", "a\\x1b[0m\\x00\\x7f"),
        ("\ud800", "\\ud800"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_only_what_does_not_print_as_itself_is_escaped(text: str, expected: str) -> None:
    assert printable(text) == expected


def test_a_long_text_is_cut_after_escaping() -> None:
    assert printable("\x1b" * 10, 8) == "\\x1b\\x1…"
    assert printable("12345678", 8) == "12345678"


def test_a_table_in_a_pipe_is_not_cut_to_a_terminal_width() -> None:
    reason = "x" * 90
    tally = Tally()
    tally(h.finished(verdict="failed", reason=reason))
    assert shown(tally).count("x") >= 90


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, "0.0 s"),
        (0.44, "0.4 s"),
        (12.3, "12 s"),
        (59.6, "1m 00s"),
        (200, "3m 20s"),
        (7500, "2h 05m"),
        (3e5, "3d 11h"),
    ],
)
def test_durations_are_written_for_people(seconds: float, expected: str) -> None:
    assert units.duration(seconds) == expected


def test_sizes_and_periods_are_written_for_people() -> None:
    assert [units.size(number) for number in (0, 999, 1000, 12_345_678, 5 * 10**12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "12.3 MB",
        "5.0 TB",
    ]
    assert [units.period(seconds) for seconds in (1, 60, 3600, 86400, 90, 0.25, 60 / 3600)] == [
        "second",
        "minute",
        "hour",
        "day",
        "90 s",
        "0.25 s",
        "17 ms",
    ]
