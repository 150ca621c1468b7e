"""Masked members of Spark records: ``"********"`` means "not visible for this role", in fields of any type.

Their names are stamped into the record as ``_masked``, so that nobody takes the asterisks for a value or lets them
replace a known one (Spark contract, section 9).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from harvester.decode.lines import make_stamp, put_stamp

_LITERAL = b'"********"'
_PARENT = "StandardFields"


def stamp_masked(record: Raw) -> Raw:
    """*record* with ``"_masked":[names]`` in front, in the order of ``StandardFields``; unchanged without masks."""
    text = bytes(record)
    if _LITERAL not in text:  # the cheap look; most roles see most fields
        return record
    try:
        names = _masked(text)
    except msgspec.ValidationError:  # StandardFields is not an object: it masks nothing
        return record
    return Raw(put_stamp(make_stamp([("_masked", names)]), text)) if names else record


def _masked(text: bytes) -> list[str]:
    """Names of masked members of ``StandardFields`` itself, in its order."""
    candidates = tuple(_candidates(text))
    # A name that is masked in several places may come in front of its own place in StandardFields.
    if len(set(candidates)) < len(candidates) or any(_ODD.search(name) for name in candidates):
        return [name for name, value in _decode_all(text).fields.items() if bytes(value) == _LITERAL]
    fields = _decoder(candidates)(text).parent
    values = [getattr(fields, f"f{number}") for number in range(len(candidates))]
    return [name for name, value in zip(candidates, values, strict=True) if bytes(value) == _LITERAL]


def _candidates(text: bytes) -> Iterator[str]:
    """Names in front of the literal, at whatever depth, in the order of the text."""
    place = text.find(_LITERAL)
    while place >= 0:
        colon = text.rfind(b":", 0, place)
        end = text.rfind(b'"', 0, colon)
        start = text.rfind(b'"', 0, end)
        if not text[colon + 1 : place].strip() and not text[end + 1 : colon].strip():
            escaped = text[start - 1 : start] == b"\\"  # then this quote is part of the name
            yield "\\" if escaped else text[start + 1 : end].decode()
        place = text.find(_LITERAL, place + len(_LITERAL))


_ODD = re.compile(r"[\\\x00-\x1f]")  # written with escapes, which a Struct cannot be asked for: look at all members


@lru_cache(maxsize=256)
def _decoder(names: tuple[str, ...]) -> Callable[[bytes], Any]:
    """Decodes just these members; roles mask few combinations, so few decoders are made."""
    fields = [(f"f{number}", Raw, field(name=name, default=Raw())) for number, name in enumerate(names)]
    inner = msgspec.defstruct("Fields", fields)
    outer = msgspec.defstruct("Record", [("parent", inner, field(name=_PARENT, default_factory=inner))])
    return msgspec.json.Decoder(outer).decode


class _Record(Struct):
    fields: dict[str, Raw] = field(name=_PARENT, default_factory=dict)


_decode_all = msgspec.json.Decoder(_Record).decode
