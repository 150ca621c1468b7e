"""The data of the IMS simulator: databases, with listings, members and offices (IMS contract, section 3)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from random import Random

from harvester.sandbox.listings import STATUSES
from harvester.sandbox.mutation import change_one, changed
from harvester.sandbox.odata import Collection
from harvester.sandbox.people import member_members, office_members
from harvester.sandbox.phrases import STREET_SUFFIXES, STREETS
from harvester.sandbox.property_fields import money
from harvester.sandbox.records import Row, Table, json_bytes, members, render
from harvester.sandbox.settings import DATA_END, Settings
from harvester.sandbox.stamps import DAY, SECOND, instant_at, instants, stamp

DATABASES = ("ABOR", "LAKES", "O'HARA")
RESOURCES = ("Property", "Member", "Office")
KEYS = {
    "Property": ("ListingId",),
    "Member": ("MemberMlsId", "MemberFullName"),
    "Office": ("OfficeName", "OfficeAddress"),
    "Database": ("MLSID",),
}
FIELDS = {
    "Property": "ListingId UnparsedAddress ListAgentMlsId BuyerAgentMlsId ListOfficeMlsId BuyerOfficeMlsId"
    " ListOfficeEmail BuyerOfficeEmail ListPrice ClosePrice CloseDate ModificationTimestamp",
    "Member": "MemberFullName MemberEmail MemberMlsId OfficeMlsId OfficeName MemberMobilePhone MemberPreferredPhone"
    " MemberDirectPhone MemberLicenseNumber MemberStateLicense ModificationTimestamp",
    "Office": "OfficeMlsId OfficeName OfficeAddress OfficePostalCode OfficeCity OfficePhone OfficeBrokerKey"
    " OfficeBrokerMlsId OfficeManagerKey OfficeManagerMlsId OfficeEmail ModificationTimestamp",
    "Database": "MLSID MLSName MLSLegalName UpdateDate OriginatingSystemName",
}


def sizes(records: int) -> tuple[int, ...]:
    """Listings of each database. The second holds a multiple of 100 where it can: its last page is exactly full."""
    second = records * 3 // 10
    second = second // 100 * 100 or max(1, second)
    third = max(1, records // 10)
    return max(1, records - second - third), second, third


class Database:
    """One MLS. Tables are made at first use; listing ids start at the same number in every database."""

    def __init__(self, settings: Settings, name: str, size: int) -> None:
        self.name = name
        self._settings = settings
        self._size = size
        self._made: dict[str, Collection] = {}
        self._next: dict[str, int] = {}
        self._makers: dict[str, Callable[[Random, int, int], Row]] = {
            "Property": self._listing,
            "Member": self._member,
            "Office": self._office,
        }

    def collection(self, resource: str) -> Collection:
        made = self._made.get(resource)
        if made is None:
            rng = self._settings.rng("ims", self.name, resource)
            count = self._count(resource)
            times = instants(rng, count, DATA_END, digits=0)
            make = self._makers[resource]
            table = Table([make(rng, index, instant) for index, instant in enumerate(times)])
            self._next[resource] = count
            made = self._made[resource] = collection(resource, table)
        return made

    def mutate(self, resource: str, rng: Random, now: datetime) -> None:
        """Change one row of *resource*."""
        instant = instant_at(now) // SECOND * SECOND
        table = self.collection(resource).table

        def insert() -> Row:
            index = self._next[resource]
            self._next[resource] += 1
            return self._makers[resource](rng, index, instant)

        def update(row: Row) -> Row:
            modified = _stamp(instant)
            values = {"ModificationTimestamp": json_bytes(modified)}
            if resource == "Property":
                values["ListPrice"] = money(rng, 45_000, 2_400_000)
            return changed(row, values, modified=modified, instant=instant)

        change_one(rng, table, insert, update)

    def _count(self, resource: str) -> int:
        return {"Property": self._size, "Member": max(2, self._size // 5), "Office": max(2, self._size // 50)}[resource]

    def _mls_id(self, rng: Random, resource: str) -> str:
        return f"{1 + rng.randrange(self._count(resource)):06d}"

    def _listing(self, rng: Random, index: int, instant: int) -> Row:
        key, modified = f"{index + 1:07d}", _stamp(instant)
        closed = rng.choice(STATUSES) == "Closed"
        office = self._mls_id(rng, "Office")
        buyer = self._mls_id(rng, "Office") if closed else None
        body = members(
            {
                "ListingId": key,
                "UnparsedAddress": f"{rng.randrange(1, 9999)} {rng.choice(STREETS)} {rng.choice(STREET_SUFFIXES)}",
                "ListAgentMlsId": self._mls_id(rng, "Member"),
                "BuyerAgentMlsId": self._mls_id(rng, "Member") if closed else None,
                "ListOfficeMlsId": office,
                "BuyerOfficeMlsId": buyer,
                "ListOfficeEmail": f"office{int(office)}@realty.example",
                "BuyerOfficeEmail": f"office{int(buyer)}@realty.example" if buyer else None,
                "ListPrice": money(rng, 45_000, 2_400_000),
                "ClosePrice": money(rng, 45_000, 2_400_000) if closed else None,
                "CloseDate": stamp(instant - 3 * DAY)[:10] if closed else None,
                "ModificationTimestamp": modified,
            }
        )
        return Row(key, render(body), modified=modified, instant=instant)

    def _member(self, rng: Random, index: int, instant: int) -> Row:
        modified = _stamp(instant)
        office = {
            "OfficeKey": b"null",
            "OfficeMlsId": json_bytes(self._mls_id(rng, "Office")),
            "OfficeName": b'"Lakeside Homes"',
        }
        made = member_members(rng, index, key="", modified=modified, office=office)
        # One licence number serves two people: only both key members together identify a row.
        mls_id = f"{index // 2 * 2 + 1 if index % 20 < 2 else index + 1:06d}"
        name = f"{made['MemberFullName'][1:-1].decode()} {index + 1}"
        made |= members({"MemberMlsId": mls_id, "MemberFullName": name})
        body = {field: made[field] for field in FIELDS["Member"].split()}
        return Row(f"{mls_id}\0{name}", render(body), modified=modified, instant=instant)

    def _office(self, rng: Random, index: int, instant: int) -> Row:
        modified = _stamp(instant)
        made = office_members(rng, index, key="", modified=modified)
        # Branches share their name: only name and address together identify a row.
        name = f"Harbour & Daughters {index // 2 + 1}" if index % 10 < 2 else f"Realty Étoile {index + 1}"
        address = f"{index + 1} Main St"
        made |= members({"OfficeName": name, "OfficeAddress": address})
        body = {field: made[field] for field in FIELDS["Office"].split()}
        return Row(f"{name}\0{address}", render(body), modified=modified, instant=instant)


def _stamp(instant: int) -> str:
    return stamp(instant, 0, zone="")


def collection(resource: str, table: Table) -> Collection:
    """*table* under the rules of IMS: every column may be filtered and sorted, timestamps are quoted."""
    modified = "ModificationTimestamp" if resource in RESOURCES else None
    fields = frozenset(FIELDS[resource].split())
    return Collection(table, key=KEYS[resource], modified=modified, fields=fields, times="quoted")


def database_rows(settings: Settings) -> Table:
    """The rows of ``Database``; their key is padded, so that text order is the order of the numbers."""
    rng = settings.rng("ims", "Database")
    rows = []
    for number, name in enumerate(DATABASES, 1):
        body = {
            "MLSID": number,
            "MLSName": f"{name} MLS",
            "MLSLegalName": f"{name} Multiple Listing Service, Inc.",
            "UpdateDate": _stamp(instants(rng, 1, DATA_END, digits=0, days=3)[0]),
            "OriginatingSystemName": name,
        }
        rows.append(Row(f"{number:010d}", render(members(body))))
    return Table(rows)
