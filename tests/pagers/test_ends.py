"""What the page of a chain that names no next one shows: a link may be left out (FAULTS P06)."""

from __future__ import annotations

import pytest
from msgspec import Raw

from harvester.model import Ending, Page, PageRequest, Resource, Walk
from harvester.pagers.ends import Ends

PROPERTY = Resource(name="Property", key=("ListingKey",), modified="ModificationTimestamp")
WALK = Walk(id="n00", resource=PROPERTY, pager="chain")
UNCOUNTED = Walk(id="n00", resource=PROPERTY, pager="chain", counted=False)


def page(rows: int, *, size: int | None = None, link: str | None = None, count: int | None = None) -> Page:
    records = [Raw(b'{"ListingKey":"%d"}' % number) for number in range(rows)]
    request = PageRequest(url="Property", size=size)
    return Page(request=request, url="Property", records=records, next_link=link, count=count)


def behind(*rows: int) -> Ends:
    """Behind pages of so many records."""
    ends = Ends()
    for number in rows:
        ends = ends.after(page(number, link="next"))
    return ends


def test_a_page_that_is_shorter_than_all_before_it_is_likely_to_be_the_last() -> None:
    assert behind(10, 10).ending(WALK, page(3)) is Ending.LIKELY


@pytest.mark.parametrize(("before", "rows"), [((10, 10), 10), ((10, 4, 10), 3), ((4, 10), 3)])
def test_a_full_page_shows_nothing_nor_does_a_short_one_among_others(before: tuple[int, ...], rows: int) -> None:
    """FAULTS P04: where pages differ in length, a short one is no sign."""
    assert behind(*before).ending(WALK, page(rows)) is Ending.OPEN


def test_an_only_page_is_measured_by_the_size_that_was_asked_for() -> None:
    assert Ends().ending(WALK, page(3, size=10)) is Ending.LIKELY
    assert Ends().ending(WALK, page(10, size=10)) is Ending.OPEN


def test_the_only_page_of_a_server_that_does_not_count_is_asked_for_once_more() -> None:
    """How many records would make a page is not known there."""
    assert Ends().ending(UNCOUNTED, page(3)) is Ending.OPEN
    assert Ends().is_worth_a_look(UNCOUNTED, page(3))
    assert not Ends().is_worth_a_look(WALK, page(3))
    assert Ends().again(page(3)).ending(UNCOUNTED, page(3)) is Ending.LIKELY


def test_a_page_is_asked_for_once_more_and_not_twice() -> None:
    ends = behind(10)
    assert ends.is_worth_a_look(WALK, page(10))
    held = ends.again(page(10))
    assert held.is_repeated(page(10))
    assert not held.is_repeated(page(9))
    assert not held.is_worth_a_look(WALK, page(10))
    assert held.ending(WALK, page(10)) is Ending.OPEN


def test_an_empty_page_behind_others_is_asked_for_once_more() -> None:
    """FAULTS H11: it may be the answer to another request."""
    assert behind(10).is_worth_a_look(WALK, page(0))
    assert behind(10).again(page(0)).ending(WALK, page(0)) is Ending.LIKELY


def test_an_empty_first_page_is_not() -> None:
    """Nothing changed: that takes one request."""
    assert Ends().ending(WALK, page(0)) is Ending.LIKELY
    assert not Ends().is_worth_a_look(WALK, page(0))
    assert not Ends().is_worth_a_look(UNCOUNTED, page(0))


def test_the_count_of_the_first_page_tells_whether_the_last_one_is_full() -> None:
    ends = Ends().after(page(10, link="next", count=20))
    assert ends.ending(WALK, page(10)) is Ending.LIKELY
    assert ends.ending(WALK, page(4)) is Ending.OPEN


def test_a_count_that_more_came_than_shows_no_end() -> None:
    """Rows were added meanwhile, and a link was left out: how many are behind the page nobody has told."""
    ends = Ends().after(page(10, link="next", count=15))
    assert ends.ending(WALK, page(5)) is Ending.LIKELY
    assert ends.ending(WALK, page(10)) is Ending.OPEN
    assert ends.is_worth_a_look(WALK, page(10))
