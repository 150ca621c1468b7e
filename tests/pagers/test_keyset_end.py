"""The end of a keyset walk by the server's count: believed only where everything else agrees."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.decode.heads import HeadReader, PageHeads
from harvester.model import Resource, Walk
from harvester.pagers.keyset import KeysetPager
from harvester.pagers.odata import ODataDialect
from tests.fakes.odata_table import OdataTable, Row, read_all

PAGER = KeysetPager(dialect=ODataDialect(), page_size=1000, count=True)
PROPERTY = Resource(name="Property", key=("ListingKey",), modified="ModificationTimestamp")


def walk(size: int, **more: object) -> Walk:
    return Walk(id="w00", resource=PROPERTY, pager="keyset", page_size=size, **more)  # type: ignore[arg-type]


def stamp(second: int) -> str:
    return f"2026-01-01T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"


def rows(seconds: list[int]) -> list[Row]:
    return [{"ListingKey": f"K{n:05d}", "ModificationTimestamp": stamp(second)} for n, second in enumerate(seconds)]


@pytest.mark.parametrize(("number", "size"), [(2_000, 100), (6_800, 200), (1_999, 100), (3_401, 100)])
def test_a_full_walk_costs_no_more_than_three_percent_above_the_least(number: int, size: int) -> None:
    """Where there are at least 34 pages; below that, one request more is more than three percent."""
    table = OdataTable(rows(list(range(number))), cap=size)
    least = math.ceil(number / size)
    read = read_all(PAGER, walk(size), table)
    assert len(set(read.keys)) == number
    assert read.requests <= max(least + 1, math.floor(1.03 * least))


def test_a_page_that_is_short_and_counted_ends_the_walk() -> None:
    table = OdataTable(rows(list(range(25))), cap=10)
    assert read_all(PAGER, walk(10), table).requests == 3


def test_the_count_is_asked_for_where_it_may_tell_the_end_and_nowhere_else() -> None:
    table = OdataTable(rows(list(range(100))), cap=10)
    read_all(PAGER, walk(10), table)
    assert ["$count" in query for query in table.asked] == [True, *[False] * 9, True, *[True] * (len(table.asked) - 11)]


def test_a_part_asks_for_the_count_with_every_page() -> None:
    """What is left of it decides whether it is cut again."""
    table = OdataTable(rows(list(range(30))), cap=10)
    read_all(PAGER, walk(10, until=stamp(25), part_of="w00"), table)
    assert all("$count" in query for query in table.asked)


LIES: dict[str, Callable[[int, int], int]] = {
    "the length of the page": lambda _all, page: page,
    "a number": lambda _all, _page: 7,
    "less": lambda all_rows, page: max(0, all_rows - 5),
    "more": lambda all_rows, page: all_rows + 5,
    "nothing": lambda _all, _page: 0,
    "negative": lambda _all, _page: -1,
}


@pytest.mark.parametrize("lie", LIES)
@given(seconds=st.lists(st.integers(0, 40), max_size=60), size=st.integers(2, 9), seed=st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_no_count_ends_a_walk_too_early(lie: str, seconds: list[int], size: int, seed: int) -> None:
    """FAULTS P04 with P13: short pages, and counts that lie all the time or now and then."""
    chance = Random(seed)
    table = OdataTable(rows(seconds), cap=size)
    table.count = lambda all_rows, page: LIES[lie](all_rows, page) if chance.random() < 0.7 else all_rows
    read = read_all(PAGER, walk(size), table)
    assert sorted(set(read.keys)) == sorted((str(row["ListingKey"]),) for row in table.rows)


@given(seconds=st.lists(st.integers(0, 40), max_size=60), size=st.integers(2, 9), seed=st.integers(0, 999))
@settings(max_examples=100, deadline=None)
def test_short_pages_with_true_counts_are_not_the_end(seconds: list[int], size: int, seed: int) -> None:
    """FAULTS P04."""
    chance = Random(seed)
    table = OdataTable(rows(sorted(set(seconds))), cap=size)
    table.short = lambda number: number if chance.random() < 0.6 else max(min(number, 2), number // 2)
    read = read_all(PAGER, walk(size), table)
    assert sorted(set(read.keys)) == sorted((str(row["ListingKey"]),) for row in table.rows)


@given(seconds=st.lists(st.integers(0, 600), min_size=1, max_size=80), size=st.integers(2, 9), seed=st.integers(0, 999))
@settings(max_examples=150, deadline=None)
def test_no_row_that_stays_is_lost_while_others_change(seconds: list[int], size: int, seed: int) -> None:
    """FAULTS P09: rows leave for the end and go for good between any two pages."""
    chance = Random(seed)
    table = OdataTable(rows(seconds), cap=size)
    moved: set[str] = set()
    later = iter(range(1_000, 10_000))

    def between() -> None:
        if chance.random() < 0.4 and len(table.rows) > 1:
            row = chance.choice(table.rows)
            moved.add(str(row["ListingKey"]))
            if chance.random() < 0.5:
                table.rows.remove(row)
            else:
                row["ModificationTimestamp"] = stamp(next(later))

    read = read_all(PAGER, walk(size), table, between=between, most=2_000)
    stayed = {(str(row["ListingKey"]),) for row in table.rows if row["ListingKey"] not in moved}
    assert stayed <= set(read.keys)


# ------------------------------------------------------------------ parts


@given(
    seconds=st.lists(st.integers(0, 60), max_size=70),
    size=st.integers(2, 9),
    bounds=st.sets(st.integers(0, 61), max_size=4),
    dated=st.booleans(),
    nulls_first=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_windows_and_the_rows_without_a_time_are_the_whole(
    seconds: list[int], size: int, bounds: set[int], dated: bool, nulls_first: bool
) -> None:
    """FAULTS T01: also where a bound falls on a tie; T04: a row without a time is in no window."""
    table = OdataTable(rows(seconds), cap=size, nulls_first=nulls_first)
    for row in table.rows[::5]:
        row["ModificationTimestamp"] = row["ModificationTimestamp"] if dated else None
    ends = [None, *map(stamp, sorted(bounds)), None]
    parts = [walk(size, since=low, until=high) for low, high in pairwise(ends)]
    parts.append(walk(size, undated=True))
    keys = [key for part in parts for key in set(read_all(PAGER, part, table).keys)]
    assert set(keys) == {(str(row["ListingKey"]),) for row in table.rows}
    assert len(keys) == len(set(keys)) or not bounds  # disjoint; one that is open on both sides meets nulls as well


@given(number=st.integers(0, 60), size=st.integers(1, 9), bounds=st.sets(st.integers(0, 60), max_size=4))
@settings(max_examples=100, deadline=None)
def test_ranges_of_keys_are_disjoint_and_the_whole(number: int, size: int, bounds: set[int]) -> None:
    pager = KeysetPager(dialect=ODataDialect(), page_size=1000, by="key")
    table = OdataTable(rows(list(range(number))), cap=size)
    ends = [None, *(f"K{bound:05d}" for bound in sorted(bounds)), None]
    parts = [walk(size, above=low, below=high) for low, high in pairwise(ends)]
    keys = [key for part in parts for key in read_all(pager, part, table).keys]
    assert sorted(keys) == sorted((str(row["ListingKey"]),) for row in table.rows)


def test_a_walk_that_was_given_an_earlier_end_stops_behind_it_without_asking() -> None:
    table = OdataTable(rows(list(range(40))), cap=10)
    wide, narrow = walk(10), walk(10, until=stamp(15))
    page = table.answer(PAGER.first(wide))

    heads = PageHeads(page.records, HeadReader(PROPERTY))
    second = table.answer(PAGER.follow(wide, page, heads)[0])  # up to 18, asked for before
    heads = PageHeads(second.records, HeadReader(PROPERTY))
    assert PAGER.follow(narrow, second, heads) == ()
