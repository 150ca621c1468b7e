"""Masked members of Spark records: ``"********"`` means "not visible for this role", in fields of any type.

Such a member becomes ``null``, and its name is stamped into the record as ``_masked``, so that nobody takes the
asterisks for a value or lets them replace a known one (Spark contract, section 9). Every other byte stays as it came;
on request the asterisks do, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from harvester.decode.lines import make_stamp, put_stamp

_LITERAL = b'"********"'
_PARENT = "StandardFields"


class Masks:
    """What is done about masked members.

    Args:
        nested: they are in the member ``StandardFields``, as in listings of the Spark API; else in the record itself.
        keep: leave the asterisks where they are.
    """

    def __init__(self, *, nested: bool, keep: bool = False) -> None:
        self._nested, self._keep = nested, keep

    @property
    def shape(self) -> tuple[str, ...]:
        """What tells records that were written so from others."""
        return () if self._keep else ("masked: null",)

    def mark(self, records: Sequence[Raw], body: bytes) -> Sequence[Raw]:
        """*records* of *body*, each with ``"_masked":[names]`` in front, in their order, where members are masked."""
        if _LITERAL not in body:  # the cheap look; most roles see most fields
            return records
        return [self._mark(record) for record in records]

    def _mark(self, record: Raw) -> Raw:
        text = bytes(record)
        if _LITERAL not in text:
            return record
        try:
            names = self._names(text)
        except msgspec.ValidationError:  # StandardFields is not an object: it masks nothing
            return record
        if not names:
            return record
        return Raw(put_stamp(make_stamp([("_masked", names)]), text if self._keep else self._emptied(text, names)))

    def _names(self, text: bytes) -> list[str]:
        """Names of masked members themselves, not of what is inside others, in their order."""
        candidates = tuple(_candidates(text))
        # A name that is masked in several places may come in front of its own place.
        if len(set(candidates)) < len(candidates) or any(_ODD.search(name) for name in candidates):
            fields = _decode_all(text).fields if self._nested else _decode_flat(text)
            return [name for name, value in fields.items() if bytes(value) == _LITERAL]
        found = _decoder(candidates, self._nested)(text)
        members = found.parent if self._nested else found
        values = [getattr(members, f"f{number}") for number in range(len(candidates))]
        return [name for name, value in zip(candidates, values, strict=True) if bytes(value) == _LITERAL]

    def _emptied(self, text: bytes, names: Sequence[str]) -> bytes:
        """*text* with ``null`` in the place of the masked values."""
        if text.count(_LITERAL) == len(names):  # each of them has one, so there is no other
            return text.replace(_LITERAL, b"null")
        kept: list[bytes] = []
        end = 0
        for start in _masked_values(text, 2 if self._nested else 1):
            kept += (text[end:start], b"null")
            end = start + len(_LITERAL)
        return b"".join([*kept, text[end:]])


_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[{}\[\]]', re.DOTALL)
_COLON = re.compile(rb"\s*:")


def _masked_values(text: bytes, level: int) -> Iterator[int]:
    """Where the masked values of the record's own members (1), or of those of its ``StandardFields`` (2), begin."""
    depth, name = 0, b""
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in b"{[":
            depth += 1
        elif word in b"}]":
            depth -= 1
        elif _COLON.match(text, token.end()):
            if depth == 1:
                name = word
        elif depth == level and word == _LITERAL and (level == 1 or _is_parent(name)):
            yield token.start()


def _is_parent(name: bytes) -> bool:
    return bool(msgspec.json.decode(name) == _PARENT)


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
def _decoder(names: tuple[str, ...], nested: bool) -> Callable[[bytes], Any]:
    """Decodes just these members; roles mask few combinations, so few decoders are made."""
    fields = [(f"f{number}", Raw, field(name=name, default=Raw())) for number, name in enumerate(names)]
    inner = msgspec.defstruct("Fields", fields)
    if not nested:
        return msgspec.json.Decoder(inner).decode
    outer = msgspec.defstruct("Record", [("parent", inner, field(name=_PARENT, default_factory=inner))])
    return msgspec.json.Decoder(outer).decode


class _Record(Struct):
    fields: dict[str, Raw] = field(name=_PARENT, default_factory=dict)


_decode_all = msgspec.json.Decoder(_Record).decode
_decode_flat = msgspec.json.Decoder(dict[str, Raw]).decode
