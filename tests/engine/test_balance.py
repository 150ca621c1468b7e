"""Which walk is cut, and where: so that nobody is idle, and nothing is cut that is under way."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from harvester.engine.balance import LEAST_PAGES, UNDER_WAY, UNKNOWN_AFTER, Stand, choose, shares


def stand(walk: str, left: float | None, *, pages: int = 9, full: bool = True) -> Stand:
    return Stand(walk=walk, left=left, pages=pages, full=full)


def test_the_longest_walk_is_cut_when_a_lane_is_idle() -> None:
    stands = [stand("w00", 10.0), stand("w00-1", 30.0)]
    chosen = choose(stands, 3)
    assert chosen is not None
    assert chosen.walk == "w00-1"
    assert choose(stands, 2) is None


def test_what_is_read_sooner_than_shared_is_left_alone() -> None:
    assert choose([stand("w00", LEAST_PAGES - 0.1)], 8) is None


def test_a_walk_that_is_no_longer_than_everybody_s_share_is_left_alone() -> None:
    assert choose([stand(f"w{n:02d}", 5.0) for n in range(3)], 3) is None


def test_a_walk_nobody_can_measure_is_cut_once_it_has_proved_to_be_long() -> None:
    assert choose([stand("w00", None, pages=UNKNOWN_AFTER - 1)], 4) is None
    assert choose([stand("w00", None, pages=UNKNOWN_AFTER, full=False)], 4) is None
    assert choose([stand("w00", None, pages=UNKNOWN_AFTER)], 4) is not None


@given(left=st.floats(LEAST_PAGES, 10_000), idle=st.integers(1, 64))
def test_shares_ascend_behind_what_is_under_way_and_are_equal(left: float, idle: int) -> None:
    found = shares(left, idle)
    assert 1 <= len(found) <= idle
    pages = [left * share for share in (*found, 1.0)]
    sizes = [later - earlier for earlier, later in pairwise(pages)]
    assert pages[0] >= UNDER_WAY
    assert max(sizes) - min(sizes) < 1e-6 * left
    assert min(sizes) >= 1 - 1e-9
    assert abs(pages[0] - UNDER_WAY - sizes[0]) < 1e-6 * left


def test_an_unknown_rest_is_cut_in_two() -> None:
    assert shares(None, 7) == (0.5,)
