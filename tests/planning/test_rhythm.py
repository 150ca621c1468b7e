"""When a part of a source is asked next: pure arithmetic over intervals, schedules and failures."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from harvester.model import PerValue, Resource
from harvester.planning.rhythm import (
    RARELY,
    SOON,
    Ended,
    Rhythm,
    next_in,
    next_sweep_try_in,
    next_try_in,
    parse_time,
    parties_of,
    spread,
)

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FIVE_MINUTES = Rhythm(every=300.0)


def whole(took: float) -> Ended:
    return Ended(took=took, whole=True)


def test_rounds_begin_an_interval_apart() -> None:
    assert next_in(FIVE_MINUTES, whole(20.0), 0) == 280.0


@pytest.mark.parametrize("took", [300.0, 301.0, 10_000.0])
def test_a_round_longer_than_the_interval_is_followed_at_once_and_by_one_only(took: float) -> None:
    assert next_in(FIVE_MINUTES, whole(took), 0) == 0.0


def test_what_failed_once_is_tried_again_soon() -> None:
    assert next_in(FIVE_MINUTES, Ended(took=5.0, whole=False, failed=True), 1) == SOON
    assert next_in(FIVE_MINUTES, Ended(took=5.0, whole=False), 1) == SOON
    assert next_in(Rhythm(every=7.0), Ended(took=5.0, whole=False), 1) == 7.0


def test_what_keeps_failing_is_tried_more_and_more_rarely_but_for_ever() -> None:
    waits = [next_in(FIVE_MINUTES, Ended(took=5.0, whole=False, failed=True), failures) for failures in range(1, 9)]
    assert waits == [30.0, 300.0, 600.0, 1_200.0, 2_400.0, RARELY, RARELY, RARELY]
    assert next_try_in(FIVE_MINUTES, 10_000) == RARELY
    assert next_try_in(Rhythm(every=86_400.0), 10_000) == 86_400.0


def test_an_incomplete_delta_is_tried_again_at_its_interval_however_often() -> None:
    """A record that can never be taken must not make all others of its resource old."""
    for failures in (2, 3, 50):
        assert next_in(FIVE_MINUTES, Ended(took=20.0, whole=False), failures) == 280.0


def test_what_reads_everything_and_is_incomplete_waits_twice_as_long_each_time() -> None:
    waits = [next_in(FIVE_MINUTES, Ended(took=600.0, whole=False, full=True), failures) for failures in (1, 2, 3, 4, 9)]
    assert waits == [600.0, 1_200.0, 2_400.0, RARELY, RARELY]
    assert next_in(FIVE_MINUTES, Ended(took=50_000.0, whole=False, full=True), 9) == 50_000.0


def test_a_round_does_not_begin_before_the_quota_is_free() -> None:
    assert next_in(FIVE_MINUTES, Ended(took=1.0, whole=False, failed=True, resumes_in=5_000.0), 1) == 5_000.0
    assert next_in(FIVE_MINUTES, Ended(took=1.0, whole=False, failed=True, resumes_in=-5.0), 1) == SOON


def test_sweeps_by_interval_count_from_the_last_listing() -> None:
    rhythm = Rhythm(every=300.0, sweep_every=86_400.0)
    assert rhythm.until_sweep(NOON, NOON) == 86_400.0
    assert rhythm.until_sweep(NOON - timedelta(hours=20), NOON) == 4 * 3600.0
    assert rhythm.sweep_due(NOON - timedelta(days=3), NOON)


@pytest.mark.parametrize(
    ("swept", "now", "seconds"),
    [
        (NOON, NOON, 15 * 3600.0),
        (NOON - timedelta(hours=9), NOON, 15 * 3600.0),  # at three o'clock sharp
        (NOON - timedelta(hours=9, seconds=1), NOON, 0.0),
        (NOON - timedelta(days=9), NOON, 0.0),
        (NOON, NOON.replace(day=2, hour=2, minute=59), 60.0),
        (NOON, NOON.replace(day=2, hour=3, minute=0), 0.0),
    ],
)
def test_sweeps_by_the_clock_are_due_once_that_time_has_come(swept: datetime, now: datetime, seconds: float) -> None:
    assert Rhythm(every=300.0, sweep_at=time(3, 0)).until_sweep(swept, now) == seconds


def test_a_clock_set_back_makes_no_sweep_due_and_one_set_forward_one() -> None:
    """FAULTS C01."""
    rhythm = Rhythm(every=300.0, sweep_at=time(3, 0))
    assert not rhythm.sweep_due(NOON, NOON - timedelta(days=2))
    assert rhythm.sweep_due(NOON, NOON + timedelta(days=2))


def test_without_a_schedule_there_are_no_sweeps() -> None:
    assert FIVE_MINUTES.until_sweep(NOON - timedelta(days=999), NOON) is None
    assert parse_time("never") is None
    assert parse_time("03:00") == time(3, 0)


def test_a_sweep_that_failed_lets_deltas_go_on_for_a_while() -> None:
    assert next_sweep_try_in(FIVE_MINUTES) == RARELY
    assert next_sweep_try_in(Rhythm(every=7_200.0)) == 12 * 7_200.0


def test_rounds_are_moved_by_a_little_only() -> None:
    assert spread(FIVE_MINUTES) == 10.0
    assert spread(Rhythm(every=2.0)) == pytest.approx(0.1)


def test_resources_that_need_each_other_are_one_party() -> None:
    def child(name: str, of: str) -> Resource:
        return Resource(name=name, per_value=PerValue(resource=of, member="id", stamp="id"))

    resources = [
        Resource(name="Office"),
        Resource(name="Database"),
        child("Property", "Database"),
        child("Room", "Property"),
        Resource(name="Other"),
        child("Media", "Database"),
        child("Orphan", "NotHere"),
    ]
    assert parties_of(resources) == (("Office",), ("Database", "Property", "Room", "Media"), ("Other",), ("Orphan",))
