"""One look at the latest rows ends a delta where it shows that it holds everything, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from harvester.decode.heads import HeadReader, PageHeads
from harvester.model import Phase, Resource, Walk
from harvester.pagers.keyset import KeysetPager
from harvester.pagers.newest_first import NewestFirstPager
from harvester.pagers.odata import ODataDialect
from tests.fakes.odata_table import OdataTable, Row, read_all

PAGER = NewestFirstPager(behind=KeysetPager(dialect=ODataDialect(), page_size=1000), rows=20)
PROPERTY = Resource(name="Property", key=("ListingKey",), modified="ModificationTimestamp")


def stamp(second: int) -> str:
    return f"2026-01-01T00:{second // 60:02d}:{second % 60:02d}Z"


def table(*seconds: int) -> OdataTable:
    rows: list[Row] = [
        {"ListingKey": f"k{number:03d}", "ModificationTimestamp": stamp(second)}
        for number, second in enumerate(seconds)
    ]
    return OdataTable(rows)


def walk(since: int) -> Walk:
    """What changed since, of a table whose last record was met three seconds later."""
    known = stamp(since + 3)
    return Walk(id="n00", resource=PROPERTY, pager="changes", phase=Phase.DELTA, since=stamp(since), known=known)


def test_a_page_that_reaches_behind_the_beginning_is_all_there_is() -> None:
    read = read_all(PAGER, walk(90), table(*range(100)))
    assert (len(read.keys), read.requests) == (10, 1)


def test_where_the_record_that_was_met_last_has_changed_the_page_must_come_twice() -> None:
    """FAULTS H11: nothing else tells the latest rows of one database from those of another."""
    seconds = [second for second in range(100) if second != 93]
    read = read_all(PAGER, walk(90), table(*seconds))
    assert (len(read.keys), read.requests) == (9, 2)


def test_two_pages_that_differ_are_none_of_them_believed() -> None:
    """FAULTS H11: what the first one brought is not taken, and all is read as ever."""
    seconds = [second for second in range(100) if second != 93]
    server, other = table(*seconds), table(*(second + 1 for second in seconds if second != 92))
    asked = PAGER.first(walk(90))
    page = other.answer(asked)
    heads = PageHeads(page.records, HeadReader(PROPERTY))
    assert PAGER.fresh(walk(90), asked, page, heads) == [False] * len(page.records)
    (again,) = PAGER.follow(walk(90), page, heads)
    assert again.url == asked.url
    page = server.answer(again)
    heads = PageHeads(page.records, HeadReader(PROPERTY))
    assert PAGER.fresh(walk(90), again, page, heads) == [False] * len(page.records)
    assert PAGER.follow(walk(90), page, heads) == (PAGER.behind.first(walk(90)),)


@pytest.mark.parametrize("since", [0, 50, 80, 81])
def test_where_it_does_not_reach_so_far_the_walk_is_read_as_ever(since: int) -> None:
    """A row at the very instant belongs to it, and there may be more of that time (FAULTS T01)."""
    rows = (*range(81), *([80] * 19))
    read = read_all(PAGER, walk(since), table(*rows))
    assert sorted(set(read.keys)) == [(f"k{number:03d}",) for number, second in enumerate(rows) if second >= since]


def test_nothing_that_changed_since_is_no_proof() -> None:
    """The last row that was read before is missing: this may be the answer to another request (FAULTS H11)."""
    assert read_all(PAGER, walk(90), table(*range(50))).requests > 1


@pytest.mark.parametrize("ignored", ["$orderby", "$filter"])
def test_rows_in_another_order_prove_nothing(ignored: str) -> None:
    """FAULTS P15."""
    server = table(*range(100))
    request = PAGER.first(walk(90))
    server.ignore = frozenset({ignored})
    page = server.answer(request)
    heads = PageHeads(page.records, HeadReader(PROPERTY))
    assert bool(PAGER.follow(walk(90), page, heads)) == (ignored == "$orderby")


def test_other_phases_are_the_other_pagers() -> None:
    full = Walk(id="w00", resource=PROPERTY, pager="changes")
    assert PAGER.first(full) == PAGER.behind.first(full)
    closing = structs.replace(walk(90), phase=Phase.CLOSING)
    assert PAGER.first(closing) == PAGER.behind.first(closing)


def test_the_look_can_be_made_smaller() -> None:
    request = PAGER.first(walk(90))
    smaller = PAGER.with_size(walk(90), request, 5)
    assert (smaller.size, smaller.state) == (5, request.state)
    assert replace(PAGER, rows=5).first(walk(90)).url == smaller.url
