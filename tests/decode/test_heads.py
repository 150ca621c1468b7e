"""Heads read off the bytes agree with a full parse, whatever the record looks like."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.decode.heads import MAX_KEY, Columns, HeadReader, PageHeads
from harvester.model import Head, Resource

PROPERTY = HeadReader(Resource(name="Property", key=("ListingKey",), modified="ModificationTimestamp"))
MEMBER = HeadReader(Resource(name="Member", key=("MemberMlsId", "MemberFullName"), modified="ModificationTimestamp"))
SPARK = HeadReader(Resource(name="listings", key=("Id",), modified="StandardFields.ModificationTimestamp"))
KEYLESS = HeadReader(Resource(name="standardfields"))


def head(text: str, reader: HeadReader = PROPERTY) -> Head:
    return reader.read(msgspec.Raw(text.encode()))


# ------------------------------------------------------------------ the walk cannot be fooled


@pytest.mark.parametrize(
    "record",
    [
        '{"ListingKey":"1","ModificationTimestamp":"T"}',
        '{"ModificationTimestamp":"T","ListingKey":"1"}',
        '{ "ListingKey" : "1" ,\r\n\t"ModificationTimestamp" : "T" }',
        '{"a":1,"b":-1.5e+3,"c":true,"d":null,"e":"x","ListingKey":"1","ModificationTimestamp":"T","z":[]}',
        '{"Media":[{"ListingKey":"9","ModificationTimestamp":"N"}],"ListingKey":"1","ModificationTimestamp":"T"}',
        '{"Room":{"ListingKey":{"ListingKey":"9"}},"ListingKey":"1","ModificationTimestamp":"T"}',
        r'{"Remarks":"\"ListingKey\":\"9\",","ListingKey":"1","ModificationTimestamp":"T"}',
        r'{"Remarks":"}]\\","ListingKey":"1","ModificationTimestamp":"T"}',
        r'{"Remarks":["}","\\\"]"],"ListingKey":"1","ModificationTimestamp":"T"}',
        '{"XListingKey":"9","ListingKeyX":"9","ListingKey":"1","ModificationTimestamp":"T"}',
        r'{"Listing\u004bey":"1","ModificationTimestamp":"T"}',
        r'{"ListingKey":"\u0031","ModificationTimestamp":"\u0054"}',
        '{"ListingKey":1,"ModificationTimestamp":"T"}',
        '{"d":[[[[[[[[[[[[{"ListingKey":"9"}]]]]]]]]]]]],"ListingKey":"1","ModificationTimestamp":"T"}',
        '{"ListingKey":"1","ListingKey":"2","ModificationTimestamp":"T"}',  # FAULTS D07: the first one wins
        '{"ListingKey":"1","ModificationTimestamp":"T","ListingKey":"2","ModificationTimestamp":"U"}',
        r'{"Listing\u004bey":"1","ListingKey":"2","ModificationTimestamp":"T"}',
        '{"ListingKey":"1","ListingKey":"2","ListingKey":"3","ModificationTimestamp":"T"}',
    ],
)
def test_the_first_top_level_member_of_the_name_is_read_and_nothing_else(record: str) -> None:
    assert head(record) == Head(("1",), "T")
    assert PROPERTY.read_page([msgspec.Raw(record.encode())]) == Columns([("1",)], ["T"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("20100000000000000000000001", "20100000000000000000000001"),
        ("-7", "-7"),
        ('"0012"', "0012"),
        (r'"O\u0027Brien \"x\" \/"', 'O\'Brien "x" /'),
        ('"../../été %2F#?"', "../../été %2F#?"),
        (r'"\ud83d\ude00"', "😀"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_keys_are_text_and_integers_keep_their_digits(value: str, text: str) -> None:
    """FAULTS D06, M04."""
    assert head(f'{{"ListingKey":{value},"ModificationTimestamp":"T"}}').key == (text,)


@pytest.mark.parametrize(
    ("member", "problem"),
    [
        ("", "ListingKey is absent"),
        ('"ListingKey":null,', "ListingKey is null"),
        ('"ListingKey":"",', "ListingKey is empty"),
        ('"ListingKey":{},', "ListingKey is neither text nor an integer"),
        ('"ListingKey":["1"],', "ListingKey is neither text nor an integer"),
        ('"ListingKey":1.5,', "ListingKey is neither text nor an integer"),
        ('"ListingKey":true,', "ListingKey is neither text nor an integer"),
        (f'"ListingKey":"{"k" * MAX_KEY}",', "ListingKey is longer than 10,000 bytes"),
    ],
)
def test_an_unusable_key_is_told_and_the_time_is_still_read(member: str, problem: str) -> None:
    """FAULTS P14."""
    record = f'{{{member}"ModificationTimestamp":"T"}}'
    assert head(record) == Head(None, "T", problem)
    assert PROPERTY.read_page([record.encode()]) == Columns([None], ["T"])


@pytest.mark.parametrize("time", ["null", '""', "{}", "[]", "true"])
def test_an_unusable_time_is_none(time: str) -> None:
    assert head(f'{{"ListingKey":"1","ModificationTimestamp":{time}}}') == Head(("1",), None)


def test_a_time_is_kept_as_it_was_written() -> None:
    """FAULTS T03."""
    text = "2024-03-26T16:42:30.7526366Z"
    assert head(f'{{"ListingKey":"1","ModificationTimestamp":"{text}"}}').modified == text


def test_both_parts_of_an_identity_are_needed() -> None:
    """IMS contract, section 3: members are known by number and name."""
    assert head('{"MemberFullName":"A","MemberMlsId":"1"}', MEMBER) == Head(("1", "A"), None)
    assert head('{"MemberMlsId":"1","MemberFullName":null}', MEMBER).problem == "MemberFullName is null"


@pytest.mark.parametrize(
    "record",
    [
        '{"ResourceUri":"/v1/x","Id":"1","StandardFields":{"ListPrice":1,"ModificationTimestamp":"T","z":1}}',
        '{"StandardFields":{"ModificationTimestamp":"T"},"Id":"1"}',
        '{"_masked":["Id"],"CustomFields":[{"Main":[{"ModificationTimestamp":"N"}]}],"Id":"1","StandardFields":{"Rooms":[{"ModificationTimestamp":"N"}],"ModificationTimestamp":"T"}}',
        '{"Id":"1","StandardFields":{"StandardFields":{"ModificationTimestamp":"N"},"ModificationTimestamp":"T"}}',
    ],
)
def test_a_dotted_name_descends_one_object(record: str) -> None:
    assert head(record, SPARK) == Head(("1",), "T")


def test_a_dotted_name_through_something_else_than_an_object_is_absent() -> None:
    assert head('{"Id":"1","StandardFields":"x"}', SPARK) == Head(("1",), None)
    assert head('{"Id":"1","StandardFields":null,"ModificationTimestamp":"N"}', SPARK) == Head(("1",), None)


def test_a_resource_without_identity_has_an_empty_key() -> None:
    assert head("{}", KEYLESS) == Head((), None)


def test_a_record_of_twenty_megabytes_and_five_thousand_members_is_read() -> None:
    """FAULTS D11."""
    wide = ",".join(f'"f{number}":"{"x" * 4000}"' for number in range(5000))
    assert head(f'{{{wide},"ListingKey":"1","ModificationTimestamp":"T"}}') == Head(("1",), "T")


def test_a_record_nested_beyond_the_pattern_and_the_parser_is_a_problem_not_a_crash() -> None:
    """FAULTS D08."""
    deep = "[" * 50_000 + "]" * 50_000
    assert head(f'{{"d":{deep},"ListingKey":"1","ModificationTimestamp":"T"}}').key is None


# ------------------------------------------------------------------ against a full parse

_names = st.sampled_from(
    ["ListingKey", "ModificationTimestamp", "ListingKey ", "listingkey", "a", "é", 'q"', "\\", "StandardFields"]
)
_strings = st.text(st.sampled_from('ab"\\{}[]:,/\n\r\té😀\x00') | st.characters(codec="utf-8"), max_size=12) | st.just(
    '"ListingKey":"9",'
)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _strings,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=12,
)
_members = st.lists(st.tuples(_names, _values), max_size=8)


def written(members: list[tuple[str, Any]], ascii_only: bool, indent: bool) -> bytes:
    """A record with repeated members where *members* has them."""
    comma, colon = (" ,\n ", " : ") if indent else (",", ":")
    dump = json.JSONEncoder(ensure_ascii=ascii_only, indent=1 if indent else None).encode
    return ("{" + comma.join(dump(name) + colon + dump(value) for name, value in members) + "}").encode()


def expected(members: list[tuple[str, Any]]) -> tuple[tuple[str, ...] | None, str | None]:
    first: dict[str, Any] = dict(reversed(members))
    key, time = first.get("ListingKey"), first.get("ModificationTimestamp")
    usable = (isinstance(key, str) and key) or (isinstance(key, int) and not isinstance(key, bool))
    told = (isinstance(time, str) and time) or (isinstance(time, int) and not isinstance(time, bool))
    return (str(key),) if usable else None, str(time) if told else None


@given(_members, st.booleans(), st.booleans())
@settings(max_examples=500, deadline=None)
def test_heads_agree_with_a_full_parse(members: list[tuple[str, Any]], ascii_only: bool, indent: bool) -> None:
    record = written(members, ascii_only, indent)
    found = PROPERTY.read(record)
    assert (found.key, found.modified) == expected(members)
    assert (found.key is None) == bool(found.problem)
    key, time = expected(members)
    assert PROPERTY.read_page([msgspec.Raw(record)]) == Columns([key], [time])


# ------------------------------------------------------------------ pages


def test_the_heads_of_a_page_are_read_when_they_are_asked_for() -> None:
    records = [msgspec.Raw(b'{"ListingKey":"1"}'), msgspec.Raw(b'{"ListingKey":null}')]
    heads = PageHeads(records, PROPERTY)
    records[0] = msgspec.Raw(b'{"ListingKey":"2"}')
    assert len(heads) == 2
    assert heads[0].key == ("2",)
    assert [each.problem for each in heads] == ["", "ListingKey is null"]
    assert list(heads[:1]) == [Head(("2",), None)]
