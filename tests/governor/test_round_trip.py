"""The shortest round trip: nothing until many answers came, and nothing after it was refuted."""

from __future__ import annotations

import pytest

from harvester.governor.round_trip import RoundTrip


def test_nothing_is_certain_before_many_answers_came() -> None:
    trip = RoundTrip()
    for _ in range(31):
        trip.answered(0.5)
    assert trip.least == 0.0
    trip.answered(0.4)
    assert trip.least == pytest.approx(0.388)


def test_the_shortest_of_all_counts_not_the_usual_one() -> None:
    trip = RoundTrip()
    for number in range(100):
        trip.answered(0.2 + number % 7)
    assert trip.least < 0.2


def test_a_refusal_that_our_windows_did_not_expect_refutes_it() -> None:
    trip = RoundTrip()
    for _ in range(100):
        trip.answered(0.5)
    trip.refuted()
    assert trip.least == 0.0
