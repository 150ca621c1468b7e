"""Which stretch of a table a condition can touch, by binary search: pages of 20,000 rows cost no scan.

Two orders exist, by key and by (modification time, key). A condition becomes one stretch for each of its
alternatives; what the stretch cannot express is left to be tested row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from harvester.sandbox.odata_filter import Any, Compare, Condition, Instant, conjuncts
from harvester.sandbox.records import Row, Table

_AFTER = "\x01"
"""Behind a key, or behind the first part of a composite one, whose parts are joined by NUL."""


class Stretches:
    """Ascending, disjoint parts of a live list. *exact*: every row in them meets the condition."""

    def __init__(self, rows: Sequence[Row], parts: Sequence[tuple[int, int]], *, exact: bool) -> None:
        self._rows = rows
        self._parts = _merged(parts)
        self.exact = exact

    def __len__(self) -> int:
        return sum(end - start for start, end in self._parts)

    def rows(self, start: int, end: int) -> list[Row]:
        """Rows *start* to *end* of all the parts together, as a list of its own."""
        found: list[Row] = []
        offset = 0
        for first, last in self._parts:
            size = last - first
            low, high = max(start - offset, 0), min(end - offset, size)
            if low < high:
                found += self._rows[first + low : first + high]
            offset += size
        return found


def _merged(parts: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(part for part in parts if part[0] < part[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


class _Bounds:
    """What the comparisons of one alternative say about time and key; *left*: how many others there are."""

    def __init__(self, parts: Sequence[Condition], key: str, modified: str | None) -> None:
        self.low_time: int | None = None
        self.high_time: int | None = None  # exclusive
        self.low_key: str | None = None
        self.high_key: str | None = None  # exclusive
        self.left = 0
        for part in parts:
            match part:
                case Compare(field=field, op=op, value=Instant(value=value)) if field == modified and op != "ne":
                    self._time(op, value)
                case Compare(field=field, op=op, value=value) if field == key and op != "ne":
                    self._key(op, value)
                case _:
                    self.left += 1

    def _time(self, op: str, value: int) -> None:
        if op in ("eq", "ge", "gt"):
            low = value + 1 if op == "gt" else value
            self.low_time = low if self.low_time is None else max(low, self.low_time)
        if op in ("eq", "le", "lt"):
            high = value if op == "lt" else value + 1
            self.high_time = high if self.high_time is None else min(high, self.high_time)

    def _key(self, op: str, value: object) -> None:
        text = value.text if isinstance(value, Instant) else value
        if not isinstance(text, str):
            self.left += 1
            return
        if op in ("eq", "ge", "gt"):
            low = text + _AFTER if op == "gt" else text
            self.low_key = low if self.low_key is None else max(low, self.low_key)
        if op in ("eq", "le", "lt"):
            high = text if op == "lt" else text + _AFTER
            self.high_key = high if self.high_key is None else min(high, self.high_key)

    @property
    def has_key(self) -> bool:
        return self.low_key is not None or self.high_key is not None

    @property
    def has_time(self) -> bool:
        return self.low_time is not None or self.high_time is not None

    def in_time(self, table: Table) -> tuple[tuple[int, int], bool]:
        """The stretch of ``by_time`` and whether it says everything."""
        if self.low_time is not None and self.high_time == self.low_time + 1:  # one instant: ordered by key inside
            start = table.time_position(self.low_time, self.low_key or "")
            end = table.time_position(self.high_time)
            if self.high_key is not None:
                end = table.time_position(self.low_time, self.high_key)
            return (start, end), not self.left
        start = 0 if self.low_time is None else table.time_position(self.low_time)
        end = len(table) if self.high_time is None else table.time_position(self.high_time)
        return (start, end), not self.left and not self.has_key

    def in_key(self, table: Table) -> tuple[tuple[int, int], bool]:
        """The stretch of ``by_key`` and whether it says everything."""
        start = 0 if self.low_key is None else table.key_position(self.low_key)
        end = len(table) if self.high_key is None else table.key_position(self.high_key)
        return (start, end), not self.left and not self.has_time


def stretches(
    table: Table, condition: Condition | None, order: Literal["key", "time"], *, key: str, modified: str | None
) -> Stretches:
    """The part of *table*, in *order*, that *condition* can touch. *key* is the (first) key member."""
    rows = table.by_key if order == "key" else table.by_time
    if condition is None:
        return Stretches(rows, [(0, len(table))], exact=True)
    alternatives = condition.parts if isinstance(condition, Any) else (condition,)
    found: list[tuple[int, int]] = []
    exact = True
    for alternative in alternatives:
        bounds = _Bounds(conjuncts(alternative), key, modified)
        part, whole = bounds.in_key(table) if order == "key" else bounds.in_time(table)
        found.append(part)
        exact = exact and whole
    return Stretches(rows, found, exact=exact)
