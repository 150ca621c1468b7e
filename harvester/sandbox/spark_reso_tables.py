"""The seven resources of the Spark RESO surface as tables, and how changes of a listing reach its related records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random

from harvester.sandbox.property_fields import money
from harvester.sandbox.records import Row, Table, json_bytes, members, render
from harvester.sandbox.settings import Settings
from harvester.sandbox.spark_market import Listing, Market, related_key
from harvester.sandbox.stamps import instant_of

KEYS: Mapping[str, str] = {
    "Property": "ListingKey",
    "Member": "MemberKey",
    "Office": "OfficeKey",
    "Media": "MediaKey",
    "Room": "RoomKey",
    "Unit": "UnitKey",
    "OpenHouse": "OpenHouseKey",
}
"""The resources and their key members."""

RELATED = ("Media", "Room", "Unit", "OpenHouse")
MODIFIED = "ModificationTimestamp"

_DOCUMENT = 98  # number of the one document that a listing may have among its media
_CATEGORIES = ("Photo", "Photo", "b__cGhvdG8-", "Branded Virtual Tour")  # an encoded value among readable ones


class ResoTables:
    """All rows, and the one way they change."""

    def __init__(self, settings: Settings, market: Market) -> None:
        self._market = market
        self._set_changes = settings.rng("spark_reso", "sets")  # of its own: the listings change as they always did
        listings = market.listings()
        related: dict[str, list[Row]] = {}
        for name in RELATED:
            rng = settings.rng("spark_reso", name)
            related[name] = [row for listing in listings for row in _made(name, listing, rng)]
        self.tables: Mapping[str, Table] = {
            "Property": Table(_property_row(listing) for listing in listings),
            "Member": Table(_plain_rows(market.members, "MemberKey")),
            "Office": Table(_plain_rows(market.offices, "OfficeKey")),
            **{name: Table(rows) for name, rows in related.items()},
        }

    def of_listing(self, name: str, listing: str) -> list[Row]:
        """The related records *name* of a listing, by key."""
        table = self.tables[name]
        kind = RELATED.index(name)
        first, last = related_key(listing, kind, 0), related_key(listing, kind, 99)
        return list(table.by_key[table.key_position(first) : table.key_position(last + "\0")])

    def mutate(self, count: int) -> None:
        """Change *count* listings: inserts 40 %, updates 50 %, deletes 10 %; related records follow.

        One update in three replaces a photo: the listing's ``PhotosChangeTimestamp`` moves then, and only then. One in
        four brings or takes a document, likewise. Rooms, units and open houses come and go with one update in three,
        and nothing but the listing's modification time tells that.
        """
        rng, table = self._market.changes, self.tables["Property"]
        for _ in range(count):
            choice = rng.random()
            if choice < 0.4 or len(table) < 2:
                listing = self._market.insert()
                table.put(_property_row(listing))
                for name in RELATED:
                    for row in _made(name, listing, rng):
                        self.tables[name].put(row)
                continue
            row = table.by_key[rng.randrange(len(table))]
            if choice < 0.9:
                self._update(row, rng)
            else:
                self._remove(row)

    def _update(self, row: Row, rng: Random) -> None:
        instant = self._market.now()
        modified = self._market.text(instant, rng)
        fields = row.rendered()
        fields["ListPrice"] = money(rng, 45_000, 2_400_000)
        fields[MODIFIED] = json_bytes(modified)
        if rng.random() < 1 / 3:
            fields["PhotosChangeTimestamp"] = json_bytes(modified)
            fields["PhotosCount"] = b"%d" % self._replace_photo(row.key, modified)
        chance = self._set_changes
        if chance.random() < 1 / 4:
            fields["DocumentsChangeTimestamp"] = json_bytes(modified)
            self._change_document(row.key, modified)
        for name in RELATED[1:]:
            if chance.random() < 1 / 3:
                self._change_set(name, row.key, modified, chance)
        self.tables["Property"].put(Row(row.key, render(fields), modified=modified, instant=instant_of(modified) or 0))

    def _replace_photo(self, listing: str, modified: str) -> int:
        """The oldest photo goes, a new one comes; how many there are now."""
        photos = self.of_listing("Media", listing)
        table = self.tables["Media"]
        photos = [photo for photo in photos if int(photo.key) - int(related_key(listing, 0, 0)) != _DOCUMENT]
        newest = int(photos[-1].key) - int(related_key(listing, 0, 0)) if photos else 0
        number = newest + 1 + (newest + 1 == _DOCUMENT)
        fresh = _media_row(listing, number, modified, Random(f"{listing}:{modified}"))
        if len(photos) > 1:
            table.remove(photos[0].key)
        table.put(fresh)
        return len(self.of_listing("Media", listing)) - (related_key(listing, 0, _DOCUMENT) in table)

    def _change_document(self, listing: str, modified: str) -> None:
        """The document of a listing goes; one that has none gets one."""
        key = related_key(listing, RELATED.index("Media"), _DOCUMENT)
        table = self.tables["Media"]
        if key in table:
            table.remove(key)
        else:
            table.put(_media_row(listing, _DOCUMENT, modified, Random(f"{key}:{modified}"), category="Document"))

    def _change_set(self, name: str, listing: str, modified: str, chance: Random) -> None:
        """One record of a set goes, or another one comes, or both."""
        table, held, kind = self.tables[name], self.of_listing(name, listing), RELATED.index(name)
        what = chance.choice(("goes", "comes", "both"))
        if held and what != "comes":
            table.remove(held[0].key)
        if what != "goes":
            number = 1 + (int(held[-1].key) - int(related_key(listing, kind, 0)) if held else 0)
            table.put(_related_row(name, listing, number, modified, instant_of(modified) or 0, chance))

    def _remove(self, row: Row) -> None:
        for name in RELATED:
            for each in self.of_listing(name, row.key):
                self.tables[name].remove(each.key)
        self.tables["Property"].remove(row.key)


def _property_row(listing: Listing) -> Row:
    stamped = json_bytes(listing.modified)
    fields = {**listing.members, "DocumentsChangeTimestamp": stamped, "VideosChangeTimestamp": stamped}
    return Row(listing.key, render(fields), modified=listing.modified, instant=listing.instant)


def _made(name: str, listing: Listing, rng: Random) -> Iterable[Row]:
    """The related records a listing starts with."""
    counts = {"Media": listing.photos, "Room": rng.randrange(5), "Unit": rng.choice((0, 0, 0, 2))}
    count = counts.get(name, rng.choice((0, 0, 1)))
    for number in range(1, count + 1):
        if name == "Media":
            yield _media_row(listing.key, number, listing.modified, rng)
        else:
            yield _related_row(name, listing.key, number, listing.modified, listing.instant, rng)


def _related_row(name: str, listing: str, number: int, modified: str, instant: int, rng: Random) -> Row:
    key = related_key(listing, RELATED.index(name), number)
    values = {KEYS[name]: key, "ListingKey": listing, MODIFIED: modified}
    return Row(key, render(members({**values, **_details(name, number, rng)})), modified=modified, instant=instant)


def _plain_rows(records: Iterable[Mapping[str, bytes]], key: str) -> Iterable[Row]:
    for record in records:
        modified = record[MODIFIED].decode().strip('"')
        yield Row(record[key].decode().strip('"'), render(record), modified=modified, instant=instant_of(modified) or 0)


def _media_row(listing: str, number: int, modified: str, rng: Random, *, category: str = "") -> Row:
    key = related_key(listing, RELATED.index("Media"), number)
    values: dict[str, object] = {
        "MediaKey": key,
        "ResourceRecordKey": listing,
        "ResourceName": "Property",
        MODIFIED: modified,
        "MediaURL": f"https://cdn.photos.example/{listing}/{key}.jpg?w=2048&h=1536",
        "MediaCategory": category or rng.choice(_CATEGORIES),
        "MimeType": "image/jpeg",
        "Order": number,
        "PreferredPhotoYN": number == 1,
        "ShortDescription": rng.choice((None, "Façade", "St. John's Rd")),
        "ImageWidth": rng.choice((2048, None)),
    }
    return Row(key, render(members(values)), modified=modified, instant=instant_of(modified) or 0)


def _details(name: str, number: int, rng: Random) -> dict[str, object]:
    match name:
        case "Room":
            return {
                "RoomType": rng.choice(["Kitchen", "Den / Office", "Primary Bedroom"]),
                "RoomLevel": rng.choice(["Main", "Upper", None]),
                "RoomWidth": b"%d.0" % rng.randrange(6, 25),
                "RoomFeatures": rng.sample(["Bay Window", "Fireplace"], k=1),
            }
        case "Unit":
            return {"UnitTypeType": "Apartment", "UnitTypeUnitsTotal": number, "UnitTypeActualRent": b"1250.00"}
        case _:
            return {
                "OpenHouseDate": f"2026-02-{rng.randrange(1, 28):02d}",
                "OpenHouseStartTime": "2026-02-01T09:00:00Z",
                "OpenHouseEndTime": "2026-02-01T11:30:00Z",
                "OpenHouseRemarks": rng.choice((None, "Café & croissants")),
            }
