"""The data of the Centris simulator: one table a resource, made at first use, and what changes in them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from random import Random

import msgspec

from harvester.sandbox.listings import STATUSES, listing_members
from harvester.sandbox.mutation import change_one, changed
from harvester.sandbox.odata import Collection
from harvester.sandbox.people import member_members, office_members
from harvester.sandbox.property_fields import money
from harvester.sandbox.records import Row, Table, json_bytes, members, render
from harvester.sandbox.settings import DATA_END, Settings
from harvester.sandbox.stamps import DAY, instant_at, instant_of, instants, stamp

KEYS = {
    "Property": "ListingKey",
    "Member": "MemberKey",
    "Office": "OfficeKey",
    "Media": "MediaKey",
    "OpenHouse": "OpenHouseKey",
}
MODIFIED = "ModificationTimestamp"
_FRACTIONS = (7, 0, 7, 3, 7, 6)  # digits; zero to seven occur in the wild
_REFERRED = 500  # rows of a table that others name
_PHOTOS = msgspec.json.Decoder(list[msgspec.Raw])


class _Photo(msgspec.Struct):
    MediaKey: str
    ModificationTimestamp: str


_PHOTO = msgspec.json.Decoder(_Photo)


def spell(instant: int) -> tuple[str, int]:
    """A modification time as served, and its value then. Equal instants are spelled equally."""
    digits = _FRACTIONS[instant // 100 % len(_FRACTIONS)]
    unit = 10 ** (9 - digits)
    return stamp(instant, digits), instant // unit * unit


class CentrisData:
    """The tables, and the stream that makes new rows."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: dict[str, Collection] = {}
        self._next: dict[str, int] = {}
        self._first: dict[str, list[Row]] = {}  # rows other tables refer to, as they were made
        self._staff: dict[tuple[str, str], dict[str, bytes]] = {}  # members of those rows, decoded once
        self._makers: dict[str, Callable[[Random, int, int], Row]] = {
            "Property": self._listing,
            "Member": self._member,
            "Office": self._office,
            "OpenHouse": self._open_house,
        }

    def collection(self, resource: str) -> Collection:
        made = self._made.get(resource)
        if made is None:
            made = self._made[resource] = self._collection(resource, self._table(resource))
            # Kept from the start: a table made later must not depend on what was changed before.
            self._first[resource] = list(made.table.by_key[:_REFERRED])
        return made

    def row(self, resource: str, key: str) -> Row | None:
        return self.collection(resource).table.get(key)

    def mutate(self, resource: str, rng: Random, now: datetime) -> str:
        """Change one row; photos come and go with their listing. Returns its key."""
        table = self.collection(resource).table
        instant = instant_at(now) + int(rng.random() * 10) * 100  # the seventh digit

        def insert() -> Row:
            index = self._next[resource]
            self._next[resource] += 1
            return self._makers[resource](rng, index, instant)

        def update(row: Row) -> Row:
            text, value = spell(instant)
            values = {MODIFIED: json_bytes(text)}
            if resource == "Property":
                values["ListPrice"] = money(rng, 45_000, 2_400_000)
                values["StandardStatus"] = json_bytes(rng.choice(STATUSES))
            return changed(row, values, modified=text, instant=value)

        what, row = change_one(rng, table, insert, update)
        if resource == "Property" and what != "update" and "Media" in self._made:
            media = self._made["Media"].table
            for photo in photos_of(row):
                if what == "insert":
                    media.put(photo)
                else:
                    media.remove(photo.key)
        return row.key

    def _table(self, resource: str) -> Table:
        if resource == "Media":
            return Table(photo for row in self.collection("Property").table for photo in photos_of(row))
        rng = self._settings.rng("centris", resource)
        times = instants(rng, self._count(resource), DATA_END)
        make = self._makers[resource]
        self._next[resource] = len(times)
        return Table([make(rng, index, instant) for index, instant in enumerate(times)])

    def _collection(self, resource: str, table: Table) -> Collection:
        key = KEYS[resource]
        filterable = {MODIFIED, "StandardStatus"} if resource == "Property" else {MODIFIED}
        rows = table.by_key
        return Collection(
            table,
            key=(key,),
            modified=MODIFIED,
            fields=frozenset(rows[0].members()) if rows else frozenset((key, MODIFIED)),
            filterable=frozenset(filterable),
            sortable=frozenset(filterable | {key}),
        )

    def _count(self, resource: str) -> int:
        share = self._settings.share
        return {
            "Property": self._settings.records,
            "Member": share(5, 2),
            "Office": share(50, 2),
            "OpenHouse": share(20, 2),
        }[resource]

    def _any(self, rng: Random, resource: str) -> Row:
        """A row to refer to; it may be gone by now."""
        self.collection(resource)
        rows = self._first[resource]
        return rows[int(rng.random() * len(rows))]

    def _someone(self, rng: Random, resource: str) -> dict[str, bytes]:
        """The members of a row of the roster."""
        row = self._any(rng, resource)
        found = self._staff.get((resource, row.key))
        if found is None:
            found = self._staff[resource, row.key] = row.rendered()
        return found

    def _listing(self, rng: Random, index: int, instant: int) -> Row:
        number = (index * 7919 + 1_234_567) % 90_000_000  # scattered, all different, some with leading zeros
        key = f"QC'{number:06d}" if index % 997 == 5 else f"{number:08d}"
        text, value = spell(instant)
        body = listing_members(
            rng,
            index,
            key=key,
            modified=text,
            instant=value,
            agent=self._someone(rng, "Member"),
            office=self._someone(rng, "Office"),
        )
        return Row(key, render(body), modified=text, instant=value)

    def _member(self, rng: Random, index: int, instant: int) -> Row:
        key = f"{index + 1:07d}"
        text, value = spell(instant)
        office = self._someone(rng, "Office")
        return Row(
            key,
            render(member_members(rng, index, key=key, modified=text, office=office)),
            modified=text,
            instant=value,
        )

    def _office(self, rng: Random, index: int, instant: int) -> Row:
        key = f"{index + 1:05d}"
        text, value = spell(instant)
        return Row(key, render(office_members(rng, index, key=key, modified=text)), modified=text, instant=value)

    def _open_house(self, rng: Random, index: int, instant: int) -> Row:
        text, value = spell(instant)
        key = f"{index + 1:09d}"
        start = instant + int(rng.random() * 20) * DAY
        body = members(
            {
                "OpenHouseKey": key,
                "ListingKey": self._any(rng, "Property").key,
                "OpenHouseDate": stamp(start)[:10],
                "OpenHouseStartTime": stamp(start),
                "OpenHouseEndTime": None,
                "OpenHouseStatus": "Active",
                MODIFIED: text,
            }
        )
        return Row(key, render(body), modified=text, instant=value)


def photos_of(row: Row) -> list[Row]:
    """The rows of ``Media`` that belong to a listing: the entries of its own ``Media`` member, as they are."""
    return photos_in(bytes(row.members()["Media"]))


def photos_in(media: bytes) -> list[Row]:
    """The entries of a ``Media`` member as rows."""
    found = []
    for raw in _PHOTOS.decode(media):
        photo = _PHOTO.decode(raw)
        text = photo.ModificationTimestamp
        found.append(Row(photo.MediaKey, bytes(raw), modified=text, instant=instant_of(text) or 0))
    return found
