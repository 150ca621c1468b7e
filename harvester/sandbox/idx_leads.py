"""Leads of the simulated IDX Broker account, with their notes, saved properties, searches and visits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from random import Random

from harvester.sandbox.idx_entries import (
    CITIES,
    FIRST_NAMES,
    LAST_NAMES,
    NEVER,
    REMARKS,
    STREETS,
    Entry,
    entry,
    phone,
    stamp,
)

LEAD_DETAILS = ("leads/note", "leads/property", "leads/search", "leads/leadtraffic")


class LeadMaker:
    """Makes leads that came before *opened*, or at a given time.

    Args:
        days: how far back they go.
        markets: idxIDs that their searches name.
    """

    def __init__(self, pick: Random, *, opened: datetime, days: float, markets: tuple[str, ...]) -> None:
        self._random = pick
        self._opened = opened
        self._days = days
        self._markets = markets

    def some_time(self) -> datetime:
        """A time to subscribe at, two hours before the opening at the latest."""
        return self._opened - timedelta(seconds=self._random.randrange(7_200, int(self._days * 86_400)))

    def lead(self, lead_id: str, subscribed: datetime) -> Entry:
        """The lead itself; its id is text or a number, as chance has it."""
        pick = self._random
        return entry(
            "",
            id=pick.choice((lead_id, int(lead_id))),
            firstName=pick.choice(FIRST_NAMES),
            lastName=pick.choice(LAST_NAMES),
            email=f"lead{lead_id}@mail.example.com",
            phone=phone(pick),
            address=f"{pick.randrange(1, 99)} {pick.choice(STREETS)} St",
            city=pick.choice(CITIES),
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

    def details(self, lead_id: str, since: datetime, *, busy: bool) -> Mapping[str, Sequence[Entry]]:
        """What the lead did since it subscribed, by method; nothing at all when it was not *busy*."""
        pick = self._random
        idx_id = pick.choice(self._markets)
        number = int(lead_id) * 10

        def times() -> dict[str, object]:
            return {"created": stamp(self._between(since)), "lastEdited": NEVER}

        notes = [
            entry(
                str(number + n),
                id=str(number + n),
                leadID=lead_id,
                note=pick.choice(REMARKS),
                created=stamp(self._between(since)),
                lastAltered=NEVER,
            )
            for n in range(pick.randrange(1, 4) if busy else 0)
        ]
        properties = [
            entry(
                str(number + n),
                id=str(number + n),
                propertyName=f"{pick.choice(STREETS)} house",
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
        wrapped = entry("", searchInformation=searches, info={"leadID": lead_id, "count": len(searches)})
        visits = [
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
        return dict(zip(LEAD_DETAILS, (notes, properties, [wrapped] if searches else [], visits), strict=True))

    def _between(self, since: datetime) -> datetime:
        """A time after *since*, but at least an hour and a half before the opening, if it can be."""
        room = max(1, int((self._opened - since).total_seconds()) - 5_400)
        return since + timedelta(seconds=self._random.randrange(room))
