"""A response body, whole or refused: declared length, end of stream, caps, decompression; pure.

A body that is cut can look like a smaller page, so every way to see a cut is used. One way stays invisible here: a
server that ends its JSON properly but early (FAULTS H03, H05). That is for the walk to notice, by count and by
following on after short pages.
"""

from __future__ import annotations

import zlib
from typing import Protocol

from harvester.errors import BodyIncomplete, ProtocolError
from harvester.model import Headers
from harvester.wire.limits import MIB

_BODILESS = (204, 304)
_CLOSING = {b"{": b"}", b"[": b"]", b'"': b'"', b"<": b">"}
_BLANKS = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"


def check_framing(headers: Headers) -> None:
    """Refuse headers that two parsers could read as two different bodies (FAULTS H10).

    Raises:
        BodyIncomplete: both a length and a transfer coding, or several lengths; the connection must not be reused.
    """
    lengths = headers.all("content-length")
    if lengths and "transfer-encoding" in headers:
        raise BodyIncomplete("the answer has both a length and a transfer coding")
    if len(lengths) > 1 or (lengths and not (lengths[0].isascii() and lengths[0].isdigit())):
        raise BodyIncomplete("the answer has several or unreadable lengths")


def declared_length(headers: Headers) -> int | None:
    """``Content-Length`` in bytes; None when the body ends otherwise. Call ``check_framing`` first."""
    return int(headers["content-length"]) if "content-length" in headers else None


def open_body(raw: bytes, status: int, headers: Headers, *, compressed: bool, cap: int) -> bytes:
    """The decoded body, only if it is whole.

    Args:
        raw: as received, without transfer coding.
        compressed: whether gzip was asked for.
        cap: most bytes the decoded body may have.
    Raises:
        BodyIncomplete: cut, corrupt, or not what its headers say (FAULTS H01 to H06); a repeat may help.
        ProtocolError: above *cap*, in an encoding or a character set that was not asked for (FAULTS H07, H08, H12).
    """
    if status in _BODILESS:
        return b""
    length = declared_length(headers)
    if length is not None and length != len(raw):
        raise BodyIncomplete(f"{len(raw):,} bytes came where {length:,} were announced")
    body = _decoded(raw, headers.get("content-encoding", ""), compressed=compressed, cap=cap)
    if 200 <= status < 300:
        _check_charset(headers.get("content-type", ""))
        _check_end(body, delimited=length is not None or "transfer-encoding" in headers)
    return body


def _decoded(raw: bytes, encoding: str, *, compressed: bool, cap: int) -> bytes:
    encoding = encoding.strip().lower()
    if encoding in ("", "identity") or not raw:
        if len(raw) > cap:
            raise too_large(cap)
        return raw
    if encoding in ("gzip", "x-gzip") and compressed:
        return gunzip(raw, cap)
    raise ProtocolError("the answer is in a content encoding that was not asked for; its bytes were not used")


def too_large(cap: int) -> ProtocolError:
    return ProtocolError(f"the answer is larger than the {cap / MIB:,.4g} MiB this client takes")


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


try:
    from isal import igzip_lib
except ImportError:  # an optional extra: half the time of zlib

    def _decompressor() -> _Decompressor:
        return zlib.decompressobj(31)

else:

    def _decompressor() -> _Decompressor:
        return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


def gunzip(raw: bytes, cap: int) -> bytes:
    """All members of a gzip stream, each with its trailer, and nothing behind the last (FAULTS H04, H06).

    The output is bounded while it grows, so a bomb costs *cap* bytes and no more (FAULTS H08).

    Raises:
        BodyIncomplete: a member without its end, a wrong checksum, or bytes that are no member.
        ProtocolError: more than *cap* bytes come out.
    """
    members: list[bytes] = []
    left = cap
    while raw:
        stream = _decompressor()
        try:
            member = stream.decompress(raw, left + 1)
        except Exception as exc:  # zlib.error, or isal's own class, which derives from Exception alone
            raise BodyIncomplete(f"the gzip body is corrupt ({exc})") from exc
        if len(member) > left:
            raise too_large(cap)
        if not stream.eof:
            raise BodyIncomplete("the gzip body ends without its trailer")
        left -= len(member)
        members.append(member)
        raw = stream.unused_data
    return members[0] if len(members) == 1 else b"".join(members)


def _check_charset(content_type: str) -> None:
    kind, _, parameters = content_type.lower().partition(";")
    if "json" not in kind:
        return
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip(" \t\"'") not in ("utf-8", "utf8", "us-ascii"):
            raise ProtocolError("the answer is JSON in another character set than UTF-8")


def _check_end(body: bytes, *, delimited: bool) -> None:
    """The last byte must close what the first one opened.

    *delimited*: length or chunks proved the end of the transfer. Where only the closing of the connection did, text
    that closes nothing (a number, plain words) cannot be proved whole and is refused (FAULTS H03).
    """
    start = body[:64].removeprefix(_BOM).lstrip(_BLANKS)[:1]
    wanted = _CLOSING.get(start)
    if wanted is None:
        if not delimited and body.strip(_BLANKS) not in (b"true", b"false", b"null"):
            raise BodyIncomplete("the answer has no length and no visible end")
    elif body[-64:].rstrip(_BLANKS)[-1:] != wanted:
        raise BodyIncomplete("the answer stops before its end")
