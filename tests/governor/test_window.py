"""The sliding log: what counts, until when, and how much memory it takes."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from harvester.governor.window import EXACT, SlidingLog


def test_an_entry_counts_for_one_whole_period() -> None:
    log = SlidingLog(2, 60.0)
    log.add(10.0)
    assert log.used(69.9) == 1
    assert log.used(70.0) == 0


def test_a_full_window_tells_when_its_oldest_entry_ends() -> None:
    log = SlidingLog(2, 60.0)
    log.add(10.0)
    log.add(25.0)
    assert log.wait(30.0, 1, 0) == 40.0
    assert log.wait(70.0, 1, 0) == 0.0


def test_open_requests_hold_their_place_for_as_long_as_they_are_open() -> None:
    """A slot is free one period after the response, which has not come yet."""
    log = SlidingLog(2, 60.0)
    log.add(0.0)
    assert log.wait(1.0, 1, held=1) == 59.0
    assert log.wait(1.0, 1, held=2) == math.inf


def test_the_burst_at_the_start_is_not_followed_by_a_refill() -> None:
    """FAULTS Q03: a bucket of size N lets nearly 2N through; a log never more than N in any period."""
    log = SlidingLog(10, 60.0)
    sent: list[float] = []
    now = 0.0
    while now < 180.0:
        wait = log.wait(now, 1, 0)
        if wait > 0:
            now += min(wait, 1.0)
            continue
        log.add(now)
        sent.append(now)
    for start in sent:
        assert sum(start <= at < start + 60.0 for at in sent) <= 10
    assert len(sent) == 30


def test_a_tightened_limit_waits_for_as_many_entries_as_are_too_many() -> None:
    log = SlidingLog(5, 60.0)
    for at in range(5):
        log.add(float(at))
    log.limit = 3
    assert log.wait(10.0, 1, 0) == 60.0 + 2 - 10.0


def test_bytes_are_entries_of_their_own_weight() -> None:
    """FAULTS Q04: the next page must fit as well."""
    log = SlidingLog(1_000, 60.0, coarse=True)
    log.add(0.0, 700)
    assert log.wait(1.0, 300, 0) == 0.0
    assert 58.9 < log.wait(1.0, 301, 0) <= 59.0 + 60.0 / EXACT


def test_a_page_larger_than_the_window_goes_out_alone() -> None:
    log = SlidingLog(1_000, 60.0)
    assert log.wait(0.0, 5_000, 0) == 0.0
    log.add(0.0, 5_000)
    assert log.wait(1.0, 5_000, 0) == 59.0


def test_a_day_of_forty_thousand_requests_is_kept_in_bounded_memory_and_errs_on_the_safe_side() -> None:
    log = SlidingLog(40_000, 86_400.0, coarse=True)
    for number in range(40_000):
        log.add(1.0 + number * 2.0)
    assert len(log) <= EXACT + 1
    assert log.used(80_000.0) == 40_000
    exact = 1.0 + 86_400.0 - 80_000.0
    assert exact <= log.wait(80_000.0, 1, 0) <= exact + 86_400.0 / EXACT


def test_entries_of_other_processes_may_come_out_of_order() -> None:
    log = SlidingLog(10, 60.0)
    for at in (30.0, 10.0, 20.0):
        log.add(at)
    assert log.used(71.0) == 2
    assert log.used(81.0) == 1


def test_what_the_server_forgot_is_forgotten_oldest_first() -> None:
    log = SlidingLog(10, 60.0)
    for at in (0.0, 10.0, 20.0):
        log.add(at)
    log.forget(2)
    assert log.next_end(21.0) == 80.0


@given(
    entries=st.lists(st.tuples(st.floats(0, 500), st.integers(1, 5)), max_size=60),
    limit=st.integers(1, 40),
    coarse=st.booleans(),
)
def test_the_log_agrees_with_counting_by_hand(entries: list[tuple[float, int]], limit: int, coarse: bool) -> None:
    """Exact logs to a microsecond; coarse ones never below the exact count."""
    log = SlidingLog(limit, 100.0, coarse=coarse)
    for at, amount in entries:
        log.add(at, amount)
    exact = sum(amount for at, amount in entries if at + 100.0 > 500.0 + 1e-6)
    assert log.used(500.0) >= exact
    if not coarse:
        assert log.used(500.0) == exact
    wait = log.wait(500.0, 1, 0)
    assert wait >= 0.0
    assert log.used(500.0 + wait) + 1 <= limit or not entries


def test_what_a_count_shows_to_be_gone_is_let_go_before_its_time() -> None:
    """Counted some time between sending and answer: one that came back late may be gone a little sooner."""
    log = SlidingLog(3, 60.0)
    for sent, ended in ((0.0, 2.0), (0.1, 2.1), (0.2, 2.2)):
        log.add(ended, sent=sent)
    log.release(1, sent=60.5, now=60.9)  # a fourth found one of them counted
    assert log.used(60.9) == 1
    assert log.expired_since(60.5) == 2  # an answer from before may still show them


def test_no_count_makes_the_log_forget_what_cannot_be_a_period_old() -> None:
    """FAULTS Q06: a figure that jumps."""
    log = SlidingLog(3, 60.0)
    for sent in (0.0, 1.0, 2.0):
        log.add(sent + 0.5, sent=sent)
    log.release(0, sent=60.2, now=60.4)
    assert log.used(60.4) == 2
    log.release(0, sent=0.2, now=60.4)  # sent before they were answered: they may have come behind it
    assert log.used(60.4) == 2
