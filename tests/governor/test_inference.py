"""A limit inferred from when requests were accepted and for how long the refusal asks to wait."""

from __future__ import annotations

import pytest

from harvester.governor.inference import Guess, infer, roundest


def sent(*times: float) -> list[tuple[float, float]]:
    """Requests admitted at *times*, each answered half a second later."""
    return [(at, at + 0.5) for at in times]


def test_a_sliding_window_holds_what_came_since_a_period_before_the_end_of_the_wait() -> None:
    accepted = sent(*(number * 0.25 for number in range(20)))
    assert infer(accepted, sent=5.0, now=5.5, wait=55.0) == Guess(60.0, 20)


def test_what_came_before_a_fixed_window_began_does_not_count_in_it() -> None:
    """The wait ends at 90, so the window began at 30."""
    accepted = sent(*(number * 1.0 for number in range(10)), *(40.0 + number for number in range(20)))
    assert infer(accepted, sent=60.0, now=60.5, wait=30.0) == Guess(60.0, 20)


def test_requests_still_open_may_have_been_accepted() -> None:
    accepted = sent(*(number * 0.25 for number in range(18)))
    guess = infer(accepted, sent=5.0, now=5.5, wait=55.0, beside=2)
    assert guess == Guess(60.0, 20)


@pytest.mark.parametrize("wait", [0.2, 1.0, 7.0, 41.0, 600.0, 1_800.0, 50_000.0])
def test_the_period_is_the_shortest_usual_one_that_the_wait_fits_in(wait: float) -> None:
    guess = infer(sent(0.0, 0.1, 0.2), sent=0.3, now=0.4, wait=wait)
    assert guess is None or guess.seconds >= wait


def test_a_refusal_out_of_nothing_teaches_nothing() -> None:
    """FAULTS Q07: somebody else has used up the window."""
    assert infer([], sent=5.0, now=5.5, wait=55.0) is None
    assert infer(sent(1.0), sent=5.0, now=5.5, wait=55.0) is None
    assert infer(sent(1.0, 2.0), sent=5.0, now=5.5, wait=400_000.0) is None


@pytest.mark.parametrize(
    ("least", "most", "expected"), [(12, 20, 20), (18, 23, 20), (240, 263, 250), (7, 7, 7), (950, 1040, 1000)]
)
def test_limits_are_round_numbers(least: int, most: int, expected: int) -> None:
    assert roundest(least, most) == expected
