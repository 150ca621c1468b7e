"""Members of records as they are written, and the sets inside them."""

from __future__ import annotations

import pytest
from msgspec import Raw

from harvester.decode.members import MemberReader, text_of
from harvester.decode.nested import count_cut, read_nested
from harvester.errors import ProtocolError
from harvester.model import Relation

ROOMS = Relation(
    parent="listings", parent_key=("Id",), member="_ListingKey", expand="Rooms", inside="StandardFields.Rooms", most=3
)


def test_values_are_the_bytes_they_were() -> None:
    """FAULTS D05, D06."""
    reader = MemberReader(["Id", "Fields.Price", "Fields.Rooms", "Gone.Altogether"])
    record = b'{"Fields":{"Rooms":[1.10, 2],"Price":123412.00},"Id":20100101000000000000000000}'
    assert reader.read(record) == (b"20100101000000000000000000", b"123412.00", b"[1.10, 2]", None)


@pytest.mark.parametrize("record", [b'{"Id":"1","Fields":null}', b'{"Id":"1","Fields":[]}', b'{"Id":"1"}'])
def test_what_lies_inside_no_object_is_absent(record: bytes) -> None:
    assert MemberReader(["Id", "Fields.Price"]).read(record) == (b'"1"', None)


@pytest.mark.parametrize(
    ("value", "text"),
    [(b'"a\\u0041"', "aA"), (b"12345678901234567890123", "12345678901234567890123"), (b"1.5", None), (b"null", None)],
)
def test_a_key_is_text_or_digits(value: bytes, text: str | None) -> None:
    assert text_of(value) == text


def test_a_set_inside_a_record_is_its_members_unchanged() -> None:
    found = read_nested(b'{"Id":"1","StandardFields":{"Rooms":[{"Width": 1.10},{"Id":"2"}]}}', ROOMS)
    assert [bytes(each) for each in found.records] == [b'{"Width": 1.10}', b'{"Id":"2"}']
    assert found.whole


def test_a_set_on_several_lines_is_on_one_afterwards() -> None:
    """FAULTS D01."""
    found = read_nested(b'{"StandardFields":{"Rooms":[{\n"Id":"1"\n}]}}', ROOMS)
    assert b"\n" not in bytes(found.records[0])


def test_null_is_an_empty_set_and_absent_is_none() -> None:
    assert read_nested(b'{"StandardFields":{"Rooms":null}}', ROOMS).records == []
    with pytest.raises(ProtocolError, match="is not in the record"):
        read_nested(b'{"StandardFields":{}}', ROOMS)


@pytest.mark.parametrize("value", [b'{"a":1}', b"[1]", b'["x"]', b'"text"'])
def test_what_is_no_list_of_objects_is_refused(value: bytes) -> None:
    """FAULTS D12."""
    with pytest.raises(ProtocolError, match="Rooms in the record of listings"):
        read_nested(b'{"StandardFields":{"Rooms":' + value + b"}}", ROOMS)


@pytest.mark.parametrize(
    ("fields", "whole"),
    [
        (b'"Rooms":[{}]', True),
        (b'"Rooms":[{}],"Rooms@odata.nextLink":null', True),
        (b'"Rooms":[{}],"Rooms@odata.count":1', True),
        (b'"Rooms":[{}],"Rooms@odata.nextLink":"listings/1/rooms?$skip=1"', False),
        (b'"Rooms":[{}],"Rooms@odata.count":2', False),
        (b'"Rooms":[{},{},{}]', False),  # as many as a page may have
    ],
)
def test_a_set_that_may_go_on_is_not_whole(fields: bytes, whole: bool) -> None:
    """FAULTS P06."""
    assert read_nested(b'{"StandardFields":{' + fields + b"}}", ROOMS).whole is whole


def test_links_inside_records_are_counted_and_texts_that_look_like_them_are_not() -> None:
    records = [
        Raw(b'{"Media":[],"Media@odata.nextLink":"x"}'),
        Raw(b'{"Units":[{"Rooms@odata.nextLink" : "y"}]}'),
        Raw(b'{"Remarks":"see \\"Media@odata.nextLink\\":\\"x\\""}'),
        Raw(b'{"Media":[],"Media@odata.nextLink":null}'),
    ]
    assert count_cut(records) == 2
