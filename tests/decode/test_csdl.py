"""Data models are read from XML and JSON alike, and nothing in a document can do harm (FAULTS M01, M02)."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.data_model import DataModel, DeclaredType, LookupValue
from harvester.decode import csdl, csdl_xml
from harvester.decode.csdl_json import read_csdl_json
from harvester.decode.csdl_xml import read_csdl_xml
from harvester.decode.odata_metadata import ODataMetadata, read_document
from harvester.errors import ProtocolError
from harvester.model import Action, Headers, Response, Verdict
from harvester.report.printable import printable
from harvester.sandbox.fault_kinds import Effect
from harvester.sandbox.metadata_faults import METADATA_KINDS
from tests.contracts.fixture_files import ROOT
from tests.fakes.rich_metadata import JSON, XML

EITHER = pytest.mark.parametrize("model", [read_csdl_xml(XML), read_csdl_json(JSON)], ids=["xml", "json"])


def listing(model: DataModel) -> DeclaredType:
    return model.types_by_name()["org.lake.Listing"]


def hostile(arguments: str) -> bytes:
    """The document of the sandbox's fault ``xml:<arguments>``."""
    from random import Random

    effect: Effect = METADATA_KINDS["xml"].make(arguments).effect(1, Random(1))
    return effect.body


# ------------------------------------------------------------------ what is read


def test_both_forms_tell_the_same_model() -> None:
    assert read_csdl_xml(XML) == read_csdl_json(JSON)
    recorded = ROOT / "centris" / "$metadata"
    assert read_document((recorded / "metadata.xml").read_bytes()) == read_document(
        (recorded / "metadata.json").read_bytes()
    )


@EITHER
def test_a_type_has_what_it_inherits_its_own_word_last(model: DataModel) -> None:
    declared = listing(model)
    assert [each.name for each in declared.fields][:3] == ["Id", "ModificationTimestamp", "Price"]
    assert declared.key == ("Id",)
    assert declared.open
    identity = declared.fields[0]
    assert (identity.type, identity.nullable, identity.max_length) == ("Edm.String", False, 20)


@EITHER
def test_aliases_and_type_definitions_are_followed(model: DataModel) -> None:
    fields = {each.name: each for each in listing(model).fields}
    assert fields["Price"].type == "Edm.Decimal"
    assert fields["Address"].type == "org.lake.Address"
    assert (fields["Pets"].type, fields["Pets"].many) == ("Edm.String", True)
    assert listing(model).navigation[0].type == "org.lake.Photo"
    assert [(each.name, each.type, each.modified) for each in model.resources] == [
        ("Listings", "org.lake.Listing", "ModificationTimestamp"),
        ("Photos", "org.lake.Photo", "ModificationTimestamp"),
    ]


@EITHER
def test_encoded_names_have_the_readable_text_of_their_annotation(model: DataModel) -> None:
    """Spark RESO contract, section 9; also where the annotation stands by itself."""
    fields = {each.name: each for each in listing(model).fields}
    assert fields["b__UG9vbA--"].label == "Pool"
    assert fields["Pets"].label == "Which animals"
    assert fields["Status"].label.split() == ["State", "of", "the", "sale"]
    assert model.lookups[0].values == (LookupValue("Active"), LookupValue("b__UGVuZGluZw--", "Pending"))


@EITHER
def test_a_list_of_values_is_known_by_type_or_by_annotation(model: DataModel) -> None:
    fields = {each.name: each for each in listing(model).fields}
    assert fields["Status"].lookup == "org.lake.Status"
    assert fields["Pets"].lookup == "PetsAllowed"
    assert fields["Price"].lookup == ""


def test_a_text_field_takes_the_list_that_has_its_own_name() -> None:
    """As Spark does it (Spark RESO contract, section 9)."""
    document = XML.replace(b'Name="Status"><Member', b'Name="City"><Member')
    city = read_csdl_xml(document).types_by_name()["org.lake.Address"].fields[0]
    assert city.lookup == "org.lake.City"


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("name", ["bomb", "quadratic", "xxe", "dtd"])
def test_any_document_type_is_refused_before_it_could_do_anything(name: str) -> None:
    """FAULTS M01."""
    began = perf_counter()
    with pytest.raises(ProtocolError, match="document type"):
        read_csdl_xml(hostile(name))
    assert perf_counter() - began < 0.5


def test_a_document_type_without_entities_is_refused_too() -> None:
    with pytest.raises(ProtocolError, match="document type"):
        read_csdl_xml(b'<!DOCTYPE Edmx><Edmx xmlns="x"></Edmx>')


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (hostile("deep"), "deep"),
        (hostile("torn"), "well-formed"),
        (hostile("empty"), "no entity set"),
        (hostile("utf16"), "well-formed|encoding"),
        (b'<?xml version="1.0" encoding="iso-8859-1"?><Edmx></Edmx>', "encoding"),
        (b"<html><body>Back soon</body></html>", "not the XML of an OData service"),
        (b"", "well-formed"),
        (b"<Edmx>" + b"<a>" * 10, "well-formed"),
        (XML.replace(b'Name="Price"', b"Name=''"), "without a name"),
        (XML.replace(b'Name="Price"', b'Name="' + b"p" * 600 + b'"'), "absurd"),
        (
            XML.replace(b'Name="Thing" Abstract', b'Name="Thing" BaseType="lake.Listing" Abstract'),
            "derived from itself",
        ),
    ],
)
def test_what_is_no_data_model_is_refused_in_words(document: bytes, told: str) -> None:
    """FAULTS M02."""
    with pytest.raises(ProtocolError, match=told):
        read_csdl_xml(document)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (b"[]", "not the data model"),
        (b"{}", "not the data model"),
        (b'{"$Version":"4.0"', "stops before its end"),
        (b'{"$Version":"4.0"}', "no entity set"),
        (b'{"$Version":"4.0","a":' + b"[" * 200 + b"]" * 200 + b"}", "deep"),
        (b'{"$Version":"4.0","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deep"),
        (
            b'{"$Version":"4.0","S":{"C":{"$Kind":"EntityContainer","P":{"$Collection":true,"$Type":7}}}}',
            "without a name",
        ),
    ],
)
def test_what_is_no_data_model_in_json_is_refused_in_words(document: bytes, told: str) -> None:
    """FAULTS M02, D08."""
    with pytest.raises(ProtocolError, match=told):
        read_csdl_json(document)


