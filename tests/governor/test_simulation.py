"""The governor against servers with hidden windows: no refusal, and nearly all that could be had.

Hours of virtual time with latency of 0.8 s, a clock skewed by up to 20 s, answers out of order and whole-second
figures. The measure is what a client without latency, knowing every window, would have got from the same server.
"""

from __future__ import annotations

import pytest

from tests.fakes.quota_servers import Fixed, Kind, Quota, Sliding
from tests.governor.hidden_quota import megabytes, simulate, steady, uneven

MINUTE: Quota = ((20, 60.0),)
HOUR: Quota = ((250, 3600.0),)
NESTED: Quota = ((20, 60.0), (250, 3600.0))
DAY: Quota = ((20, 60.0), (250, 3600.0), (480, 86_400.0))


SEEDS = range(3)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("count_refused", [False, True], ids=["free", "counted"])
@pytest.mark.parametrize("kind", [Fixed, Sliding])
@pytest.mark.parametrize(
    ("quota", "hours"), [(MINUTE, 1 / 6), (HOUR, 3), (NESTED, 3), (DAY, 6)], ids=["minute", "hour", "nested", "day"]
)
def test_with_headers_all_of_the_quota_and_no_refusal(
    quota: Quota, hours: float, kind: Kind, count_refused: bool, seed: int
) -> None:
    """FAULTS Q01, Q02, Q06."""
    outcome = simulate(kind, quota, hours, seed, count_refused=count_refused)
    assert outcome.refused == 0
    assert outcome.used >= 0.99


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("kind", "least"), [(Fixed, 0.90), (Sliding, 0.98)])
def test_without_headers_no_refusal_either(kind: Kind, least: float, seed: int) -> None:
    """FAULTS Q01, Q03: the phase of a fixed window stays unknown, and costs a part of the first and last window."""
    outcome = simulate(kind, MINUTE, 1.0, seed, headers=False)
    assert outcome.refused == 0
    assert outcome.used >= least


@pytest.mark.parametrize("kind", [Fixed, Sliding])
def test_requests_without_answers_are_counted_as_spent(kind: Kind) -> None:
    """FAULTS N02, Q10: one in ten gets no answer, and the server has counted it or has not."""
    outcome = simulate(kind, MINUTE, 1.0, 5, lost=0.1)
    assert outcome.refused == 0
    assert outcome.used >= 0.97


@pytest.mark.parametrize("kind", [Fixed, Sliding])
def test_windows_only_the_server_knows_are_kept_to_from_its_figures(kind: Kind) -> None:
    """FAULTS Q06: an unknown provider that tells Remaining and Reset."""
    outcome = simulate(kind, MINUTE, 1.0, 6, known=())
    assert outcome.refused == 0
    assert outcome.used >= 0.94


@pytest.mark.parametrize("kind", [Fixed, Sliding])
def test_a_limit_named_in_a_refusal_is_learned_from_one_incident(kind: Kind) -> None:
    """Centris section 6: headers tell the day, the 429 the minute. Two at most are refused, and then none."""
    outcome = simulate(kind, MINUTE, 1.0, 7, known=(), headers=False, names_window=True)
    assert 0 < outcome.refused <= 2
    assert outcome.used >= 0.96


@pytest.mark.parametrize("count_refused", [False, True], ids=["free", "counted"])
@pytest.mark.parametrize("kind", [Fixed, Sliding])
def test_a_credential_used_by_others_is_shared_and_not_fought_over(kind: Kind, count_refused: bool) -> None:
    """FAULTS Q07: the hour's figures tell of the others, so what they took is left to them."""
    outcome = simulate(kind, HOUR, 3, 8, others_every=50.0, count_refused=count_refused)
    assert outcome.refused <= 0.05 * outcome.server.accepted
    assert outcome.used >= 0.8


@pytest.mark.parametrize("kind", [Fixed, Sliding])
def test_nothing_is_sent_inside_any_pause(kind: Kind) -> None:
    """FAULTS Q12, invariant 6: a server that tells nothing but Retry-After; what was under way may still arrive."""
    outcome = simulate(kind, MINUTE, 0.5, 9, known=(), headers=False)
    assert outcome.pauses
    for told, until in outcome.pauses:
        in_flight = 5.0  # seconds after which no request admitted earlier is still on its way
        assert not [at for at in outcome.server.arrivals if told + in_flight < at < until]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", [Fixed, Sliding])
def test_a_limit_that_nobody_names_is_inferred_from_the_wait_and_not_overrun_again(kind: Kind, seed: int) -> None:
    """FAULTS Q06: nothing but 429 and Retry-After. A fixed window that began before us needs a second lesson."""
    outcome = simulate(kind, MINUTE, 1.0, seed, known=(), headers=False, latency=steady)
    assert 0 < outcome.refused <= 3
    assert outcome.used >= 0.95
    lesson = outcome.lessons[-1]
    assert (lesson.seconds, lesson.limit) == (60.0, 20)
    assert lesson.evidence


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", [Fixed, Sliding])
def test_each_of_two_unknown_windows_costs_three_refusals_at_most(kind: Kind, seed: int) -> None:
    """FAULTS Q02, Q06: the second one is met as carefully as the first."""
    outcome = simulate(kind, NESTED, 2.0, seed, known=(), headers=False, names_window=True)
    assert 0 < outcome.refused <= 6
    assert {(lesson.seconds, lesson.limit) for lesson in outcome.lessons} == {(60.0, 20), (3600.0, 250)}


def test_what_was_learned_in_one_run_saves_the_next_from_any_refusal() -> None:
    """FAULTS Q09."""
    first = simulate(Sliding, MINUTE, 0.5, 3, known=(), headers=False)
    again = simulate(Sliding, MINUTE, 0.5, 3, known=(), headers=False, learned=first.lessons[-1:])
    assert first.refused > 0
    assert again.refused == 0
    assert again.used >= 0.95


@pytest.mark.parametrize("kind", [Fixed, Sliding])
def test_uneven_answers_never_cost_a_refusal(kind: Kind) -> None:
    """FAULTS Q01, Q02: when a request is counted is known to half a second only, in a window of one."""
    outcome = simulate(kind, ((10, 1.0),), 0.1, 1, headers=False, latency=uneven, lanes=32)
    assert outcome.refused == 0
    assert outcome.used >= 0.78


@pytest.mark.parametrize("kind", [Fixed, Sliding])
def test_a_window_of_bytes_is_never_overrun_by_a_large_page(kind: Kind) -> None:
    """FAULTS Q04: pages of 0.5 to 1.5 MB; the last ones of a window must fit however large they turn out."""
    quota, volume = ((1_000, 60.0),), ((60_000_000, 60.0),)
    outcome = simulate(kind, quota, 4.0, 1, headers=False, latency=uneven, volume=volume, size=megabytes)
    assert outcome.refused == 0
    assert outcome.used >= 0.95
