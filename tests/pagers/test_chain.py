"""Chains: links byte for byte, loops found with a few bytes of state, only what a phase allows is sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import pytest

from harvester.errors import ConfigError, ProtocolError
from harvester.model import Page, PageRequest, Phase, Rejected, Resource, Walk
from harvester.pagers.chain import MAX_EMPTY, ChainPager

PROPERTY = Resource(name="Property", key=("ListingKey",), modified="ModificationTimestamp")
BASE = "https://api.example/v1/odata/"
NOTHING: frozenset[str] = frozenset()
STRICT = ChainPager(page_size=1000, page_size_parameter="$top", allowed={Phase.FULL: NOTHING, Phase.SWEEP: NOTHING})
OPEN = ChainPager()


def walk(**more: object) -> Walk:
    return Walk(id="w00", resource=PROPERTY, pager="chain", **more)  # type: ignore[arg-type]


def page(
    request: PageRequest, link: str | None, keys: Sequence[str] = ("a",), *, url: str = "", rejected: int = 0
) -> Page:
    return Page(
        request=request,
        url=url or (request.url if "://" in request.url else BASE + request.url),
        records=[msgspec.Raw(b'{"ListingKey":"%s"}' % key.encode()) for key in keys],
        next_link=link,
        rejected=(Rejected(b"{", "bad"),) * rejected,
    )


def follow(pager: ChainPager, request: PageRequest, link: str | None, keys: Sequence[str] = ("a",)) -> PageRequest:
    (following,) = pager.follow(walk(), page(request, link, keys), ())
    return following


def follow_all(pages: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Walk through *pages*, each a link and the keys it came with; the cursor must stay small."""
    request = OPEN.first(walk())
    for link, keys in pages:
        request = follow(OPEN, request, link, keys)
        assert len(request.state) < 200


# ------------------------------------------------------------------ the first request


def test_a_chain_never_sends_top_unless_told() -> None:
    """Centris contract, section 5: with $top the set counts as complete and no link comes."""
    request = OPEN.first(walk(page_size=1000, select=("ListPrice",), filter="ListPrice gt 1", expand="Media"))
    assert request.url == (
        "Property?$filter=(ListPrice%20gt%201)&$select=ListPrice%2CListingKey%2CModificationTimestamp&$expand=Media"
    )
    assert request.size is None


def test_the_full_phase_of_spark_reso_sends_select_count_and_top_only() -> None:
    """Spark RESO contract, section 3."""
    assert STRICT.first(walk(select=("ListPrice",))).url == (
        "Property?$select=ListPrice%2CListingKey%2CModificationTimestamp&$top=1000"
    )


@pytest.mark.parametrize("setting", ["filter", "expand"])
def test_what_the_full_phase_forbids_is_refused_before_anything_is_sent(setting: str) -> None:
    with pytest.raises(ConfigError, match=setting):
        STRICT.first(walk(**{setting: "Media"}))


def test_a_delta_adds_its_bound_unquoted() -> None:
    request = STRICT.first(walk(phase=Phase.CLOSING, since="2024-05-01T10:00:00Z", expand="Media"))
    assert request.url == ("Property?$filter=ModificationTimestamp%20gt%202024-05-01T10:00:00Z&$expand=Media&$top=1000")


def test_a_zoneless_bound_gets_its_z() -> None:
    assert "10:00:00Z" in OPEN.first(walk(phase=Phase.DELTA, since="2024-05-01T10:00:00")).url


def test_a_page_size_can_be_preferred_instead_of_asked() -> None:
    """``$top`` limits the result set of an OData server; the preference only sizes its pages."""
    request = ChainPager(prefer_page_size=True).first(walk(page_size=500))
    assert request.headers == (("Prefer", "odata.maxpagesize=500"),)
    assert "$top" not in request.url
    assert follow(ChainPager(), request, BASE + "Property?x=1").headers == request.headers


# ------------------------------------------------------------------ links


@pytest.mark.parametrize(
    "link",
    [
        BASE + "Property?$select=ListingKey%2CListPrice&$skip=10",
        BASE + "Property?%24skiptoken=a+b%20c%252F",
        BASE.replace("v1/odata", "V1/OData") + "Property?$skiptoken=%C3%A9&extra",
    ],
)
def test_a_link_is_followed_byte_for_byte(link: str) -> None:
    """FAULTS P07: an opaque token does not survive being decoded and encoded again."""
    assert follow(OPEN, OPEN.first(walk()), link).url == link


