"""How many requests may be open while nobody knows the limits: few, and more for every sign that it does no harm."""

from __future__ import annotations

from harvester.governor.gate import Gate
from harvester.governor.learning import Learning
from harvester.model import RateSignal
from tests.fakes.clock import FakeClock


def unknown(clock: FakeClock) -> Learning:
    return Learning(clock, declared=False, learned=(), teach=None)


def asked(learning: Learning, clock: FakeClock, answers: int, *, seconds: float) -> None:
    """So many *answers* in a row, spread over *seconds*."""
    for _ in range(answers):
        clock.advance(seconds / answers)
        learning.answered(clock.monotonic() - 0.1, clock.monotonic())


def test_each_minute_without_a_refusal_lets_one_more_be_open() -> None:
    """FAULTS Q06: a limit of an hour that is met after two minutes refuses no more than four requests."""
    clock = FakeClock()
    learning = unknown(clock)
    assert learning.most_open == 2
    asked(learning, clock, 100, seconds=59.0)
    assert learning.most_open == 2
    asked(learning, clock, 100, seconds=62.0)
    assert learning.most_open == 4
    learning.refused(RateSignal(refused=True), clock.monotonic(), clock.monotonic(), 4)
    assert learning.most_open == 1
    asked(learning, clock, 200, seconds=59.0)
    assert learning.most_open == 2


def test_where_answers_tell_a_limit_the_open_requests_double() -> None:
    """The next run knows that limit from the beginning and is not careful at all."""
    clock = FakeClock()
    learning = unknown(clock)
    asked(learning, clock, 1, seconds=1.0)
    gate = Gate(seconds=60.0, unit="requests", declared=None)
    gate.told_limit = 1000
    learning.told(gate, "x-ratelimit-limit: 1000")
    for doubled in (2, 4, 8, 16):
        assert learning.most_open == doubled
        asked(learning, clock, 20, seconds=1.0)


def test_a_limit_that_was_only_inferred_is_nothing_an_answer_told() -> None:
    clock = FakeClock()
    learning = unknown(clock)
    gate = Gate(seconds=60.0, unit="requests", declared=None)
    gate.told_limit = 1000
    learning.told(gate, "inferred from a refusal")
    asked(learning, clock, 60, seconds=1.0)
    assert learning.most_open == 2


def test_a_declared_budget_is_believed_from_the_beginning() -> None:
    assert Learning(FakeClock(), declared=True, learned=(), teach=None).most_open > 256
