"""What the live lines say, without a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from harvester.events import Compared, ListingBegun, Probed, Quarantined, Repeated, SourceFailed, Warned, WindowUse
from harvester.report.progress import Board, Progress
from tests.fakes import happenings as h
from tests.fakes.clock import FakeClock


def drawn(board: Board, most: int | None = None) -> list[list[str]]:
    """The lines of *board*, split where two or more spaces stand."""
    stream = io.StringIO()
    Console(file=stream, width=200).print(board.render(most))
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in stream.getvalue().splitlines()]


def test_a_line_tells_records_rate_window_and_eta() -> None:
    clock = FakeClock()
    board = Board(clock)
    board.fold(h.started())
    board.fold(h.counted(1000))
    board.fold(WindowUse(at=h.START, source="ims", used=12, limit=20, seconds=60))
    clock.advance(5)
    board.fold(h.page(250))
    assert drawn(board) == [["ims Property", "250 records", "50/s", "12/20 this minute", "ETA 15 s"]]


def test_the_rate_is_that_of_the_last_ten_seconds_and_the_eta_that_of_the_whole_attempt() -> None:
    clock = FakeClock()
    board = Board(clock)
    board.fold(h.started(records=500))
    board.fold(h.counted(1000))
    clock.advance(10)
    board.fold(h.page(100))
    clock.advance(10.5)
    assert drawn(board) == [["ims Property", "600 records", "0/s", "ETA 1m 22s"]]
    board.fold(h.page(100))
    assert drawn(board)[0][2] == "10/s"


def test_an_eta_is_told_only_when_every_walk_is_counted() -> None:
    clock = FakeClock()
    board = Board(clock)
    board.fold(h.started(walks=2))
    board.fold(h.counted(600))
    clock.advance(5)
    board.fold(h.page(250))
    assert "ETA" not in str(drawn(board))
    board.fold(h.counted(400, walk="w01"))
    assert drawn(board)[0][-1] == "ETA 15 s"


def test_more_lines_than_the_terminal_has_are_counted_instead() -> None:
    """Lines below the last row would stay in the scrollback for good."""
    board = Board(FakeClock())
    for number in range(20):
        board.fold(h.started(f"Resource{number:02d}"))
    lines = drawn(board, most=9)
    assert len(lines) == 9
    assert lines[-1] == ["… and 12 more"]
    assert len(drawn(board, most=20)) == 20


@pytest.mark.parametrize("width", [40, 60, 80])
def test_on_a_narrow_terminal_a_line_stays_one_line_and_its_numbers_stay_whole(width: int) -> None:
    board = Board(FakeClock())
    board.fold(h.started("Property", records=1_234_567))
    board.fold(h.waiting(0, 58, reason="the server asks for a pause that takes long to explain"))
    stream = io.StringIO()
    Console(file=stream, width=width).print(board.render())
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("ims Property  1,234,567 records  0/s")
    assert line.endswith("…")
    assert len(line) <= width


def test_a_pause_without_a_reason_is_told_without_one() -> None:
    board = Board(FakeClock())
    board.fold(h.started())
    board.fold(h.waiting(0, 58, reason=""))
    assert drawn(board)[0][-1] == "waiting 0:58"


def test_a_reason_that_many_share_is_told_once() -> None:
    board = Board(FakeClock())
    first, second = (
        str(board.fold(h.finished(name, verdict="failed", reason="the key is refused"))) for name in ("A", "B")
    )
    assert first.endswith("failed: the key is refused")
    assert second == "ims B: 100 records, failed: for the same reason"
    assert "complete" in str(board.fold(h.finished("C")))
    assert "same reason" not in str(board.fold(h.finished("D")))


def test_a_pause_counts_down_for_every_resource_of_the_credential() -> None:
    clock = FakeClock()
    board = Board(clock)
    for name in ("Property", "Member"):
        board.fold(h.started(name))
    board.fold(h.started("Office", source="centris"))
    board.fold(h.waiting(0, 41))
    clock.advance(11)
    states = {line[0]: line[-1] for line in drawn(board)}
    assert states["ims Property"] == states["ims Member"] == "waiting 0:30 (429 Retry-After 41)"
    assert states["centris Office"] == "0/s"
    clock.advance(31)
    assert "waiting" not in str(drawn(board))


def test_a_repeat_shows_until_the_next_page_and_quarantine_is_counted() -> None:
    clock = FakeClock()
    board = Board(clock)
    board.fold(h.started())
    board.fold(Repeated(at=h.START, source="ims", reason="503", attempt=1, seconds=2))
    board.fold(Quarantined(at=h.START, source="ims", resource="Property", walk="w00", reason="no key"))
    assert drawn(board) == [["ims Property", "0 records", "0/s", "1 quarantined", "try 2: 503"]]
    board.fold(h.page(1))
    assert "try" not in str(drawn(board))


def compared(missing: int, differing: int) -> Compared:
    return Compared(
        at=h.START,
        source="ims",
        resource="Property",
        round=1,
        listed=9,
        missing=missing,
        differing=differing,
        gone=5,
    )


def test_a_proof_is_told_while_it_is_made() -> None:
    """Nothing is written meanwhile, and an ETA of the whole would say nothing."""
    board = Board(FakeClock())
    board.fold(h.started())
    board.fold(h.counted(1000))
    board.fold(ListingBegun(at=h.START, source="ims", resource="Property", round=1))
    assert drawn(board)[0][-1] == "listing all keys"
    board.fold(compared(missing=2, differing=1))
    assert drawn(board)[0][-1] == "3 records to fetch again"
    board.fold(compared(missing=0, differing=0))
    assert drawn(board)[0][-1] == "0/s"


def test_a_finished_resource_leaves_a_line_behind() -> None:
    board = Board(FakeClock())
    board.fold(h.started())
    line = board.fold(h.finished(verdict="failed", reason="not\x1b[2J entitled"))
    assert str(line) == "ims Property: 100 records, failed: not\\x1b[2J entitled"
    assert drawn(board) == []


def test_source_failures_and_warnings_are_left_behind_escaped() -> None:
    """FAULTS E06."""
    board = Board(FakeClock())
    assert str(board.fold(SourceFailed(at=h.START, source="ims", reason="no\rway"))) == "ims failed: no\\rway"
    assert str(board.fold(Warned(at=h.START, source="ims", message="a\nb"))) == "warning: ims: a\\nb"
    board.fold(h.started("Prop[bold]erty\x1b[2J"))
    assert drawn(board)[0][0] == "ims Prop[bold]erty\\x1b[2J"


def test_events_of_resources_that_were_never_announced_do_no_harm() -> None:
    board = Board(FakeClock())
    assert board.fold(h.page()) is None
    assert board.fold(h.run_finished()) is None
    assert drawn(board) == []


def test_the_live_display_clears_its_lines_and_keeps_what_was_left_behind() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, color_system=None)
    with Progress(console, FakeClock()) as progress:
        progress(h.started())
        progress(h.finished())
    assert "ims Property: 100 records, complete" in stream.getvalue()


def test_what_a_probe_has_found_is_left_behind_as_a_line_if_it_was_asked_or_leaves_a_doubt() -> None:
    board = Board(FakeClock())

    def told(requests: int, doubt: str) -> str:
        event = Probed(
            at=h.START, source="north", resource="Office", walk="chain", reason="why", doubt=doubt, requests=requests
        )
        return str(board.fold(event) or "")

    assert told(6, "") == "north Office: chain: why"
    assert told(0, "nobody knows") == "north Office: chain: why; in doubt: nobody knows"
    assert told(0, "") == ""
