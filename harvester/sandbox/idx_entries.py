"""IDX Broker records as they are kept: members already encoded, so that an answer is a join of bytes.

The encoding is a PHP back end's: slashes and everything outside ASCII are escaped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

NEVER = "0000-00-00 00:00:00"

STREETS = ("Maple", "Queen Anne", "St. John's", "Chemin de la Côte", "Peachtree", "O'Malley", "Ünter", "5th")
CITIES = ("Fargo", "Duluth", "Rivière-du-Loup", "Saint-Jérôme", "Coeur d'Alene", "Winona", "Eau Claire", "Bemidji")
COUNTIES = ("Cass", "St. Louis", "Kootenai", "Doña Ana", "Winona")
FIRST_NAMES = ("Ana", "Zoë", "Ngọc", "Li", "Pat", "Søren", "Maria-José", "Amy")
LAST_NAMES = ("O'Brien", "Müller", "Nguyễn", "García", "Smith", "Lefèvre", "van der Berg", "Ødegård")
REMARKS = (
    "Bright corner unit, 2½ baths; new roof — see attachments.",
    "Cozy café-style kitchen\u2028walk to the lake. “Must see”!",
    "Fixer-upper. Sold as-is; tax id 00-0123 / lot 7\\8.",
    "Vue imprenable sur le fleuve 🌊, à deux pas du marché.",
)
TYPES = ("Single Family", "Condo", "Land", "Commercial")


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
        searches = self.searches()
        return [search.text(name) for search in searches] if searches else (self.text(name),)

    def searches(self) -> Sequence[Entry]:
        """The searches inside the answer about one lead; empty for every other record."""
        found = json.loads(self.members.get("searchInformation", b"[]"))
        return [entry("", **search) for search in found]

    def put(self, name: str, value: object) -> None:
        self.members[name] = encode(value)


def entry(key: str, **members: object) -> Entry:
    return Entry(key, {name: encode(value) for name, value in members.items()})


def stamp(instant: datetime) -> str:
    """*instant* (aware UTC) as the API writes times: to the second, without a zone."""
    return instant.strftime("%Y-%m-%d %H:%M:%S")


def price(rng: Random) -> str:
    """An amount as people write it: ``$1,234,567``."""
    return f"${rng.randrange(40, 3_000) * 1_000 + 567:,}"


def phone(rng: Random) -> str:
    return f"({rng.randrange(200, 999)}) 555-{rng.randrange(100, 200):04d}"
