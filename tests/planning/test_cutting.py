"""Where walks are cut: between where they are and where they end, by what was learned if anything was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harvester.model import Budget, Walk, Window
from harvester.planning.closing import read_instant, write_instant
from harvester.planning.cutting import place, places, rows_left
from harvester.planning.halfway import between_texts, between_times
from harvester.planning.lanes import useful_lanes
from harvester.providers.centris import PROVIDER as CENTRIS
from harvester.providers.ims import PROVIDER as IMS
from harvester.store.splits import Splits

WINDOWS = Walk(id="w00", resource=CENTRIS.resources[0], pager="windows")
RANGES = Walk(id="w00", resource=IMS.resources[1], pager="ranges", value="A")
HOURS = tuple(f"2026-01-01T{hour:02d}:00:00.1234567Z" for hour in range(24))
LEARNED = Splits(records=2_500, keys=tuple(f"K{number:04d}" for number in range(0, 960, 40)), times=HOURS)


def test_a_whole_is_cut_at_quantiles_of_the_last_run_to_the_second() -> None:
    found = places(CENTRIS, WINDOWS, LEARNED, 4, None)
    assert found == ("2026-01-01T06:00:00Z", "2026-01-01T12:00:00Z", "2026-01-01T18:00:00Z")
    assert places(IMS, RANGES, LEARNED, 3, None) == ("K0320", "K0640")


def test_no_window_begins_behind_the_anchor() -> None:
    """FAULTS T05: a row from the future made a quantile of its own."""
    assert places(CENTRIS, WINDOWS, LEARNED, 99, "2026-01-01T03:00:00Z")[-1] == "2026-01-01T02:00:00Z"


def test_nothing_learned_gives_no_places() -> None:
    assert places(CENTRIS, WINDOWS, Splits(records=0), 4, None) == ()


def test_the_rest_is_cut_at_what_was_learned_of_it() -> None:
    at = place(CENTRIS, WINDOWS, "2026-01-01T18:30:00Z", None, 0.5, LEARNED)
    assert at == "2026-01-01T21:00:00Z"
    assert rows_left(CENTRIS, WINDOWS, "2026-01-01T18:30:00Z", None, LEARNED) == 2_500 * 5.5 / 25


def test_without_learning_time_is_cut_between_the_position_and_the_end() -> None:
    assert place(CENTRIS, WINDOWS, "2026-01-01T00:00:00.9Z", "2026-01-01T10:00:00Z", 0.5, None) == (
        "2026-01-01T05:00:00Z"
    )
    assert place(CENTRIS, WINDOWS, "2026-01-01T00:00:00Z", None, 0.5, None) is None


@given(low=st.integers(0, 10**9), seconds=st.integers(0, 10**8), share=st.floats(0.01, 0.99))
def test_a_time_lies_behind_the_first_and_before_the_second(low: int, seconds: int, share: float) -> None:
    base = read_instant("2001-01-01T00:00:00Z")
    assert base is not None
    first, last = (write_instant(base.fromtimestamp(low + more, base.tzinfo), "iso") for more in (0, seconds))
    middle = between_times(first, last, share, "iso")
    assert middle is None or first < middle < last
    assert middle is not None or seconds * share < 1


KEYS = st.text("0123456789ABCXYZabcxyz-_'ß", max_size=12)


@given(low=KEYS, high=KEYS, share=st.floats(0.01, 0.99))
def test_a_text_lies_between_as_letters_sort_here(low: str, high: str, share: float) -> None:
    middle = between_texts(low, high, share)
    assert middle is None or low < middle < high


def test_keys_of_many_digits_keep_them() -> None:
    """Spark contract, section 9: 26 digits, beyond any float."""
    assert between_texts("20260101000000000000000000", "20260101000000000000000100", 0.5) == (
        "20260101000000000000000050"
    )


def test_numbers_of_different_lengths_are_not_guessed_at() -> None:
    assert between_texts("9", "10", 0.5) is None


def test_a_quota_that_one_walk_keeps_busy_gives_one_lane() -> None:
    slow = Budget(windows=(Window(requests=20, seconds=60),), in_flight=8)
    assert useful_lanes(slow, 100) == 1
    assert useful_lanes(slow, 20) == 8  # it all fits into one window
    assert useful_lanes(Budget(windows=(Window(requests=3, seconds=1),), in_flight=8), 100) == 3
    assert useful_lanes(Budget(in_flight=16), 100) == 16
