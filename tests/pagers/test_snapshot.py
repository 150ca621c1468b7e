"""Snapshots: one answer is the set; where newer versions page it, links are followed and a moving set is noticed."""

from __future__ import annotations

import pytest
from msgspec import Raw

from harvester.errors import OrderViolated, ProtocolError
from harvester.model import Head, Page, PageRequest, PerValue, Resource, Walk
from harvester.pagers.snapshot import SnapshotPager

FEATURED = Resource(name="clients/featured", key=("idxID", "listingID"))
CITIES = Resource(
    name="mls/cities",
    path="mls/cities/{value}",
    per_value=PerValue(resource="mls/approvedmls", member="id", stamp="_idxID"),
)
LINK = "https://api.example.com/clients/featured?offset=50&limit=50"
PAGER = SnapshotPager(sized=frozenset({"clients/featured"}))


def make_walk(resource: Resource = FEATURED, **settings: object) -> Walk:
    return Walk(id="w00", resource=resource, pager="snapshot", **settings)  # type: ignore[arg-type]


def make_page(request: PageRequest, rows: int, *, link: str | None = None, count: int | None = None) -> Page:
    return Page(
        request=request,
        url=f"https://api.example.com/{request.url}",
        records=[Raw(b"{}")] * rows,
        next_link=link,
        count=count,
    )


def test_one_request_without_parameters_is_the_whole_walk() -> None:
    walk = make_walk()
    first = PAGER.first(walk)
    assert first == PageRequest(url="clients/featured")
    assert PAGER.follow(walk, make_page(first, 3000), ()) == ()


def test_an_empty_answer_ends_a_walk_of_records_without_identity() -> None:
    walk = make_walk(CITIES, value="a001")
    assert PAGER.follow(walk, make_page(PAGER.first(walk), 0), ()) == ()


def test_a_walk_per_mls_names_it_in_the_path() -> None:
    assert PAGER.first(make_walk(CITIES, value="a001")).url == "mls/cities/a001"


def test_a_value_cannot_leave_its_place_in_the_path() -> None:
    """FAULTS M04: ids are quoted."""
    assert PAGER.first(make_walk(CITIES, value="../a?b#c")).url == "mls/cities/..%2Fa%3Fb%23c"


def test_chosen_fields_and_the_users_filter_become_parameters() -> None:
    walk = make_walk(select=("listingID", "idxID"), filter="filterField=status&filterValue=active")
    assert PAGER.first(walk).url == (
        "clients/featured?rf%5B%5D=listingID&rf%5B%5D=idxID&filterField=status&filterValue=active"
    )


def test_a_configured_page_size_is_sent_only_where_the_method_knows_it() -> None:
    assert PAGER.first(make_walk(page_size=50)).url == "clients/featured?offset=0&limit=50"
    assert PAGER.first(make_walk(CITIES, value="a001", page_size=50)).url == "mls/cities/a001"


def test_links_are_followed_byte_for_byte_to_the_last_page() -> None:
    """FAULTS P07: what the server wrote is not quoted again."""
    walk, link = make_walk(), f"{LINK}&x=%2C%20a+b"
    first = PAGER.first(walk)
    (second,) = PAGER.follow(walk, make_page(first, 50, link=link, count=70), ())
    assert second.url == link
    assert PAGER.follow(walk, make_page(second, 20, link=None, count=70), ()) == ()


def test_parameters_the_link_leaves_out_are_put_on_again() -> None:
    """Links do not repeat disclaimers or fields (contract, section 6)."""
    walk = make_walk(select=("listingID",), filter="disclaimers=true")
    first = PAGER.first(walk)
    (second,) = PAGER.follow(walk, make_page(first, 50, link=f"{LINK}&rf%5B0%5D=listingID", count=70), ())
    assert second.url == f"{LINK}&rf%5B0%5D=listingID&disclaimers=true"


def test_a_link_beyond_the_total_is_followed_to_the_empty_page_there() -> None:
    """FAULTS P13: a total that is too small would end the set before its last records."""
    walk = make_walk()
    (second,) = PAGER.follow(walk, make_page(PAGER.first(walk), 50, link=LINK, count=70), ())
    beyond = "https://api.example.com/clients/featured?offset=100&limit=50"
    (third,) = PAGER.follow(walk, make_page(second, 20, link=beyond, count=70), ())
    assert PAGER.follow(walk, make_page(third, 0, count=0), ()) == ()


def test_an_empty_answer_is_asked_for_twice_before_it_is_believed() -> None:
    """FAULTS H13: 204 is how the provider says that a set is empty, and what a server says that has stumbled."""
    walk = make_walk()
    first = PAGER.first(walk)
    (again,) = PAGER.follow(walk, make_page(first, 0), ())
    assert again.url == first.url
    assert PAGER.follow(walk, make_page(again, 0), ()) == ()


