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
_UNKNOWN = "Edm.Unknown"
FORBIDDEN = "Association"
"""A resource the demo credential is not entitled to: in the model, but answered with 403."""

Model = Mapping[str, Mapping[str, str]]

_LINKS: Mapping[str, Mapping[str, str]] = {
    "Property": {
        "ListAgent": "Centris.Member",
        "ListOffice": "Centris.Office",
        "Expenses": "Collection(Centris.PropertyExpense)",
        "Translations": "Collection(Centris.Translation)",
    },
    "Member": {
        "MemberSocialMedia": "Collection(Centris.SocialMedia)",
        "Translations": "Collection(Centris.Translation)",
    },
    "PropertyExpense": {"Translations": "Collection(Centris.Translation)"},
    "Translation": {"Values": "Collection(Centris.TranslatedValue)"},
}
"""Where navigation leads (contract, section 3)."""
_WITHOUT_SETS: Model = {
    "PropertyExpense": {"ExpenseKey": "Edm.String", "ExpenseType": "Edm.String", "Amount": "Edm.Decimal"},
    "SocialMedia": {"SocialMediaType": "Edm.String", "SocialMediaUrlOrId": "Edm.String"},
    "Translation": {"Locale": "Edm.String"},
    "TranslatedValue": {"FieldName": "Edm.String", "Value": "Edm.String"},
}
"""Types of records that come only inside others."""


def model(data: CentrisData) -> Model:
    """Property names and EDM types by resource."""
    found: dict[str, dict[str, str]] = {}
    for resource in KEYS:
        types: dict[str, str] = {}
        for row in islice(data.collection(resource).table, _LOOKED_AT):
            for name, raw in row.members().items():
                known = types.get(name, _UNKNOWN)
                if _UNKNOWN in known:
                    told = _type(name, msgspec.json.decode(raw), decimal=b"." in bytes(raw))
                    types[name] = known if told == _UNKNOWN else told
        found[resource] = {name: kind.replace(_UNKNOWN, "Edm.String") for name, kind in types.items()}
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
        case []:
            return f"Collection({_UNKNOWN})"
        case _:
            return _UNKNOWN


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
        lines += _links_xml(resource)
        lines.append("</EntityType>")
    for resource, names in _WITHOUT_SETS.items():
        lines.append(f"<ComplexType Name={quoteattr(resource)}>")
        lines += [f"<Property Name={quoteattr(name)} Type={quoteattr(kind)}/>" for name, kind in names.items()]
        lines += [*_links_xml(resource), "</ComplexType>"]
    lines.append('<EntityContainer Name="Container">')
    lines += [f"<EntitySet Name={quoteattr(name)} EntityType={quoteattr('Centris.' + name)}/>" for name in types]
    lines.append("</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>")
    return "\n".join(lines).encode()


def _links_xml(resource: str) -> list[str]:
    links = _LINKS.get(resource, {})
    return [f"<NavigationProperty Name={quoteattr(name)} Type={quoteattr(kind)}/>" for name, kind in links.items()]


def as_json(types: Model) -> bytes:
    """The model as a CSDL JSON document."""
    schema: dict[str, object] = {}
    for resource, names in types.items():
        key = KEYS.get(resource, "AssociationKey")
        schema[resource] = {"$Kind": "EntityType", "$Key": [key]} | _members_json(resource, names, key)
    for resource, names in _WITHOUT_SETS.items():
        schema[resource] = {"$Kind": "ComplexType"} | _members_json(resource, names, "")
    schema["Container"] = {"$Kind": "EntityContainer"} | {
        resource: {"$Collection": True, "$Type": f"Centris.{resource}"} for resource in types
    }
    return msgspec.json.encode({"$Version": "4.0", "$EntityContainer": "Centris.Container", "Centris": schema})


def _members_json(resource: str, names: Mapping[str, str], key: str) -> dict[str, object]:
    members: dict[str, object] = {}
    links = _LINKS.get(resource, {})
    for name, kind in (*names.items(), *links.items()):
        many = kind.startswith("Collection(")
        told: dict[str, object] = {"$Kind": "NavigationProperty"} if name in links else {"$Nullable": name != key}
        members[name] = told | {"$Type": kind[11:-1] if many else kind} | ({"$Collection": True} if many else {})
    return members
