"""``$metadata`` as XML, read as a stream of elements: nothing of the document but what is wanted is ever built.

Any document type declaration is refused where it begins, before a single entity could be declared, so there is no
entity to expand and nothing to fetch (FAULTS M01). Size, depth, number of elements and lengths of names are bounded
(FAULTS M02). Elements are known by their local names: namespaces differ between the versions of OData.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.parsers import expat

from harvester.data_model import DataModel
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

_CHUNK = 1 << 20  # bytes given to the parser at a time, so that what is refused is refused early
_OTHER = "it is not the XML of an OData service"


def read_csdl_xml(body: bytes) -> DataModel:
    """The data model in *body*, an EDMX document in UTF-8. It may take seconds: call it off the loop.

    Raises:
        ProtocolError: a document type, another encoding, no well-formed XML, no entity set, or beyond a bound; the
            message says which and quotes nothing of the document.
    """
    check_size(body)
    reader = _Reader()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.XmlDeclHandler = _check_encoding
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    data = memoryview(body)
    try:
        for start in range(0, len(body), _CHUNK):
            parser.Parse(bytes(data[start : start + _CHUNK]), False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        what = expat.ErrorString(error.code) or "malformed"
        raise ProtocolError(f"The metadata is not well-formed XML: {what} in line {error.lineno}.") from error
    finally:
        # The parser and the reader would keep each other alive.
        parser.StartElementHandler = parser.EndElementHandler = parser.CharacterDataHandler = None
    if not reader.is_service:
        raise ProtocolError(f"The metadata cannot be read: {_OTHER}.")
    return reader.draft.build()


def _refuse(*_declaration: object) -> int:
    raise ProtocolError(
        "The metadata holds a document type (DOCTYPE) or an entity. No OData service needs one; it is refused unread."
    )


def _check_encoding(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding is not None and encoding.lower() not in {"utf-8", "utf8", "us-ascii"}:
        raise ProtocolError("The metadata is XML in another encoding than UTF-8.")


class _Reader:
    """Takes elements as they begin and end."""

    def __init__(self) -> None:
        self.draft = Draft()
        self.is_service = False
        self._path: list[str] = []
        self._pieces = 0
        self._namespace = ""
        self._type: DraftType | None = None
        self._values: list[DraftValue] | None = None
        self._notes: Notes | None = None  # of the field or value that is open
        self._target: Notes | None = None  # of the ``Annotations`` that are open
        self._annotation: tuple[Notes, str] | None = None  # whose text may still come in an element of its own
        self._words: list[str] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = tag.rpartition(":")[2]
        self._pieces += 1 + len(attributes)
        if self._pieces > MAX_PIECES:
            raise ProtocolError(f"The metadata has more than {MAX_PIECES:,} elements; it is refused.")
        if not self._path:
            self.is_service = name in {"Edmx", "Schema"}
            if not self.is_service:
                raise ProtocolError(f"The metadata cannot be read: {_OTHER}.")
        self._path.append(name)
        if len(self._path) > MAX_DEPTH:
            raise ProtocolError(f"The metadata is nested more than {MAX_DEPTH} deep; it is refused.")
        handle = _STARTS.get(name)
        if handle is not None:
            handle(self, attributes)

    def end(self, tag: str) -> None:
        match self._path.pop():
            case "EntityType" | "ComplexType":
                self._type = None
            case "EnumType":
                self._values = None
            case "Property" | "NavigationProperty" | "Member":
                self._notes = None
            case "Annotations":
                self._target = None
            case "String" if self._annotation is not None:
                notes, term = self._annotation
                notes.take(term, "".join(self._words).strip())
            case "Annotation":
                self._annotation = None

    def text(self, words: str) -> None:
        if self._annotation is not None and self._path[-1:] == ["String"]:
            self._words.append(words)

    # -------------------------------------------------------------- one element each

    def _schema(self, has: Mapping[str, str]) -> None:
        self._namespace = checked_name(has.get("Namespace"))
        if alias := has.get("Alias"):
            self.draft.aliases[alias] = self._namespace

    def _structure(self, has: Mapping[str, str]) -> None:
        self._type = DraftType(base=has.get("BaseType", ""), open=has.get("OpenType") == "true")
        self.draft.types[self._named(has)] = self._type

    def _enumeration(self, has: Mapping[str, str]) -> None:
        self._values = self.draft.enumerations[self._named(has)] = []

    def _definition(self, has: Mapping[str, str]) -> None:
        self.draft.definitions[self._named(has)] = has.get("UnderlyingType", "")

    def _property(self, has: Mapping[str, str]) -> None:
        self._field(has, navigation=False)

    def _navigation(self, has: Mapping[str, str]) -> None:
        self._field(has, navigation=True)

    def _field(self, has: Mapping[str, str], *, navigation: bool) -> None:
        if self._type is None:
            return
        kind, many = collection_of(has.get("Type", "Edm.String"))
        drafted = DraftField(
            name=checked_name(has.get("Name")),
            type=kind,
            many=many,
            nullable=has.get("Nullable") != "false",
            max_length=length(has.get("MaxLength", "")),
            navigation=navigation,
        )
        self._type.fields.append(drafted)
        self._notes = drafted.notes

    def _key_part(self, has: Mapping[str, str]) -> None:
        if self._type is not None and self._path[-2:-1] == ["Key"]:
            self._type.key.append(checked_name(has.get("Name")))

    def _value(self, has: Mapping[str, str]) -> None:
        if self._values is not None:
            value = DraftValue(name=checked_name(has.get("Name")))
            self._values.append(value)
            self._notes = value.notes

    def _set(self, has: Mapping[str, str]) -> None:
        self.draft.resources[checked_name(has.get("Name"))] = checked_name(has.get("EntityType"))

    def _annotations(self, has: Mapping[str, str]) -> None:
        self._target = self.draft.notes.setdefault(has.get("Target", ""), Notes())

    def _annotate(self, has: Mapping[str, str]) -> None:
        notes = self._notes or self._target
        if notes is None:
            return  # of a type, a set or the document: nothing that is used
        self._annotation, self._words = (notes, has.get("Term", "")), []
        if (text := has.get("String")) is not None:
            notes.take(has.get("Term", ""), text)

    def _named(self, has: Mapping[str, str]) -> str:
        return f"{self._namespace}.{checked_name(has.get('Name'))}"


_STARTS = {
    "Schema": _Reader._schema,  # noqa: SLF001 - the table of the class above
    "EntityType": _Reader._structure,  # noqa: SLF001
    "ComplexType": _Reader._structure,  # noqa: SLF001
    "EnumType": _Reader._enumeration,  # noqa: SLF001
    "TypeDefinition": _Reader._definition,  # noqa: SLF001
    "Property": _Reader._property,  # noqa: SLF001
    "NavigationProperty": _Reader._navigation,  # noqa: SLF001
    "PropertyRef": _Reader._key_part,  # noqa: SLF001
    "Member": _Reader._value,  # noqa: SLF001
    "EntitySet": _Reader._set,  # noqa: SLF001
    "Annotations": _Reader._annotations,  # noqa: SLF001
    "Annotation": _Reader._annotate,  # noqa: SLF001
}