def test_a_page_shorter_than_asked_is_not_the_end() -> None:
    """FAULTS P04: the step is what the server returned."""
    walk = make_walk(page_size=500)
    (second,) = PAGER.follow(walk, make_page(PAGER.first(walk), 50, link=LINK, count=70), ())
    assert second.url == LINK


def test_an_empty_page_with_a_link_ends_a_set_without_total() -> None:
    """FAULTS P05: data is empty, which the contract calls the end."""
    walk = make_walk()
    (second,) = PAGER.follow(walk, make_page(PAGER.first(walk), 50, link=LINK), ())
    assert PAGER.follow(walk, make_page(second, 0, link=f"{LINK}0"), ()) == ()


def test_a_set_that_changed_meanwhile_is_read_again_from_page_one() -> None:
    """Offsets have no documented order: a moved total may mean a record on no page (FAULTS P09)."""
    walk = make_walk()
    first = PAGER.first(walk)
    (second,) = PAGER.follow(walk, make_page(first, 50, link=LINK, count=70), ())
    (again,) = PAGER.follow(walk, make_page(second, 19, count=69), ())
    assert again.url == first.url
    (second,) = PAGER.follow(walk, make_page(again, 50, link=LINK, count=69), ())
    assert PAGER.follow(walk, make_page(second, 19, count=69), ()) == ()


def test_a_missing_link_before_the_total_is_reached_is_noticed() -> None:
    """FAULTS P06."""
    walk = make_walk()
    (again,) = PAGER.follow(walk, make_page(PAGER.first(walk), 50, count=70), ())
    assert again.url == "clients/featured"


def test_a_set_that_changes_in_every_reading_is_not_called_complete() -> None:
    walk = make_walk()
    request = PAGER.first(walk)
    for _ in range(2):
        (request,) = PAGER.follow(walk, make_page(request, 50, count=70), ())
    with pytest.raises(OrderViolated, match="cannot be called complete"):
        PAGER.follow(walk, make_page(request, 50, count=70), ())


def test_records_without_a_key_are_never_read_twice() -> None:
    """Nothing could tell the second reading from the first, so the walk fails instead of doubling rows."""
    walk = make_walk(Resource(name="clients/widgets"))
    with pytest.raises(OrderViolated):
        PAGER.follow(walk, make_page(PAGER.first(walk), 50, count=70), ())


def test_a_link_to_the_same_page_stops_the_walk() -> None:
    """FAULTS P01."""
    walk = make_walk()
    (second,) = PAGER.follow(walk, make_page(PAGER.first(walk), 50, link=LINK, count=170), ())
    with pytest.raises(ProtocolError, match="leads back"):
        PAGER.follow(walk, make_page(second, 50, link=LINK, count=170), ())


def test_a_smaller_page_begins_the_set_anew() -> None:
    walk = make_walk(page_size=50)
    request = PAGER.first(walk)
    assert PAGER.with_size(walk, request, None).url == "clients/featured?offset=0&limit=25"
    assert PAGER.with_size(walk, request, 10).url == "clients/featured?offset=0&limit=10"


def test_a_set_without_pages_cannot_be_made_smaller() -> None:
    walk = make_walk()
    assert PAGER.with_size(walk, PAGER.first(walk), None) == PAGER.first(walk)


def test_the_cursor_alone_continues_a_paged_set() -> None:
    walk = make_walk()
    (second,) = PAGER.follow(walk, make_page(PAGER.first(walk), 50, link=LINK, count=70), ())
    assert SnapshotPager().follow(walk, make_page(second, 20, count=70), ()) == ()


def heads(*numbers: int) -> list[Head]:
    return [Head(("a001", f"{number}"), None) for number in numbers]


def test_pages_share_a_record_so_that_a_shift_is_seen_although_the_total_stays() -> None:
    """FAULTS P09: one goes from page one and another comes behind it; the record at the boundary was shifted past."""
    walk = make_walk()
    link = LINK.replace("50&", "3&")
    (second,) = PAGER.follow(walk, make_page(PAGER.first(walk), 3, link=link, count=5), heads(1, 2, 3))
    assert second.url == LINK.replace("50&", "2&")
    assert PAGER.follow(walk, make_page(second, 3, count=5), heads(3, 4, 5)) == ()
    (again,) = PAGER.follow(walk, make_page(second, 3, count=5), heads(4, 5, 6))
    assert again.url == PAGER.first(walk).url


@pytest.mark.parametrize("link", [LINK.replace("50&", "4&"), "https://api.example.com/clients/featured?page=2"])
def test_a_link_that_tells_another_place_is_followed_as_it_is(link: str) -> None:
    walk = make_walk()
    (second,) = PAGER.follow(walk, make_page(PAGER.first(walk), 3, link=link, count=5), heads(1, 2, 3))
    assert second.url == link
    assert PAGER.follow(walk, make_page(second, 2, count=5), heads(4, 5)) == ()
