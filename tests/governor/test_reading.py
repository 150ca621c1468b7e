"""The quota as people see it: read from the journal that holds, without a trace."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from harvester.errors import StorageError
from harvester.governor.governor import Governor
from harvester.governor.ledger.reading import Journal, read_journal
from harvester.governor.ledger.sqlite import SqliteLedger
from harvester.governor.picture import Picture, picture
from harvester.model import Budget, RateSignal, Window, WindowSignal
from tests.fakes.clock import FakeClock

BUDGET = Budget(windows=(Window(seconds=60, requests=20), Window(seconds=86_400, requests=5000)), in_flight=4)


def governor(path: Path, clock: FakeClock, credential: str = "k") -> tuple[Governor, SqliteLedger]:
    ledger = SqliteLedger(path, credential, clock)
    return Governor(BUDGET, clock, name="Toy", source="toy", ledger=ledger), ledger


def seen(path: Path, clock: FakeClock, credential: str = "k") -> Picture:
    return picture(BUDGET, read_journal(path, credential, clock.now().timestamp()).news)


async def spend(gate: Governor, number: int, signal: RateSignal | None = None) -> None:
    for _ in range(number):
        ticket = await gate.admit()
        if signal is not None:
            gate.observe(signal)
        gate.settle(ticket, 100)


async def test_what_was_spent_before_a_restart_is_shown_after_it(tmp_path: Path) -> None:
    """FAULTS Q09."""
    clock, path = FakeClock(), tmp_path / "quota.sqlite"
    gate, ledger = governor(path, clock)
    await spend(gate, 7)
    ledger.close()
    clock.advance(15)
    minute, day = seen(path, clock).windows
    assert (minute.used, minute.left, minute.limit, minute.seconds) == (7, 13, 20, 60)
    assert minute.frees_in == pytest.approx(45, abs=0.1)
    assert (day.used, day.left) == (7, 4993)
    clock.advance(46)
    minute, day = seen(path, clock).windows
    assert (minute.used, day.used) == (0, 7)


async def test_a_harvest_under_way_is_seen_and_not_disturbed(tmp_path: Path) -> None:
    clock, path = FakeClock(), tmp_path / "quota.sqlite"
    gate, ledger = governor(path, clock)
    await spend(gate, 2)
    ticket = await gate.admit()
    before = sqlite3.connect(path).execute("SELECT (SELECT count(*) FROM holders), max(id) FROM entries").fetchone()
    shown = seen(path, clock)
    assert (shown.open, shown.windows[0].used) == (1, 3)
    # Nobody waits for a reader, not even one in the middle of its reading, and the reader leaves nothing behind.
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM entries").fetchone()
        gate.settle(ticket, 0)
        await spend(gate, 1)
    assert seen(path, clock).windows[0].used == 4
    after = sqlite3.connect(path).execute("SELECT count(*) FROM holders").fetchone()
    assert after[0] == before[0]
    ledger.close()


async def test_an_answers_figure_counts_the_request_it_came_with_once(tmp_path: Path) -> None:
    """The figure is written before the end of its request; taken in that order, one request would count twice."""
    clock, path = FakeClock(), tmp_path / "quota.sqlite"
    gate, ledger = governor(path, clock)
    await spend(gate, 9)
    told = RateSignal(windows=(WindowSignal(seconds=86_400, remaining=4990, resets_in=86_000),))
    await spend(gate, 1, told)
    ledger.close()
    minute, day = seen(path, clock).windows
    assert (minute.used, day.used, day.left) == (10, 10, 4990)
    assert day.resets_in == pytest.approx(86_000, abs=2)


async def test_what_others_have_used_is_not_shown_as_left(tmp_path: Path) -> None:
    """FAULTS Q07."""
    clock, path = FakeClock(), tmp_path / "quota.sqlite"
    gate, ledger = governor(path, clock)
    await spend(gate, 1, RateSignal(windows=(WindowSignal(seconds=86_400, remaining=100, resets_in=3600),)))
    ledger.close()
    assert seen(path, clock).windows[1].left == 100


async def test_a_pause_is_shown_with_its_reason_until_it_ends(tmp_path: Path) -> None:
    clock, path = FakeClock(), tmp_path / "quota.sqlite"
    gate, ledger = governor(path, clock)
    await spend(gate, 1)
    gate.pause(90, "429 Retry-After 90")
    ledger.close()
    clock.advance(30)
    shown = seen(path, clock)
    assert shown.paused == pytest.approx(60, abs=0.1)
    assert shown.reason == "429 Retry-After 90"
    clock.advance(61)
    assert seen(path, clock).paused == 0


async def test_credentials_do_not_mix(tmp_path: Path) -> None:
    clock, path = FakeClock(), tmp_path / "quota.sqlite"
    gate, ledger = governor(path, clock)
    await spend(gate, 5)
    ledger.close()
    assert seen(path, clock, "another").windows[0].used == 0


def test_without_a_ledger_nothing_is_spent_and_none_is_made(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "quota.sqlite", "k", 0.0) == Journal()
    assert list(tmp_path.iterdir()) == []


async def test_a_damaged_ledger_is_passed_over_as_the_harvest_does(tmp_path: Path) -> None:
    clock, path = FakeClock(), tmp_path / "quota.sqlite"
    path.write_bytes(b"no database" * 100)
    gate, ledger = governor(path, clock)
    clock.advance(86_401)
    await spend(gate, 3)
    ledger.close()
    assert seen(path, clock).windows[0].used == 3


async def test_entries_from_the_future_are_of_now(tmp_path: Path) -> None:
    """FAULTS C02: the clock was set back since."""
    clock, path = FakeClock(), tmp_path / "quota.sqlite"
    gate, ledger = governor(path, clock)
    await spend(gate, 3)
    ledger.close()
    clock.jump(-7200)
    minute = seen(path, clock).windows[0]
    assert minute.used == 3
    assert minute.frees_in == pytest.approx(60, abs=0.1)


def test_a_directory_in_the_place_of_the_ledger_is_told(tmp_path: Path) -> None:
    (tmp_path / "quota.sqlite").mkdir()
    with pytest.raises(StorageError, match="cannot be used"):
        read_journal(tmp_path / "quota.sqlite", "k", 0.0)
