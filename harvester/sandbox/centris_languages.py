"""Two languages, and what hangs on a record: ``Accept-Language: fr`` and ``$expand`` (Centris contract, section 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from random import Random
from zlib import crc32

from harvester.sandbox.centris_records import CentrisData, photos_in
from harvester.sandbox.listings import remarks
from harvester.sandbox.odata_expand import Expand
from harvester.sandbox.odata_filter import QueryError
from harvester.sandbox.phrases import EXPENSES, INTRODUCTIONS
from harvester.sandbox.property_fields import money
from harvester.sandbox.records import Row, array, json_bytes, render

TRANSLATED = {"Property": ("PublicRemarks",), "Member": ("MemberIntroduction",), "Expenses": ("ExpenseType",)}
NAVIGATION = {
    "Property": ("ListAgent", "ListOffice", "Expenses", "Media", "Translations"),
    "Member": ("MemberSocialMedia", "Translations"),
    "Office": (),
    "Media": (),
    "OpenHouse": (),
    "Expenses": ("Translations",),
    "MemberSocialMedia": (),
}
_TARGET = {"ListAgent": ("Member", "ListAgentKey"), "ListOffice": ("Office", "ListOfficeKey")}

Members = dict[str, bytes]


@cache
def _french() -> Mapping[bytes, bytes]:
    pairs = dict(remarks())
    for english, french in (*INTRODUCTIONS, *EXPENSES):
        pairs[json_bytes(english)] = json_bytes(french)
    return pairs


def check_expand(resource: str, expands: Sequence[Expand]) -> None:
    """Raises ``QueryError`` for a navigation that *resource* does not have."""
    for expand in expands:
        if expand.name not in NAVIGATION.get(resource, ()):
            raise QueryError(f"No navigation '{expand.name}' on {resource}", problem="unknown", field=expand.name)
        check_expand(_TARGET.get(expand.name, (expand.name, ""))[0], expand.expand)


class Presenter:
    """Writes records as one request wants them. The plain case, everything in English, is the row's own bytes."""

    def __init__(self, data: CentrisData, *, seed: int) -> None:
        self._data = data
        self._seed = seed

    def write(
        self, resource: str, row: Row, *, french: bool, select: Sequence[str], expands: Sequence[Expand]
    ) -> bytes:
        if not (french or select or expands):
            return row.body
        return render(self._shape(resource, row.rendered(), french=french, select=select, expands=expands))

    def _shape(
        self, resource: str, values: Members, *, french: bool, select: Sequence[str], expands: Sequence[Expand]
    ) -> Members:
        shown = {name: value for name, value in values.items() if name in select} if select else dict(values)
        if french:
            for name in TRANSLATED.get(resource, ()):
                if name in shown:
                    shown[name] = _french().get(shown[name], shown[name])
        for expand in expands:
            shown[expand.name] = self._follow(resource, expand, values, french=french)
        return shown

    def _follow(self, resource: str, expand: Expand, values: Members, *, french: bool) -> bytes:
        if expand.name == "Translations":
            return _translations(resource, values)
        if expand.name in _TARGET:
            target, link = _TARGET[expand.name]
            row = self._data.row(target, values[link][1:-1].decode())
            if row is None:
                return b"null"  # dangling
            return self.write(target, row, french=french, select=expand.select, expands=expand.expand)
        if expand.name == "Media" and not expand.select:
            return values["Media"]
        return array(
            render(self._shape(expand.name, each, french=french, select=expand.select, expands=expand.expand))
            for each in self._children(expand.name, values)
        )

    def _children(self, name: str, values: Members) -> list[Members]:
        """Rows of a navigation that is no resource of its own, the same for a record every time."""
        if name == "Media":
            return [row.rendered() for row in photos_in(values["Media"])]
        owner = values["ListingKey" if name == "Expenses" else "MemberKey"]
        rng = Random(f"{self._seed}:{name}:{owner.decode()}")
        if name == "Expenses":
            return [
                {
                    "ExpenseKey": b'"%b-%d"' % (owner[1:-1], number),
                    "ExpenseType": json_bytes(kind),
                    "Amount": money(rng, 10, 9_000),
                }
                for number, (kind, _) in enumerate(EXPENSES[: rng.randrange(len(EXPENSES) + 1)], 1)
            ]
        return [
            {"SocialMediaType": b'"%b"' % site, "SocialMediaUrlOrId": b'"https://%b.example/%b"' % (site, owner[1:-1])}
            for site in (b"facebook", b"linkedin")[: rng.randrange(3)]
        ]


def _translations(resource: str, values: Members) -> bytes:
    """Every translated value in every language; which language comes first differs from record to record."""
    texts: dict[str, list[bytes]] = {"en": [], "fr": []}
    for name in TRANSLATED.get(resource, ()):
        english = values.get(name, b"null")
        if english != b"null":
            label = json_bytes(name)
            texts["en"].append(render({"FieldName": label, "Value": english}))
            texts["fr"].append(render({"FieldName": label, "Value": _french().get(english, english)}))
    locales = ["fr", "en"] if crc32(b"".join(values.values())) % 2 else ["en", "fr"]
    return array(render({"Locale": json_bytes(each), "Values": array(texts[each])}) for each in locales)
