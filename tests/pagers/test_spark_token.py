"""Spark's token chain and its numbered lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import unquote

import msgspec
import pytest

from harvester.errors import ConfigError, ProtocolError
from harvester.model import Page, PageRequest, Phase, Resource, Walk
from harvester.pagers.page_number import PageNumberPager
from harvester.pagers.spark_token import SparkTokenPager

PAGER = SparkTokenPager(page_size=200, page_sizes={"listings": 1000, "accounts": 1000})
LISTINGS = Resource(name="listings", key=("Id",), modified="StandardFields.ModificationTimestamp")


def walk(resource: Resource = LISTINGS, **more: object) -> Walk:
    return Walk(id="w00", resource=resource, pager="chain", **more)  # type: ignore[arg-type]


def page(request: PageRequest, token: str | None, keys: Sequence[str] = ("a",), count: int | None = None) -> Page:
    return Page(
        request=request,
        url="https://replication.sparkapi.com/v1/" + request.url,
        records=[msgspec.Raw(b'{"Id":"%s"}' % key.encode()) for key in keys],
        next_link=token,
        count=count,
    )


def follow(request: PageRequest, token: str | None, keys: Sequence[str] = ("a",)) -> PageRequest:
    (following,) = PAGER.follow(walk(), page(request, token, keys), ())
    return following


def follow_all(pages: Iterable[tuple[str, Sequence[str]]]) -> None:
    request = PAGER.first(walk())
    for token, keys in pages:
        request = follow(request, token, keys)


def test_a_full_walk_begins_with_an_empty_token_and_sends_nothing_else() -> None:
    """Spark contract, sections 4 and 8."""
    assert PAGER.first(walk()).url == "listings?_limit=1000&_skiptoken="
    assert PAGER.first(walk(select=("Id", "StandardFields"))).url == (
        "listings?_select=Id%2CStandardFields&_limit=1000&_skiptoken="
    )


def test_other_resources_take_two_hundred_rows() -> None:
    assert "_limit=200&" in PAGER.first(walk(Resource(name="contacts"))).url
    assert "_limit=1000&" in PAGER.first(walk(Resource(name="accounts"))).url
    assert "_limit=50&" in PAGER.first(walk(page_size=50)).url
    assert "_limit=1000&" in PAGER.first(walk(page_size=5000)).url


@pytest.mark.parametrize("setting", ["filter", "expand"])
def test_filters_and_expansions_are_refused_in_the_full_phase(setting: str) -> None:
    with pytest.raises(ConfigError, match=setting):
        PAGER.first(walk(LISTINGS, **{setting: "Photos"}))


def test_expansions_can_be_allowed_in_the_full_phase() -> None:
    pager = SparkTokenPager(expand_in_full=True)
    assert "_expand=Photos" in pager.first(walk(expand="Photos")).url


def test_a_delta_adds_its_filter_in_sparkql() -> None:
    request = PAGER.first(walk(phase=Phase.CLOSING, since="2024-05-01T10:00:00Z", filter="City Eq 'X' Or A Eq 1"))
    assert unquote(request.url) == (
        "listings?_filter=ModificationTimestamp Gt 2024-05-01T10:00:00Z And (City Eq 'X' Or A Eq 1)"
        "&_limit=1000&_skiptoken="
    )


def test_the_token_of_a_page_asks_for_the_next() -> None:
    following = follow(PAGER.first(walk()), "a+b/c=")
    assert following.url == "listings?_limit=1000&_skiptoken=a%2Bb%2Fc%3D"
    assert follow(following, "next").url.endswith("_skiptoken=next")


def test_a_token_is_for_the_credential_that_was_told_it_and_the_first_page_for_anybody() -> None:
    first = PAGER.first(walk())
    assert (first.via, follow(first, "one").via) == (None, "")


@pytest.mark.parametrize("keys", [("a",), ()])
def test_the_chain_ends_without_a_token(keys: tuple[str, ...]) -> None:
    assert PAGER.follow(walk(), page(PAGER.first(walk()), None, keys), ()) == ()


def test_the_chain_ends_at_an_empty_page_whose_token_leads_back_to_it() -> None:
    assert PAGER.follow(walk(), page(follow(PAGER.first(walk()), "t"), "t", ()), ()) == ()


def test_an_empty_page_with_a_new_token_is_followed_but_not_for_ever() -> None:
    """FAULTS P05: one gap is none; a server that tells a new token with every empty page has told its end."""
    request = PAGER.first(walk())
    for token in ("t", "u"):
        request = follow(request, token, ())
    assert follow(request, "v", ["a"]).url.endswith("_skiptoken=v")
    assert PAGER.follow(walk(), page(request, "v", ()), ()) == ()


def test_a_short_page_with_a_token_is_not_the_end() -> None:
    """FAULTS P04; Spark contract, section 5."""
    assert follow(PAGER.first(walk()), "t", ["only one"])


def test_a_token_that_does_not_move_is_asked_once_more_and_then_held_against_the_server() -> None:
    """FAULTS P01, Spark contract, section 5."""
    second = follow(PAGER.first(walk()), "t")
    repeated = follow(second, "t", ["b"])
    assert repeated.url == second.url
    again = page(repeated, "t", ["b"])
    assert PAGER.fresh(walk(), repeated, again, ()) == [False]  # the rows came with the first answer
    with pytest.raises(ProtocolError, match="does not move on"):
        PAGER.follow(walk(), again, ())


def test_a_token_that_moves_at_the_second_try_goes_on() -> None:
    repeated = follow(follow(PAGER.first(walk()), "t"), "t", ["b"])
    assert follow(repeated, "u", ["b"]).url.endswith("_skiptoken=u")
    assert PAGER.fresh(walk(), repeated, page(repeated, "u", ["b", "c"]), ()) is None  # another page than before


def test_tokens_in_a_circle_stop_the_walk() -> None:
    """FAULTS P02."""
    with pytest.raises(ProtocolError, match="circle"):
        follow_all((f"t{number % 4}", [f"row {number}"]) for number in range(40))


def test_the_same_rows_under_new_tokens_stop_the_walk() -> None:
    """FAULTS P03."""
    with pytest.raises(ProtocolError, match="same records"):
        follow_all((f"t{number}", ["a"]) for number in range(40))


def test_a_smaller_page_keeps_the_token() -> None:
    """Spark contract, section 5: codes 1515 and 1516."""
    second = follow(PAGER.first(walk()), "t")
    smaller = PAGER.with_size(walk(), second, None)
    assert smaller.url == "listings?_limit=500&_skiptoken=t"
    assert follow(smaller, "u", ["b"]).url == "listings?_limit=500&_skiptoken=u"


# ------------------------------------------------------------------ numbered pages

PAGES = PageNumberPager()
SEARCHES = Resource(name="savedsearches", key=("Id",))


def test_numbered_pages_end_at_the_total() -> None:
    request = PAGES.first(walk(SEARCHES))
    assert request.url == "savedsearches?_pagination=1&_limit=25&_page=1"
    (second,) = PAGES.follow(walk(SEARCHES), page(request, None, [str(n) for n in range(25)], count=30), ())
    assert second.url.endswith("_page=2")
    assert PAGES.follow(walk(SEARCHES), page(second, None, list("abcde"), count=30), ()) == ()


def test_a_list_that_has_no_pages_is_taken_once() -> None:
    request = PAGES.first(walk(SEARCHES))
    (second,) = PAGES.follow(walk(SEARCHES), page(request, None), ())
    assert PAGES.fresh(walk(SEARCHES), second, page(second, None), ()) == [False]
    assert PAGES.follow(walk(SEARCHES), page(second, None), ()) == ()


def test_numbered_pages_end_at_an_empty_one() -> None:
    assert PAGES.follow(walk(SEARCHES), page(PAGES.first(walk(SEARCHES)), None, ()), ()) == ()
