"""Where only data tell the time, rows that are dated wrongly move no watermark."""

from __future__ import annotations

from datetime import UTC, datetime

from harvester.engine.latest import Latest

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def times(count: int) -> list[str]:
    return [f"2026-03-01T10:{minute:02d}:00" for minute in range(count)]


def test_the_oldest_of_the_latest_twenty_five_is_relied_on() -> None:
    latest = Latest()
    few = Latest()
    few.take(times(24), None)
    assert few.watermark is None
    latest.take(times(24), None)
    latest.take([None, "2026-03-01T11:00:00"], None)
    assert latest.watermark == "2026-03-01T10:00:00"
    latest.take(["2026-03-01T11:00:00"], None)
    assert latest.watermark == "2026-03-01T10:01:00"


def test_of_a_look_at_the_latest_rows_half_may_be_dated_wrongly() -> None:
    """FAULTS T05."""
    for count, anchor in ((1, None), (2, times(1)[-1]), (3, times(2)[-1]), (10, times(5)[-1]), (50, times(26)[-1])):
        latest = Latest()
        latest.take(times(count), None)
        assert latest.anchor == anchor


def test_rows_dated_in_the_future_are_among_them_where_there_is_no_clock() -> None:
    """FAULTS T05."""
    latest = Latest()
    latest.take(["2036-01-01T00:00:00"] * 24, None)
    latest.take(["2026-03-01T10:00:00"], None)
    assert latest.watermark == "2026-03-01T10:00:00"


def test_rows_more_than_a_day_ahead_of_the_server_are_passed_over() -> None:
    """FAULTS T05: no zone is further ahead; a row of today's evening may be one of another zone."""
    latest = Latest()
    latest.take(["2036-01-01T00:00:00"] * 99, NOW)
    assert latest.anchor is None
    latest.take(["2026-03-02T02:00:00", "2026-03-02T03:00:00"], NOW)
    assert latest.anchor == "2026-03-02T02:00:00"