def test_a_relative_link_is_resolved_against_its_page() -> None:
    """FAULTS P07."""
    assert follow(OPEN, OPEN.first(walk()), "Property?$skiptoken=x").url == BASE + "Property?$skiptoken=x"


def test_a_credential_in_a_link_does_not_reach_the_cursor() -> None:
    """FAULTS E02."""
    link = BASE + "Property?$skiptoken=a%2Bb&access_token=S3CRET&$top=5"
    following = follow(OPEN, OPEN.first(walk()), link)
    assert following.url == BASE + "Property?$skiptoken=a%2Bb&$top=5"
    assert "S3CRET" not in repr(following)


def test_the_chain_ends_without_a_link() -> None:
    assert OPEN.follow(walk(), page(OPEN.first(walk()), None), ()) == ()


def test_a_short_page_with_a_link_is_not_the_end() -> None:
    """FAULTS P04."""
    assert follow(STRICT, STRICT.first(walk()), "Property?$skiptoken=2", ["only one"])


# ------------------------------------------------------------------ loops


def test_a_link_to_its_own_page_stops_the_walk() -> None:
    """FAULTS P01."""
    request = follow(OPEN, OPEN.first(walk()), "Property?$skiptoken=1")
    with pytest.raises(ProtocolError, match="itself"):
        follow(OPEN, request, request.url)


@pytest.mark.parametrize("length", [2, 3, 7, 40])
@pytest.mark.parametrize("lead", [0, 5, 33])
def test_a_cycle_of_links_is_found_within_a_few_rounds(length: int, lead: int) -> None:
    """FAULTS P02, with a cursor that does not grow."""
    numbers = [*range(1, lead + 1), *(lead + 1 + step % length for step in range(4 * (length + lead) + 4))]
    with pytest.raises(ProtocolError, match=r"circle|again under"):
        follow_all((f"Property?$skiptoken={number}", [f"row {number}"]) for number in numbers)


def test_the_same_rows_under_ever_new_links_stop_the_walk() -> None:
    """FAULTS P03."""
    with pytest.raises(ProtocolError, match="again under ever new links"):
        follow_all((f"Property?$skiptoken={number}", ["same", "rows"]) for number in range(20))


def test_an_honest_chain_of_a_thousand_pages_is_not_taken_for_a_loop() -> None:
    follow_all((f"Property?$skiptoken={number}", [f"a{number}", f"b{number}"]) for number in range(1000))


def test_empty_pages_with_a_link_are_passed_but_not_for_ever() -> None:
    """FAULTS P05."""
    request = OPEN.first(walk())
    for number in range(MAX_EMPTY):
        request = follow(OPEN, request, f"Property?$skiptoken={number}", [])
    with pytest.raises(ProtocolError, match="empty pages"):
        follow(OPEN, request, "Property?$skiptoken=last", [])
    assert follow(OPEN, follow(OPEN, request, "Property?$skiptoken=x", ["row"]), "Property?$skiptoken=y", [])


def test_a_page_of_bad_records_is_not_an_empty_page() -> None:
    request = OPEN.first(walk())
    for number in range(MAX_EMPTY + 5):
        (request,) = OPEN.follow(walk(), page(request, f"Property?$skiptoken={number}", [], rejected=1), ())


# ------------------------------------------------------------------ smaller pages


def test_a_smaller_page_changes_one_number_of_a_link_and_nothing_else() -> None:
    request = follow(STRICT, STRICT.first(walk()), BASE + "Property?%24top=1000&$skiptoken=a%2Bb%20c")
    smaller = STRICT.with_size(walk(), request, None)
    assert smaller.url == BASE + "Property?%24top=500&$skiptoken=a%2Bb%20c"
    assert smaller.state == request.state
    assert STRICT.with_size(walk(), request, 250).size == 250


def test_a_link_without_a_size_cannot_be_made_smaller() -> None:
    request = follow(STRICT, STRICT.first(walk()), BASE + "Property?$skiptoken=$top=7")
    assert STRICT.with_size(walk(), request, None) == request
    assert OPEN.with_size(walk(), OPEN.first(walk()), 10) == OPEN.first(walk())
