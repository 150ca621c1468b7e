"""What a provider says of its own data: resources, fields, types, value lists; and how real records differ from it.

Names are the provider's, unchanged and unchecked: escape them before showing them, and never use one as a path
without ``store.layout`` (FAULTS M03).
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, structs


class DeclaredField(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A member that records of a type have."""

    name: str
    type: str  # ``Edm.Decimal``, or the full name of a declared type; of the items where it is a list
    many: bool = False  # a list of that type
    nullable: bool = True
    max_length: int | None = None  # characters; None: not said
    label: str = ""  # what people call it, from an annotation; "": nothing is said
    lookup: str = ""  # name of the list its values come from; "": any value


class Navigation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A member that leads to records of another type; in a record only where it was expanded."""

    name: str
    type: str  # the full name of the type
    many: bool = False


class DeclaredType(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A type with everything it inherits."""

    name: str  # full, ``org.reso.metadata.Property``
    key: tuple[str, ...] = ()
    fields: tuple[DeclaredField, ...] = ()
    navigation: tuple[Navigation, ...] = ()
    open: bool = False  # its records may have members that are not declared


class DeclaredResource(Struct, frozen=True, kw_only=True):
    """A collection that can be asked for (an entity set)."""

    name: str
    type: str  # full name of a ``DeclaredType``
    modified: str | None = None  # the member that says when a record changed; None: it has none


class LookupValue(Struct, frozen=True, omit_defaults=True):
    """One value of a list."""

    value: str  # as records have it
    label: str = ""  # readable; "": the value itself is, or nothing is said


class Lookup(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A list of values."""

    name: str
    values: tuple[LookupValue, ...] = ()


class DataModel(Struct, frozen=True, kw_only=True):
    """The whole of it, names resolved: no alias, no inheritance, no type definition is left to follow."""

    resources: tuple[DeclaredResource, ...]
    types: tuple[DeclaredType, ...]
    lookups: tuple[Lookup, ...] = ()
    remarks: tuple[str, ...] = ()  # what is not in it, in sentences

    def types_by_name(self) -> dict[str, DeclaredType]:
        """The types by their full names; what a resource or field refers to may be missing."""
        return {each.name: each for each in self.types}

    def readable(self, prefix: str) -> dict[str, str]:
        """The names of fields and values that begin with *prefix* and have a label, and that label; not those with
        several."""
        told: dict[str, set[str]] = {}
        fields = ((field.name, field.label) for declared in self.types for field in declared.fields)
        values = ((each.value, each.label) for lookup in self.lookups for each in lookup.values)
        for name, label in (*fields, *values):
            if name.startswith(prefix) and label:
                told.setdefault(name, set()).add(label)
        return {name: labels.pop() for name, labels in told.items() if len(labels) == 1}

    def renamed(self, names: Mapping[str, str]) -> DataModel:
        """The same model of records whose members have other *names*, by those they have here."""
        types = tuple(
            structs.replace(
                declared,
                fields=tuple(structs.replace(each, name=names.get(each.name, each.name)) for each in declared.fields),
            )
            for declared in self.types
        )
        return structs.replace(self, types=types)

    def lookups_by_name(self) -> dict[str, Lookup]:
        """The lists whose values are told here; RESO tells others in the records of its resource ``Lookup``."""
        return {each.name: each for each in self.lookups}


# ------------------------------------------------------------------ real records against it


class StrangeValue(Struct, frozen=True, kw_only=True):
    """A value outside the list of its field."""

    value: str  # shortened
    records: int
    label: str = ""


class FieldFinding(Struct, frozen=True, kw_only=True):
    """One member in the records that were looked at. Counts are of records, or of items inside expanded records."""

    name: str  # dotted below an expanded record: ``Media.MediaCategory``
    type: str = ""  # as declared, ``Collection(Edm.String)``; "": it is not declared
    label: str = ""
    seen: int = 0  # records that have the member
    filled: int = 0  # with a value that is not null, an empty text or an empty list
    fill_rate: float = 0.0  # *filled* as a share of the records
    masked: int = 0  # records that hide the value from this credential
    nulls: int = 0
    kinds: dict[str, int]  # what the values are, where they are not what is declared: ``{"text": 3}``
    example: str = ""  # one of those, shortened
    too_long: int = 0
    strange: tuple[StrangeValue, ...] = ()  # the most frequent ones
    strange_values: int = 0  # how many different ones there are, counted up to a bound
    drift: tuple[str, ...] = ()  # new | missing | retyped | null | too_long | outside_lookup


class ResourceDrift(Struct, frozen=True, kw_only=True):
    """One resource's records held against the data model."""

    resource: str
    run: str
    records: int  # looked at
    of: int  # in the run
    unreadable: int = 0  # lines that are no JSON object
    fields: tuple[FieldFinding, ...] = ()
    unnamed: int = 0  # members beyond the number of names that is remembered
    drifts: int = 0  # fields with drift


class Unchecked(Struct, frozen=True, kw_only=True):
    """A resource that could not be held against the data model."""

    resource: str
    reason: str
