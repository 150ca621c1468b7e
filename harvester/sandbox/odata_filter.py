"""``$filter``: text to a condition, and a condition to yes or no for one row.

The grammar is odata-query's. What it parses is turned into four small shapes of our own, because simulators look
into conditions (which database, which window) before they apply them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Literal, TypeAlias

import msgspec
from odata_query import ast
from odata_query.exceptions import ODataException
from odata_query.grammar import ODataLexer, ODataParser

from harvester.sandbox.records import Row
from harvester.sandbox.stamps import instant_of

_VALUE = msgspec.json.Decoder(float_hook=Decimal)
_OPERATORS: dict[type[object], str] = {
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.Lt: "lt",
    ast.LtE: "le",
}
_FLIPPED = {"eq": "eq", "ne": "ne", "gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}


class QueryError(ValueError):
    """A query option that cannot be answered. *problem* tells which answer the provider's contract has for it."""

    def __init__(
        self, message: str, *, problem: Literal["syntax", "unknown", "forbidden"] = "syntax", field: str = ""
    ) -> None:
        super().__init__(message)
        self.problem = problem
        self.field = field  # the member meant; "" when it is not about one


class Instant(msgspec.Struct, frozen=True):
    """A timestamp or date literal. *quoted*: it was written as a string."""

    text: str
    value: int  # nanoseconds
    quoted: bool = False


LiteralValue: TypeAlias = bool | Decimal | str | Instant | None


class Compare(msgspec.Struct, frozen=True):
    """``field op value``; a quoted timestamp is an ``Instant`` with *quoted* set."""

    field: str
    op: str  # eq ne gt ge lt le
    value: LiteralValue


class Every(msgspec.Struct, frozen=True):
    """All of *parts* (``and``, flattened)."""

    parts: tuple[Condition, ...]


class Any(msgspec.Struct, frozen=True):
    """At least one of *parts* (``or``, flattened)."""

    parts: tuple[Condition, ...]


class Not(msgspec.Struct, frozen=True):
    part: Condition


Condition: TypeAlias = "Compare | Every | Any | Not"


@lru_cache(maxsize=512)
def parse_filter(text: str) -> Condition:
    """Read a ``$filter``. Raises ``QueryError`` quoting what cannot be read."""
    try:
        tree = ODataParser().parse(ODataLexer().tokenize(text.strip()))
    except ODataException as exc:
        raise QueryError(f"Invalid filter: {text}") from exc
    if tree is None:
        raise QueryError(f"Invalid filter: {text}")
    return _condition(tree, text)


def _condition(node: object, text: str) -> Condition:
    match node:
        case ast.BoolOp(op=op, left=left, right=right):
            shape: type[Every] | type[Any] = Every if isinstance(op, ast.And) else Any
            parts: list[Condition] = []
            for side in (_condition(left, text), _condition(right, text)):
                parts.extend(side.parts if isinstance(side, shape) else (side,))
            return shape(tuple(parts))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return Not(_condition(operand, text))
        case ast.Compare(comparator=ast.In(), left=ast.Identifier() as left, right=ast.List(val=values)):
            return Any(tuple(Compare(_name(left), "eq", _literal(value, text)) for value in values))
        case ast.Compare(comparator=comparator, left=ast.Identifier() as left, right=right):
            return Compare(_name(left), _OPERATORS[type(comparator)], _literal(right, text))
        case ast.Compare(comparator=comparator, left=left, right=ast.Identifier() as right):
            return Compare(_name(right), _FLIPPED[_OPERATORS[type(comparator)]], _literal(left, text))
        case _:
            raise QueryError(f"Not supported in a filter: {text}")


def _name(field: ast.Identifier) -> str:
    return ".".join((*field.namespace, field.name))


def _literal(node: object, text: str) -> LiteralValue:
    match node:
        case ast.Null():
            return None
        case ast.Boolean(val=val):
            return str(val).lower() == "true"
        case ast.Integer(val=val) | ast.Float(val=val):
            return Decimal(val)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Integer(val=val) | ast.Float(val=val)):
            return -Decimal(val)
        case ast.DateTime(val=val) | ast.Date(val=val):
            value = instant_of(val)
            if value is None:
                raise QueryError(f"Invalid timestamp: {val}")
            return Instant(val, value)
        case ast.String(val=val):
            value = instant_of(val)
            return val if value is None else Instant(val, value, quoted=True)
        case _:
            raise QueryError(f"Not supported in a filter: {text}")


def comparisons(condition: Condition) -> Iterator[Compare]:
    """Every comparison in *condition*, left to right."""
    match condition:
        case Compare():
            yield condition
        case Not(part=part):
            yield from comparisons(part)
        case Every(parts=parts) | Any(parts=parts):
            for part in parts:
                yield from comparisons(part)


def conjuncts(condition: Condition | None) -> tuple[Condition, ...]:
    """The parts that must all hold: what stands between ``and`` at the top level."""
    if condition is None:
        return ()
    return condition.parts if isinstance(condition, Every) else (condition,)


def together(parts: tuple[Condition, ...]) -> Condition | None:
    """The reverse of ``conjuncts``."""
    return None if not parts else parts[0] if len(parts) == 1 else Every(parts)


def _ordered(op: str, left: int | str | Decimal, right: int | str | Decimal) -> bool:
    # Both sides have one type: the callers compare number with number and text with text.
    if op == "eq":
        return left == right
    if op == "ne":
        return left != right
    if op == "gt":
        return left > right  # type: ignore[operator]
    if op == "ge":
        return left >= right  # type: ignore[operator]
    if op == "lt":
        return left < right  # type: ignore[operator]
    return left <= right  # type: ignore[operator]


def holds(op: str, value: object, wanted: LiteralValue) -> bool:
    """Does ``value op wanted``, for a decoded JSON *value*; null and other types are unequal and unordered."""
    if isinstance(value, str):
        if isinstance(wanted, Instant):
            instant = instant_of(value)
            if instant is not None:
                return _ordered(op, instant, wanted.value)
            return _ordered(op, value, wanted.text) if wanted.quoted else op == "ne"
        if isinstance(wanted, str):
            return _ordered(op, value, wanted)
    elif isinstance(value, bool):
        if isinstance(wanted, bool):
            return _ordered(op, value, wanted)
    elif isinstance(value, int | Decimal):
        if isinstance(wanted, Decimal):
            return _ordered(op, Decimal(value), wanted)
    elif value is None and wanted is None:
        return op == "eq"
    return op == "ne"


class _View:
    """A row whose members are decoded at most once, and only if asked for."""

    __slots__ = ("_members", "row")

    def __init__(self, row: Row) -> None:
        self.row = row
        self._members: dict[str, msgspec.Raw] | None = None

    def value(self, name: str) -> object:
        if self._members is None:
            self._members = self.row.members()
        raw = self._members.get(name)
        return None if raw is None else _VALUE.decode(raw)


def predicate(condition: Condition, *, modified: str | None = None) -> Callable[[Row], bool]:
    """A test for rows. *modified* names the member that ``Row.instant`` holds, which saves decoding."""

    def test(part: Condition, view: _View) -> bool:
        match part:
            case Every(parts=parts):
                return all(test(each, view) for each in parts)
            case Any(parts=parts):
                return any(test(each, view) for each in parts)
            case Not(part=inner):
                return not test(inner, view)
            case Compare(field=field, op=op, value=value):
                if field == modified and isinstance(value, Instant) and view.row.modified is not None:
                    return _ordered(op, view.row.instant, value.value)
                return holds(op, view.value(field), value)

    return lambda row: test(condition, _View(row))
