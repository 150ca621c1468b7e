"""What an IDX Broker account holds beside listings and leads: roster, links, area lists, dictionaries of its MLSs.

None of it changes while the sandbox runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random

from harvester.sandbox.idx_entries import (
    CITIES,
    COUNTIES,
    FIRST_NAMES,
    LAST_NAMES,
    NEVER,
    TYPES,
    Entry,
    entry,
    phone,
    price,
    stamp,
)
from harvester.sandbox.settings import DATA_END

Tables = dict[tuple[str, str], list[Entry]]
"""Rows by method and id; the id is "" where the method is asked without one."""

MLS_NAMES = {"a001": "Lakes & Prairie MLS", "b014": "Côte-Nord REALTORS®", "c107": "Harbor County Exchange"}
"""The approved MLSs by idxID."""

DEFAULT_LIST = "combinedActiveMLS"
LIST_IDS = (DEFAULT_LIST, "lakefront")

_AREAS: Sequence[tuple[str, Callable[[int], str]]] = (
    ("cities", lambda n: CITIES[n % len(CITIES)]),
    ("counties", lambda n: f"{COUNTIES[n % len(COUNTIES)]} {n // len(COUNTIES) or ''}".strip()),
    ("postalcodes", lambda n: f"{501 + n:05d}"),
    ("zipcodes", lambda n: f"{501 + n:05d}"),
)


def fill_account(tables: Tables, pick: Random, *, agents: int) -> None:
    """Roster, links and what the account is."""
    _fill_roster(tables, pick, agents)
    _fill_links(tables)


def _fill_roster(tables: Tables, pick: Random, agents: int) -> None:
    created = DATA_END - timedelta(days=400)
    tables["clients/agents", ""] = [
        entry(
            "",
            agentID=f"{number:04d}",
            agentFirstName=pick.choice(FIRST_NAMES),
            agentLastName=pick.choice(LAST_NAMES),
            agentEmail=f"agent{number}@agency.example.com",
            agentContactPhone=phone(pick),
            officeID=f"{number % 3 + 1:03d}",
            category=pick.choice(("sales", "rental", "")),
            language=pick.choice(("en", "fr", "")),
            disabled="n",
            listingAgentID={"a001": f"ag{number:04d}"},
            accountCreated=stamp(created + timedelta(days=number % 300)),
            lastLoginDate=pick.choice((NEVER, stamp(DATA_END - timedelta(days=1)))),
        )
        for number in range(1, agents + 1)
    ]
    tables["clients/offices", ""] = [
        entry(
            "",
            officeID=f"{number:03d}",
            officeName=f"{city} Realty",
            officeCity=city,
            stateprovince="MN",
            zipcode=f"{5_500 + number:05d}",
            accountCreated=stamp(created),
            lastUpdate=stamp(created + timedelta(days=30 * number)),
        )
        for number, city in enumerate(CITIES[:3], start=1)
    ]


def _fill_links(tables: Tables) -> None:
    site = "https://homes.example.com/idx/"
    created = stamp(DATA_END - timedelta(days=90))
    tables["clients/savedlinks", ""] = [
        entry(
            "",
            id=str(700 + number),
            linkTitle=f"{city} homes",
            linkName=f"homes-{number}",
            url=f"{site}homes-{number}",
            featured="y" if number == 1 else "n",
            visible="y",
            created=created,
        )
        for number, city in enumerate(CITIES[:4], start=1)
    ]
    tables["clients/systemlinks", ""] = [
        entry(
            "",
            uid=f"10{number}-systemlink",
            category="featured",
            name=name,
            url=f"{site}{name}",
            systemresults=number % 2,
        )
        for number, name in enumerate(("featured", "soldpending", "roster"))
    ]
    widgets = [
        entry("", uid=f"40{number}-{kind}", name=kind, type="widget", src=f"{site}widgets/{kind}.js")
        for number, kind in enumerate(("slideshow", "carousel", "map"))
    ]
    for method in ("clients/widgetsrc", "clients/widgets", "clients/widgets-legacy"):
        tables[method, ""] = widgets
    tables["clients/accountinfo", ""] = [
        entry(
            "",
            accountID=1001,
            clientName="Prairie Homes / Maisons des Prairies",
            accountStatus="active",
            email="owner@agency.example.com",
            mlsAgreement="y",
            created=created,
        )
    ]
    tables["clients/accounttype", ""] = [entry("", value="Client")]


def fill_markets(tables: Tables, pick: Random) -> None:
    """Areas, prices, fields and types of every approved MLS, and the area lists of the account."""
    tables["mls/approvedmls", ""] = [entry("", id=idx_id, name=name) for idx_id, name in MLS_NAMES.items()]
    for idx_id in MLS_NAMES:
        for name, make in _AREAS:
            rows = [_area(pick, make, number) for number in range(len(CITIES))]
            # A young market: no county has been worked out yet, so its list is an empty one.
            rows = [] if (idx_id, name) == ("c107", "counties") else rows
            tables[f"mls/{name}", idx_id] = rows
            tables[f"mls/{name}/sold", idx_id] = rows[:2]
        _fill_market(tables, pick, idx_id)
    for list_id in LIST_IDS:
        for name, make in _AREAS:
            rows = [entry("", id=str(100 + number), name=make(number)) for number in range(len(CITIES))]
            tables[f"clients/{name}", list_id] = rows
            tables[f"clients/{name}/sold", list_id] = rows[:2]
    for name, _ in _AREAS:
        for suffix in ("", "/sold"):
            tables[f"clients/{name}{suffix}", ""] = [entry("", id=list_id) for list_id in LIST_IDS]
        tables[f"clients/{name}listname", ""] = [
            entry("", id=list_id, name=f"{list_id} {name}") for list_id in LIST_IDS
        ]


def _area(pick: Random, make: Callable[[int], str], number: int) -> Entry:
    total = pick.randrange(1, 400)
    return entry("", id=str(10 + number), name=make(number), mlsPtID="1", count=pick.choice((total, str(total))))


def _fill_market(tables: Tables, pick: Random, idx_id: str) -> None:
    day = DATA_END.replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    tables["mls/age", idx_id] = [
        entry(
            "",
            lastDownloadTime=stamp(day),
            lastProcessTime=stamp(day + timedelta(minutes=11)),
            lastImageTime=NEVER if idx_id == "c107" else stamp(day + timedelta(minutes=40)),
        )
    ]
    prices = [
        entry(str(number), mlsPtID=str(number), name=name, count=pick.randrange(900), maxPrice=price(pick))
        for number, name in enumerate(TYPES, start=1)
    ]
    total = pick.randrange(1_000, 90_000)
    fields = [
        entry("", mlsPtID=str(number), parentPtID="1", name=name, displayName=name.title(), fieldType=kind)
        for number in (1, 2)
        for name, kind in (("bedrooms", "int"), ("acres", "decimal"), ("lpType/sub", "varchar"))
    ]
    types = [
        entry("", mlsPtID=str(number), parentPtID=str(number), mlsPropertyType=name, subTypes=["Detached", "Ranch"])
        for number, name in enumerate(TYPES, start=1)
    ]
    values = [entry("", name=name, value=name) for name in ("Ranch", "Rambler", "Bi-level")]
    for suffix in ("", "/sold"):
        tables[f"mls/prices{suffix}", idx_id] = prices
        tables[f"mls/propertycount{suffix}", idx_id] = [entry("", value=total)]
        tables[f"mls/searchfieldvalues{suffix}", idx_id] = values
    tables["mls/searchfields", idx_id] = fields
    tables["mls/propertytypes", idx_id] = types
    tables["partners/propertytypes", idx_id] = types


def fill_partner(tables: Tables) -> None:
    """The partner's clients, one of them disabled, and what it could offer them."""
    tables["partners/clients", ""] = [
        entry(
            "",
            accountID=str(1000 + number),
            displayName=name,
            accountStatus=status,
            apiKey=f"client-key-of-{1000 + number:08d}",
        )
        for number, (name, status) in enumerate(
            (("Prairie Homes", "active"), ("Maisons du Fleuve", "active"), ("Closed Doors", "disabled")), start=1
        )
    ]
    tables["partners/availablemls", ""] = [
        entry("", idxID=idx_id, name=name, state="MN") for idx_id, name in MLS_NAMES.items()
    ] + [entry("", idxID="d900", name="Not yet approved", state="ND")]
    tables["partners/propertytypes", ""] = [entry("", idxID=idx_id) for idx_id in MLS_NAMES]
    tables["partners/pricing", ""] = [entry("", currency="USD", platinum="89.99", lite="59.99")]
