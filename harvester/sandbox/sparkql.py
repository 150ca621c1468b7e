"""SparkQL, the language of ``_filter``: comparisons joined by And, Or and Not.

    ModificationTimestamp Gt 2024-01-01T00:00:00Z And (City Eq 'Fargo','Winona' Or ListPrice Bt 1,200000.0)

Text is quoted, times and numbers are not; ``Bt`` takes both ends; a list after ``Eq`` or ``Ne`` means any of them;
custom fields are ``"Group"."Field"``. Source: Spark API contract, section 4.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from harvester.sandbox.records import Row
from harvester.sandbox.stamps import instant_of

Value = str | Decimal | bool | int | None
Predicate = Callable[[Row], bool]
Reader = Callable[[Row], Mapping[str, object]]

_TOKEN = re.compile(
    r"""\s*(?: (?P<text>'(?:[^'\\]|\\.)*')
             | (?P<stamp>\d{4}-\d\d-\d\d(?:T[0-9:.]+(?:Z|[+-]\d\d:\d\d)?)?)
             | (?P<number>[+-]?\d+(?:\.\d+)?)
             | (?P<custom>"[^"]+"\."[^"]+")
             | (?P<word>[A-Za-z_][\w.]*)
             | (?P<mark>[(),]) )""",
    re.VERBOSE,
)
_ORDERED: Mapping[str, Callable[[Any, Any], bool]] = {
    "Gt": operator.gt,
    "Ge": operator.ge,
    "Lt": operator.lt,
    "Le": operator.le,
}
_OPERATORS = (*_ORDERED, "Eq", "Ne", "Bt")
_LITERALS: Mapping[str, Value] = {"true": True, "false": False, "null": None}


class SparkQLError(Exception):
    """The filter cannot be used; *token* is what it stumbled over."""

    def __init__(self, message: str, token: str = "") -> None:
        super().__init__(message)
        self.token = token


def compile_filter(text: str, *, searchable: Callable[[str], bool], read: Reader) -> Predicate:
    """*text* as a predicate on rows.

    Args:
        searchable: whether a field may be named in a filter.
        read: the fields of a row by name, decoded. It is not called for ``ModificationTimestamp``, which rows carry.
    Raises:
        SparkQLError: it does not parse, or names a field that is not searchable.
    """
    parser = _Parser(_tokens(text), searchable, read)
    predicate = parser.either()
    if parser.kind:
        raise SparkQLError("unexpected token", parser.token)
    return predicate


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    position, text = 0, text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise SparkQLError("cannot be read", text[position : position + 20].strip())
        found.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return found


class _Parser:
    """Recursive descent; one method for each level of binding: Or, And, Not, comparison."""

    def __init__(self, tokens: Sequence[tuple[str, str]], searchable: Callable[[str], bool], read: Reader) -> None:
        self._tokens = tokens
        self._at = 0
        self._searchable = searchable
        self._read = read

    @property
    def kind(self) -> str:
        """Group name of the token in front; "" at the end."""
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    @property
    def token(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def either(self) -> Predicate:
        found = [self._both()]
        while self._take("Or"):
            found.append(self._both())
        return found[0] if len(found) == 1 else lambda row: any(each(row) for each in found)

    def _both(self) -> Predicate:
        found = [self._single()]
        while self._take("And"):
            found.append(self._single())
        return found[0] if len(found) == 1 else lambda row: all(each(row) for each in found)

    def _single(self) -> Predicate:
        if self._take("Not"):
            negated = self._single()
            return lambda row: not negated(row)
        if self._take("("):
            inner = self.either()
            if not self._take(")"):
                raise SparkQLError("a parenthesis is not closed", self.token)
            return inner
        return self._comparison()

    def _comparison(self) -> Predicate:
        field = self._next("word", "custom")
        if not self._searchable(field):
            raise SparkQLError("field is unknown or not searchable", field)
        name = self._next("word")
        if name not in _OPERATORS:
            raise SparkQLError("not an operator", name)
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        if len(values) != 2 if name == "Bt" else len(values) != 1 and name not in ("Eq", "Ne"):
            raise SparkQLError("wrong number of values", name)
        test = partial(_holds, name, tuple(values))
        if field == "ModificationTimestamp":
            return lambda row: test(row.instant)
        timed = isinstance(values[0], int) and not isinstance(values[0], bool)
        return lambda row: test(_comparable(self._read(row).get(field), timed=timed))

    def _value(self) -> Value:
        kind, token = self.kind, self.token
        self._at += 1
        match kind:
            case "text":
                return re.sub(r"\\(.)", r"\1", token[1:-1])
            case "number":
                return Decimal(token)
            case "stamp":
                instant = instant_of(token)
                if instant is None:
                    raise SparkQLError("not a date or time", token)
                return instant
            case "word" if token.lower() in _LITERALS:
                return _LITERALS[token.lower()]
            case _:
                raise SparkQLError("a value is missing", token)

    def _take(self, word: str) -> bool:
        taken = self.token == word and self.kind in ("word", "mark")
        self._at += taken
        return taken

    def _next(self, *kinds: str) -> str:
        if self.kind not in kinds:
            raise SparkQLError("unexpected token", self.token)
        self._at += 1
        return self._tokens[self._at - 1][1]


def _comparable(value: object, *, timed: bool) -> Value:
    """A decoded member as a filter compares it: numbers exact, times as instants where a time is asked for."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float | Decimal):
        return Decimal(str(value))
    return instant_of(str(value)) if timed else str(value)


def _holds(name: str, wanted: Sequence[Value], found: Value) -> bool:
    """Whether *found* stands in relation *name* to *wanted*; values of unlike kinds never do, except for ``Ne``."""
    if name in ("Eq", "Ne"):
        return (found in wanted) is (name == "Eq")
    if found is None or any(type(each) is not type(found) for each in wanted):
        return False
    if name == "Bt":
        return _ORDERED["Ge"](found, wanted[0]) and _ORDERED["Le"](found, wanted[1])
    return _ORDERED[name](found, wanted[0])
