"""Where short fixed windows begin: believed only when no other kind of window could have told the same counts."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from harvester.governor.edges import Edges
from harvester.governor.learned import Learned
from tests.fakes.quota_servers import Bucket, Estimated, Fixed, FromFirst, Kind, Quota, Sliding
from tests.governor.hidden_quota import Latency, lognormal, simulate, steady, uneven

SECOND: Quota = ((10, 1.0),)
PAIR: Quota = ((2, 1.0),)

LIMIT = 10


def told(edges: Edges, *requests: tuple[float, float, int | None]) -> None:
    """Requests as (sent, answered, count)."""
    for sent, ended, count in requests:
        edges.ended(sent, ended, count, LIMIT, 0)


def burst(sent: float, counts: range) -> list[tuple[float, float, int | None]]:
    return [(sent, sent + 0.1, count) for count in counts]


def trusted() -> Edges:
    """Windows of ten begin at whole seconds: 10.0, 11.0 …, known to 0.2 s."""
    edges = Edges(1.0)
    told(edges, *burst(9.8, range(1, 10)), (9.95, 10.1, 1), *burst(10.3, range(2, 11)))
    for window in (11, 12, 13):
        told(edges, *burst(window + 0.2, range(1, 11)))
    assert edges.trusted
    return edges


def test_two_firsts_within_a_period_and_a_fall_too_steep_for_a_bucket_prove_a_fixed_window() -> None:
    edges = Edges(1.0)
    told(edges, *burst(0.2, range(1, 10)))
    before = edges.known
    told(edges, (0.4, 0.5, 1))
    assert (before, edges.known, edges.trusted) == (False, True, False)


def test_a_bucket_may_have_filled_again_meanwhile() -> None:
    """Nine of ten refill in 0.9 s."""
    edges = Edges(1.0)
    told(edges, *burst(0.0, range(1, 10)), (0.85, 0.95, 1))
    assert not edges.known


def test_two_firsts_a_period_apart_prove_nothing() -> None:
    """So does a window that begins with its first request."""
    edges = Edges(1.0)
    for start in range(0, 40, 2):
        told(edges, *burst(float(start), range(1, 10)), (start + 1.0, start + 1.1, 1))
    assert not edges.known


def test_what_was_under_way_across_an_edge_counts_on_both_sides() -> None:
    edges = trusted()
    told(edges, *burst(14.2, range(1, 10)), (14.7, 15.3, None))
    assert edges.used(15.4) == 1
    assert edges.wait(15.4, 0, 1) > 0
    assert edges.wait(15.4, 0, 2) == 0.0


def test_its_count_tells_on_which_side_it_was() -> None:
    edges = trusted()
    told(edges, *burst(14.2, range(1, 10)), (14.7, 15.3, 10))
    assert edges.used(15.4) == 0


def test_the_end_of_its_window_on_the_servers_clock_tells_it_too() -> None:
    """Once enough of them have told it alike."""
    edges = trusted()
    for window in range(14, 23):
        edges.ended(window + 0.4, window + 0.5, 1, LIMIT, 0, 1_000.0 + window)
    edges.ended(23.4, 24.4, 1, LIMIT, 0, 1_024.0)
    assert edges.used(24.5) == 1
    edges.ended(24.6, 25.3, 2, LIMIT, 0, 1_024.0)
    assert edges.used(25.4) == 0


def test_ends_that_are_told_unlike_tell_nothing() -> None:
    """A Reset in whole seconds from now."""
    edges = trusted()
    for window in range(14, 24):
        edges.ended(window + 0.4, window + 0.5, 1, LIMIT, 0, 1_000.0 + window + window % 2)
    edges.ended(24.6, 25.3, 1, LIMIT, 0, 1_024.0)
    assert edges.used(25.4) == 1
    assert edges.trusted


def test_a_window_is_used_as_soon_as_it_has_certainly_begun_and_no_further_than_its_limit() -> None:
    edges = trusted()
    told(edges, *burst(14.2, range(1, 11)))
    wait = edges.wait(14.5, 0, LIMIT)
    low, high = edges.began(14.5)
    assert low <= 14.0 <= high < 14.3
    assert 14.5 + wait == pytest.approx(high + 1.0, abs=0.001)
    assert edges.wait(15.2, LIMIT - 1, LIMIT) <= 1.0
    assert edges.wait(15.2, LIMIT, LIMIT) > 0.5  # all of the window is under way


def test_no_rounding_at_an_edge_opens_a_full_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where bounds stand still, a window ends and begins at one instant, computed in two ways."""
    monkeypatch.setattr("harvester.governor.bounds._DRIFT", 0.0)
    assert simulate(Fixed, SECOND, 0.15, 3, latency=uneven, lanes=32).refused == 0


