"""Lessons about windows: kept with their evidence, one a window, for one credential."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from harvester.governor.learned import Learned, forget, keep_learned, read_learned
from harvester.governor.ledger import SqliteLedger
from harvester.model import WindowSignal
from tests.fakes.clock import FakeClock

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = Learned(seconds=60.0, limit=20, evidence="429, 20 per 1m, wait 41 s", at=AT)


def test_a_lesson_is_found_again_with_its_evidence(tmp_path: Path) -> None:
    """FAULTS Q06."""
    path = tmp_path / "quota.sqlite"
    hour = Learned(seconds=3600.0, limit=250, kind="fixed", phase=1_800.0, phase_within=0.5, evidence="reset", at=AT)
    assert keep_learned(path, "key", hour)
    assert keep_learned(path, "key", MINUTE)
    assert read_learned(path, "key") == (MINUTE, hour)
    assert read_learned(path, "other") == ()


def test_a_later_lesson_about_the_same_window_takes_the_place_of_the_earlier(tmp_path: Path) -> None:
    path = tmp_path / "quota.sqlite"
    for limit in (20, 15):
        keep_learned(path, "key", Learned(seconds=60.0, limit=limit, evidence="429", at=AT))
    (lesson,) = read_learned(path, "key")
    assert lesson.limit == 15


def test_nothing_is_known_where_there_is_no_file_and_none_is_made(tmp_path: Path) -> None:
    path = tmp_path / "quota.sqlite"
    assert read_learned(path, "key") == ()
    assert forget(path, "key") == 0
    assert not list(tmp_path.iterdir())


def test_lessons_are_taken_from_the_file_that_replaced_a_damaged_one(tmp_path: Path) -> None:
    """FAULTS F07."""
    path = tmp_path / "quota.sqlite"
    path.write_bytes(b"not a database, and never was " * 100)
    assert read_learned(path, "key") == ()
    assert keep_learned(path, "key", MINUTE)
    assert read_learned(path, "key") == (MINUTE,)


def test_a_lesson_that_cannot_be_kept_is_no_error(tmp_path: Path) -> None:
    """FAULTS F09: what cannot be written is learned again."""
    assert not keep_learned(tmp_path / "absent" / "quota.sqlite", "key", MINUTE)


async def test_forgetting_drops_what_was_learned_and_keeps_what_was_spent(tmp_path: Path) -> None:
    path, clock = tmp_path / "quota.sqlite", FakeClock()
    with closing(SqliteLedger(path, "key", clock)) as ledger:
        number = await ledger.take(60.0, lambda news: None, lambda: True)
        assert number is not None
        ledger.hear(WindowSignal(seconds=60.0, limit=20))
        ledger.hear(WindowSignal(seconds=86_400.0, limit=1_000, remaining=3, resets_in=500.0))
        ledger.end(number, 100, heard=True)
    keep_learned(path, "key", MINUTE)
    keep_learned(path, "other", MINUTE)
    assert forget(path, "key") == 1
    assert read_learned(path, "key") == ()
    assert read_learned(path, "other") == (MINUTE,)
    news: list[str] = []
    with closing(SqliteLedger(path, "key", clock)) as ledger:
        await ledger.take(60.0, lambda items: news.extend(map(repr, items)), lambda: False)
    assert len(news) == 2  # what was sent, and what is left of the day
    assert any("remaining=3" in item and "limit=None" in item for item in news)
