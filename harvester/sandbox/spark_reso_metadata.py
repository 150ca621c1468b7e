"""``$metadata`` of the Spark RESO surface: entity types with keys, properties and navigation, as EDMX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from xml.sax.saxutils import quoteattr

import orjson

from harvester.sandbox.records import Row, Table
from harvester.sandbox.spark_reso_tables import KEYS, RELATED

_NAMESPACE = "org.reso.metadata"
_TIMES = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_LABEL = "RESO.OData.Metadata.StandardName"
_ENCODED: Mapping[str, Mapping[str, str]] = {
    "MediaCategory": {"Photo": "", "b__cGhvdG8-": "Photo", "Branded Virtual Tour": "", "Document": ""},
}
"""Value lists named like their field; an encoded value has a readable text (contract, section 9)."""
_CUSTOM = {"b__RXhhbXBsZQ--": "Example", "Main_Builder's Model": ""}
_SAMPLE = 60  # rows looked at for the type of a member that may be null


def metadata(tables: Mapping[str, Table]) -> bytes:
    """The whole document, in UTF-8."""
    types = "".join(_entity_type(name, tables[name].by_key[:_SAMPLE]) for name in KEYS)
    types += "".join(_enum_type(name, values) for name, values in _ENCODED.items())
    types += f'<ComplexType Name="CustomFields">{"".join(map(_custom_field, _CUSTOM))}</ComplexType>'
    sets = "".join(f'<EntitySet Name="{name}" EntityType="{_NAMESPACE}.{name}"/>' for name in KEYS)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>'
        f'<Schema Namespace="{_NAMESPACE}" xmlns="http://docs.oasis-open.org/odata/ns/edm">{types}'
        f'<EntityContainer Name="Container">{sets}</EntityContainer></Schema>'
        "</edmx:DataServices></edmx:Edmx>\n"
    ).encode()


def readable(body: bytes) -> bytes:
    """A record with the words of the metadata in the place of encoded values."""
    for values in _ENCODED.values():
        for code, text in values.items():
            if text:
                body = body.replace(b'"%b"' % code.encode(), b'"%b"' % text.encode())
    return body


def _entity_type(name: str, rows: Iterable[Row]) -> str:
    key = KEYS[name]
    properties = "".join(
        f'<Property Name="{member}" Type="{kind}" Nullable="{str(member != key).lower()}"/>'
        for member, kind in field_types(rows).items()
    )
    navigation = ""
    if name == "Property":
        navigation = "".join(
            f'<NavigationProperty Name="{each}" Type="Collection({_NAMESPACE}.{each})"/>'
            for each in (*RELATED, "CustomFields")
        )
    return f'<EntityType Name="{name}"><Key><PropertyRef Name="{key}"/></Key>{properties}{navigation}</EntityType>'


def _enum_type(name: str, values: Mapping[str, str]) -> str:
    members = "".join(f"<Member Name={quoteattr(value)}>{_label(text)}</Member>" for value, text in values.items())
    return f'<EnumType Name="{name}">{members}</EnumType>'


def _custom_field(name: str) -> str:
    return f'<Property Name={quoteattr(name)} Type="Edm.String">{_label(_CUSTOM[name])}</Property>'


def _label(text: str) -> str:
    return f'<Annotation Term="{_LABEL}" String={quoteattr(text)}/>' if text else ""


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
