"""OData query options over a table: ``$filter``, ``$orderby``, ``$select``, ``$skip``, ``$top``.

A page of the two natural orders is cut out of the table's own lists. Anything else is scanned and sorted once,
and kept until the table changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from harvester.sandbox.odata_filter import Condition, Instant, QueryError, comparisons, predicate
from harvester.sandbox.odata_index import Stretches, stretches
from harvester.sandbox.records import Row, Table, render

_VALUE = msgspec.json.Decoder(float_hook=Decimal)
_KEPT = 16  # scanned selections per collection


class Order(msgspec.Struct, frozen=True):
    """One term of ``$orderby``."""

    field: str
    descending: bool = False


def parse_orderby(text: str) -> tuple[Order, ...]:
    """Read ``Field asc, Other desc``. Raises ``QueryError``."""
    found: list[Order] = []
    for term in text.split(","):
        words = term.split()
        if not words or len(words) > 2 or (len(words) == 2 and words[1].lower() not in ("asc", "desc")):
            raise QueryError(f"Invalid orderby: {text}")
        found.append(Order(words[0], len(words) == 2 and words[1].lower() == "desc"))
    return tuple(found)


def parse_select(text: str) -> tuple[str, ...]:
    """Read ``A,B``, without repeats. Raises ``QueryError`` when a name is empty."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise QueryError(f"Invalid select: {text}")
    return tuple(dict.fromkeys(names))


def whole_number(name: str, text: str) -> int:
    """Read a count such as ``$top``. Raises ``QueryError`` unless it is ASCII digits."""
    if not (text.isascii() and text.isdigit()):
        raise QueryError(f"{name} must be a whole number, not '{text}'")
    return int(text)


class Selection:
    """The rows a query selects, in its order; pages are cut from it without copying the rest."""

    def __init__(self, found: Stretches, *, backwards: bool = False) -> None:
        self._found = found
        self._backwards = backwards

    def __len__(self) -> int:
        return len(self._found)

    def page(self, skip: int = 0, top: int | None = None) -> list[Row]:
        """Rows from *skip* on, at most *top*."""
        size = len(self._found)
        end = size if top is None else min(size, skip + top)
        if not self._backwards:
            return self._found.rows(skip, end)
        return self._found.rows(size - end, max(size - skip, 0))[::-1]


class Collection:
    """A table as an OData resource: which members exist, which may be filtered and sorted by.

    Args:
        key: the key members, in order. *modified*: member that ``Row.instant`` holds; None: the resource has none.
        fields: every member a record may have.
        filterable, sortable: None: all of *fields*.
        times: how timestamps stand in filters: ``quoted`` like strings, ``bare``, or ``either``.
    """

    def __init__(
        self,
        table: Table,
        *,
        key: Sequence[str],
        modified: str | None,
        fields: frozenset[str],
        filterable: frozenset[str] | None = None,
        sortable: frozenset[str] | None = None,
        times: Literal["quoted", "bare", "either"] = "bare",
    ) -> None:
        self.table = table
        self.key = tuple(key)
        self.modified = modified
        self.fields = fields
        self._filterable = fields if filterable is None else filterable
        self._sortable = fields if sortable is None else sortable
        self._times = times
        self._scanned: dict[tuple[Condition | None, tuple[Order, ...]], tuple[int, list[Row]]] = {}

    def find(self, condition: Condition | None, order: Sequence[Order] = ()) -> Selection:
        """The rows meeting *condition*; without *order*, by key.

        Raises ``QueryError`` with problem ``unknown`` for a member that does not exist, ``forbidden`` for one
        that may not be used here, ``syntax`` for a timestamp quoted the wrong way.
        """
        order = tuple(order)
        self._check(condition, order)
        natural = self._natural(order)
        if natural is not None:
            found = self._stretches(condition, natural)
            if found.exact:
                return Selection(found, backwards=bool(order) and order[0].descending)
        rows = self._scan(condition, order)
        return Selection(Stretches(rows, [(0, len(rows))], exact=True))

    def check_select(self, names: Sequence[str]) -> None:
        """Raises ``QueryError`` (``unknown``) for the first name that is no member."""
        for name in names:
            if name not in self.fields:
                raise QueryError(f"Unknown field {name}", problem="unknown", field=name)

    def _check(self, condition: Condition | None, order: Sequence[Order]) -> None:
        for compare in comparisons(condition) if condition is not None else ():
            self._allowed(compare.field, self._filterable, "filter")
            if isinstance(compare.value, Instant):
                wrong = not compare.value.quoted if self._times == "quoted" else compare.value.quoted
                # A quoted timestamp is a string like any other where the member is not a time.
                if wrong and self._times != "either" and (self._times == "quoted" or compare.field == self.modified):
                    raise QueryError(f"Incompatible type: {compare.field} and {compare.value.text}")
        for term in order:
            self._allowed(term.field, self._sortable, "orderby")

    def _allowed(self, name: str, allowed: frozenset[str], option: str) -> None:
        if name not in self.fields:
            raise QueryError(f"Unknown field {name} in ${option}", problem="unknown", field=name)
        if name not in allowed:
            raise QueryError(f"The property '{name}' cannot be used in ${option}", problem="forbidden", field=name)

    def _natural(self, order: tuple[Order, ...]) -> Literal["key", "time"] | None:
        """The table's list that already has *order*, forwards or backwards."""
        if not order:
            return "key"
        if len({term.descending for term in order}) > 1:
            return None
        names = tuple(term.field for term in order)
        if _starts(names, self.key):
            return "key"
        if self.modified is not None and names[0] == self.modified and _starts(names[1:], self.key):
            return "time"
        return None

    def _stretches(self, condition: Condition | None, order: Literal["key", "time"]) -> Stretches:
        return stretches(self.table, condition, order, key=self.key[0], modified=self.modified)

    def _scan(self, condition: Condition | None, order: tuple[Order, ...]) -> list[Row]:
        kept = self._scanned.get((condition, order))
        if kept is not None and kept[0] == self.table.version:
            return kept[1]
        near = min(self._stretches(condition, "key"), self._stretches(condition, "time"), key=len)
        rows = near.rows(0, len(near))
        if condition is not None and not near.exact:
            meets = predicate(condition, modified=self.modified)
            rows = [row for row in rows if meets(row)]
        rows.sort(key=lambda row: row.key)
        for term in reversed(order):
            rows.sort(key=self._rank(term.field), reverse=term.descending)
        if len(self._scanned) >= _KEPT:
            del self._scanned[next(iter(self._scanned))]
        self._scanned[condition, order] = (self.table.version, rows)
        return rows

    def _rank(self, name: str) -> Callable[[Row], tuple[int, object]]:
        if name == self.modified:
            return lambda row: (0, row.instant)
        if self.key == (name,):
            return lambda row: (0, row.key)

        def rank(row: Row) -> tuple[int, object]:
            raw = row.members().get(name)
            value = None if raw is None else _VALUE.decode(raw)
            if value is None:
                return (0, "")  # null is lowest
            if isinstance(value, int | Decimal):  # bool is an int
                return (1, Decimal(value))
            return (2, str(value))

        return rank


def _starts(names: tuple[str, ...], key: tuple[str, ...]) -> bool:
    """Is ordering by *names* ordering by *key*? What follows a whole key decides nothing."""
    return names[: len(key)] == key[: len(names)]


def project(row: Row, names: Sequence[str]) -> bytes:
    """The record with only *names*, in the record's order; members it lacks stay absent."""
    wanted = frozenset(names)
    return render({name: bytes(raw) for name, raw in row.members().items() if name in wanted})
