"""``$metadata`` as CSDL JSON, in the form of the 4.01 standard; the same bounds as for XML (FAULTS D08, M02)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from harvester.data_model import DataModel
from harvester.decode.complaints import complaint
from harvester.decode.csdl import (
    MAX_DEPTH,
    MAX_PIECES,
    Draft,
    DraftField,
    DraftType,
    DraftValue,
    Notes,
    check_size,
    checked_name,
    collection_of,
    length,
)
from harvester.errors import ProtocolError

Members = Mapping[str, Any]


def read_csdl_json(body: bytes) -> DataModel:
    """The data model in *body*. It may take seconds: call it off the loop.

    Raises:
        ProtocolError: no JSON, no CSDL, no entity set, or beyond a bound.
    """
    check_size(body)
    try:
        document = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ProtocolError(f"The metadata cannot be read: {complaint(error)}.") from error
    if not isinstance(document, dict) or "$Version" not in document:
        raise ProtocolError("The metadata cannot be read: it is JSON, but not the data model of an OData service.")
    _check_bounds(document)
    draft = Draft()
    for namespace, schema in document.items():
        if not namespace.startswith(("$", "@")) and isinstance(schema, dict):
            _schema(draft, checked_name(namespace), schema)
    return draft.build()


def _schema(draft: Draft, namespace: str, schema: Members) -> None:
    if isinstance(alias := schema.get("$Alias"), str):
        draft.aliases[alias] = namespace
    targets = schema.get("$Annotations")
    for target, given in targets.items() if isinstance(targets, dict) else ():
        if isinstance(given, dict):
            draft.notes[target] = _notes(given)
    for name, declared in schema.items():
        if name.startswith(("$", "@")) or "@" in name or not isinstance(declared, dict):
            continue
        full = f"{namespace}.{checked_name(name)}"
        match declared.get("$Kind"):
            case "EntityType" | "ComplexType":
                draft.types[full] = _type(declared)
            case "EnumType":
                draft.enumerations[full] = [
                    DraftValue(name=checked_name(value), notes=_notes(declared, value))
                    for value in declared
                    if not value.startswith("$") and "@" not in value
                ]
            case "TypeDefinition":
                draft.definitions[full] = str(declared.get("$UnderlyingType", ""))
            case "EntityContainer":
                _container(draft, declared)


def _type(declared: Members) -> DraftType:
    key = declared.get("$Key")
    drafted = DraftType(
        base=str(declared.get("$BaseType", "")),
        open=declared.get("$OpenType") is True,
        # An alias for a path, ``{"Code": "Address/Code"}``, is told apart from a name by its shape.
        key=[checked_name(each if isinstance(each, str) else next(iter(each), "")) for each in key]
        if isinstance(key, list) and all(isinstance(each, str | dict) for each in key)
        else [],
    )
    for name, told in declared.items():
        if name.startswith(("$", "@")) or "@" in name or not isinstance(told, dict):
            continue
        kind, many = collection_of(str(told.get("$Type", "Edm.String")))
        drafted.fields.append(
            DraftField(
                name=checked_name(name),
                type=kind,
                many=many or told.get("$Collection") is True,
                nullable=told.get("$Nullable") is True,  # the other way round than in XML: absent means never null
                max_length=length(told.get("$MaxLength", "")),
                navigation=told.get("$Kind") == "NavigationProperty",
                notes=_notes(told),
            )
        )
    return drafted


def _container(draft: Draft, declared: Members) -> None:
    for name, told in declared.items():
        if isinstance(told, dict) and told.get("$Collection") is True and "$Type" in told:
            draft.resources[checked_name(name)] = checked_name(told["$Type"])


def _notes(members: Members, about: str = "") -> Notes:
    """The annotations in *members*: ``@Term`` for the object itself, ``Name@Term`` for the member *about*."""
    notes = Notes()
    for name, value in members.items():
        owner, at, term = name.partition("@")
        if at and owner == about and isinstance(value, str):
            notes.take(term, value)
    return notes


def _check_bounds(document: object) -> None:
    """Refuse what is too deep or has too many members, without recursion."""
    pieces = 0
    level = [document]
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for each in level:
            pieces += 1
            if isinstance(each, dict):
                below += each.values()
            elif isinstance(each, list):
                below += each
        if pieces > MAX_PIECES:
            raise ProtocolError(f"The metadata has more than {MAX_PIECES:,} members; it is refused.")
        if not below:
            return
        level = below
    raise ProtocolError(f"The metadata is nested more than {MAX_DEPTH} deep; it is refused.")
