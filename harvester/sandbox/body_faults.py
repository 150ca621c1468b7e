"""Faults of a body on the wire: how it is framed, compressed, labelled (FAULTS H03 to H12).

Such answers are written to the connection as bytes of our own, which is closed behind them.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence

import msgspec

from harvester.sandbox.fault_kinds import Effect, Fault, Kind, Scene, always, cut_connection, one_of
from harvester.sandbox.pages import open_page
from harvester.sandbox.simulator import Answer

Headers = Sequence[tuple[str, str]]
Wire = Callable[[int, Headers, bytes], bytes]

_MIB = 1 << 20


def write(status: int, headers: Headers, body: bytes, *own: tuple[str, str]) -> bytes:
    """An answer in bytes. *own* headers take the place of those of the same name; no length is added."""
    replaced = {name.lower() for name, _ in own} | {"content-length", "connection"}
    kept = [(name, value) for name, value in headers if name.lower() not in replaced]
    lines = [f"{name}: {value}" for name, value in (*kept, *own, ("Connection", "close"))]
    return "\r\n".join((f"HTTP/1.1 {status} Sandbox", *lines, "", "")).encode() + body


def _sized(status: int, headers: Headers, body: bytes, *own: tuple[str, str]) -> bytes:
    return write(status, headers, body, *own, ("Content-Length", str(len(body))))


def _packed(body: bytes) -> bytes:
    return gzip.compress(body, 1, mtime=0)


def _compressed(change: Callable[[bytes], bytes]) -> Wire:
    """The body as gzip, changed by *change*."""
    return lambda status, headers, body: _sized(status, headers, change(body), ("Content-Encoding", "gzip"))


def _bad_sum(body: bytes) -> bytes:
    packed = bytearray(_packed(body))
    packed[-6] ^= 0xFF
    return bytes(packed)


_GZIP: dict[str, Callable[[bytes], bytes]] = {
    "crc": _bad_sum,
    "tail": lambda body: _packed(body) + b"trailing",
    "plain": lambda body: body,
}


def _half_valid(scene: Scene, answer: Answer) -> Answer:
    """A page that ends early and properly: fewer records, and what stood behind them is gone."""
    page = open_page(answer.body)
    if answer.status != 200 or page is None or len(page.records) < 2:
        return answer
    kept = scene.rng.randrange(1, len(page.records))
    del page.records[kept:]
    if page.names is not None:
        del page.names[kept:]
    page.link = None
    return msgspec.structs.replace(answer, body=page.render())


def _cut(arguments: str) -> Fault:
    match arguments:
        case "len" | "chunk":
            return cut_connection(arguments)
        case "valid_json":
            return always(Effect(after=_half_valid, wire=write))
        case "gzip":
            return always(Effect(wire=_compressed(lambda body: _packed(body)[: len(_packed(body)) // 2])))
        case _:  # gzip_member: the first of two members is whole
            return always(Effect(wire=_compressed(lambda body: _packed(body[: len(body) // 2]))))


def _bomb(arguments: str) -> Fault:
    ratio = int(arguments)
    if not 2 <= ratio <= 1_000:
        raise ValueError("the ratio lies from 2 to 1000")

    def swell(body: bytes) -> bytes:
        """*ratio* times a mebibyte of blanks, in a thousandth of that."""
        packer = zlib.compressobj(level=9, wbits=31)
        blanks = b" " * _MIB
        return b"".join((packer.compress(body), *(packer.compress(blanks) for _ in range(ratio)), packer.flush()))

    return always(Effect(wire=_compressed(swell)))


def _huge(arguments: str) -> Fault:
    size = int(arguments)
    if not 1 <= size <= 1_000:
        raise ValueError("the size lies from 1 to 1000 MiB")
    return always(Effect(wire=lambda status, headers, body: _sized(status, headers, body + b" " * (size * _MIB))))


def _smuggle(arguments: str) -> Fault:
    def both(status: int, headers: Headers, body: bytes) -> bytes:
        chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        return write(
            status, headers, chunked, ("Content-Length", str(len(body) // 2)), ("Transfer-Encoding", "chunked")
        )

    def lengths(status: int, headers: Headers, body: bytes) -> bytes:
        return write(status, headers, body, ("Content-Length", str(len(body) // 2)), ("Content-Length", str(len(body))))

    def feeds(status: int, headers: Headers, body: bytes) -> bytes:
        head, _, rest = _sized(status, headers, body).partition(b"\r\n\r\n")
        return head.replace(b"\r\n", b"\n") + b"\n\n" + rest

    return always(Effect(wire={"both": both, "lengths": lengths, "lf": feeds}[arguments]))


_TYPES = {
    "html": ("text/html; charset=utf-8", "utf-8"),
    "utf16": ("application/json; charset=utf-16", "utf-16"),
    "latin1": ("application/json; charset=iso-8859-1", "latin-1"),
    "xml": ("application/xml", "utf-8"),
}


def _content_type(arguments: str) -> Fault:
    kind, encoding = _TYPES[arguments]

    def mislabel(status: int, headers: Headers, body: bytes) -> bytes:
        text = body.decode("utf-8", "replace")
        return _sized(status, headers, text.encode(encoding, "replace"), ("Content-Type", kind))

    return always(Effect(wire=mislabel))


def _encoding(arguments: str) -> Fault:
    if not arguments.isalnum():
        raise ValueError(f"'{arguments}' is no name of an encoding")
    return always(
        Effect(wire=lambda status, headers, body: _sized(status, headers, body, ("Content-Encoding", arguments)))
    )


def _gzip(arguments: str) -> Fault:
    return always(Effect(wire=_compressed(_GZIP[arguments])))


_CUTS = ("len", "chunk", "valid_json", "gzip", "gzip_member")

BODY_KINDS: dict[str, Kind] = {
    "cut": Kind(usage=f"cut:{'|'.join(_CUTS)}", make=one_of(*_CUTS, make=_cut)),
    "gzip": Kind(usage="gzip:crc|tail|plain", make=one_of(*_GZIP, make=_gzip)),
    "enc": Kind(usage="enc:<name>", make=_encoding),
    "bomb": Kind(usage="bomb:<MiB decoded>", make=_bomb),
    "huge": Kind(usage="huge:<MiB>", make=_huge),
    "smuggle": Kind(usage="smuggle:both|lengths|lf", make=one_of("both", "lengths", "lf", make=_smuggle)),
    "ctype": Kind(usage="ctype:html|utf16|latin1|xml", make=one_of(*_TYPES, make=_content_type)),
}
