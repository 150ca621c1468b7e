"""Where counts say that a resource is to be cut: windows of about equal size, for few questions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest

from harvester.planning.closing import read_instant
from harvester.planning.sounding import soundings

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RECORDS = 5_000


def cut(
    times: list[datetime], parts: int, *, silent_after: int | None = None
) -> tuple[list[int], int, tuple[str, ...]]:
    """The sizes of the windows, the questions it took, and the places."""
    times = sorted(times)
    asked = soundings(len(times), parts, NOW, "iso")
    questions = 0
    try:
        at = next(asked)
        while True:
            instant = read_instant(at)
            assert instant is not None
            questions += 1
            at = asked.send(None if questions == silent_after else bisect_left(times, instant))
    except StopIteration as end:
        places: tuple[str, ...] = end.value
    ranks = [bisect_left(times, instant) for place in places if (instant := read_instant(place)) is not None]
    return [after - before for before, after in pairwise([0, *ranks, len(times)])], questions, places


@pytest.mark.parametrize(
    "days",
    [
        lambda chance: chance.uniform(300, 1400),
        lambda chance: chance.uniform(0, 7000),
        lambda chance: min(9000, chance.expovariate(1 / 365)),
        lambda chance: min(9000, chance.expovariate(1 / 20)),
    ],
    ids=["three-years", "twenty-years", "mostly-recent", "nearly-all-recent"],
)
@pytest.mark.parametrize("parts", [2, 5, 8, 16])
def test_windows_are_of_about_equal_size_for_two_questions_each(days: Callable[[Random], float], parts: int) -> None:
    chance = Random(parts)
    sizes, questions, places = cut([NOW - timedelta(days=days(chance)) for _ in range(RECORDS)], parts)
    assert len(sizes) == parts
    assert max(sizes) <= 1.35 * RECORDS / parts
    assert questions <= 4 + 2 * (parts - 1)
    assert list(places) == sorted(set(places))


def test_records_of_one_day_are_cut_as_well_as_few_questions_allow() -> None:
    chance = Random(1)
    times = [NOW - timedelta(days=200, seconds=chance.uniform(0, 86_400)) for _ in range(RECORDS)]
    sizes, questions, _ = cut(times, 8)
    assert sum(sizes) == RECORDS
    assert questions <= 18


@pytest.mark.parametrize(
    "times", [[NOW - timedelta(days=9)] * 100, [NOW + timedelta(days=9)] * 100], ids=["one", "later"]
)
def test_records_of_one_instant_are_not_cut(times: list[datetime]) -> None:
    sizes, _, _ = cut(times, 4)
    assert max(sizes) == 100


def test_nothing_is_cut_where_the_provider_stops_counting() -> None:
    chance = Random(2)
    times = [NOW - timedelta(days=chance.uniform(0, 1000)) for _ in range(RECORDS)]
    _, questions, places = cut(times, 8, silent_after=3)
    assert (questions, places) == (3, ())


def test_counts_that_contradict_each_other_do_not_break_it() -> None:
    """FAULTS P13."""
    chance = Random(3)
    asked = soundings(1_000, 8, NOW, "iso")
    questions = 0
    next(asked)
    places: tuple[str, ...] | None = None
    while places is None:
        questions += 1
        try:
            asked.send(chance.randint(-5, 2_000))
        except StopIteration as end:
            places = end.value
    assert list(places) == sorted(set(places))
    assert questions <= 18
