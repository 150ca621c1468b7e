"""Rows as they are served, and tables of them in the two orders APIs page by.

A row is rendered to bytes once. A page is a slice of one of the two lists, joined; nothing is decoded for it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
import orjson

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LABELS: dict[str, bytes] = {}  # member name -> b'"name":', written once


def json_bytes(value: object) -> bytes:
    """*value* as compact JSON; ``bytes`` pass as they are, so that ``b"123412.00"`` keeps its zeros."""
    return value if isinstance(value, bytes) else orjson.dumps(value)


def members(values: Mapping[str, object]) -> dict[str, bytes]:
    """Every value as JSON bytes (see ``json_bytes``)."""
    return {name: json_bytes(value) for name, value in values.items()}


def _label(name: str) -> bytes:
    label = _LABELS[name] = orjson.dumps(name) + b":"
    return label


def render(values: Mapping[str, bytes]) -> bytes:
    """One compact JSON object from rendered members, in their order."""
    labels = _LABELS
    return b"{" + b",".join([(labels.get(name) or _label(name)) + value for name, value in values.items()]) + b"}"


def array(items: Iterable[bytes]) -> bytes:
    """A JSON array of rendered items."""
    return b"[" + b",".join(items) + b"]"


def splice(body: bytes, name: str, value: bytes) -> bytes:
    """*body* with one member more, in front."""
    rest = body[1:]
    return b"{" + (_LABELS.get(name) or _label(name)) + value + (rest if rest == b"}" else b"," + rest)


class Row:
    """One record of a table. Never changed: a change of the record is a new row under the same key.

    *key* orders and identifies; parts of a composite key are joined by NUL, which sorts like the parts.
    *modified* is the text as served, *instant* its value in nanoseconds (0: no modification time).
    *extra* is the simulator's own, e.g. values in another language.
    """

    __slots__ = ("body", "extra", "instant", "key", "modified")

    def __init__(
        self, key: str, body: bytes, *, modified: str | None = None, instant: int = 0, extra: object = None
    ) -> None:
        self.key = key
        self.body = body
        self.modified = modified
        self.instant = instant
        self.extra = extra

    def members(self) -> dict[str, msgspec.Raw]:
        """Top-level members by name, values undecoded. Decoded on each call: 20,000 rows are not kept twice."""
        return _MEMBERS.decode(self.body)

    def rendered(self) -> dict[str, bytes]:
        """Top-level members as JSON bytes, to change some and ``render`` again."""
        return {name: bytes(value) for name, value in self.members().items()}

    def __repr__(self) -> str:
        return f"Row({self.key!r}, modified={self.modified!r}, {len(self.body)} bytes)"


class Table:
    """Rows ordered by key, and by (modification time, key).

    Lookups are dictionary reads; changes cost a binary search and the move of a list's tail.
    ``version`` grows with every change.
    """

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._by_key = sorted(rows, key=lambda row: row.key)
        self._keys = [row.key for row in self._by_key]
        self._rows = {row.key: row for row in self._by_key}
        if len(self._rows) != len(self._keys):
            raise ValueError("two rows of a table have the same key")
        self._by_time = sorted(self._by_key, key=lambda row: (row.instant, row.key))
        self._times = [(row.instant, row.key) for row in self._by_time]
        self.version = 0

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Row]:
        """Rows by key as they are now: changes during the iteration are not seen."""
        return iter(self._by_key.copy())

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def get(self, key: str) -> Row | None:
        return self._rows.get(key)

    @property
    def by_key(self) -> Sequence[Row]:
        """The live list ordered by key: slice it, never keep it."""
        return self._by_key

    @property
    def by_time(self) -> Sequence[Row]:
        """The live list ordered by (modification time, key): slice it, never keep it."""
        return self._by_time

    def key_position(self, key: str) -> int:
        """How many rows have a smaller key."""
        return bisect_left(self._keys, key)

    def time_position(self, instant: int, key: str = "") -> int:
        """How many rows are ordered before (*instant*, *key*) in ``by_time``."""
        return bisect_left(self._times, (instant, key))

    def put(self, row: Row) -> None:
        """Insert *row*, or replace the row of the same key."""
        if row.key in self._rows:
            self.remove(row.key)
        position = bisect_left(self._keys, row.key)
        self._keys.insert(position, row.key)
        self._by_key.insert(position, row)
        self._rows[row.key] = row
        entry = (row.instant, row.key)
        position = bisect_left(self._times, entry)
        insort(self._times, entry)
        self._by_time.insert(position, row)
        self.version += 1

    def remove(self, key: str) -> Row:
        """Take the row of *key* out. Raises ``KeyError`` when there is none."""
        row = self._rows.pop(key)
        position = bisect_left(self._keys, key)
        del self._keys[position], self._by_key[position]
        position = bisect_left(self._times, (row.instant, key))
        del self._times[position], self._by_time[position]
        self.version += 1
        return row
