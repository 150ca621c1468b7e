"""The rows of the OData server: listings, members and offices, made at first use, and how they change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from random import Random

from harvester.sandbox.listings import listing_members
from harvester.sandbox.mutation import change_one, changed
from harvester.sandbox.odata import Collection
from harvester.sandbox.people import member_members, office_members
from harvester.sandbox.property_fields import money
from harvester.sandbox.records import Row, Table, json_bytes, render
from harvester.sandbox.settings import DATA_END, Settings
from harvester.sandbox.stamps import instant_at, instants, stamp

KEYS = {"Property": "ListingKey", "Member": "MemberKey", "Office": "OfficeKey"}
MODIFIED = "ModificationTimestamp"
_DIGITS = 3  # of fraction
_SCATTER = 7919, 90_000_000  # keys in no order of time, so that new rows come anywhere


class ServerData:
    """The tables, and the stream that makes new rows."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: dict[str, Collection] = {}
        self._next: dict[str, int] = {}
        self._makers: Mapping[str, Callable[[Random, int, int], Row]] = {
            "Property": _listing,
            "Member": _member,
            "Office": _office,
        }

    def collection(self, resource: str) -> Collection:
        """The rows of *resource*, as they are now."""
        made = self._made.get(resource)
        if made is None:
            made = self._made[resource] = self._make(resource)
        return made

    def change(self, resource: str, rng: Random, now: datetime) -> None:
        """Change one row: an insert, an update or a deletion, as everywhere in the sandbox."""
        table, instant = self.collection(resource).table, _cut(instant_at(now))

        def update(row: Row) -> Row:
            text = stamp(instant, _DIGITS)
            values = {MODIFIED: json_bytes(text)}
            if resource == "Property":
                values["ListPrice"] = money(rng, 45_000, 2_400_000)
            return changed(row, values, modified=text, instant=instant)

        change_one(rng, table, lambda: self._new(resource, rng, instant), update)

    def come_or_go(self, resource: str, rng: Random, now: datetime) -> None:
        """Delete a row anywhere, or insert one anywhere: what shifts offsets."""
        table = self.collection(resource).table
        if rng.random() < 0.5 and len(table) > 1:
            table.remove(table.by_key[int(rng.random() * len(table))].key)
        else:
            table.put(self._new(resource, rng, _cut(instant_at(now))))

    def _new(self, resource: str, rng: Random, instant: int) -> Row:
        index = self._next[resource]
        self._next[resource] += 1
        return self._makers[resource](rng, index, instant)

    def _make(self, resource: str) -> Collection:
        share = self._settings.share
        number = {"Property": self._settings.records, "Member": share(5, 2), "Office": share(50, 2)}[resource]
        rng = self._settings.rng("odata_server", resource)
        self._next[resource] = number
        make = self._makers[resource]
        rows = [make(rng, index, each) for index, each in enumerate(instants(rng, number, DATA_END, digits=_DIGITS))]
        return Collection(Table(rows), key=(KEYS[resource],), modified=MODIFIED, fields=frozenset(rows[0].members()))


def _cut(instant: int) -> int:
    """*instant* as it is written."""
    unit: int = 10 ** (9 - _DIGITS)
    return instant // unit * unit


def _listing(rng: Random, index: int, instant: int) -> Row:
    key, text = _key(index), stamp(instant, _DIGITS)
    body = listing_members(rng, index, key=key, modified=text, instant=instant, photos=1)
    return Row(key, render(body), modified=text, instant=instant)


def _member(rng: Random, index: int, instant: int) -> Row:
    key, text = _key(index), stamp(instant, _DIGITS)
    office = office_members(rng, index % 7, key=_key(index % 7), modified=text)
    body = member_members(rng, index, key=key, modified=text, office=office)
    return Row(key, render(body), modified=text, instant=instant)


def _office(rng: Random, index: int, instant: int) -> Row:
    key, text = _key(index), stamp(instant, _DIGITS)
    return Row(key, render(office_members(rng, index, key=key, modified=text)), modified=text, instant=instant)


def _key(index: int) -> str:
    factor, span = _SCATTER
    return f"{(index * factor + 1_234_567) % span:08d}"
