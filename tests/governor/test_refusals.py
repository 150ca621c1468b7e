"""How long a refusal silences the credential."""

from __future__ import annotations

from datetime import UTC, datetime

from harvester.governor.refusals import Refusals

WALL = datetime(2026, 3, 1, 12, 40, 0, tzinfo=UTC)


def test_without_a_hint_silence_doubles_from_a_second_to_a_minute() -> None:
    """FAULTS S03."""
    refusals = Refusals()
    assert [refusals.refused(0.0, None) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_an_accepted_request_ends_the_row() -> None:
    refusals = Refusals()
    refusals.refused(0.0, None)
    refusals.refused(1.0, None)
    refusals.accepted()
    assert refusals.refused(2.0, None) == 1


def test_a_provider_may_begin_with_a_longer_silence() -> None:
    refusals = Refusals(30.0)
    assert [refusals.refused(0.0, None) for _ in range(3)] == [30, 60, 60]


def test_a_hint_is_kept_to_and_distrusted_only_when_it_was_not_enough() -> None:
    refusals = Refusals()
    assert refusals.refused(0.0, 41.0) == 41.0
    assert [refusals.refused(0.0, 0.0) for _ in range(3)] == [2, 4, 8]


def test_an_hourly_refusal_waits_for_the_oldest_request_or_the_next_clock_hour() -> None:
    """FAULTS S08; IDX Broker contract, section 3: whichever comes first."""
    assert Refusals().refused_by_the_hour(100.0, WALL, oldest=400.0, hour=3600.0) == 300.0
    assert Refusals().refused_by_the_hour(100.0, WALL, oldest=3000.0, hour=3600.0) == 20 * 60 + 60


def test_a_second_hourly_refusal_waits_the_hour_from_the_first() -> None:
    refusals = Refusals()
    refusals.refused_by_the_hour(100.0, WALL, oldest=400.0, hour=3600.0)
    assert refusals.refused_by_the_hour(401.0, WALL, oldest=410.0, hour=3600.0) == 3600.0 - 301.0


def test_refused_after_the_whole_hour_the_rule_begins_again() -> None:
    refusals = Refusals()
    for now in (0.0, 300.0):
        refusals.refused_by_the_hour(now, WALL, oldest=now + 10, hour=3600.0)
    assert refusals.refused_by_the_hour(3601.0, WALL, oldest=3651.0, hour=3600.0) == 50.0


def test_a_shortened_hour_has_no_clock_hour() -> None:
    """A sandbox may run hours of a few seconds; the wall clock says nothing about them."""
    assert Refusals().refused_by_the_hour(100.0, WALL, oldest=None, hour=36.0) == 36.0
    assert Refusals().refused_by_the_hour(100.0, WALL, oldest=None, hour=1800.0) == 1800.0
