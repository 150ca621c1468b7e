"""What the simulated IDX Broker account holds, and how it changes.

The parts are made in files of their own: listings, leads, and the dictionaries that never change.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from harvester.sandbox.idx_dictionaries import LIST_IDS, MLS_NAMES, Tables, fill_account, fill_markets, fill_partner
from harvester.sandbox.idx_entries import Entry, encode, phone, price, stamp
from harvester.sandbox.idx_leads import LEAD_DETAILS, LeadMaker
from harvester.sandbox.idx_listings import make_listing
from harvester.sandbox.settings import DATA_END, Settings

_LISTINGS = ("clients/featured", "clients/soldpending", "clients/supplemental", "clients/offmarket")
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


class Account:
    """The rows of one account, made from a seed; lists are found by ``rows(method, id)``.

    Leads came in the *lead_days* before the day on which the sandbox starts (UTC): they can only be asked for by
    windows of a week that end now, so older ones would cost more requests every week. The same seed gives the same
    leads all day, and on another day the same ones, so many days later. Everything else has the same times always.
    """

    def __init__(self, settings: Settings, *, lead_days: float) -> None:
        self._random = settings.rng("idx_broker")
        today = settings.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        self._leads = LeadMaker(self._random, opened=today, days=lead_days, markets=tuple(MLS_NAMES))
        self._tables: Tables = {}
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
        fill_account(self._tables, self._random, agents=max(4, own // 100))
        fill_markets(self._tables, self._random)
        fill_partner(self._tables)
        self._tables["leads/lead", ""] = []
        for _ in range(settings.share(200, 10)):
            self._add_lead()

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

    def mutate(self, count: int, now: datetime, *, leads: float = 0.1) -> None:
        """Change *count* rows: 40 % inserts, 50 % updates, 10 % deletes; a deleted listing shows up as sold.

        *leads*: the share of them that are leads.
        """
        for _ in range(count):
            on_leads = self._random.random() < leads
            choice = self._random.random()
            if choice < 0.4:
                if on_leads:
                    self._add_lead(now)
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
            changed.put("phone", phone(self._random))
        else:
            changed.put("listingPrice", price(self._random))
            changed.put("dateModified", stamp(now))

    def _delete(self, *, on_leads: bool, now: datetime) -> None:
        table = self._tables["leads/lead" if on_leads else "clients/featured", ""]
        if len(table) < 2:
            return
        gone = table.pop(self._random.randrange(len(table)))
        if on_leads:
            for method in LEAD_DETAILS:
                self._tables.pop((method, gone.text("id")), None)
            return
        gone.put("soldPrice", price(self._random))
        gone.put("idxStatus", "sold")
        gone.put("dateModified", stamp(now))
        self._tables["clients/soldpending", ""].append(gone)

    def _listing(self, *, sold: bool, now: datetime | None = None) -> Entry:
        pick = self._random
        self._listing_number += 1
        added = now or DATA_END - timedelta(seconds=pick.randrange(86_400, 86_400 * 200))
        modified = now or added + timedelta(seconds=pick.randrange(3_600, 86_000))
        return make_listing(
            pick, self._listing_number, markets=tuple(MLS_NAMES), sold=sold, added=added, modified=modified
        )

    def _add_lead(self, now: datetime | None = None) -> None:
        """A new lead; of those there from the start some have done nothing, and of those that come now all."""
        self._lead_number += 1
        lead_id = str(5_000 + self._lead_number)
        subscribed = now or self._leads.some_time()
        self._tables["leads/lead", ""].append(self._leads.lead(lead_id, subscribed))
        busy = now is None and self._random.random() < 0.7
        for method, rows in self._leads.details(lead_id, subscribed, busy=busy).items():
            self._tables[method, lead_id] = list(rows)

    # -------------------------------------------------------------- what a partner sees

    def _aggregate(self, method: str) -> Sequence[Entry]:
        """Rows of all clients of the partner: the account's own ones, each saying whose it is."""
        source = _AGGREGATES[method]
        if source in LEAD_DETAILS:
            leads = self.ids("leadID")
            found = [(lead, own) for lead in leads for own in self._tables.get((source, lead), ())]
            if source == "leads/search":  # here each search is a record, while a lead's own answer wraps them
                found = [(lead, search) for lead, own in found for search in own.searches()]
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
