"""The field lists of the Spark API become a data model (Spark contract, sections 1 and 9)."""

from __future__ import annotations

import json

import pytest

from harvester.data_model import DataModel
from harvester.decode.spark_fields import SparkFields
from harvester.errors import ProtocolError
from harvester.model import Headers, Response


def answer(document: object) -> Response:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Response(status=200, headers=Headers(), body=body, url="https://api.example.com/v1/standardfields")


def results(*each: object, **more: object) -> Response:
    return answer({"D": {"Success": True, "Results": list(each), **more}})


STANDARD = results({"ListPrice": {"Label": "List Price", "Type": "Decimal"}, "City": {"Label": "City", "Type": "Odd"}})
CUSTOM = results({"Main": {"Label": "Main", "Fields": {"Pool": {"Type": "Boolean"}}}}, {"Empty": {"Label": "Empty"}})


def read(standard: Response = STANDARD, custom: Response = CUSTOM) -> DataModel:
    return SparkFields().read((standard, custom))


def test_standard_fields_lie_below_their_member_custom_ones_by_group() -> None:
    types = read().types_by_name()
    price, city = types["Spark.StandardFields"].fields
    assert (price.name, price.type, price.label) == ("ListPrice", "Edm.Decimal", "List Price")
    assert (city.type, city.label) == ("Edm.Untyped", "")  # of a type nobody knows any value will do
    assert [each.name for each in types["Spark.CustomFields"].fields] == ["Main.Pool"]
    assert read().resources[0].modified == "StandardFields.ModificationTimestamp"


def test_pages_of_custom_fields_that_were_not_asked_for_are_said() -> None:
    assert read().remarks == ()
    more = results(Pagination={"TotalPages": 3})
    assert read(custom=more).remarks == ("Custom fields: only the first of 3 pages of groups is told.",)


@pytest.mark.parametrize(
    "document", [b"{", b"[]", b"[" * 50_000, {"D": {}}, {"D": {"Results": {}}}, {"D": {"Results": [{"": {"Type": 1}}]}}]
)
def test_anything_else_is_refused(document: object) -> None:
    with pytest.raises(ProtocolError):
        read(standard=answer(document))
