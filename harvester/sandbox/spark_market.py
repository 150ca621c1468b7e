"""The MLS behind both Spark simulators: listings, members and offices under 26-digit keys.

Each simulator holds a market of its own, so changing one never changes the other; equal settings give equal rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from harvester.sandbox.listings import listing_members
from harvester.sandbox.people import member_members, office_members
from harvester.sandbox.settings import DATA_END, Settings
from harvester.sandbox.stamps import instant_at, instants, stamp

_STEP = 7919  # between neighbouring keys; the gap leaves room for keys of related records and of later inserts
_FIRST_KEY = {
    "listing": 20_100_101_000_000_000_000_000_000,
    "office": 20_080_229_000_000_000_000_000_000,
    "member": 20_090_315_000_000_000_000_000_000,
    "contact": 20_120_704_000_000_000_000_000_000,
}
_RELATED = 100  # keys reserved behind a listing's key for its photos, rooms and so on, of each kind
_NESTED = ("Media", "Rooms")  # served as resources of their own here


def key_of(kind: str, index: int) -> str:
    """The key of the *index*-th record of *kind*: 26 digits, too long for any machine number."""
    return f"{_FIRST_KEY[kind] + index * _STEP:026d}"


def related_key(listing: str, kind: int, number: int) -> str:
    """The key of the *number*-th (below 100) related record of *kind* (below 8) of a listing."""
    return f"{int(listing) + 1_000_000_000_000_000_000_000 * (kind + 1) + number % _RELATED:026d}"


@dataclass(slots=True)
class Listing:
    """One listing before a provider dresses it."""

    key: str
    modified: str  # as served
    instant: int  # its value, nanoseconds
    members: dict[str, bytes]  # by RESO name, in order, without photos and rooms

    @property
    def photos(self) -> int:
        return int(self.members["PhotosCount"])


class Market:
    """Makes the records of one MLS.

    Args:
        name: of the simulator; gives its random stream.
        fractions: digits of fraction in modification times, one picked for each listing.
    """

    def __init__(self, settings: Settings, name: str, *, fractions: tuple[int, ...] = (0,)) -> None:
        self._settings = settings
        self._name = name
        self._fractions = fractions
        self._changes = settings.rng(name, "changes")
        self._count = settings.records
        self._inserted = 0
        self.offices = self._offices()
        self.members = self._members()

    @property
    def changes(self) -> Random:
        """The stream that ``mutate`` draws from."""
        return self._changes

    def listings(self) -> list[Listing]:
        """The listings as they are at the start, by key. A new list each time, equal to the last."""
        rng = self._settings.rng(self._name, "listings")
        made: list[Listing] = []
        for index, instant in enumerate(instants(rng, self._settings.records, DATA_END)):
            made.append(self._listing(rng, index, key_of("listing", index), instant))
        return made

    def insert(self) -> Listing:
        """A new listing, modified now: behind all others, or between two old ones."""
        self._inserted += 1
        rng = self._changes
        if rng.random() < 0.7:
            key = key_of("listing", self._count)
            self._count += 1
        else:
            # Every gap has room for 70 listings and the keys of their related records.
            gap, place = rng.randrange(self._settings.records), 1 + self._inserted % 70
            key = f"{int(key_of('listing', gap)) + place * _RELATED:026d}"
        return self._listing(rng, self._count + self._inserted, key, self.now())

    def now(self) -> int:
        """The sandbox's time as an instant."""
        return instant_at(self._settings.clock.now())

    def text(self, instant: int, rng: Random) -> str:
        """*instant* as the API writes it; the fraction is one of the market's."""
        return stamp(instant, rng.choice(self._fractions))

    def _listing(self, rng: Random, index: int, key: str, instant: int) -> Listing:
        digits = rng.choice(self._fractions)
        instant -= instant % 10 ** (9 - digits)
        modified = stamp(instant, digits)
        agent, office = rng.choice(self.members), rng.choice(self.offices)
        members = listing_members(rng, index, key=key, modified=modified, instant=instant, agent=agent, office=office)
        for name in _NESTED:
            del members[name]
        return Listing(key, modified, instant, members)

    def _offices(self) -> list[Mapping[str, bytes]]:
        rng = self._settings.rng(self._name, "offices")
        count = self._settings.share(100, 3)
        times = instants(rng, count, DATA_END, digits=0)
        return [
            office_members(rng, index, key=key_of("office", index), modified=stamp(each))
            for index, each in enumerate(times)
        ]

    def _members(self) -> list[Mapping[str, bytes]]:
        rng = self._settings.rng(self._name, "members")
        count = self._settings.share(20, 6)
        times = instants(rng, count, DATA_END, digits=0)
        return [
            member_members(
                rng, index, key=key_of("member", index), modified=stamp(each), office=rng.choice(self.offices)
            )
            for index, each in enumerate(times)
        ]
