"""Members that must never be written, because they are credentials of somebody else."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from msgspec import Raw

_MAPPING = msgspec.json.Decoder(dict[str, Raw])
_LIST = msgspec.json.Decoder(list[Raw])


def without_members(record: Raw, fragments: Sequence[str]) -> Raw:
    """*record* without the members whose name holds one of *fragments*, at any depth.

    Names are compared in lower case and without anything but letters and digits, so ``apikey`` meets ``API_Key``
    and ``clientApiKey``. What is kept stays byte for byte, in its order; a record without such members is returned
    as it is.
    """
    text = bytes(record)
    kept = _without(text, fragments)
    return record if kept == text else Raw(kept)


def _without(value: bytes, fragments: Sequence[str]) -> bytes:
    if value.startswith(b"{"):
        members = _MAPPING.decode(value)
        kept = {name: _without(bytes(raw), fragments) for name, raw in members.items() if not _named(name, fragments)}
        if len(kept) == len(members) and all(kept[name] == bytes(raw) for name, raw in members.items()):
            return value
        return b"{" + b",".join(msgspec.json.encode(name) + b":" + raw for name, raw in kept.items()) + b"}"
    if value.startswith(b"["):
        items = [bytes(raw) for raw in _LIST.decode(value)]
        cleaned = [_without(item, fragments) for item in items]
        return value if cleaned == items else b"[" + b",".join(cleaned) + b"]"
    return value


def _named(name: str, fragments: Sequence[str]) -> bool:
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return any(fragment in plain for fragment in fragments)
