"""The closing delta starts before the first request, never after it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.model import Phase, Resource, Walk
from harvester.planning.closing import closing_walk, read_instant, since_text, write_instant
from harvester.providers import load


def test_the_delta_starts_the_overlap_before_the_anchor() -> None:
    assert since_text("2024-05-01T10:00:00Z", 300, "iso") == "2024-05-01T09:55:00Z"


def test_a_zoneless_instant_stays_in_its_own_clock() -> None:
    """IMS timestamps have no zone; converting one would move the window by hours (IMS contract, section 8)."""
    assert since_text("2024-01-20T15:30:00", 300, "zoneless") == "2024-01-20T15:25:00"


def test_a_seven_digit_fraction_is_cut_and_never_rounded_up() -> None:
    """FAULTS T03: rounding .9999999 up would skip a row of the same second."""
    assert since_text("2024-05-01T10:00:00.9999999Z", 0, "iso") == "2024-05-01T10:00:00Z"


@pytest.mark.parametrize("anchor", [None, "", "yesterday", "2024-13-01T00:00:00Z", "0001-01-01T00:00:00Z"])
def test_without_a_usable_anchor_the_delta_asks_for_everything(anchor: str | None) -> None:
    """FAULTS T04: an unreadable instant must widen the delta, not lose it."""
    assert since_text(anchor, 300, "iso") == "0001-01-01T00:00:00Z"


def test_offsets_are_brought_to_utc() -> None:
    """FAULTS T04: one UTC order for Z, +00:00 and -05:00."""
    assert read_instant("2024-05-01T05:00:00-05:00") == datetime(2024, 5, 1, 10, tzinfo=UTC)
    assert read_instant("2024-05-01T10:00:00+00:00") == read_instant("2024-05-01t10:00:00z")


def test_a_leap_second_and_midnight_as_24_are_read() -> None:
    """FAULTS T04."""
    assert read_instant("2016-12-31T23:59:60Z") == datetime(2017, 1, 1, tzinfo=UTC)
    assert read_instant("2024-05-01T24:00:00Z") == datetime(2024, 5, 2, tzinfo=UTC)


@given(
    st.datetimes(min_value=datetime(1000, 1, 2), max_value=datetime(9998, 1, 1)),
    st.floats(min_value=0, max_value=86400),
    st.sampled_from(["iso", "zoneless", "spaced"]),
)
def test_the_start_is_never_later_than_the_anchor_minus_the_overlap(
    moment: datetime, overlap: float, style: str
) -> None:
    anchor = moment.replace(tzinfo=UTC)
    text = since_text(write_instant(anchor, "iso"), overlap, style)
    start = read_instant(text)
    assert start is not None
    assert (anchor - start).total_seconds() >= int(overlap)


def leads(until: str) -> Walk:
    return Walk(id="w00", resource=Resource(name="leads/lead", key=("id",)), pager="windows", until=until)


def test_windows_that_began_behind_the_server_s_clock_are_followed_by_the_newest() -> None:
    """FAULTS T06, C01: looked back from a clock that is slow, the newest leads are never asked for."""
    closing = closing_walk(
        load("idx_broker"), leads("2026-03-01 12:00:00"), "2026-03-01T14:00:00Z", "2026-03-01T14:00:30Z"
    )
    assert closing is not None
    assert (closing.phase, closing.until, closing.horizon) == (Phase.CLOSING, "2026-03-01 14:00:30", 7231.0)


def test_windows_need_no_closing_where_both_clocks_agree() -> None:
    agreeing = closing_walk(
        load("idx_broker"), leads("2026-03-01 12:00:00"), "2026-03-01T12:00:20Z", "2026-03-01T13:00:00Z"
    )
    assert agreeing is None