def test_a_count_that_does_not_fit_ends_all_belief() -> None:
    """Somebody else uses the credential, or it is no such window."""
    edges = trusted()
    told(edges, (14.2, 14.3, 1), (14.3, 14.4, 7))
    assert not edges.known
    assert edges.wait(20.0, 0, LIMIT) == math.inf


def test_a_refusal_ends_all_belief() -> None:
    edges = trusted()
    edges.refuted()
    told(edges, *burst(19.8, range(1, 10)), (19.95, 20.1, 1))
    assert not edges.known


def test_bounds_move_apart_as_clocks_drift() -> None:
    edges = trusted()
    low, high = edges.began(14.5)
    later_low, later_high = edges.began(3_614.5)
    assert later_high - later_low > high - low + 0.5


def test_after_a_long_silence_the_edge_is_looked_for_again() -> None:
    edges = trusted()
    told(edges, *burst(50_000.7, range(1, 10)))
    before = edges.known
    told(edges, (50_000.95, 50_001.1, 1), *burst(50_001.3, range(2, 11)), (50_002.3, 50_002.4, 1))
    assert (before, edges.trusted) == (False, True)


@pytest.mark.parametrize("latency", [steady, uneven])
@pytest.mark.parametrize("quota", [SECOND, PAIR], ids=["ten", "two"])
def test_short_windows_are_used_whole_once_their_edges_are_found(quota: Quota, latency: Latency) -> None:
    """FAULTS Q01; the log alone would get 88 and 80 of a hundred."""
    outcome = simulate(Fixed, quota, 0.3, 3, latency=latency, lanes=32)
    assert outcome.refused == 0
    assert outcome.used >= 0.98
    assert {(lesson.kind, lesson.seconds) for lesson in outcome.lessons} == {("fixed", 1.0)}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("latency", [steady, uneven, lognormal])
@pytest.mark.parametrize("kind", [Sliding, FromFirst, Bucket, Estimated])
def test_no_other_kind_of_window_is_taken_for_a_fixed_one(kind: Kind, latency: Latency, seed: int) -> None:
    """FAULTS Q02, Q03. Estimated windows refuse even what is a period old; that is another matter."""
    outcome = simulate(kind, SECOND, 0.03, seed, latency=latency, lanes=32)
    assert not outcome.lessons
    assert outcome.refused == 0 or kind is Estimated


FIXED = Learned(seconds=1.0, limit=None, kind="fixed", evidence="an earlier run", at=datetime(2026, 3, 1, tzinfo=UTC))


def test_a_kind_that_an_earlier_run_has_proven_need_not_be_proven_again() -> None:
    """Answers that take as long as the window itself prove nothing against a bucket; the log alone gets 56 of 100."""
    outcome = simulate(Fixed, SECOND, 0.3, 0, latency=lognormal, lanes=32, learned=(FIXED,))
    assert outcome.refused == 0
    assert outcome.used >= 0.85


@pytest.mark.parametrize("latency", [steady, uneven, lognormal])
@pytest.mark.parametrize("kind", [Sliding, FromFirst, Bucket])
def test_a_lesson_that_is_wrong_costs_no_refusal(kind: Kind, latency: Latency) -> None:
    """The server counts in another way since then."""
    outcome = simulate(kind, SECOND, 0.1, 0, latency=latency, lanes=32, learned=(FIXED,))
    assert outcome.refused == 0
