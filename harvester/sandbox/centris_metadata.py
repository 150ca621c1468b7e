"""``$metadata`` of the Centris simulator, as XML (the default) or JSON, told from the data itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from xml.sax.saxutils import quoteattr

import msgspec

from harvester.sandbox.centris_records import KEYS, CentrisData

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_LOOKED_AT = 100  # rows, to find a value that is not null
FORBIDDEN = "Association"
"""A resource the demo credential is not entitled to: in the model, but answered with 403."""

Model = Mapping[str, Mapping[str, str]]


def model(data: CentrisData) -> Model:
    """Property names and EDM types by resource."""
    found: dict[str, dict[str, str]] = {}
    for resource in KEYS:
        types: dict[str, str] = {}
        for row in islice(data.collection(resource).table, _LOOKED_AT):
            for name, raw in row.members().items():
                if types.get(name, "") in ("", "Edm.Unknown"):
                    types[name] = _type(name, msgspec.json.decode(raw), decimal=b"." in bytes(raw))
        found[resource] = {name: "Edm.String" if kind == "Edm.Unknown" else kind for name, kind in types.items()}
    found[FORBIDDEN] = {"AssociationKey": "Edm.String", "ModificationTimestamp": "Edm.DateTimeOffset"}
    return found


def _type(name: str, value: object, *, decimal: bool) -> str:
    match value:
        case bool():
            return "Edm.Boolean"
        case int() | float():
            return "Edm.Decimal" if decimal else "Edm.Int64"
        case str():
            if name.endswith("Timestamp"):
                return "Edm.DateTimeOffset"
            return "Edm.Date" if _DATE.fullmatch(value) else "Edm.String"
        case [dict(), *_]:
            return f"Collection(Centris.{name})"
        case [_, *_]:
            return "Collection(Edm.String)"
        case _:
            return "Edm.Unknown"


def as_xml(types: Model) -> bytes:
    """The model as an EDMX document."""
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>',
        '<Schema Namespace="Centris" xmlns="http://docs.oasis-open.org/odata/ns/edm">',
    ]
    for resource, names in types.items():
        key = KEYS.get(resource, "AssociationKey")
        lines.append(f"<EntityType Name={quoteattr(resource)}><Key><PropertyRef Name={quoteattr(key)}/></Key>")
        for name, kind in names.items():
            nullable = "" if name != key else ' Nullable="false"'
            lines.append(f"<Property Name={quoteattr(name)} Type={quoteattr(kind)}{nullable}/>")
        lines.append("</EntityType>")
    lines.append('<EntityContainer Name="Container">')
    lines += [f"<EntitySet Name={quoteattr(name)} EntityType={quoteattr('Centris.' + name)}/>" for name in types]
    lines.append("</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>")
    return "\n".join(lines).encode()


def as_json(types: Model) -> bytes:
    """The model as a CSDL JSON document."""
    schema: dict[str, object] = {}
    for resource, names in types.items():
        key = KEYS.get(resource, "AssociationKey")
        entity: dict[str, object] = {"$Kind": "EntityType", "$Key": [key]}
        for name, kind in names.items():
            many = kind.startswith("Collection(")
            plain = kind[11:-1] if many else kind
            entity[name] = {"$Type": plain, "$Nullable": name != key} | ({"$Collection": True} if many else {})
        schema[resource] = entity
    schema["Container"] = {"$Kind": "EntityContainer"} | {
        resource: {"$Collection": True, "$Type": f"Centris.{resource}"} for resource in types
    }
    return msgspec.json.encode({"$Version": "4.0", "$EntityContainer": "Centris.Container", "Centris": schema})
