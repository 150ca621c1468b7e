"""How many may be open at once."""

from __future__ import annotations

from harvester.governor.concurrency import Concurrency


def answers(concurrency: Concurrency, count: int, latency: float, size: int = 1000) -> None:
    for _ in range(count):
        concurrency.answered(latency, size, concurrency.limit)


def test_it_begins_at_the_cap_the_terms_allow() -> None:
    assert Concurrency(8).limit == 8


def test_a_refusal_leaves_one_probe_then_doubles_to_half_then_creeps() -> None:
    """FAULTS Q05."""
    concurrency = Concurrency(8)
    concurrency.refused()
    ramp = [concurrency.limit]
    for _ in range(3):
        answers(concurrency, 1, 0.1)
        ramp.append(concurrency.limit)
    assert ramp == [1, 2, 4, 4]
    answers(concurrency, 16, 0.1)
    assert concurrency.limit == 5


def test_it_settles_near_a_cap_the_server_enforces() -> None:
    """FAULTS Q05: a server that refuses the sixth open request."""
    concurrency = Concurrency(16)
    seen: list[int] = []
    for _ in range(400):
        if concurrency.limit > 5:
            concurrency.refused()
        else:
            answers(concurrency, 1, 0.1)
        seen.append(concurrency.limit)
    assert max(seen[100:]) <= 6
    assert sum(seen[100:]) / 300 >= 3


def test_a_request_without_an_answer_halves_it() -> None:
    concurrency = Concurrency(8)
    concurrency.timed_out()
    assert concurrency.limit == 4


def test_it_never_falls_below_one() -> None:
    concurrency = Concurrency(2)
    for _ in range(5):
        concurrency.timed_out()
    assert concurrency.limit == 1


def test_latency_without_gain_shrinks_it() -> None:
    """FAULTS Q11: a ramp from 50 ms to 10 s without errors."""
    concurrency = Concurrency(16)
    answers(concurrency, 64, 0.05)
    latency = 0.05
    while latency < 10.0:
        answers(concurrency, 16, latency)
        latency *= 1.25
    assert concurrency.limit <= 6


def test_longer_answers_that_bring_more_bytes_do_not_shrink_it() -> None:
    """Large pages after small ones take longer for a good reason."""
    concurrency = Concurrency(8)
    answers(concurrency, 64, 0.05, size=10_000)
    answers(concurrency, 200, 3.0, size=6_000_000)
    assert concurrency.limit == 8


def test_it_grows_back_when_the_server_recovers() -> None:
    concurrency = Concurrency(8)
    concurrency.timed_out()
    answers(concurrency, 100, 0.1)
    assert concurrency.limit == 8


def test_scattered_latency_is_no_trend() -> None:
    concurrency = Concurrency(8)
    for number in range(2_000):
        concurrency.answered(0.2 if number % 7 else 4.0, 1_000, 8)
    assert concurrency.limit == 8


def test_never_more_are_open_than_the_server_says_however_well_it_goes() -> None:
    """FAULTS Q05, Q06: a policy in concurrent requests."""
    concurrency = Concurrency(8)
    concurrency.allow(3)
    assert concurrency.limit == 3
    for _ in range(200):
        concurrency.answered(0.1, 1000, 3)
    assert concurrency.limit == 3
    concurrency.allow(20)
    assert concurrency.limit == 8
