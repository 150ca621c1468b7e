"""A set of records inside another record: its members as they are written, and whether they are all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import msgspec
from msgspec import Raw, Struct

from harvester.decode.lines import one_line
from harvester.decode.members import MemberReader
from harvester.errors import ProtocolError
from harvester.model import Relation

_BRACE = ord("{")
_decode = msgspec.json.Decoder(list[Raw]).decode


class NestedSet(Struct, frozen=True):
    """What one record holds of a set."""

    records: list[Raw]
    whole: bool  # False: there may be more, by the server's own word or because it has as many as a page may have


def read_nested(record: Raw | bytes, relation: Relation) -> NestedSet:
    """The set of *relation* inside its parent's *record*. ``null`` is an empty one.

    Raises:
        ProtocolError: it is not there, or is no list of objects. Not there is not empty: the server did not bring it.
    """
    name = relation.expand or relation.inside
    value, link, count = _reader(relation.inside).read(record)
    if value is None:
        raise ProtocolError(f"{name} was asked for and is not in the record of {relation.parent}.")
    try:
        records = [] if value == b"null" else _decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProtocolError(f"{name} in the record of {relation.parent} is no list: {error}") from error
    if any(memoryview(each)[0] != _BRACE for each in records):
        raise ProtocolError(f"{name} in the record of {relation.parent} holds something that is not an object.")
    told = int(count) if count is not None and count.isdigit() else 0
    cut = link not in {None, b"null", b'""'} or told > len(records)
    cut = cut or (relation.most is not None and len(records) >= relation.most)
    return NestedSet(list(one_line(records, value)), whole=not cut)


def count_cut(records: Sequence[Raw]) -> int:
    """How many *records* hold a set that goes on behind a link (FAULTS P06): what was expanded is not all of it."""
    return sum(_LINK.search(record) is not None for record in records)


# A quote that is part of a text has a backslash before it.
_LINK = re.compile(rb'[^\\]@odata\.nextLink"\s*:\s*"')


@lru_cache(maxsize=64)
def _reader(inside: str) -> MemberReader:
    *parents, last = inside.split(".")
    return MemberReader([(*parents, name) for name in (last, f"{last}@odata.nextLink", f"{last}@odata.count")])
