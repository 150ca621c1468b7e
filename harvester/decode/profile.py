"""Records held against the type they should have: one pass, a bounded amount of memory for each field.

Values are never built, except texts of a list or of a limited length: the first byte and a pattern tell whether a
value is of its type. What is counted is what a person asks of a data model: which members are new or missing, which
values are of another type than declared, how often a field is filled, and what stands outside its list (FAULTS D11).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from harvester.data_model import DeclaredField, DeclaredType, FieldFinding, Navigation, StrangeValue

MAX_NAMES = 10_000  # members of a resource that are told apart, those of expanded records among them
MAX_STRANGE = 1_000  # different values outside its list that a field remembers
MAX_STRANGE_TOLD = 20
MAX_SHOWN = 80  # characters of a value
MAX_NESTED = 3  # records expanded in records
MASK = b'"********"'  # not visible to this credential (Spark contract, section 9)
RESERVED = frozenset({"_masked", "_key", "_locale"})  # members that harvester itself stamps on records

_members = msgspec.json.Decoder(dict[str, Raw]).decode
_items = msgspec.json.Decoder(list[Raw]).decode
_text = msgspec.json.Decoder(str).decode
_EMPTIES = frozenset((b'""', b"[]", b"{}"))
_NULL, _MASKED, _EMPTY, _FILLED = range(4)
_SHORT = 40  # bytes of a value that is remembered
_MAX_KNOWN = 256  # values a field remembers

_WHOLE = re.compile(rb"-?\d{1,19}")
_NUMBER = re.compile(rb'-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|"-?INF"|"NaN"')
_DATE = re.compile(rb'"-?\d{4,6}-\d\d-\d\d"')
_INSTANT = re.compile(rb'"-?\d{4,6}-\d\d-\d\d[Tt]\d\d:\d\d(?::\d\d(?:\.\d{1,12})?)?(?:[Zz]|[+-]\d\d:\d\d)"')
_TIME = re.compile(rb'"\d\d:\d\d(?::\d\d(?:\.\d{1,12})?)?"')
_LENGTH = re.compile(rb'"-?P[0-9.DTHMS]+"')
_GUID = re.compile(rb'"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"')
_PATTERNS = {
    "Edm.Byte": _WHOLE,
    "Edm.SByte": _WHOLE,
    "Edm.Int16": _WHOLE,
    "Edm.Int32": _WHOLE,
    "Edm.Int64": _WHOLE,
    "Edm.Decimal": _NUMBER,
    "Edm.Double": _NUMBER,
    "Edm.Single": _NUMBER,
    "Edm.Boolean": re.compile(rb"true|false"),
    "Edm.Date": _DATE,
    "Edm.DateTimeOffset": _INSTANT,
    "Edm.TimeOfDay": _TIME,
    "Edm.Duration": _LENGTH,
    "Edm.Guid": _GUID,
}
_TEXTS = frozenset({"Edm.String", "Edm.Binary", "Edm.Stream"})
_QUOTE, _LIST, _OBJECT = 0x22, 0x5B, 0x7B

Fits = Callable[[bytes], bool]


def kind_of(value: bytes) -> str:
    """What JSON calls *value*, in words; ``text`` also where it holds a date."""
    return {b'"': "text", b"[": "list", b"{": "object", b"t": "boolean", b"f": "boolean", b"n": "null"}.get(
        value[:1], "number"
    )


@dataclass(frozen=True)
class Lists:
    """What the profile of any type needs to know besides it."""

    types: Mapping[str, DeclaredType]
    values: Mapping[str, Mapping[str, str]]  # readable texts by value, by the name of the list


class Profile:
    """Takes the records of one resource; ``findings`` tells what was met."""

    def __init__(self, declared: DeclaredType, lists: Lists, *, asked: Collection[str] = ()) -> None:
        """*asked*: the members that were asked for; (): all, so that each that never comes is missing."""
        self.records = 0
        self.unreadable = 0
        self._asked = frozenset(asked)
        self._root = _Members(declared, lists, _Names(MAX_NAMES))

    def take(self, line: bytes) -> None:
        """Look at one record. A line that is no JSON object is counted and left alone."""
        try:
            members = _members(line)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            self.unreadable += 1
            return
        self.records += 1
        self._root.take(members)

    @property
    def unnamed(self) -> int:
        """Members beyond ``MAX_NAMES``."""
        return self._root.names.beyond

    def findings(self) -> tuple[FieldFinding, ...]:
        """One for each declared member and each other one that was met, in the order of the declaration."""
        return tuple(self._root.findings("", self.records, lambda name: not self._asked or name in self._asked))


class _Names:
    """How many more names are remembered."""

    def __init__(self, left: int) -> None:
        self.left, self.beyond = left, 0

    def one_more(self) -> bool:
        if self.left > 0:
            self.left -= 1
            return True
        self.beyond += 1
        return False


class _Members:
    """The members of records of one type."""

    def __init__(self, declared: DeclaredType, lists: Lists, names: _Names, depth: int = 0) -> None:
        self.names, self.taken = names, 0
        self._lists, self._depth, self._open = lists, depth, declared.open
        self._fields: dict[str, _Field] = {each.name: _Field(each, self) for each in declared.fields}
        self._navigation = {each.name: each for each in declared.navigation}

    def take(self, members: Mapping[str, Raw]) -> None:
        self.taken += 1
        fields = self._fields
        for name, raw in members.items():
            found = fields.get(name)
            if found is None:
                found = self._undeclared(name)
                if found is None:
                    continue
            # The loop that everything is spent in: most values are short and have been met before.
            value = bytes(raw)
            sort = found.known.get(value)
            found.sorts[sort if sort is not None else found.judge(value)] += 1

    def below(self, type_name: str) -> _Members | None:
        """The members of records inside these; None: their type is not declared, or they are too deep."""
        declared = self._lists.types.get(type_name)
        if declared is None or self._depth >= MAX_NESTED:
            return None
        return _Members(declared, self._lists, self.names, self._depth + 1)

    def values_of(self, lookup: str) -> Mapping[str, str] | None:
        return self._lists.values.get(lookup)

    def findings(self, prefix: str, records: int, wanted: Callable[[str], bool]) -> list[FieldFinding]:
        found: list[FieldFinding] = []
        for name, each in self._fields.items():
            missing = not each.seen and not each.navigation and records > 0 and wanted(name)
            found.append(each.finding(prefix + name, records, missing=missing, known=self._open))
            if each.inner is not None and each.inner.taken:
                inside = (lambda _name: False) if each.navigation or each.many else (lambda _name: True)
                found += each.inner.findings(f"{prefix}{name}.", each.inner.taken, inside)
        return found

    def _undeclared(self, name: str) -> _Field | None:
        if "@" in name or name in RESERVED:  # control information, such as ``Media@odata.count``
            return None
        leads = self._navigation.get(name)
        if leads is None and not self.names.one_more():
            return None
        found = self._fields[name] = _Field(leads, self)
        return found


class _Field:
    """What was met of one member."""

    def __init__(self, declared: DeclaredField | Navigation | None, owner: _Members) -> None:
        self.navigation = isinstance(declared, Navigation)
        self.many = declared is not None and declared.many
        self.inner: _Members | None = None
        self._declared = declared
        self._owner = owner
        self._fits = _fits(declared)
        self.sorts = [0, 0, 0, 0]  # values by what they count as
        self.known: dict[bytes, int] = {}  # short values met before that nothing is to be said about
        self._too_long = 0
        self._kinds: Counter[str] = Counter()
        self._example = ""
        self._strange: Counter[str] = Counter()
        field = declared if isinstance(declared, DeclaredField) else None
        self._longest = field.max_length if field is not None and field.type == "Edm.String" else None
        self._values = owner.values_of(field.lookup) if field is not None and field.lookup else None
        self._labels = frozenset(self._values.values()) if self._values is not None else frozenset()
        # Only what fits as an object, or a list of them, is gone into.
        self._nests = _is_structure(declared) and self._values is None

    def judge(self, value: bytes) -> int:
        """What *value* counts as in ``sorts``, with everything else that is to be said of it."""
        sort, ordinary = self._judge(value)
        if ordinary and len(value) <= _SHORT and len(self.known) < _MAX_KNOWN:
            self.known[value] = sort
        return sort

    def _judge(self, value: bytes) -> tuple[int, bool]:
        """What *value* counts as, and whether the same value may simply count so again."""
        if value == b"null":
            return _NULL, True
        if value == MASK:
            return _MASKED, True
        sort = _EMPTY if value in _EMPTIES else _FILLED
        if not self._fits(value):
            self._wrong(value)
            return sort, False
        if self._values is not None:
            return sort, self._check_list(value)
        if self._longest is not None:
            return sort, self._check_length(value)
        if self._nests:
            self._descend(value)
            return sort, False
        return sort, True

    @property
    def seen(self) -> int:
        """Records that have the member."""
        return sum(self.sorts)

    def finding(self, name: str, records: int, *, missing: bool, known: bool) -> FieldFinding:
        field = self._declared
        drift = []
        if field is None and not known:
            drift.append("new")
        if missing:
            drift.append("missing")
        if field is not None and self._kinds:
            drift.append("retyped")
        if isinstance(field, DeclaredField) and not field.nullable and not field.many and self.sorts[_NULL]:
            drift.append("null")
        if self._too_long:
            drift.append("too_long")
        if self._strange:
            drift.append("outside_lookup")
        return FieldFinding(
            name=name,
            type="" if field is None else f"Collection({field.type})" if field.many else field.type,
            label=field.label if isinstance(field, DeclaredField) else "",
            seen=self.seen,
            filled=self.sorts[_FILLED],
            fill_rate=self.sorts[_FILLED] / records if records else 0.0,
            masked=self.sorts[_MASKED],
            nulls=self.sorts[_NULL],
            kinds=dict(self._kinds),
            example=self._example,
            too_long=self._too_long,
            strange=tuple(
                StrangeValue(value=text, records=n) for text, n in self._strange.most_common(MAX_STRANGE_TOLD)
            ),
            strange_values=len(self._strange),
            drift=tuple(drift),
        )

    def _wrong(self, value: bytes) -> None:
        self._kinds[kind_of(value)] += 1
        if not self._example:
            self._example = _shown(value)

    def _check_list(self, value: bytes) -> bool:
        """Count values outside the list. True: there is none."""
        values = self._values or {}
        clean = True
        for text in _texts(value, many=self.many):
            # A service may send the readable text where its metadata has an encoded name (Spark RESO, section 9).
            if text in values or text in self._labels:
                continue
            parts = [part.strip() for part in text.split(",")]
            if len(parts) > 1 and all(part in values or part in self._labels for part in parts):
                continue  # several values of one list in one text
            clean = False
            shown = text[:MAX_SHOWN]
            if shown in self._strange or len(self._strange) < MAX_STRANGE:
                self._strange[shown] += 1
        return clean

    def _check_length(self, value: bytes) -> bool:
        """Count a text that is too long. True: it is not."""
        longest = self._longest or 0
        if len(value) - 2 <= longest:
            return True  # whatever is in it
        long = any(len(text) > longest for text in _texts(value, many=self.many))
        self._too_long += long
        return not long

    def _descend(self, value: bytes) -> None:
        if self.inner is None:
            declared = self._declared
            self.inner = self._owner.below(declared.type) if declared is not None else None
            if self.inner is None:
                self._nests = False
                return
        inner = self.inner
        for each in map(bytes, _items(value)) if value[:1] == b"[" else (value,):
            if each != b"null":
                inner.take(_members(each))


def _fits(declared: DeclaredField | Navigation | None) -> Fits:
    """Whether a value that is not null has the declared type. Of what is not declared nothing fits."""
    if declared is None:
        return lambda value: False
    single = _single(declared)
    if not declared.many:
        return single
    return lambda value: (
        value[0] == _LIST and all(each == b"null" or single(each) for each in map(bytes, _items(value)))
    )


def _single(declared: DeclaredField | Navigation) -> Fits:
    kind = declared.type
    if kind in _TEXTS:
        return lambda value: value[0] == _QUOTE
    if pattern := _PATTERNS.get(kind):
        matches = pattern.fullmatch
        return lambda value: matches(value) is not None
    if isinstance(declared, DeclaredField) and declared.lookup == kind:
        return lambda value: value[0] == _QUOTE or value[0] not in (_LIST, _OBJECT)  # a name, or its number
    if kind.startswith("Edm.Geo") or _is_structure(declared):
        return lambda value: value[0] == _OBJECT
    return lambda value: True  # Edm.Untyped, Edm.PrimitiveType and what later versions may bring


def _is_structure(declared: DeclaredField | Navigation | None) -> bool:
    """Whether values are objects of a type of the service's own: no primitive, no enumeration."""
    if declared is None or declared.type.startswith("Edm."):
        return False
    return isinstance(declared, Navigation) or declared.lookup != declared.type


def _texts(value: bytes, *, many: bool) -> list[str]:
    """The text in *value*, or the texts in the list it is; without those that are no text (a half of a character)."""
    parts = [bytes(each) for each in _items(value)] if many else [value]
    found = []
    for part in parts:
        with suppress(msgspec.DecodeError):
            found.append(_text(part))
    return found


def _shown(value: bytes) -> str:
    text = value[: 4 * MAX_SHOWN].decode("utf-8", "replace")
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
