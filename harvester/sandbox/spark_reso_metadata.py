"""``$metadata`` of the Spark RESO surface: entity types with keys, properties and navigation, as EDMX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import orjson

from harvester.sandbox.records import Row, Table
from harvester.sandbox.spark_reso_tables import KEYS, RELATED

_NAMESPACE = "org.reso.metadata"
_TIMES = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_SAMPLE = 60  # rows looked at for the type of a member that may be null


def metadata(tables: Mapping[str, Table]) -> bytes:
    """The whole document, in UTF-8."""
    types = "".join(_entity_type(name, tables[name].by_key[:_SAMPLE]) for name in KEYS)
    sets = "".join(f'<EntitySet Name="{name}" EntityType="{_NAMESPACE}.{name}"/>' for name in KEYS)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>'
        f'<Schema Namespace="{_NAMESPACE}" xmlns="http://docs.oasis-open.org/odata/ns/edm">{types}'
        f'<EntityContainer Name="Container">{sets}</EntityContainer></Schema>'
        "</edmx:DataServices></edmx:Edmx>\n"
    ).encode()


def _entity_type(name: str, rows: Iterable[Row]) -> str:
    key = KEYS[name]
    properties = "".join(
        f'<Property Name="{member}" Type="{kind}" Nullable="{str(member != key).lower()}"/>'
        for member, kind in field_types(rows).items()
    )
    navigation = ""
    if name == "Property":
        navigation = "".join(
            f'<NavigationProperty Name="{each}" Type="Collection({_NAMESPACE}.{each})"/>' for each in RELATED
        )
    return f'<EntityType Name="{name}"><Key><PropertyRef Name="{key}"/></Key>{properties}{navigation}</EntityType>'


def field_types(rows: Iterable[Row]) -> dict[str, str]:
    """The EDM type of every member, told by the first row that has a value for it; text when none has."""
    found: dict[str, str] = {}
    for row in rows:
        for name, raw in row.members().items():
            if found.get(name, "") in ("", "Edm.String"):
                found[name] = _type(bytes(raw)) or found.get(name, "")
    return {name: kind or "Edm.String" for name, kind in found.items()}


def _type(value: bytes) -> str:
    """The EDM type *value* is of; "" for null."""
    match value[:1]:
        case b"n":
            return ""
        case b"t" | b"f":
            return "Edm.Boolean"
        case b"[":
            return "Collection(Edm.String)"
        case b'"':
            text = str(orjson.loads(value))
            if _TIMES.fullmatch(text):
                return "Edm.DateTimeOffset"
            return "Edm.Date" if _DATE.fullmatch(text) else "Edm.String"
        case _:
            return "Edm.Decimal" if b"." in value else "Edm.Int64"
