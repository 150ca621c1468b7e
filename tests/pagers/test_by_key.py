"""Records asked for by their keys: a filter of several, or a path for each."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, unquote

import pytest

from harvester.contracts import Pager
from harvester.decode.envelopes import ODataEnvelope
from harvester.decode.heads import HeadReader, PageHeads
from harvester.errors import FilterIgnored, ProtocolError
from harvester.model import Action, Headers, Page, PageRequest, Phase, Resource, Response, Verdict, Walk
from harvester.pagers.by_key import EntityByKey, FilterByKey
from harvester.pagers.odata import ODataDialect
from tests.fakes.odata_table import OdataTable, read_all

PROPERTY = Resource(name="Property", key=("ListingKey",), modified="ModificationTimestamp")
MEMBER = Resource(name="Member", key=("MemberMlsId", "MemberFullName"))


def walk(*keys: tuple[str, ...], resource: Resource = PROPERTY, value: str | None = None) -> Walk:
    return Walk(id="p00", resource=resource, pager="by_key", phase=Phase.REPAIR, keys=keys, value=value)


def page(request: PageRequest, *rows: dict[str, str], link: str | None = None) -> Page:
    body: dict[str, object] = {"value": rows} | ({"@odata.nextLink": link} if link else {})
    return opened(request, json.dumps(body).encode())


def opened(request: PageRequest, body: bytes) -> Page:
    response = Response(status=200, headers=Headers(), body=body, url=f"https://api.example/odata/{request.url}")
    return ODataEnvelope().open(response, request, walk())


def after(pager: Pager, asked: Walk, got: Page) -> PageRequest | None:
    heads = PageHeads(got.records, HeadReader(asked.resource))
    followers = pager.follow(asked, got, heads)
    assert len(followers) <= 1
    return followers[0] if followers else None


def query(request: PageRequest) -> dict[str, str]:
    return dict(parse_qsl(request.url.partition("?")[2]))


def test_keys_come_a_few_at_a_time_and_each_is_asked_for_once() -> None:
    pager = FilterByKey(most=2)
    asked = walk(*[(f"k{number}",) for number in (1, 3, 5, 7, 8)])
    request: PageRequest | None = pager.first(asked)
    conditions = []
    while request is not None:
        conditions.append(query(request)["$filter"])
        named = [part.split("'")[1] for part in conditions[-1].split(" or ")]
        request = after(pager, asked, page(request, *[{"ListingKey": key} for key in named]))
    assert conditions == [
        "(ListingKey eq 'k1' or ListingKey eq 'k3')",
        "(ListingKey eq 'k5' or ListingKey eq 'k7')",
        "ListingKey eq 'k8'",
    ]


def test_identities_of_several_members_and_a_scope_are_kept_together() -> None:
    dialect = ODataDialect(scope="OriginatingSystemName", quoted_times=True)
    asked = walk(("7", "O'Neil"), ("8", "x"), resource=MEMBER, value="north")
    assert query(FilterByKey(dialect=dialect, ask_for=True).first(asked)) == {
        "$filter": "OriginatingSystemName eq 'north' and "
        "((MemberMlsId eq '7' and MemberFullName eq 'O''Neil') or (MemberMlsId eq '8' and MemberFullName eq 'x'))",
        "$top": "2",
    }


def test_identities_that_are_numbers_are_not_quoted() -> None:
    asked = walk(("7", "x"), resource=MEMBER)
    pager = FilterByKey(numbers=frozenset({"MemberMlsId"}))
    assert query(pager.first(asked))["$filter"] == "(MemberMlsId eq 7 and MemberFullName eq 'x')"


def test_long_keys_make_small_requests() -> None:
    """URLs beyond some 8,000 characters are refused in many places."""
    asked = walk(*[(f"{number}" * 500,) for number in range(1, 8)])
    request: PageRequest | None = FilterByKey().first(asked)
    number = 0
    while request is not None:
        number += 1
        assert len(request.url) < 5000
        request = after(FilterByKey(), asked, page(request))
    assert number == 4


def test_a_server_that_ignores_the_filter_is_noticed() -> None:
    """FAULTS P15."""
    pager, asked = FilterByKey(), walk(("k1",))
    with pytest.raises(FilterIgnored):
        after(pager, asked, page(pager.first(asked), {"ListingKey": "k1"}, {"ListingKey": "k2"}))


def test_a_server_that_pages_what_was_asked_for_is_followed() -> None:
    """FAULTS P04, P16."""
    pager, asked = FilterByKey(), walk(("k1",), ("k2",))
    first = pager.first(asked)
    then = after(pager, asked, page(first, {"ListingKey": "k1"}, link="Property?$skiptoken=1"))
    assert then is not None
    assert then.url.endswith("/Property?$skiptoken=1")
    assert after(pager, asked, page(then, {"ListingKey": "k2"})) is None
    with pytest.raises(ProtocolError):
        after(pager, asked, page(then, {"ListingKey": "k2"}, link="Property?$skiptoken=1"))


def test_a_filter_brings_what_there_is_of_the_keys() -> None:
    """FAULTS P12: a key that has gone is no failure."""
    table = OdataTable([{"ListingKey": "k1"}, {"ListingKey": "k2"}])
    assert read_all(FilterByKey(), walk(("k1",)), table).keys == [("k1",)]
    assert read_all(FilterByKey(), walk(("k9",)), table).keys == []


@pytest.mark.parametrize(
    ("pager", "key", "path"),
    [
        (EntityByKey(), ("14689588",), "Property('14689588')"),
        (EntityByKey(), ("O'Neil/7",), "Property('O%27%27Neil%2F7')"),
        (EntityByKey(slash=True, select="_select"), ("a/b",), "Property/a%2Fb"),
    ],
)
def test_a_record_has_a_path_of_its_own(pager: EntityByKey, key: tuple[str, ...], path: str) -> None:
    """FAULTS M04."""
    request = pager.first(walk(key))
    assert request.url == path
    assert request.one


def test_a_record_by_several_members_names_them() -> None:
    url = EntityByKey().first(walk(("7", "x y"), resource=MEMBER)).url
    assert unquote(url) == "Member(MemberMlsId='7',MemberFullName='x y')"


def test_the_context_of_a_single_record_is_no_part_of_it() -> None:
    """Every other byte is as in a collection, blanks included, so that both are one version."""
    request = EntityByKey().first(walk(("k1",)))
    body = b'\xef\xbb\xbf { "@odata.context" : "https://a/$metadata#Property/$entity" , "ListingKey": "k1", "P": 1.10 }'
    assert [bytes(record) for record in opened(request, body).records] == [b'{"ListingKey": "k1", "P": 1.10 }']
    plain = b'{"ListingKey":"k1","value":[1]}'
    assert [bytes(record) for record in opened(request, plain).records] == [plain]


@pytest.mark.parametrize("body", [b"[]", b'"x"', b'{"ListingKey":', b"<html>"])
def test_what_is_no_object_is_no_record(body: bytes) -> None:
    """FAULTS D08."""
    with pytest.raises(ProtocolError):
        opened(EntityByKey().first(walk(("k1",))), body)


def test_another_record_than_the_one_asked_for_is_refused() -> None:
    """FAULTS H11."""
    pager, asked = EntityByKey(), walk(("k1",), ("k2",))
    with pytest.raises(ProtocolError, match="another record"):
        after(pager, asked, opened(pager.first(asked), b'{"ListingKey":"k2"}'))


def test_a_record_that_is_gone_is_followed_by_the_next_key() -> None:
    """FAULTS S12."""
    pager, asked = EntityByKey(), walk(("k1",), ("k2",))
    nothing = Response(
        status=404, headers=Headers(), body=b"", url="https://a/x", verdict=Verdict(action=Action.EMPTY, reason="gone")
    )
    request = pager.first(asked)
    then = after(pager, asked, ODataEnvelope().open(nothing, request, asked))
    assert then is not None
    assert then.url == "Property('k2')"
