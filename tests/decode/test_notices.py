"""Webhook bodies: what names a record becomes a notice, anything else is refused whole."""

from __future__ import annotations

import random

import msgspec
import pytest

from harvester.decode.notices import MAX_NOTICES, read_notices
from harvester.errors import ProtocolError
from harvester.model import Notice

CENTRIS = (
    b'{"ResourceName":"Property","ResourceRecordKey":"18634444",'
    b'"ResourceRecordUrl":"https://data.example/v1/odata/Property(\'18634444\')"}'
)


def test_a_centris_post_is_one_notice() -> None:
    assert read_notices(CENTRIS) == (
        Notice(resource="Property", key="18634444", url="https://data.example/v1/odata/Property('18634444')", event=""),
    )


@pytest.mark.parametrize("wrap", [b"[%b,%b]", b'{"value":[%b,%b]}', b' {"@reso.context":"urn:x","value":[%b,%b]} '])
def test_several_come_as_an_array_or_as_entity_events(wrap: bytes) -> None:
    other = b'{"EntityEventSequence":1040,"ResourceName":"Member","ResourceRecordKey":"9","Extra":[1]}'
    first, second = read_notices(wrap % (CENTRIS, other))
    assert (first.resource, first.key) == ("Property", "18634444")
    assert (second.resource, second.key, second.url, second.event) == ("Member", "9", None, "1040")


def test_a_key_that_comes_as_a_number_keeps_its_digits() -> None:
    """Keys are text, always: 26 digits survive."""
    body = b'{"ResourceName":"Property","ResourceRecordKey":20030101123456789012345678}'
    assert read_notices(body)[0].key == "20030101123456789012345678"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"7",
        b"{}",
        b"[{}]",
        b'{"value":7}',
        b'{"ResourceName":"Property"}',
        b'{"ResourceName":"","ResourceRecordKey":"1"}',
        b'{"ResourceName":"Property","ResourceRecordKey":" "}',
        b'{"ResourceName":"Property","ResourceRecordKey":null}',
        b'{"ResourceName":"Property","ResourceRecordKey":1.5}',
        b'{"ResourceName":"Property","ResourceRecordKey":true}',
        b'{"ResourceName":"Property","ResourceRecordKey":"a\\nb"}',
        b'{"ResourceName":"Property","ResourceRecordKey":"' + b"k" * 1025 + b'"}',
        b'{"ResourceName":"Property","ResourceRecordKey":"\xff"}',
        b"[" * 100_000,
        b"<x/>",
    ],
)
def test_a_body_that_names_no_record_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_notices(body)


def test_one_bad_entry_refuses_the_post() -> None:
    with pytest.raises(ProtocolError, match="names no record"):
        read_notices(b"[%b,{}]" % CENTRIS)


def test_a_post_of_too_many_notices_is_refused() -> None:
    with pytest.raises(ProtocolError, match="10,001"):
        read_notices(b"[" + b",".join([CENTRIS] * (MAX_NOTICES + 1)) + b"]")


def test_whatever_comes_it_is_notices_or_a_protocol_error() -> None:
    rng = random.Random(7)
    pieces = [CENTRIS, b"[", b"]", b"{", b"}", b'"value":', b",", b'"', b"\xff", b"1e999", b"\\ud800", b" "]
    for _ in range(3000):
        body = b"".join(rng.choices(pieces, k=rng.randrange(1, 8)))
        try:
            notices = read_notices(body)
        except ProtocolError:
            continue
        assert all(notice.key and notice.resource for notice in notices)
        msgspec.json.encode(notices)
