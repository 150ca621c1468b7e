"""Records as the Spark API serves them: listings with masked and custom fields, accounts, contacts, metadata.

Source: Spark API contract, sections 3, 6 and 9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import cast

import msgspec
import orjson
from msgspec import Struct
from msgspec.structs import replace

from harvester.sandbox.phrases import CITIES, FIRST_NAMES, LAST_NAMES
from harvester.sandbox.records import Row, Table, json_bytes, render
from harvester.sandbox.settings import DATA_END, Settings
from harvester.sandbox.spark_market import Listing, Market, key_of
from harvester.sandbox.spark_related import STAMPED, open_house
from harvester.sandbox.spark_shapes import MASK
from harvester.sandbox.stamps import instant_of, instants, stamp

_COMPLIANCE = (
    b'{"View":"Summary","IDXLogo":{"LogoUri":"https://logos.example/idx.gif","Type":"Image"}}',
    b'{"View":"Detail","DisclaimerText":"Deemed reliable \\u2013 not guaranteed \\u00a9"}',
)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LABELS = ("List Price/SqFt", "Builder's Model", "Étage", "Zoning \\ Code", "HOA Dues", "Well")
_VALUES: tuple[object, ...] = ("Craftsman", "0012", True, None, 3, 12.5, "Façade nord")


class Extra(Struct, frozen=True):
    """What a listing's row knows beside its bytes."""

    masked: tuple[str, ...]  # names of masked StandardFields, in their order
    photos: int
    turns: Mapping[str, int] = {}  # how often each related set has changed


def listing_row(listing: Listing, rng: Random) -> Row:
    """*listing* with the fields its role may not see masked, and its custom fields in tabs and groups."""
    standard = dict(listing.members)
    standard["PendingDate"] = standard["PurchaseContractDate"]
    standard["MlsId"] = b'"20080229000000000000000000"'
    standard["DocumentsChangeTimestamp"] = standard["VideosChangeTimestamp"] = json_bytes(listing.modified)
    if rng.random() < 0.05:  # payloads of an older system: numbers as text, a blank in front of a minus
        standard["ListPrice"] = json_bytes(standard["ListPrice"].decode())
        standard["Longitude"] = json_bytes(f" {standard['Longitude'].decode()}")
    hidden: set[str] = set()
    if rng.random() < 0.4:
        hidden |= {"CloseDate", "PendingDate"}
    if rng.random() < 0.2:
        hidden |= {"PrivateRemarks", "ShowingInstructions", "LockBoxType"}
    for name in hidden:
        standard[name] = MASK
    masked = tuple(name for name in standard if name in hidden)
    uri = f"/v1/listings/{listing.key}"
    body = render(
        {
            "ResourceUri": json_bytes(uri),
            "Id": json_bytes(listing.key),
            "StandardFields": render(standard),
            "CustomFields": _custom_fields(rng),
            "DisplayCompliance": _COMPLIANCE[rng.random() < 0.2],
        }
    )
    extra = Extra(masked, listing.photos)
    return Row(listing.key, body, modified=listing.modified, instant=listing.instant, extra=extra)


def standard_fields(row: Row) -> dict[str, bytes]:
    """The fields inside ``StandardFields`` of a listing as JSON bytes; empty for a row without that member."""
    raw = row.members().get("StandardFields")
    return {} if raw is None else {name: bytes(value) for name, value in _MEMBERS.decode(raw).items()}


def updated_row(row: Row, modified: str, instant: int, price: bytes, changed: Sequence[str] = ()) -> Row:
    """*row* after an edit of its price, and of the related sets *changed*."""
    members = row.rendered()
    fields = standard_fields(row)
    fields["ListPrice"] = price
    extra = cast("Extra", row.extra)
    for name in ("ModificationTimestamp", *(STAMPED[kind] for kind in changed if kind in STAMPED)):
        fields[name] = json_bytes(modified)
    members["StandardFields"] = render(fields)
    turns = {**extra.turns, **{kind: extra.turns.get(kind, 0) + 1 for kind in changed}}
    return Row(row.key, render(members), modified=modified, instant=instant, extra=replace(extra, turns=turns))


def _custom_fields(rng: Random) -> bytes:
    """A list of one object of tabs, each a list of groups, each a list of one-member objects."""

    def fields() -> list[dict[str, object]]:
        return [{rng.choice(_LABELS): rng.choice(_VALUES)} for _ in range(rng.randrange(4))]

    return orjson.dumps(
        [
            {
                "Main": [{"Property Features": fields()}, {"Taxes / Fees": fields()}],
                "Details": [{"Property Features": fields()}],
            }
        ]
    )


