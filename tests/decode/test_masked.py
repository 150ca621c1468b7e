"""Masked members are found where they are members, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from harvester.decode.heads import HeadReader
from harvester.decode.masked import Masks
from harvester.model import Resource

MASK = "********"
KEEP = Masks(nested=True, keep=True)
NULL = Masks(nested=True)
FLAT = Masks(nested=False)
_names = st.sampled_from(["A", "B", "é", 'q"', "\\", 'x":', "ends\\", "StandardFields", ""])
_leaves = st.sampled_from([MASK, MASK + " ", '"********"', ':"********"', 1, None, "x"])
_values = st.recursive(_leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_names, inner, max_size=3))


def marked(masks: Masks, text: bytes) -> bytes:
    (record,) = masks.mark([Raw(text)], text)
    return bytes(record)


@pytest.mark.parametrize("name", ["A", "", "é", 'q"', "\\", 'x":', 'x":"', "ends\\", "t\t"])
def test_names_of_every_spelling_are_found(name: str) -> None:
    text = json.dumps({"StandardFields": {"a": 1, name: MASK}}).encode()
    assert json.loads(marked(KEEP, text))["_masked"] == [name]


def test_a_member_of_the_same_name_beside_standard_fields_does_not_change_their_order() -> None:
    text = b'{"B":"********","StandardFields":{"A":"********","B":"********"}}'
    assert json.loads(marked(KEEP, text))["_masked"] == ["A", "B"]


@given(st.dictionaries(_names, _values, max_size=4), st.dictionaries(_names, _values, max_size=6), st.booleans())
def test_the_masked_members_of_standard_fields_are_named(
    beside: dict[str, Any], fields: dict[str, Any], spaced: bool
) -> None:
    record = {**beside, "StandardFields": fields}
    text = json.dumps(record, indent=1 if spaced else None, ensure_ascii=spaced).encode()
    masked = [name for name, value in fields.items() if value == MASK]
    stamped = marked(KEEP, text)
    if not masked:
        assert stamped == text
        return
    assert json.loads(stamped) == {"_masked": masked, **record}
    assert stamped.endswith(text[1:])
    emptied = {**record, "StandardFields": {name: None if value == MASK else value for name, value in fields.items()}}
    assert json.loads(marked(NULL, text)) == {"_masked": masked, **emptied}
    assert json.loads(marked(FLAT, json.dumps(fields).encode())) == {"_masked": masked, **emptied["StandardFields"]}


def test_standard_fields_that_are_no_object_mask_nothing() -> None:
    for text in (
        b'{"StandardFields":"********"}',
        b'{"A":"********"}',
        b'{"StandardFields":["********"],"A":"********"}',
    ):
        assert marked(KEEP, text) == text


def test_every_other_byte_stays_as_it_came() -> None:
    text = b'{ "Id":"1", "StandardFields" : {"A" : "********","N":1.10,"B":"\\u0041********","C":["********"]}'
    text += b',"X":"********"}'
    assert marked(NULL, text) == (
        b'{"_masked":["A"], "Id":"1", "StandardFields" : {"A" : null,"N":1.10,"B":"\\u0041********","C":["********"]},'
        b'"X":"********"}'
    )
    assert marked(FLAT, text) == b'{"_masked":["X"],' + text[1:].replace(b'"X":"********"', b'"X":null')


def test_a_string_that_ends_like_a_mask_is_none() -> None:
    text = b'{"A":"********","B":"\\"********"}'
    assert marked(FLAT, text) == b'{"_masked":["A"],"A":null,"B":"\\"********"}'


def test_a_masked_key_identifies_nothing() -> None:
    """FAULTS P14: all records whose key may not be seen would else be one."""
    text = b'{"ListingKey":"********","ModificationTimestamp":"2026-01-01T00:00:00Z"}'
    head = HeadReader(Resource(name="Property", key=("ListingKey",), modified="ModificationTimestamp"))
    assert head.read(marked(FLAT, text)).key is None
    assert head.read(text).key == (MASK,)


def test_records_without_masks_are_the_very_ones_that_came() -> None:
    records = [Raw(b'{"A":1}')]
    assert NULL.mark(records, b'[{"A":1}]') is records
