"""CSDL, the language of ``$metadata``, put together: what a reader of XML or JSON met becomes a DataModel.

A document names things before it declares them, by aliases, through base types and type definitions. A ``Draft``
takes them as they come; ``build`` follows every name, a bounded number of times (FAULTS M01, M02).

Source: OData CSDL XML and JSON 4.01; RESO Web API Core 2.0 for ``LookupName``; Spark RESO contract, section 9, for
value lists named like the field and the readable text in annotations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from harvester.data_model import (
    DataModel,
    DeclaredField,
    DeclaredResource,
    DeclaredType,
    Lookup,
    LookupValue,
    Navigation,
)
from harvester.errors import ProtocolError

MAX_BODY = 64 << 20  # bytes of a document
MAX_PIECES = 1_000_000  # elements, or objects and their members
MAX_DEPTH = 64
MAX_RESOURCES = 10_000
MAX_NAME = 512  # characters of a name or type
MAX_LABEL = 300  # characters kept of a readable text
_MAX_BASES = 32  # types above a type
_MAX_FIELDS = 2_000_000  # of all types, with what they inherit

MODIFIED = "ModificationTimestamp"  # so the RESO dictionary names it, in every resource
_LOOKUP_NAME = ".LookupName"
_LABELS = (".StandardName", ".DisplayName", ".LocalizedName", ".Description")
"""Endings of annotation terms that hold a readable text, the best first. Any other text will do where none is there."""


@dataclass(kw_only=True, slots=True)
class Notes:
    """The annotations of one thing, as far as they are of use."""

    label: str = ""
    lookup: str = ""
    _rank: int = 99

    def take(self, term: str, text: str) -> None:
        """Note one annotation: its full term and its text."""
        if term.endswith(_LOOKUP_NAME):
            self.lookup = text[:MAX_NAME]
            return
        rank = next((place for place, ending in enumerate(_LABELS) if term.endswith(ending)), len(_LABELS))
        if text and rank < self._rank:
            self.label, self._rank = text[:MAX_LABEL], rank

    def add(self, other: Notes | None) -> None:
        """What *other* knows and these do not."""
        if other is not None:
            self.label, self.lookup = self.label or other.label, self.lookup or other.lookup


@dataclass(kw_only=True, slots=True)
class DraftField:
    """A property or navigation property, its type as written."""

    name: str
    type: str
    many: bool = False
    nullable: bool = True
    max_length: int | None = None
    navigation: bool = False
    notes: Notes = field(default_factory=Notes)


@dataclass(kw_only=True, slots=True)
class DraftType:
    """An entity or complex type, its base as written; "" when it has none."""

    base: str = ""
    open: bool = False
    key: list[str] = field(default_factory=list)
    fields: list[DraftField] = field(default_factory=list)


@dataclass(kw_only=True, slots=True)
class DraftValue:
    """A member of an enumeration."""

    name: str
    notes: Notes = field(default_factory=Notes)


@dataclass(kw_only=True, slots=True)
class Draft:
    """What a document declares, by full names. A name that is declared twice counts as declared last."""

    aliases: dict[str, str] = field(default_factory=dict)
    types: dict[str, DraftType] = field(default_factory=dict)
    definitions: dict[str, str] = field(default_factory=dict)  # a type definition and what it stands for
    enumerations: dict[str, list[DraftValue]] = field(default_factory=dict)
    resources: dict[str, str] = field(default_factory=dict)  # an entity set and its type
    notes: dict[str, Notes] = field(default_factory=dict)  # told apart from their target: ``Namespace.Type/Field``

    def build(self) -> DataModel:
        """The model.

        Raises:
            ProtocolError: it declares no entity set, a type is its own base, or all of it is too large.
        """
        if not self.resources:
            raise ProtocolError("The metadata names no entity set, so there is nothing that could be asked for.")
        if len(self.resources) > MAX_RESOURCES:
            raise ProtocolError(f"The metadata names more than {MAX_RESOURCES:,} entity sets; that is refused.")
        self._annotate()
        by_name = {name.rpartition(".")[2]: name for name in self.enumerations}
        total = 0
        types = []
        for name in self.types:
            chain = tuple(self._with_bases(name))
            total += sum(len(each.fields) for each in chain)
            if total > _MAX_FIELDS:
                raise ProtocolError(f"The metadata declares more than {_MAX_FIELDS:,} fields; that is refused.")
            types.append(self._type(name, chain, by_name))
        stamped = {each.name for each in types if any(one.name == MODIFIED for one in each.fields)}
        return DataModel(
            resources=tuple(
                DeclaredResource(name=name, type=full, modified=MODIFIED if full in stamped else None)
                for name, full in ((name, self._full(written)) for name, written in self.resources.items())
            ),
            types=tuple(types),
            lookups=tuple(
                Lookup(name=name, values=tuple(LookupValue(each.name, each.notes.label) for each in values))
                for name, values in self.enumerations.items()
            ),
        )

    def _type(self, name: str, chain: tuple[DraftType, ...], by_name: dict[str, str]) -> DeclaredType:
        fields: dict[str, DeclaredField] = {}
        navigation: dict[str, Navigation] = {}
        for declared in reversed(chain):  # the most general first, so that a type's own word counts
            for each in declared.fields:
                if each.navigation:
                    navigation[each.name] = Navigation(name=each.name, type=self._full(each.type), many=each.many)
                else:
                    fields[each.name] = self._field(each, by_name)
        return DeclaredType(
            name=name,
            key=next((tuple(each.key) for each in chain if each.key), ()),
            fields=tuple(fields.values()),
            navigation=tuple(navigation.values()),
            open=any(each.open for each in chain),
        )

    def _field(self, drafted: DraftField, by_name: dict[str, str]) -> DeclaredField:
        kind = self._full(drafted.type)
        # A list may be the field's type, be named in an annotation, or have the field's own name.
        lookup = kind if kind in self.enumerations else ""
        if not lookup and drafted.notes.lookup:
            lookup = by_name.get(drafted.notes.lookup, drafted.notes.lookup)
        if not lookup and kind == "Edm.String":
            lookup = by_name.get(drafted.name, "")
        return DeclaredField(
            name=drafted.name,
            type=kind,
            many=drafted.many,
            nullable=drafted.nullable,
            max_length=drafted.max_length,
            label=drafted.notes.label,
            lookup=lookup,
        )

    def _with_bases(self, name: str) -> Iterator[DraftType]:
        """The type and those it is derived from, upwards."""
        for _ in range(_MAX_BASES):
            declared = self.types.get(name)
            if declared is None:
                return
            yield declared
            if not declared.base:
                return
            name = self._full(declared.base)
        raise ProtocolError("The metadata holds a type that is derived from itself, or over too many steps.")

    def _full(self, written: str) -> str:
        """A type's full name: without an alias, and through type definitions."""
        for _ in range(_MAX_BASES):
            namespace, dot, name = written.rpartition(".")
            if dot and namespace in self.aliases:
                written = f"{self.aliases[namespace]}.{name}"
            if written not in self.definitions:
                break
            written = self.definitions[written]
        return written

    def _annotate(self) -> None:
        """Give annotations that stand by themselves to what they speak of; a target that is not declared is nothing."""
        targets = {}
        for target, notes in self.notes.items():
            owner, _, member = target.partition("/")
            targets[self._full(owner), member] = notes
        if not targets:
            return
        for name, declared in self.types.items():
            for each in declared.fields:
                each.notes.add(targets.get((name, each.name)))
        for name, values in self.enumerations.items():
            for value in values:
                value.notes.add(targets.get((name, value.name)))


def collection_of(written: str) -> tuple[str, bool]:
    """``Collection(Edm.String)`` as ``("Edm.String", True)``."""
    inner = written.removeprefix("Collection(")
    return (inner.removesuffix(")"), True) if inner != written else (written, False)


def checked_name(name: object) -> str:
    """*name* if it can be one. Raises ``ProtocolError``."""
    if not isinstance(name, str) or not name or len(name) > MAX_NAME:
        raise ProtocolError("The metadata holds something without a name, or with one of absurd length.")
    return name


def length(written: object) -> int | None:
    """``MaxLength``; None for ``max``, and for anything that is no length."""
    text = str(written)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 and not isinstance(written, bool) else None


def check_size(body: bytes) -> None:
    """Raises ``ProtocolError`` for a document that is not even begun to be read (FAULTS M02)."""
    if len(body) > MAX_BODY:
        raise ProtocolError(f"The metadata has {len(body):,} bytes; more than {MAX_BODY:,} are refused.")
