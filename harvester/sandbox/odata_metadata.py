"""``$metadata`` of a plain OData service, told from its rows: entity types with keys and properties, as EDMX."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from harvester.sandbox.records import Table
from harvester.sandbox.spark_reso_metadata import field_types

XML = (("Content-Type", "application/xml"), ("OData-Version", "4.0"))
_SAMPLE = 60  # rows looked at for the type of a member that may be null


def as_xml(namespace: str, keys: Mapping[str, str], tables: Mapping[str, Table]) -> bytes:
    """The whole document, in UTF-8. *keys*: the key member of each resource."""
    types = "".join(_entity_type(name, key, tables[name]) for name, key in keys.items())
    sets = "".join(f'<EntitySet Name="{name}" EntityType="{namespace}.{name}"/>' for name in keys)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>'
        f'<Schema Namespace="{namespace}" xmlns="http://docs.oasis-open.org/odata/ns/edm">{types}'
        f'<EntityContainer Name="Container">{sets}</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>'
    ).encode()


def _entity_type(name: str, key: str, table: Table) -> str:
    members = "".join(
        f'<Property Name="{member}" Type="{kind}" Nullable="{str(member != key).lower()}"/>'
        for member, kind in field_types(islice(table, _SAMPLE)).items()
    )
    return f'<EntityType Name="{name}"><Key><PropertyRef Name="{key}"/></Key>{members}</EntityType>'
