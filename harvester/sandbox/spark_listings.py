"""Selected and expanded forms of Spark records, and what a filter reads of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

import msgspec

from harvester.sandbox.records import Row, array, render
from harvester.sandbox.spark_records import Extra, standard_fields
from harvester.sandbox.spark_related import related
from harvester.sandbox.spark_shapes import MASK, Failure

_VALUE = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_ALWAYS = ("ResourceUri", "Id")


def served(row: Row, *, select: Sequence[str], expand: Sequence[str], seed: int) -> bytes:
    """The bytes of one result. Without selection and expansion they are the row's own.

    Raises:
        Failure: 1040 for a selected name the record does not have.
    """
    if not select and not expand:
        return row.body
    members = row.rendered()
    if expand:
        members["StandardFields"] = _expanded(row, expand, seed)
    if not select:
        return render(members)
    return render(_selected(members, select))


def _expanded(row: Row, expand: Sequence[str], seed: int) -> bytes:
    standard = standard_fields(row)
    for name in expand:
        if name == "PrimaryPhoto":
            standard["Photos"] = array(sub_resource(row, "Photos", seed)[:1])
        else:
            standard[name] = array(sub_resource(row, name, seed))
    return render(standard)


def _selected(members: Mapping[str, bytes], select: Sequence[str]) -> Mapping[str, bytes]:
    """Top-level components by name; a name inside ``StandardFields``, plain or after a dot, keeps that field."""
    raw = members.get("StandardFields")
    inside = {} if raw is None else msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    fields: dict[str, bytes] = {}
    kept = set(_ALWAYS)
    for name in select:
        field = name.removeprefix("StandardFields.")
        if name in members:
            kept.add(name)
        elif field in inside:
            fields[field] = bytes(inside[field])
        else:
            raise Failure(1040, f"Unknown field {name} in _select")
    chosen = {name: value for name, value in members.items() if name in kept}
    return chosen if not fields or "StandardFields" in chosen else {**chosen, "StandardFields": render(fields)}


def sub_resource(row: Row, kind: str, seed: int) -> list[bytes]:
    """The related records of *kind* of a listing's row."""
    extra = cast("Extra", row.extra)
    return related(seed, kind, row.key, extra.photos, extra.turns.get(kind, 0))


def reader() -> Callable[[Row], Mapping[str, object]]:
    """Reads the fields of rows for filters and orders; masked fields read as null, nobody may search by them."""

    def read(row: Row) -> Mapping[str, object]:
        members = row.rendered()
        standard = members.get("StandardFields")
        fields = _VALUE.decode(standard if standard is not None else row.body)
        if standard is None:
            return fields
        fields = {name: None if value == "********" else value for name, value in fields.items()}
        custom = _VALUE.decode(b'{"_":' + members["CustomFields"] + b"}")["_"]
        return {**fields, **_custom(custom)}

    return read


def _custom(tabs: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """Custom fields as filters name them, ``"Group"."Label"``; a label that repeats has its last value."""
    return {
        f'"{group}"."{label}"': value
        for tab in tabs
        for groups in tab.values()
        for each in groups
        for group, fields in each.items()
        for field in fields
        for label, value in field.items()
    }


def searchable(row: Row | None) -> Callable[[str], bool]:
    """Which fields may stand in ``_filter`` and ``_orderby``, judged by a sample row; long texts and keys may not."""
    fields = frozenset(reader()(row)) if row is not None else frozenset()

    def allowed(name: str) -> bool:
        if name.startswith('"'):
            return True
        return name in fields and name not in ("ListingKey", "PublicRemarks", "PrivateRemarks")

    return allowed


def masked_names(row: Row) -> Sequence[str]:
    """Names of the row's masked standard fields, in their order."""
    extra = row.extra
    if isinstance(extra, Extra) and extra.masked:
        return [name for name, value in standard_fields(row).items() if value == MASK]
    return ()