def account_table(market: Market) -> Table:
    """Offices and members of the market as accounts."""
    rows = []
    for kind, records in (("Office", market.offices), ("Member", market.members)):
        for record in records:
            key, modified = (str(orjson.loads(record[name])) for name in (f"{kind}Key", "ModificationTimestamp"))
            members = {
                "ResourceUri": json_bytes(f"/v1/accounts/{key}"),
                "Id": json_bytes(key),
                "UserType": json_bytes(kind),
                "Name": record["OfficeName"] if kind == "Office" else record["MemberFullName"],
                "Office": record["OfficeName"],
                "OfficeId": record["OfficeKey"],
                "MlsId": record[f"{kind}MlsId"],
                "Emails": b'[{"Type":"Work","Address":%b,"Primary":true}]' % record[f"{kind}Email"],
                "Phones": b'[{"Type":"Office","Number":%b}]'
                % record["OfficePhone" if kind == "Office" else "MemberPreferredPhone"],
                "Websites": b"[]",
                "Active": b"true" if record[f"{kind}Status"] == b'"Active"' else b"false",
                "ModificationTimestamp": json_bytes(modified),
            }
            rows.append(Row(key, render(members), modified=modified, instant=instant_of(modified) or 0))
    return Table(rows)


def contact_table(settings: Settings) -> Table:
    """Contacts of the account: personal data, in small number."""
    rng = settings.rng("spark", "contacts")
    rows = []
    for index, instant in enumerate(instants(rng, settings.share(100, 5), DATA_END, digits=0)):
        key, modified = key_of("contact", index), stamp(instant)
        first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
        contact = {
            "ResourceUri": f"/v1/contacts/{key}",
            "Id": key,
            "DisplayName": f"{first} {last}",
            "GivenName": first,
            "FamilyName": last,
            "PrimaryEmail": f"contact{index}@mail.example",
            "HomeLocality": rng.choice(CITIES)[0],
            "Tags": rng.sample(["Buyer", "Seller", "Été"], k=rng.randrange(3)),
            "Notify": rng.random() < 0.5,
            "ModificationTimestamp": modified,
        }
        rows.append(Row(key, orjson.dumps(contact), modified=modified, instant=instant))
    return Table(rows)


def open_house_table(settings: Settings, listings: Table) -> Table:
    """The open houses of the market: one for every tenth listing."""
    rng = settings.rng("spark", "openhouses")
    made = [open_house(rng, row.key, 50) for row in listings.by_key[::10]]
    return Table(Row(str(each["Id"]), orjson.dumps(each)) for each in made)


def field_table(listings: Table) -> Table:
    """``standardfields``: one record that describes every standard field by name."""
    sample = standard_fields(listings.by_key[0])
    described = {
        name: {
            "ResourceUri": f"/v1/standardfields/{name}",
            "Label": name,
            "Type": "Character" if value.startswith(b'"') else "Decimal" if value[:1].isdigit() else "List",
            "Searchable": name != "ListingKey",
            "MaxListSize": 0,
        }
        for name, value in sample.items()
    }
    return Table([Row("standardfields", orjson.dumps(described))])


def custom_field_table() -> Table:
    """``customfields``: one record for each group, named by its only member."""
    groups = ("Property Features", "Taxes / Fees")
    return Table(
        Row(
            group,
            orjson.dumps({group: {"Label": group, "Fields": {label: {"Type": "Character"} for label in _LABELS}}}),
        )
        for group in groups
    )


def group_table() -> Table:
    """``customfields/groups``."""
    return Table(
        Row(key, orjson.dumps({"ResourceUri": f"/v1/customfields/groups/{key}", "Id": key, "Label": label}))
        for key, label in ((key_of("contact", 900_001), "Main"), (key_of("contact", 900_002), "Details"))
    )


def saved_search_table() -> Table:
    """``savedsearches``."""
    keys = [key_of("contact", 800_000 + number) for number in range(3)]
    return Table(
        Row(
            key,
            orjson.dumps(
                {
                    "ResourceUri": f"/v1/savedsearches/{key}",
                    "Id": key,
                    "Name": f"Search {number}",
                    "Filter": "MlsStatus Eq 'Active'",
                    "ModificationTimestamp": "2025-11-22T20:09:37Z",
                }
            ),
            modified="2025-11-22T20:09:37Z",
            instant=instant_of("2025-11-22T20:09:37Z") or 0,
        )
        for number, key in enumerate(keys)
    )


def system_table() -> Table:
    """``system``: one record about the platform."""
    return Table([Row("system", orjson.dumps({"Name": "Sandbox MLS", "Mls": "Harbour", "Configuration": []}))])
