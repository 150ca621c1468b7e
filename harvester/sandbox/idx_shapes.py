"""Rows become a body: the six shapes of IDX Broker, the paged form of newer versions, and XML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from harvester.sandbox.idx_entries import Entry, encode
from harvester.sandbox.idx_methods import Method, Shape


def shaped(method: Method, rows: Sequence[Entry], fields: Sequence[str] = ()) -> bytes:
    """The JSON body of *rows*; b"" is said with status 204.

    Args:
        fields: member names to keep; () keeps all.
    """
    if not rows:
        return b"[]" if method.empty_list else b""
    match method.shape:
        case Shape.SCALAR:
            return rows[0].members["value"]
        case Shape.SINGLE:
            return b"[" + rows[0].members["value"] + b"]"
        case Shape.OBJECT:
            return rows[0].body(fields)
        case Shape.WRAPPED:
            return b"{" + encode(method.wrapper) + b":" + collection(method, rows, fields) + b"}"
        case _:
            return collection(method, rows, fields)


def collection(method: Method, rows: Sequence[Entry], fields: Sequence[str] = ()) -> bytes:
    """The rows as an object by key or as a list. Without rows both are ``[]``: that is how PHP encodes them."""
    if method.shape is Shape.KEYED and rows:
        return b"{" + b",".join(encode(each.key) + b":" + each.body(fields) for each in rows) + b"}"
    return b"[" + b",".join(each.body(fields) for each in rows) + b"]"


def paged(method: Method, rows: Sequence[Entry], *, fields: Sequence[str], offset: int, limit: int, url: str) -> bytes:
    """One page of *rows* as ``{data, total, first, previous, next, last}``.

    Args:
        url: of the method, absolute, without a query. The links add nothing but ``offset`` and ``limit`` to it:
            other parameters are the client's to repeat (contract, section 6).
    """
    total = len(rows)

    def link(start: int) -> bytes:
        return encode(f"{url}?offset={start}&limit={limit}") if 0 <= start < max(total, 1) else b"null"

    last = max(0, (total - 1) // limit * limit)
    previous = link(max(0, offset - limit)) if offset else b"null"
    return b'{"data":%b,"total":%d,"first":%b,"previous":%b,"next":%b,"last":%b}' % (
        collection(method, rows[offset : offset + limit], fields),
        total,
        link(0),
        previous,
        link(offset + limit),
        link(last),
    )


def as_xml(body: bytes) -> bytes:
    """A JSON body as the XML an account without a format header may get."""
    parts = ['<?xml version="1.0" encoding="UTF-8"?>\n']
    _element(parts, "response", None, json.loads(body))
    return "".join(parts).encode()


def _element(parts: list[str], tag: str, key: str | None, value: object) -> None:
    parts.append(f"<{tag}>" if key is None else f"<{tag} key={quoteattr(key)}>")
    if isinstance(value, dict):
        for name, member in value.items():
            _element(parts, "member", name, member)
    elif isinstance(value, list):
        for member in value:
            _element(parts, "item", None, member)
    elif value is not None:
        parts.append(escape(str(value)))
    parts.append(f"</{tag}>")
