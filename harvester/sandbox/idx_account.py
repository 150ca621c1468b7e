"""What the simulated IDX Broker account holds: its listings, roster, leads and the dictionaries of three MLSs.

Rows are kept as members already encoded, so that an answer is a join of bytes. The encoding is a PHP back end's:
slashes and everything outside ASCII are escaped. Values carry the traps of the IDX Broker contract, section 9.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from harvester.sandbox.settings import DATA_END, Settings

NEVER = "0000-00-00 00:00:00"

MLS_NAMES = {"a001": "Lakes & Prairie MLS", "b014": "Côte-Nord REALTORS®", "c107": "Harbor County Exchange"}
"""The approved MLSs by idxID."""

DEFAULT_LIST = "combinedActiveMLS"
LIST_IDS = (DEFAULT_LIST, "lakefront")

_STREETS = ("Maple", "Queen Anne", "St. John's", "Chemin de la Côte", "Peachtree", "O'Malley", "Ünter", "5th")
_CITIES = ("Fargo", "Duluth", "Rivière-du-Loup", "Saint-Jérôme", "Coeur d'Alene", "Winona", "Eau Claire", "Bemidji")
_COUNTIES = ("Cass", "St. Louis", "Kootenai", "Doña Ana", "Winona")
_FIRST = ("Ana", "Zoë", "Ngọc", "Li", "Pat", "Søren", "Maria-José", "Amy")
_LAST = ("O'Brien", "Müller", "Nguyễn", "García", "Smith", "Lefèvre", "van der Berg", "Ødegård")
_REMARKS = (
    "Bright corner unit, 2½ baths; new roof — see attachments.",
    "Cozy café-style kitchen\u2028walk to the lake. “Must see”!",
    "Fixer-upper. Sold as-is; tax id 00-0123 / lot 7\\8.",
    "Vue imprenable sur le fleuve 🌊, à deux pas du marché.",
)
_TYPES = ("Single Family", "Condo", "Land", "Commercial")


def encode(value: object) -> bytes:
    """*value* as a PHP back end writes it: ``\\/`` for a slash, ``\\uXXXX`` outside ASCII, no blanks."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/").encode()


@dataclass(slots=True)
class Entry:
    """One record: encoded members in order, and the key it has where rows are keyed."""

    key: str
    members: dict[str, bytes]

    def body(self, fields: Sequence[str] = ()) -> bytes:
        """The JSON object, with the members named *fields* only, or all when there are none."""
        kept = self.members.items() if not fields else [(n, v) for n, v in self.members.items() if n in fields]
        return b"{" + b",".join(b'"%b":%b' % (name.encode(), value) for name, value in kept) + b"}"

    def text(self, name: str) -> str:
        """The member *name* as a person reads it; "" when absent."""
        return str(json.loads(self.members[name])) if name in self.members else ""

    def dates(self, name: str) -> Sequence[str]:
        """The texts a time window is compared with: the member *name*, or that of each search of a lead."""
        if name in self.members or "searchInformation" not in self.members:
            return (self.text(name),)
        return [search[name] for search in json.loads(self.members["searchInformation"])]

    def put(self, name: str, value: object) -> None:
        self.members[name] = encode(value)


def entry(key: str, **members: object) -> Entry:
    return Entry(key, {name: encode(value) for name, value in members.items()})


def stamp(instant: datetime) -> str:
    """*instant* (aware UTC) as the API writes times: to the second, without a zone."""
    return instant.strftime("%Y-%m-%d %H:%M:%S")