def test_size_and_number_of_elements_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """FAULTS M02. The real bounds take seconds to reach."""
    monkeypatch.setattr(csdl_xml, "MAX_PIECES", 20)
    with pytest.raises(ProtocolError, match="more than 20 elements"):
        read_csdl_xml(XML)
    monkeypatch.setattr(csdl, "MAX_BODY", 100)
    with pytest.raises(ProtocolError, match="more than 100 are refused"):
        read_csdl_xml(XML)
    with pytest.raises(ProtocolError, match="more than 100 are refused"):
        read_csdl_json(JSON)


def test_inheritance_cannot_multiply_fields_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csdl, "_MAX_FIELDS", 10)
    with pytest.raises(ProtocolError, match="more than 10 fields"):
        read_csdl_xml(XML)


# ------------------------------------------------------------------ garbage


def _survives(read: Callable[[bytes], DataModel], document: bytes) -> None:
    began = perf_counter()
    told = ""
    try:
        read(document)
    except ProtocolError as error:
        told = str(error)
    assert told == printable(told, 300)
    assert perf_counter() - began < 5.0


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_garbage_in_a_document_ends_in_a_model_or_a_refusal(data: st.DataObject) -> None:
    """Bytes cut out, put in twice and changed, in either form."""
    read, document = data.draw(st.sampled_from([(read_csdl_xml, XML), (read_csdl_json, JSON)]))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(document)))
        end = data.draw(st.integers(start, min(len(document), start + 200)))
        piece = data.draw(st.one_of(st.just(b""), st.just(document[start:end] * 3), st.binary(max_size=12)))
        document = document[:start] + piece + document[end:]
    _survives(read, document)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_bytes_of_any_kind_are_a_refusal(document: bytes) -> None:
    for read in (read_csdl_xml, read_csdl_json, read_document):
        _survives(read, document)


WORDS = st.sampled_from(
    ["Edmx", "Schema", "EntityType", "ComplexType", "EnumType", "Property", "Member", "Key", "PropertyRef", "EntitySet",
     "Annotation", "Annotations", "String", "TypeDefinition", "NavigationProperty", "EntityContainer"]
)  # fmt: skip
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["Name", "Namespace", "Type", "EntityType", "BaseType", "UnderlyingType", "Term", "String",
                     "Target", "Alias", "MaxLength"]),
    st.sampled_from(["a", "a.a", "a.b", "b", "Collection(a.a)", "Collection(", "Edm.String", "", "9", "a.a/a"]),
    max_size=4,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.recursive(
    st.tuples(WORDS, ATTRIBUTES, st.just([])),
    lambda below: st.tuples(WORDS, ATTRIBUTES, st.lists(below, max_size=4)),
    max_leaves=25,
))  # fmt: skip
def test_elements_of_the_language_in_any_order_are_survived(tree: tuple[str, dict[str, str], list[object]]) -> None:
    """Names that refer to each other in circles, keys outside types, annotations of nothing."""
    _survives(read_csdl_xml, b"<Schema Namespace='a'>" + _written(tree) + b"</Schema>")


def _written(tree: object) -> bytes:
    assert isinstance(tree, tuple)
    name, attributes, below = tree
    told = "".join(f" {key}='{value}'" for key, value in attributes.items())
    return f"<{name}{told}>".encode() + b"".join(map(_written, below)) + f"</{name}>".encode()


# ------------------------------------------------------------------ answers


def answer(body: bytes, kind: str, *, path: str = "/odata/$metadata", status: int = 200) -> Response:
    url = f"https://api.example.com{path}"
    return Response(status=status, headers=Headers((("Content-Type", kind),)), body=body, url=url)


def otherwise(_response: Response) -> Verdict:
    return Verdict(action=Action.BROKEN)


def test_xml_is_an_answer_at_metadata_and_nowhere_else() -> None:
    judge = ODataMetadata().judge
    assert judge(answer(XML, "application/xml"), otherwise).action is Action.USE
    assert judge(answer(XML, "application/xml", path="/odata/$metadata?a=b"), otherwise).action is Action.USE
    for other in (
        answer(XML, "application/xml", path="/odata/Property"),
        answer(XML, "application/xml", status=500),
        answer(b"<html>Back soon</html>", "application/xml"),
        answer(JSON, "application/json"),
    ):
        assert judge(other, otherwise).action is Action.BROKEN
