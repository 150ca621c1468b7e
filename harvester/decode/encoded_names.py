"""Encoded names of Spark RESO, ``b__TWFpbg``, in the words that the metadata has for them (contract, section 9).

Custom fields, values of lists and media categories may come so. Where a whole string of a record, name or value, is one
that is known, it is replaced; every other byte stays as it came. What is not known passes, as readable names do. The
identity of a record and its modification time are never touched, and no name is given to a record that has it already.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec
from msgspec import Raw

from harvester.decode.heads import HeadReader
from harvester.model import Resource

_SIGN = b'"b__'  # the cheap look; newer services encode nothing
# A quote behind a backslash is inside a string. Codes are letters, digits and a few signs, never an escape.
_CODE = re.compile(rb'(?<!\\)"(b__[A-Za-z0-9_+/=.~-]{1,500})"(\s*:)?')


class EncodedNames:
    """Puts readable names into records.

    Args:
        names: by encoded name; () for none.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = {name.encode(): msgspec.json.encode(text) for name, text in names.items()}

    def resolve(self, records: Sequence[Raw], body: bytes, resource: Resource) -> Sequence[Raw]:
        """*records* of *body* with the names that are known."""
        if not self._names or _SIGN not in body:
            return records
        return [self._resolve(record, resource) for record in records]

    def _resolve(self, record: Raw, resource: Resource) -> Raw:
        text = bytes(record)
        if _SIGN not in text:
            return record
        given: dict[bytes, bytes] = {}  # names of members by what they become, so that no two become one

        def readable(found: re.Match[bytes]) -> bytes:
            code, colon = found.groups()
            name = self._names.get(code)
            if name is None:
                return found[0]
            if colon is None:
                return name
            if given.setdefault(name, code) != code or _is_member(name, text):
                return found[0]
            return name + colon

        changed = _CODE.sub(readable, text)
        if changed == text:
            return record
        read = _reader(resource).read
        return Raw(changed) if read(changed) == read(text) else record


def _is_member(name: bytes, text: bytes) -> bool:
    """Whether *text* has a member of that *name* anywhere: two in one object would be one to most readers."""
    return name in text and re.search(re.escape(name) + rb"\s*:", text) is not None


@lru_cache(maxsize=64)
def _reader(resource: Resource) -> HeadReader:
    return HeadReader(resource)