class Account:
    """The rows of one account, made from a seed; lists are found by ``rows(method, id)``.

    Lead data is no older than *lead_days* when the sandbox starts, because leads can only be asked for by windows
    that end now. Everything else has the same times on every day.
    """

    def __init__(self, settings: Settings, *, lead_days: float) -> None:
        self._random = settings.rng("idx_broker")
        self._opened = settings.clock.now()
        self._start = DATA_END
        self._lead_days = lead_days
        self._tables: dict[tuple[str, str], list[Entry]] = {}
        self._listing_number = 0
        self._lead_number = 0
        own = settings.share(10, 20)  # the API serves the account's own listings, not the market's
        for method, count in (
            ("clients/featured", own),
            ("clients/soldpending", max(6, own // 4)),
            ("clients/supplemental", max(3, own // 50)),
            ("clients/offmarket", max(3, own // 40)),
        ):
            self._tables[method, ""] = [self._listing(sold=method == "clients/soldpending") for _ in range(count)]
        self._fill_roster(max(4, own // 100))
        self._fill_links()
        self._fill_markets()
        self._tables["leads/lead", ""] = []
        for _ in range(settings.share(200, 10)):
            self.add_lead()
        self._fill_dictionaries()

    # -------------------------------------------------------------- reading

    def rows(self, method: str, id_: str = "") -> Sequence[Entry] | None:
        """The rows of *method*, of the entity *id_* where it has one; None when there is no such entity."""
        if method in _AGGREGATES:
            return self._aggregate(method)
        if method == "partners/aggregatedlistingstatus":
            return self._statuses()
        return self._tables.get((method, id_))

    def ids(self, kind: str) -> Sequence[str]:
        """The ids of *kind* (idxID, listID, leadID) a path can name."""
        if kind == "idxID":
            return tuple(MLS_NAMES)
        if kind == "listID":
            return LIST_IDS
        return tuple(lead.text("id") for lead in self._tables["leads/lead", ""])

    def listing(self, idx_id: str, listing_id: str) -> Entry | None:
        """One listing of the account wherever it is; None when it has none of that number."""
        for method in _LISTINGS:
            for candidate in self._tables[method, ""]:
                if candidate.text("idxID") == idx_id and candidate.text("listingID") == listing_id:
                    return candidate
        return None

    # -------------------------------------------------------------- changing

    def mutate(self, count: int, now: datetime) -> None:
        """Change *count* rows: 40 % inserts, 50 % updates, 10 % deletes; a deleted listing shows up as sold."""
        for _ in range(count):
            on_leads = self._random.random() < 0.1
            choice = self._random.random()
            if choice < 0.4:
                if on_leads:
                    self.add_lead(now)
                else:
                    self._tables["clients/featured", ""].append(self._listing(sold=False, now=now))
            elif choice < 0.9:
                self._update(on_leads=on_leads, now=now)
            else:
                self._delete(on_leads=on_leads, now=now)

    def _update(self, *, on_leads: bool, now: datetime) -> None:
        table = self._tables["leads/lead" if on_leads else "clients/featured", ""]
        if not table:
            return
        changed = self._random.choice(table)
        if on_leads:
            changed.put("lastEdited", stamp(now))
            changed.put("phone", self._phone())
        else:
            changed.put("listingPrice", self._price())
            changed.put("dateModified", stamp(now))

    def _delete(self, *, on_leads: bool, now: datetime) -> None:
        table = self._tables["leads/lead" if on_leads else "clients/featured", ""]
        if len(table) < 2:
            return
        gone = table.pop(self._random.randrange(len(table)))
        if on_leads:
            for method in _LEAD_DETAILS:
                self._tables.pop((method, gone.text("id")), None)
            return
        gone.put("soldPrice", self._price())
        gone.put("idxStatus", "sold")
        gone.put("dateModified", stamp(now))
        self._tables["clients/soldpending", ""].append(gone)

    # -------------------------------------------------------------- listings

    def _listing(self, *, sold: bool, now: datetime | None = None) -> Entry:
        pick = self._random
        self._listing_number += 1
        idx_id = pick.choice(tuple(MLS_NAMES))
        number = self._listing_number
        listing_id = pick.choice((f"{number:07d}", f"R{number:06d}", str(2_400_000 + number)))
        added = now or self._start - timedelta(seconds=pick.randrange(86_400, 86_400 * 200))
        modified = now or added + timedelta(seconds=pick.randrange(3_600, 86_000))
        beds = pick.randrange(0, 7)
        photos = pick.randrange(0, 4)
        price = self._price()
        return entry(
            f"{idx_id}%%{listing_id}",
            idxID=idx_id,
            listingID=listing_id,
            mlsPtID=pick.choice(("1", 1, "2")),
            propType=pick.choice(_TYPES),
            idxStatus="sold" if sold else "active",
            listingPrice="$0" if sold else price,
            soldPrice=price if sold else "",
            rntLsePrice=pick.choice((None, "", 0)),
            rntLse=pick.choice(("n", "n", "y")),
            featured="n" if sold else "y",
            displayAddress=pick.choice(("y", "n")),
            streetNumber=str(pick.randrange(1, 9_999)),
            streetName=pick.choice(_STREETS),
            unitNumber=pick.choice(("", "0012", "B/3")),
            cityName=pick.choice(_CITIES),
            countyName=pick.choice(_COUNTIES),
            state=pick.choice(("MN", "ND", "QC")),
            zipcode=f"{pick.randrange(501, 99_999):05d}",
            latitude=f"{pick.uniform(44, 49):.6f}",
            longitude=f"{pick.uniform(-98, -68):.6f}",
            bedrooms=pick.choice((beds, str(beds))),
            totalBaths=f"{pick.randrange(2, 9) / 2:.2f}",
            sqFt=f"{pick.randrange(400, 9_000):,}",
            acres=f"{pick.uniform(0, 40):.4f}",
            yearBuilt=pick.choice((str(pick.randrange(1890, 2026)), 0, "")),
            taxAmount=f"{pick.randrange(500, 20_000)}.00",
            hoaFee=pick.choice((None, "123412.00", "0")),
            listingAgentID=f"ag{pick.randrange(1, 40):04d}",
            listingOfficeID=f"{pick.randrange(1, 9):05d}",
            remarksConcat=pick.choice(_REMARKS),
            viewCount=pick.choice((pick.randrange(900), str(pick.randrange(900)))),
            mediaData=[],
            image=self._image(idx_id, listing_id, photos),
            fullDetailsURL=f"https://homes.example.com/idx/details/listing/{idx_id}/{listing_id}",
            dateAdded=stamp(added),
            dateModified=stamp(modified),
            lastImageDate=stamp(modified) if photos else NEVER,
        )

    def _image(self, idx_id: str, listing_id: str, photos: int) -> dict[str, object]:
        """Photos as an object with numbered members and a count, never a list."""
        image: dict[str, object] = {
            str(n): {"url": f"https://cdn.example.com/{idx_id}/{listing_id}/{n}.jpg", "caption": ""}
            for n in range(photos)
        }
        image["totalCount"] = photos
        return image

    def _price(self) -> str:
        return f"${self._random.randrange(40, 3_000) * 1_000 + 567:,}"

    def _phone(self) -> str:
        return f"({self._random.randrange(200, 999)}) 555-{self._random.randrange(100, 200):04d}"

    # -------------------------------------------------------------- roster, links, account

    def _fill_roster(self, agents: int) -> None:
        pick = self._random
        created = self._start - timedelta(days=400)
        self._tables["clients/agents", ""] = [
            entry(
                "",
                agentID=f"{number:04d}",
                agentFirstName=pick.choice(_FIRST),
                agentLastName=pick.choice(_LAST),
                agentEmail=f"agent{number}@agency.example.com",
                agentContactPhone=self._phone(),
                officeID=f"{number % 3 + 1:03d}",
                category=pick.choice(("sales", "rental", "")),
                language=pick.choice(("en", "fr", "")),
                disabled="n",
                listingAgentID={"a001": f"ag{number:04d}"},
                accountCreated=stamp(created + timedelta(days=number % 300)),
                lastLoginDate=pick.choice((NEVER, stamp(self._start - timedelta(days=1)))),
            )
            for number in range(1, agents + 1)
        ]
        self._tables["clients/offices", ""] = [
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
            for number, city in enumerate(_CITIES[:3], start=1)
        ]

    def _fill_links(self) -> None:
        site = "https://homes.example.com/idx/"
        created = stamp(self._start - timedelta(days=90))
        self._tables["clients/savedlinks", ""] = [
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
            for number, city in enumerate(_CITIES[:4], start=1)
        ]
        self._tables["clients/systemlinks", ""] = [
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
            self._tables[method, ""] = widgets
        self._tables["clients/accountinfo", ""] = [
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
        self._tables["clients/accounttype", ""] = [entry("", value="Client")]

    # -------------------------------------------------------------- MLS and area lists

    def _fill_markets(self) -> None:
        self._tables["mls/approvedmls", ""] = [entry("", id=idx_id, name=name) for idx_id, name in MLS_NAMES.items()]
        for idx_id in MLS_NAMES:
            for name, make in _AREAS:
                rows = [self._area(make, number) for number in range(len(_CITIES))]
                # A young market: no county has been worked out yet, so its list is an empty one.
                rows = [] if (idx_id, name) == ("c107", "counties") else rows
                self._tables[f"mls/{name}", idx_id] = rows
                self._tables[f"mls/{name}/sold", idx_id] = rows[:2]
            self._fill_market(idx_id)
        for list_id in LIST_IDS:
            for name, make in _AREAS:
                rows = [entry("", id=str(100 + number), name=make(number)) for number in range(len(_CITIES))]
                self._tables[f"clients/{name}", list_id] = rows
                self._tables[f"clients/{name}/sold", list_id] = rows[:2]
        for name, _ in _AREAS:
            for suffix in ("", "/sold"):
                self._tables[f"clients/{name}{suffix}", ""] = [entry("", id=list_id) for list_id in LIST_IDS]
            self._tables[f"clients/{name}listname", ""] = [
                entry("", id=list_id, name=f"{list_id} {name}") for list_id in LIST_IDS
            ]

    def _area(self, make: Callable[[int], str], number: int) -> Entry:
        total = self._random.randrange(1, 400)
        return entry(
            "", id=str(10 + number), name=make(number), mlsPtID="1", count=self._random.choice((total, str(total)))
        )

    def _fill_market(self, idx_id: str) -> None:
        pick = self._random
        day = self._start.replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
        self._tables["mls/age", idx_id] = [
            entry(
                "",
                lastDownloadTime=stamp(day),
                lastProcessTime=stamp(day + timedelta(minutes=11)),
                lastImageTime=NEVER if idx_id == "c107" else stamp(day + timedelta(minutes=40)),
            )
        ]
        prices = [
            entry(str(number), mlsPtID=str(number), name=name, count=pick.randrange(900), maxPrice=self._price())
            for number, name in enumerate(_TYPES, start=1)
        ]
        total = pick.randrange(1_000, 90_000)
        fields = [
            entry("", mlsPtID=str(number), parentPtID="1", name=name, displayName=name.title(), fieldType=kind)
            for number in (1, 2)
            for name, kind in (("bedrooms", "int"), ("acres", "decimal"), ("lpType/sub", "varchar"))
        ]
        types = [
            entry("", mlsPtID=str(number), parentPtID=str(number), mlsPropertyType=name, subTypes=["Detached", "Ranch"])
            for number, name in enumerate(_TYPES, start=1)
        ]
        values = [entry("", name=name, value=name) for name in ("Ranch", "Rambler", "Bi-level")]
        for suffix in ("", "/sold"):
            self._tables[f"mls/prices{suffix}", idx_id] = prices
            self._tables[f"mls/propertycount{suffix}", idx_id] = [entry("", value=total)]
            self._tables[f"mls/searchfieldvalues{suffix}", idx_id] = values
        self._tables["mls/searchfields", idx_id] = fields
        self._tables["mls/propertytypes", idx_id] = types
        self._tables["partners/propertytypes", idx_id] = types

    # -------------------------------------------------------------- leads

    def add_lead(self, now: datetime | None = None) -> None:
        """A new lead with some notes, saved properties, searches and visits, or with none of them."""
        pick = self._random
        self._lead_number += 1
        lead_id = str(5_000 + self._lead_number)
        subscribed = now or self._some_time()
        self._tables["leads/lead", ""].append(
            entry(
                "",
                id=pick.choice((lead_id, int(lead_id))),
                firstName=pick.choice(_FIRST),
                lastName=pick.choice(_LAST),
                email=f"lead{lead_id}@mail.example.com",
                phone=self._phone(),
                address=f"{pick.randrange(1, 99)} {pick.choice(_STREETS)} St",
                city=pick.choice(_CITIES),
                stateProvince="MN",
                country="US",
                zipCode=f"{pick.randrange(501, 99_999):05d}",
                agentOwner=f"{pick.randrange(0, 5):04d}",
                receiveUpdates=pick.choice(("y", "n")),
                disabled="n",
                canLogin="y",
                emailFormat="html",
                subscribeDate=stamp(subscribed),
                lastEdited=pick.choice((NEVER, stamp(self._between(subscribed)))),
                lastLoginDate=pick.choice((NEVER, stamp(self._between(subscribed)))),
                lastActivityDate=stamp(self._between(subscribed)),
                lastPropertyUpdateDate=NEVER,
            )
        )
        busy = now is None and pick.random() < 0.7
        self._fill_lead(lead_id, subscribed, busy=busy)

    def _fill_lead(self, lead_id: str, since: datetime, *, busy: bool) -> None:
        pick = self._random
        idx_id = pick.choice(tuple(MLS_NAMES))
        number = int(lead_id) * 10

        def times() -> dict[str, object]:
            return {"created": stamp(self._between(since)), "lastEdited": NEVER}

        self._tables["leads/note", lead_id] = [
            entry(
                str(number + n),
                id=str(number + n),
                leadID=lead_id,
                note=pick.choice(_REMARKS),
                created=stamp(self._between(since)),
                lastAltered=NEVER,
            )
            for n in range(pick.randrange(1, 4) if busy else 0)
        ]
        self._tables["leads/property", lead_id] = [
            entry(
                str(number + n),
                id=str(number + n),
                propertyName=f"{pick.choice(_STREETS)} house",
                property={"idxID": idx_id, "listingID": f"{n + 1:07d}"},
                receiveUpdates=pick.choice(("y", "n")),
                **times(),
            )
            for n in range(pick.randrange(1, 4) if busy else 0)
        ]
        searches = [
            {"id": str(number + n), "searchName": f"Search {n}", "search": {"idxID": idx_id, "lp": 0}, **times()}
            for n in range(pick.randrange(1, 3) if busy else 0)
        ]
        self._tables["leads/search", lead_id] = (
            [entry("", searchInformation=searches, info={"leadID": lead_id, "count": len(searches)})]
            if searches
            else []
        )
        self._tables["leads/leadtraffic", lead_id] = [
            entry(
                "",
                id=str(number + n),
                page="details",
                idxID=idx_id,
                listingID=f"{n + 1:07d}",
                date=stamp(self._between(since)),
                ip=f"192.0.2.{pick.randrange(1, 250)}",
            )
            for n in range(pick.randrange(1, 9) if busy else 0)
        ]

    def _some_time(self) -> datetime:
        return self._opened - timedelta(seconds=self._random.randrange(7_200, int(self._lead_days * 86_400)))

    def _between(self, since: datetime) -> datetime:
        """A time after *since*, but at least an hour and a half before the sandbox started, if it can be."""
        room = max(1, int((self._opened - since).total_seconds()) - 5_400)
        return since + timedelta(seconds=self._random.randrange(room))

    # -------------------------------------------------------------- partners

    def _fill_dictionaries(self) -> None:
        self._tables["partners/clients", ""] = [
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
        self._tables["partners/availablemls", ""] = [
            entry("", idxID=idx_id, name=name, state="MN") for idx_id, name in MLS_NAMES.items()
        ] + [entry("", idxID="d900", name="Not yet approved", state="ND")]
        self._tables["partners/propertytypes", ""] = [entry("", idxID=idx_id) for idx_id in MLS_NAMES]
        self._tables["partners/pricing", ""] = [entry("", currency="USD", platinum="89.99", lite="59.99")]

    def _aggregate(self, method: str) -> Sequence[Entry]:
        """Rows of all clients of the partner: the account's own ones, each saying whose it is."""
        source = _AGGREGATES[method]
        if source in _LEAD_DETAILS:
            leads = self.ids("leadID")
            found = [(lead, own) for lead in leads for own in self._tables.get((source, lead), ())]
            return [
                Entry(own.key, {"clientID": b'"1001"', "leadID": encode(lead), **own.members}) for lead, own in found
            ]
        return [Entry(own.key, {"clientID": b'"1001"', **own.members}) for own in self._tables[source, ""]]

    def _statuses(self) -> Sequence[Entry]:
        """Every listing of the account with where it stands; also those a replica no longer finds elsewhere."""
        return [
            Entry(
                own.key,
                {
                    "clientID": b'"1001"',
                    "idxID": own.members["idxID"],
                    "listingID": own.members["listingID"],
                    "status": own.members["idxStatus"],
                },
            )
            for method in _LISTINGS
            for own in self._tables[method, ""]
        ]


_LISTINGS = ("clients/featured", "clients/soldpending", "clients/supplemental", "clients/offmarket")
_LEAD_DETAILS = ("leads/note", "leads/property", "leads/search", "leads/leadtraffic")
_AGGREGATES = {
    "partners/aggregatedfeatured": "clients/featured",
    "partners/aggregatedsoldpending": "clients/soldpending",
    "partners/aggregatedsupplemental": "clients/supplemental",
    "partners/aggregatedagents": "clients/agents",
    "partners/aggregatedleads": "leads/lead",
    "partners/aggregatedsearches": "leads/search",
    "partners/aggregatedproperties": "leads/property",
    "partners/aggregatedleadtraffic": "leads/leadtraffic",
}
_AREAS: Sequence[tuple[str, Callable[[int], str]]] = (
    ("cities", lambda n: _CITIES[n % len(_CITIES)]),
    ("counties", lambda n: f"{_COUNTIES[n % len(_COUNTIES)]} {n // len(_COUNTIES) or ''}".strip()),
    ("postalcodes", lambda n: f"{501 + n:05d}"),
    ("zipcodes", lambda n: f"{501 + n:05d}"),
)
