"""Answers without some of their rows; each other row keeps the bytes it had."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import msgspec

Row = Mapping[str, object]
Hidden = Callable[[Row], bool]


def without(body: bytes, hidden: Hidden) -> bytes | None:
    """*body* without the rows that are *hidden*; None: it holds no rows.

    Rows are in ``value`` (OData), in ``D.Results`` (Spark), or are the members of the object (IDX Broker).
    """
    try:
        document = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        if "D" in document:
            inner = _thinned(document["D"], "Results", hidden)
            return None if inner is None else b'{"D":' + inner + b"}"
        if "value" in document:
            return _thinned(msgspec.Raw(body), "value", hidden)
        rows = {name: json.loads(bytes(raw)) for name, raw in document.items()}
        if not rows or not all(isinstance(row, dict) for row in rows.values()):
            return None
        return _object({name: bytes(raw) for name, raw in document.items() if not hidden(rows[name])})
    except msgspec.MsgspecError:
        return None


def _thinned(text: msgspec.Raw, name: str, hidden: Hidden) -> bytes | None:
    members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    if name not in members:
        return None
    rows = msgspec.json.decode(members[name], type=list[msgspec.Raw])
    kept = [bytes(row) for row in rows if not hidden(json.loads(bytes(row)))]
    return _object({**{each: bytes(raw) for each, raw in members.items()}, name: b"[" + b",".join(kept) + b"]"})


def _object(members: Mapping[str, bytes]) -> bytes:
    return b"{" + b",".join(json.dumps(key).encode() + b":" + value for key, value in members.items()) + b"}"
