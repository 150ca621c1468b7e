"""Encoded names become readable where they are whole strings, and nothing else is touched."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from harvester.data_model import DataModel, DeclaredField, DeclaredType, Lookup, LookupValue
from harvester.decode.encoded_names import EncodedNames
from harvester.model import Resource

NAMES = EncodedNames({"b__TWFpbg": "Main", "b__R2FyYWdl": 'Gar"age', "b__UGhvdG8": "Photo", "b__WA--": "Photo"})
PROPERTY = Resource(name="Property", key=("ListingKey",), modified="ModificationTimestamp")


def resolved(text: bytes) -> bytes:
    (record,) = NAMES.resolve([Raw(text)], text, PROPERTY)
    return bytes(record)


def test_names_and_values_are_replaced_wherever_they_are() -> None:
    text = b'{"ListingKey":"1","N":1.10,"CustomFields":['
    text += b'{"b__TWFpbg" : {"b__R2FyYWdl":"b__UGhvdG8","X":["b__?","b__Tm8"]}}]}'
    assert resolved(text) == (
        b'{"ListingKey":"1","N":1.10,"CustomFields":[{"Main" : {"Gar\\"age":"Photo","X":["b__?","b__Tm8"]}}]}'
    )


def test_text_that_holds_a_name_is_left_alone() -> None:
    for text in (b'{"A":"see b__TWFpbg"}', b'{"A":"\\"b__TWFpbg"}', b'{"A":"b__TWFpbg\\n"}', b'{"A":"B__TWFpbg"}'):
        assert resolved(text) == text


def test_two_members_of_one_record_never_become_one() -> None:
    for text in (b'{"b__TWFpbg":1,"Main":2}', b'{"A":{"b__TWFpbg":1},"B":{"Main" : 2}}'):
        assert resolved(text) == text
    assert resolved(b'{"b__UGhvdG8":1,"b__WA--":2}') == b'{"Photo":1,"b__WA--":2}'


def test_what_identifies_a_record_is_never_touched() -> None:
    """A key that looks like a name stays the key that it is asked for by, and a time the time of the next delta."""
    for name in ("ListingKey", "ModificationTimestamp"):
        text = b'{"%b":"b__TWFpbg","b__R2FyYWdl":1}' % name.encode()
        assert resolved(text) == text


def test_records_without_names_are_the_very_ones_that_came() -> None:
    records = [Raw(b'{"A":1}')]
    assert NAMES.resolve(records, b'[{"A":1}]', PROPERTY) is records
    assert EncodedNames({}).resolve(records, b'"b__TWFpbg"', PROPERTY) is records


_strings = st.sampled_from(["b__TWFpbg", "b__UGhvdG8", "b__Tm8", "Main", '"b__TWFpbg"', "\\\\", 'x"', "é"]) | st.text(
    max_size=4
)
_values = st.recursive(
    _strings | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_strings, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(_strings, _values, max_size=5))
def test_it_says_what_a_decoder_would_say_with_the_names_replaced(record: dict[str, Any]) -> None:
    found = json.loads(resolved(json.dumps(record, ensure_ascii=False).encode()))
    assert _with_values(found) == _with_values(record)


def _with_values(value: Any) -> Any:
    """*value* with every known name replaced, of members too: so both sides are alike whichever were left encoded."""
    known = {"b__TWFpbg": "Main", "b__UGhvdG8": "Photo"}
    if isinstance(value, dict):
        return sorted((known.get(name, name), repr(_with_values(each))) for name, each in value.items())
    if isinstance(value, list):
        return [_with_values(each) for each in value]
    return known.get(value, value) if isinstance(value, str) else value


def test_names_with_several_texts_are_not_known() -> None:
    fields = (DeclaredField(name="b__QQ", type="Edm.String", label="A"), DeclaredField(name="C", type="x", label="C"))
    lookups = (
        Lookup(name="L", values=(LookupValue("b__QQ", "B"), LookupValue("b__RA", "D"), LookupValue("b__RQ"))),
        Lookup(name="M", values=(LookupValue("b__RA", "D"),)),
    )
    model = DataModel(resources=(), types=(DeclaredType(name="T", fields=fields),), lookups=lookups)
    assert model.readable("b__") == {"b__RA": "D"}
