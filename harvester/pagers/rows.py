"""The records of a page as a keyset walk sees them: an order value each, and an identity on demand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

import msgspec
from msgspec import Raw

from harvester.model import Head, Page, Resource
from harvester.pagers.loops import digest
from harvester.pagers.ordering import Kind, same, sortable


class Rows:
    """Order values and identities of one page, in the order of the server."""

    def __init__(self, page: Page, heads: Sequence[Head], resource: Resource, member: str, kind: Kind) -> None:
        """*member* is what the walk is ordered by: the modification time or the first identity member."""
        self._records, self._heads = page.records, heads
        self.kind = kind
        self.total = len(page.records) + len(page.rejected)  # what the server sent
        self.values: list[str | None]
        if member == resource.modified:
            self.values = [head.modified for head in heads]
        else:
            self.values = [
                head.key[0] if head.key is not None else _value(record, member)
                for record, head in zip(page.records, heads, strict=True)
            ]

    def __len__(self) -> int:
        return len(self.values)

    def identity(self, place: int) -> str:
        """A short name of the record: of its key, or of its bytes where it has no usable one."""
        key = self._heads[place].key
        return digest(*(part.encode() for part in key)) if key is not None else digest(bytes(self._records[place]))

    def identities(self) -> tuple[str, ...]:
        return tuple(map(self.identity, range(len(self))))

    def at_end(self, value: str) -> tuple[str, ...]:
        """Identities of the last rows of the page, as far back as they have *value*; late nulls are passed over."""
        late = self.late_nulls()
        places = [place for place in reversed(range(len(self))) if place not in late]
        places = list(takewhile(lambda place: self.has(place, value), places))
        return tuple(map(self.identity, reversed(places)))

    def places_of(self, value: str | None, seen: Sequence[str]) -> list[int]:
        """Places of the rows among *seen*, all of which have *value*, in front of the page."""
        if not seen:
            return []
        known = frozenset(seen)
        front = takewhile(lambda place: self.has(place, value), range(len(self)))
        return [place for place in front if self.identity(place) in known]

    def mark(self) -> str:
        """A name for what the last of the rows says, where the order is by key; "": the order is by time.

        Two collections may hold the same key: only the bytes tell their records apart.
        """
        return "" if self.kind is Kind.TIME or not len(self) else digest(bytes(self._records[-1]))

    def holds_mark(self, value: str | None, mark: str) -> bool:
        """Whether a row with *value* in front of the page says what *mark* stands for; "" stands for any."""
        if not mark:
            return True
        front = takewhile(lambda place: self.has(place, value), range(len(self)))
        return any(digest(bytes(self._records[place])) == mark for place in front)

    def known(self, value: str | None, seen: Sequence[str]) -> int:
        """How many those are."""
        return len(self.places_of(value, seen))

    def all_have(self, value: str | None) -> bool:
        return all(self.has(place, value) for place in range(len(self)))

    def reach(self, instant: str) -> bool:
        """Whether the last timestamp of the page is *instant* or later; False when either cannot be read."""
        last = next((value for value in reversed(self.values) if value is not None), None)
        mine, bound = (sortable(last) if last is not None else None), sortable(instant)
        return mine is not None and bound is not None and mine >= bound

    def keyed(self, places: frozenset[int]) -> frozenset[int]:
        """Those of *places* whose rows have a usable key."""
        return frozenset(place for place in places if self._heads[place].key is not None)

    def late_nulls(self) -> frozenset[int]:
        """Places of rows without a value behind a row with one: the server sorts nulls last.

        A walk by value could never come back to them. Nulls in front, the order of OData, are not late.
        """
        if None not in self.values:
            return frozenset()
        first = next((place for place, value in enumerate(self.values) if value is not None), len(self))
        return frozenset(place for place, value in enumerate(self.values) if value is None and place > first)

    def has(self, place: int, value: str | None) -> bool:
        """Whether a server may take the order value of the record for *value*."""
        own = self.values[place]
        return own == value or (own is not None and value is not None and same(self.kind, own, value))


def _value(record: Raw, member: str) -> str | None:
    """The text or number *member* of a record without a usable key; None: absent, null or something else."""
    try:
        found = msgspec.json.decode(record, type=dict[str, Raw]).get(member)
        value = None if found is None else msgspec.json.decode(found, type=str | int | None)
    except (msgspec.DecodeError, RecursionError):
        return None
    return None if value is None else str(value)
