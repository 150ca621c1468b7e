"""Bodies are whole or refused (FAULTS H01 to H12)."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest

from harvester.errors import BodyIncomplete, ProtocolError
from harvester.model import Headers
from harvester.wire import body as subject
from harvester.wire.body import check_framing, gunzip, open_body

PAGE = b'{"value":[' + b",".join(b'{"ListingKey":"%d"}' % n for n in range(500)) + b"]}"
PACKED = gzip.compress(PAGE)
CAP = 1 << 20


@pytest.fixture(params=["isal", "zlib"], autouse=True)
def decompressor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both decompressors keep the same promises."""
    if request.param == "zlib":
        monkeypatch.setattr(subject, "_decompressor", lambda: zlib.decompressobj(31))
    else:
        pytest.importorskip("isal")


def opened(raw: bytes, status: int = 200, *, compressed: bool = True, **fields: str) -> bytes:
    headers = Headers((name.replace("_", "-"), value) for name, value in fields.items())
    return open_body(raw, status, headers, compressed=compressed, cap=CAP)


def test_a_whole_body_is_opened() -> None:
    assert opened(PAGE, content_length=str(len(PAGE))) == PAGE
    assert opened(PACKED, content_encoding="gzip", transfer_encoding="chunked") == PAGE
    assert opened(PACKED, content_encoding="X-GZIP", content_length=str(len(PACKED))) == PAGE


def test_several_members_are_one_body() -> None:
    """RFC 1952 allows it, and some proxies send it."""
    half = len(PAGE) // 2
    assert gunzip(gzip.compress(PAGE[:half]) + gzip.compress(PAGE[half:]), CAP) == PAGE


def test_a_body_shorter_than_announced_is_refused() -> None:
    """FAULTS H01: also where the library did not notice."""
    with pytest.raises(BodyIncomplete):
        opened(PAGE, content_length=str(len(PAGE) + 1))


@pytest.mark.parametrize("lost", [1, 4, 8, 9, 100, len(PACKED) - 12, len(PACKED) - 1])
def test_a_gzip_stream_cut_anywhere_is_refused(lost: int) -> None:
    """FAULTS H04: Content-Length matches the cut stream, only the missing trailer tells."""
    cut = PACKED[:-lost]
    with pytest.raises(BodyIncomplete):
        opened(cut, content_encoding="gzip", content_length=str(len(cut)))


def test_a_stream_cut_between_members_is_refused_by_its_open_bracket() -> None:
    """FAULTS H05: every member is whole, the JSON is not."""
    half = gzip.compress(PAGE[: len(PAGE) // 2])
    with pytest.raises(BodyIncomplete):
        opened(half, content_encoding="gzip", content_length=str(len(half)))


@pytest.mark.parametrize(
    "raw",
    [
        PACKED[:-8] + bytes([PACKED[-8] ^ 1]) + PACKED[-7:],  # checksum
        PACKED[:-4] + b"\0\0\0\1",  # length
        PACKED + b"garbage",
        PACKED + b"\0\0\0\0",
        PACKED[:40] + b"\xff\xff" + PACKED[42:],
        PAGE,  # plain, labelled gzip
    ],
)
def test_corrupt_gzip_is_refused(raw: bytes) -> None:
    """FAULTS H06: checksum, length, trailing garbage, plain bytes under a gzip label."""
    with pytest.raises(BodyIncomplete):
        opened(raw, content_encoding="gzip", transfer_encoding="chunked")


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip", "x"])
def test_an_encoding_nobody_asked_for_is_refused(encoding: str) -> None:
    """FAULTS H07: its bytes are never read as JSON, and repeating would not help."""
    with pytest.raises(ProtocolError):
        opened(PAGE, content_encoding=encoding, content_length=str(len(PAGE)))
    with pytest.raises(ProtocolError):
        opened(PACKED, compressed=False, content_encoding="gzip", content_length=str(len(PACKED)))


def test_a_bomb_costs_the_cap_and_no_more() -> None:
    """FAULTS H08: 64 MiB of zeros in 64 kB stop at 1 MiB."""
    bomb = gzip.compress(bytes(64 << 20), 9)
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError, match="larger than the 1 MiB"):
            gunzip(bomb, CAP)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_the_cap_holds_over_all_members_together() -> None:
    """FAULTS H08: a bomb in many small members is still a bomb."""
    member = gzip.compress(bytes(CAP // 4))
    assert len(gunzip(member * 4, CAP)) == CAP
    with pytest.raises(ProtocolError):
        gunzip(member * 5, CAP)


def test_a_plain_body_above_the_cap_is_refused() -> None:
    """FAULTS H09."""
    with pytest.raises(ProtocolError):
        opened(b"[" + b" " * CAP + b"]", transfer_encoding="chunked")


@pytest.mark.parametrize("body", [b'{"a":1', b"[1,2", b'{"a":[1]', b'"tex', b"12", b"plain", b"<html><p"])
def test_without_a_length_a_body_must_show_its_end(body: bytes) -> None:
    """FAULTS H03: closed by the connection alone, it must close what it opened."""
    with pytest.raises(BodyIncomplete):
        opened(body)


@pytest.mark.parametrize(
    "body", [b'{"a":1}\r\n ', b" [1]", b'\xef\xbb\xbf{"a":1}', b'"text"', b"true", b"null\n", b"<a/>"]
)
def test_a_body_that_shows_its_end_needs_no_length(body: bytes) -> None:
    assert opened(body) == body


def test_a_number_with_a_length_is_whole() -> None:
    """Some methods answer a bare scalar."""
    assert opened(b"12", content_length="2") == b"12"


@pytest.mark.parametrize(
    "fields",
    [
        [("Content-Length", "5"), ("Transfer-Encoding", "chunked")],
        [("Content-Length", "5"), ("Content-Length", "5")],
        [("Content-Length", "5, 5")],
        [("Content-Length", "-5")],
        [("Content-Length", "\u0665")],
    ],
)
def test_headers_that_announce_two_bodies_are_refused(fields: list[tuple[str, str]]) -> None:
    """FAULTS H10."""
    with pytest.raises(BodyIncomplete):
        check_framing(Headers(fields))


@pytest.mark.parametrize("charset", ["utf-16", "iso-8859-1", '"windows-1252"'])
def test_json_in_another_character_set_is_refused(charset: str) -> None:
    """FAULTS H12."""
    with pytest.raises(ProtocolError, match="character set"):
        opened(PAGE, content_type=f"application/json; charset={charset}", content_length=str(len(PAGE)))


def test_utf8_may_be_named() -> None:
    assert opened(PAGE, content_type='application/json; odata=x; charset="UTF-8"', content_length=str(len(PAGE)))


def test_no_body_is_no_fault_of_the_body() -> None:
    """FAULTS H13: what an empty answer means is the provider's to say."""
    assert opened(b"", 204) == b""
    assert opened(b"", content_length="0") == b""
    assert opened(b"", content_encoding="gzip", content_length="0") == b""
