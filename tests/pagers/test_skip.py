"""How a page by offset, or by number, is said in a request; and which places such pages can have."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from harvester.decode.envelopes import ODataEnvelope
from harvester.errors import ConfigError
from harvester.model import Headers, Page, PageRequest, Resource, Response, Walk
from harvester.pagers.numbered import Numbered, NumberedPager
from harvester.pagers.odata import ODataDialect
from harvester.pagers.skip import AnyOffset, SkipPager

PROPERTY = Resource(name="Property", key=("ListingKey",), modified="ModificationTimestamp")
WALK = Walk(id="w00", resource=PROPERTY, pager="offset")
PAGER = SkipPager(page_size=1000, may_count=True)
BASE = "https://api.example/odata"


def page(request: PageRequest, link: str | None, rows: int = 1) -> Page:
    document = {"value": [{"ListingKey": str(number)} for number in range(rows)], "@odata.nextLink": link}
    response = Response(status=200, headers=Headers(), body=json.dumps(document).encode(), url=f"{BASE}/{request.url}")
    return ODataEnvelope().open(response, request, WALK)


def test_pages_are_asked_for_in_the_order_of_the_key() -> None:
    assert PAGER.first(WALK).url == "Property?$orderby=ListingKey&$top=1000&$skip=0"
    assert PAGER.at(WALK, PAGER.first(WALK), 1980, 200, counted=True).url == (
        "Property?$orderby=ListingKey&$top=200&$skip=1980&$count=true"
    )


def test_ims_pages_name_the_database_first_and_all_members_of_the_key() -> None:
    member = Resource(name="Member", path="v1/Member", key=("MemberMlsId", "MemberFullName"))
    dialect = ODataDialect(scope="OriginatingSystemName", quoted_times=True, ascending=" asc")
    pager = SkipPager(page_size=5000, dialect=dialect)
    url = pager.first(Walk(id="w00", resource=member, pager="offset", value="O'HARA", page_size=500)).url
    assert url == (
        "v1/Member?$filter=OriginatingSystemName%20eq%20%27O%27%27HARA%27"
        "&$orderby=MemberMlsId%20asc%2CMemberFullName%20asc&$top=500&$skip=0"
    )


def test_a_resource_without_a_key_has_no_order_that_stays() -> None:
    with pytest.raises(ConfigError, match="name its key"):
        PAGER.first(Walk(id="w00", resource=Resource(name="Log"), pager="offset"))
    with pytest.raises(ConfigError, match="no key"):
        NumberedPager(page_size=25).first(Walk(id="w00", resource=Resource(name="system"), pager="numbered"))


@pytest.mark.parametrize("name", ["$skip", "%24skip"])
def test_of_a_link_that_hides_an_offset_only_the_offset_is_moved(name: str) -> None:
    """Every other byte is the server's own (FAULTS P07)."""
    link = f"{BASE}/Property?$orderby=ListingKey&session=a%2Fb%2Bc&{name}=200&x=%7E"
    linked = PAGER.linked(WALK, page(PAGER.first(WALK), link, rows=200))
    assert linked is not None
    moved = PAGER.at(WALK, linked, 1170, 200, counted=False).url
    assert moved == f"{BASE}/Property?$orderby=ListingKey&session=a%2Fb%2Bc&{name}=1170&x=%7E&$top=200"


@pytest.mark.parametrize(
    "link",
    [
        None,
        f"{BASE}/Property?$orderby=ListingKey&$skiptoken=abc",  # no offset
        f"{BASE}/Property?$skip=200",  # the order is not repeated: whatever it is, it may change
        f"{BASE}/Property?$orderby=ModificationTimestamp&$skip=200",
        f"{BASE}/Property?$orderby=ListingKey&$skip=half",
        f"{BASE}/Property?$orderby=ListingKey&$skip=0&$skiptoken=abc",  # our own offset, and a token that decides
    ],
)
def test_other_links_are_left_alone(link: str | None) -> None:
    assert PAGER.linked(WALK, page(PAGER.first(WALK), link, rows=200)) is None


def test_credentials_in_a_link_are_not_kept() -> None:
    """They would end up in the commits (FAULTS E02)."""
    link = f"{BASE}/Property?$orderby=ListingKey&access_token=secret&$skip=200"
    linked = PAGER.linked(WALK, page(PAGER.first(WALK), link, rows=200))
    assert linked is not None
    assert "secret" not in linked.url


def test_offset_pages_overlap_by_as_much_as_is_asked_for() -> None:
    assert AnyOffset().lay(195, 1000, 200, 5, 10) == [(195, 200), (390, 200), (585, 200), (780, 200), (975, 25)]


@pytest.mark.parametrize(("size", "overlap"), [(1000, 10), (200, 3), (200, 10), (50, 2), (20, 2)])
def test_numbered_pages_overlap_although_each_begins_at_a_multiple_of_its_size(size: int, overlap: int) -> None:
    laid = Numbered().lay(0, 100 * size, size, overlap, 500)
    assert laid[0][0] == 0
    assert laid[-1][0] + laid[-1][1] >= 100 * size
    assert all(start % own == 0 and own <= size for start, own in laid)
    assert all(overlap <= start + own - following < size for (start, own), (following, _) in pairwise(laid))


@pytest.mark.parametrize(("size", "most"), [(1000, 106), (200, 112)])
def test_numbered_pages_cost_few_requests_more_than_pages_without_overlap(size: int, most: int) -> None:
    assert len(Numbered().lay(0, 100 * size, size, 3 if size == 200 else 10, 500)) <= most


def test_a_numbered_page_around_a_place_is_as_small_as_it_can_be() -> None:
    ((start, size),) = Numbered().lay(396, 404, 200, 3, 1)
    assert start <= 396
    assert start + size >= 404
    assert size < 60
    assert start % size == 0


def test_a_numbered_page_is_said_by_number_and_size() -> None:
    pager = NumberedPager(page_size=200, page_sizes={"listings": 1000})
    listings = Walk(id="w00", resource=Resource(name="listings", key=("Id",)), pager="numbered")
    assert pager.first(listings).url == "listings?_limit=1000&_page=1"
    assert pager.at(listings, pager.first(listings), 1990, 995, counted=True).url == (
        "listings?_limit=995&_page=3&_pagination=1"
    )
