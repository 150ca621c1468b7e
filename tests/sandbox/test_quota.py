"""Quotas as servers keep them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from harvester.sandbox.quota import GRACE, Limit, Pauses, Quota, period_text

START = datetime(2026, 3, 1, 12, 40, tzinfo=UTC)


def at(quota: Quota, elapsed: float, credential: str = "a") -> str:
    """The name of the window that refuses a request at *elapsed*; "" when it is let in."""
    decision = quota.take(credential, START + timedelta(seconds=elapsed), elapsed)
    return decision.refused.name if decision.refused else ""


def limit(requests: int, seconds: float, kind: Literal["sliding", "fixed", "clock", "first"], **more: float) -> Limit:
    return Limit(name=f"{requests}/{seconds:g}", requests=requests, seconds=seconds, kind=kind, **more)


def test_a_sliding_window_frees_a_slot_one_period_after_it_was_taken() -> None:
    """FAULTS Q02."""
    quota = Quota([limit(2, 10, "sliding")])
    assert [at(quota, each) for each in (0, 6, 9.99, 10, 15.99, 16)] == ["", "", "2/10", "", "2/10", ""]


def test_a_fixed_window_is_refilled_at_its_phase() -> None:
    """FAULTS Q01: 2N requests fit around its edge."""
    quota = Quota([limit(2, 10, "fixed", phase=3)])
    assert [at(quota, each) for each in (1, 2, 2.9, 3, 3.1, 12.9, 13)] == ["", "", "2/10", "", "", "2/10", ""]


def test_a_clock_hour_ends_when_the_clock_says_so() -> None:
    quota = Quota([limit(1, 3600, "clock")])  # it is 12:40
    assert [at(quota, each) for each in (0, 1199, 1200, 4799, 4800)] == ["", "1/3600", "", "1/3600", ""]


def test_a_window_may_begin_with_its_first_request() -> None:
    quota = Quota([limit(2, 10, "first")])
    assert [at(quota, each) for each in (7, 16.9, 16.95, 17, 26.9, 27)] == ["", "", "2/10", "", "", ""]


def test_several_windows_hold_at_once_and_the_longest_wait_is_told() -> None:
    """FAULTS Q02."""
    quota = Quota([limit(2, 10, "sliding"), limit(3, 100, "sliding")])
    assert [at(quota, each) for each in (0, 1, 2, 11, 12)] == ["", "", "2/10", "", "3/100"]
    decision = quota.take("a", START, 12)
    assert decision.wait == pytest.approx(88)
    assert [usage.remaining for usage in decision.windows] == [1, 0]


def test_refusals_count_when_the_server_counts_them() -> None:
    """A client that knocks while blocked never gets in."""
    quota = Quota([limit(2, 10, "sliding")], counts_refused=True)
    assert [at(quota, each) for each in (0, 1, 5, 10, 14)] == ["", "", "2/10", "2/10", "2/10"]
    decision = quota.take("a", START, 14.5)
    assert decision.windows[0].used == 4  # those of 5, 10, 14 and 14.5
    assert decision.wait == pytest.approx(9.5), "until all but one of them have left"


def test_waiting_as_told_is_enough() -> None:
    quota = Quota([limit(3, 10, "sliding"), limit(5, 60, "fixed", phase=4)], counts_refused=True)
    elapsed, admitted = 0.0, 0
    while elapsed < 600:
        decision = quota.take("a", START, elapsed)
        if decision.refused:
            assert decision.wait > 0
            elapsed += decision.wait
            decision = quota.take("a", START, elapsed)
            assert not decision.refused
        admitted += 1
        elapsed += 0.01
    assert admitted >= 40, "of 50: refusals cost a place"


def test_credentials_are_counted_apart() -> None:
    quota = Quota([limit(1, 10, "sliding")])
    assert [at(quota, 0, "a"), at(quota, 0, "b"), at(quota, 1, "a")] == ["", "", "1/10"]


def test_time_scale_shortens_every_period() -> None:
    quota = Quota([limit(1, 3600, "sliding")], time_scale=60)
    assert [at(quota, each) for each in (0, 59, 60)] == ["", "1/3600", ""]
    assert quota.budget() == [{"requests": 1, "seconds": 60.0}]


def test_no_limits_refuse_nothing() -> None:
    quota = Quota([])
    assert [at(quota, 0) for _ in range(100)] == [""] * 100


def test_a_request_inside_an_announced_pause_is_marked() -> None:
    quota = Quota([limit(1, 10, "sliding")])
    assert not quota.take("a", START, 0).paused
    assert quota.take("a", START, 1).refused
    quota.announce("a", 1, 10)
    marked = {each: quota.take("a", START, each).paused for each in (1 + GRACE / 2, 1 + GRACE, 9.9, 10.0)}
    assert list(marked.values()) == [False, True, True, False], "one that crossed the refusal on its way is no breach"
    assert not quota.take("b", START, 5).paused


def test_a_shorter_pause_never_ends_a_longer_one() -> None:
    pauses = Pauses()
    pauses.announce("a", 0, 60)
    pauses.announce("a", 1, 5)
    assert pauses.inside("a", 30)
    pauses.announce("a", 50, 90)
    assert pauses.inside("a", 50.01), "the client has known since the first"
    assert pauses.inside("a", 89)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(86_400, "1d"), (60, "1m"), (1440, "24m"), (1, "1s"), (0.4, "1s"), (90, "90s"), (3600, "1h"), (1.2, "2s")],
)
def test_periods_are_told_in_whole_units_and_never_too_short(seconds: float, text: str) -> None:
    assert period_text(seconds) == text
