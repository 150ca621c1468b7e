"""Masked members are found where they are members, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from harvester.decode.masked import stamp_masked

MASK = "********"
_names = st.sampled_from(["A", "B", "é", 'q"', "\\", 'x":', "ends\\", "StandardFields", ""])
_leaves = st.sampled_from([MASK, MASK + " ", '"********"', ':"********"', 1, None, "x"])
_values = st.recursive(_leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_names, inner, max_size=3))


@pytest.mark.parametrize("name", ["A", "", "é", 'q"', "\\", 'x":', 'x":"', "ends\\", "t\t"])
def test_names_of_every_spelling_are_found(name: str) -> None:
    text = json.dumps({"StandardFields": {"a": 1, name: MASK}}).encode()
    assert json.loads(bytes(stamp_masked(Raw(text))))["_masked"] == [name]


def test_a_member_of_the_same_name_beside_standard_fields_does_not_change_their_order() -> None:
    text = b'{"B":"********","StandardFields":{"A":"********","B":"********"}}'
    assert json.loads(bytes(stamp_masked(Raw(text))))["_masked"] == ["A", "B"]


@given(st.dictionaries(_names, _values, max_size=4), st.dictionaries(_names, _values, max_size=6), st.booleans())
def test_the_masked_members_of_standard_fields_are_named(
    beside: dict[str, Any], fields: dict[str, Any], spaced: bool
) -> None:
    record = {**beside, "StandardFields": fields}
    text = json.dumps(record, indent=1 if spaced else None, ensure_ascii=spaced).encode()
    masked = [name for name, value in fields.items() if value == MASK]
    stamped = bytes(stamp_masked(Raw(text)))
    if not masked:
        assert stamped == text
        return
    assert json.loads(stamped) == {"_masked": masked, **record}
    assert stamped.endswith(text[1:])


def test_standard_fields_that_are_no_object_mask_nothing() -> None:
    for text in (
        b'{"StandardFields":"********"}',
        b'{"A":"********"}',
        b'{"StandardFields":["********"],"A":"********"}',
    ):
        assert bytes(stamp_masked(Raw(text))) == text
