"""The data model of the Spark API: its lists of standard and custom fields (Spark contract, section 1).

Listings hold standard fields under ``StandardFields``. Custom fields are a list of groups of lists, with labels that
repeat and change, and are told but not held against records (Spark contract, section 9).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from harvester.contracts import Judge
from harvester.data_model import DataModel, DeclaredField, DeclaredResource, DeclaredType
from harvester.decode.complaints import complaint
from harvester.decode.csdl import MAX_LABEL, MAX_PIECES, check_size, checked_name, length
from harvester.errors import ProtocolError
from harvester.model import PageRequest, Response, Verdict

_STANDARD = "Spark.StandardFields"
_CUSTOM = "Spark.CustomFields"
_LISTING = "Spark.Listing"
_ANYTHING = "Edm.Untyped"
_TYPES = {
    "Character": "Edm.String",
    "Text": "Edm.String",
    "Decimal": "Edm.Decimal",
    "Integer": "Edm.Int64",
    "Boolean": "Edm.Boolean",
    "Date": "Edm.Date",
    "Datetime": "Edm.DateTimeOffset",
}
"""Types by the names of the API; any other one says nothing of the values."""


class SparkFields:
    """``standardfields`` and ``customfields``, each a ``D`` envelope with objects of fields."""

    def requests(self) -> Sequence[PageRequest]:
        # 25 is what every key may ask for (Spark contract, section 4).
        return (PageRequest(url="standardfields"), PageRequest(url="customfields?_limit=25&_pagination=1"))

    def judge(self, response: Response, otherwise: Judge) -> Verdict:
        return otherwise(response)

    def read(self, answers: Sequence[Response]) -> DataModel:
        standard = tuple(
            _field(name, told) for result in _results(answers[0]) for name, told in _members(result) if _is_field(told)
        )
        custom = tuple(
            _field(f"{group}.{name}", told)
            for result in _results(answers[1])
            for group, told_of in _members(result)
            for name, told in _members(told_of.get("Fields"))
            if _is_field(told)
        )
        listing = (
            DeclaredField(name="Id", type="Edm.String", nullable=False),
            DeclaredField(name="ResourceUri", type="Edm.String"),
            DeclaredField(name="StandardFields", type=_STANDARD),
            DeclaredField(name="CustomFields", type=_ANYTHING, many=True),
            DeclaredField(name="DisplayCompliance", type=_ANYTHING),
        )
        return DataModel(
            remarks=_left_out(answers[1]),
            resources=(
                DeclaredResource(name="listings", type=_LISTING, modified="StandardFields.ModificationTimestamp"),
            ),
            types=(
                DeclaredType(name=_LISTING, key=("Id",), fields=listing, open=True),
                DeclaredType(name=_STANDARD, fields=standard),
                DeclaredType(name=_CUSTOM, fields=custom),
            ),
        )


def _results(answer: Response) -> Sequence[Mapping[str, Any]]:
    """``D.Results`` of an answer, as objects."""
    check_size(answer.body)
    try:
        document = msgspec.json.decode(answer.body.removeprefix(b"\xef\xbb\xbf"))
        results = document["D"]["Results"]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ProtocolError(f"The list of fields cannot be read: {complaint(error)}.") from error
    except (KeyError, TypeError) as error:
        raise ProtocolError("The list of fields cannot be read: it has no D.Results.") from error
    if not isinstance(results, list) or sum(len(each) for each in results if isinstance(each, dict)) > MAX_PIECES:
        raise ProtocolError("The list of fields cannot be read: D.Results is no list, or an endless one.")
    return [each for each in results if isinstance(each, dict)]


def _left_out(answer: Response) -> tuple[str, ...]:
    """Custom fields are only shown, so one page of them will do, if it is said."""
    pages = msgspec.json.decode(answer.body.removeprefix(b"\xef\xbb\xbf"))["D"].get("Pagination")
    if isinstance(pages, dict) and isinstance(total := pages.get("TotalPages"), int) and total > 1:
        return (f"Custom fields: only the first of {total} pages of groups is told.",)
    return ()


def _members(value: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The members of an object that are objects themselves."""
    if isinstance(value, dict):
        yield from ((checked_name(name), told) for name, told in value.items() if isinstance(told, dict))


def _is_field(told: Mapping[str, Any]) -> bool:
    return "Type" in told


def _field(name: str, told: Mapping[str, Any]) -> DeclaredField:
    label = told.get("Label")
    return DeclaredField(
        name=name,
        type=_TYPES.get(str(told["Type"]), _ANYTHING),
        max_length=length(told.get("MaxLength", "")),
        label=label[:MAX_LABEL] if isinstance(label, str) and label != name else "",
    )
