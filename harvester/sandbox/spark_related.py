"""What hangs on a Spark listing: photos, open houses, rooms and so on, by expansion or as a sub-resource.

Nothing of it is stored. It is made from the seed, the listing's key and the number of times it has changed whenever it
is asked for, and is the same every time. With each change the first of a set goes, and another one comes behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from random import Random

import orjson

from harvester.sandbox.spark_market import related_key

Related = Mapping[str, object]
Maker = Callable[[Random, str, int, int], list[Related]]
"""From a stream, the listing's key, how many photos it has, and how often the set has changed."""

_PHOTO_SIZES = ("Uri300", "Uri640", "Uri800", "Uri1024", "Uri1280", "Uri1600", "Uri2048", "UriThumb", "UriLarge")
_DAY_ZERO = date(2026, 1, 1)


def _photos(rng: Random, listing: str, count: int, turn: int) -> list[Related]:
    return [
        {
            "ResourceUri": f"/v1/listings/{listing}/photos/{related_key(listing, 0, number)}",
            "Id": related_key(listing, 0, number),
            "Name": rng.choice(["Façade", "Kitchen", "Vue → jardin 🌳", ""]),
            "Caption": rng.choice(["", "Seen from St. John's Rd"]),
            **{name: f"https://cdn.photos.example/{listing}/{name.lower()}/{number}.jpg" for name in _PHOTO_SIZES},
            "Primary": number == turn + 1,
        }
        for number in range(turn + 1, turn + count + 1)
    ]


def _open_houses(rng: Random, listing: str, _: int, turn: int) -> list[Related]:
    return [open_house(rng, listing, turn + number) for number in range(rng.randrange(3))]


def open_house(rng: Random, listing: str, number: int) -> Related:
    """One open house; dates and times come in both spellings the platform has used."""
    day = _DAY_ZERO + timedelta(days=rng.randrange(90))
    old = rng.random() < 0.5
    return {
        "ResourceUri": f"/v1/listings/{listing}/openhouses/{related_key(listing, 1, number)}",
        "Id": related_key(listing, 1, number),
        "ListingId": listing,
        "Date": day.strftime("%m/%d/%Y") if old else day.isoformat(),
        "StartTime": "9:00 am" if old else "09:00-07:00",
        "EndTime": "11:30 am" if old else "11:30-07:00",
        "Comments": rng.choice([None, "Café & croissants"]),
    }


def _rooms(rng: Random, listing: str, _: int, turn: int) -> list[Related]:
    return [
        {
            "Id": related_key(listing, 2, turn + number),
            "Fields": [
                {"Room Name": rng.choice(["Kitchen", "Den / Office", "Primary Bedroom"])},
                {"Room Level": rng.choice(["Main", "Upper", None])},
                {"Room Width": rng.randrange(6, 25)},
            ],
        }
        for number in range(rng.randrange(5))
    ]


def _units(rng: Random, listing: str, _: int, turn: int) -> list[Related]:
    return [
        {
            "Id": related_key(listing, 3, turn + number),
            "Fields": [{"Unit": f"{number:03d}"}, {"Beds": rng.randrange(4)}],
        }
        for number in range(rng.choice((0, 0, 0, 2)))
    ]


def _linked(kind: int, name: str, suffix: str) -> Maker:
    def make(rng: Random, listing: str, _: int, turn: int) -> list[Related]:
        return [
            {
                "ResourceUri": f"/v1/listings/{listing}/{name}/{related_key(listing, kind, number)}",
                "Id": related_key(listing, kind, number),
                "Name": f"{name} {number}",
                "Uri": f"https://cdn.photos.example/{listing}/{name}/{number}{suffix}",
                "Privacy": rng.choice(["Public", "Private"]),
            }
            for number in range(turn, turn + rng.randrange(3))
        ]

    return make


def _history(rng: Random, listing: str, _: int, turn: int) -> list[Related]:
    return [
        {
            "Id": related_key(listing, 7, turn + number),
            "Event": "FieldChange",
            "PriceAtEvent": rng.randrange(90, 900) * 1000,
        }
        for number in range(rng.randrange(1, 4))
    ]


_MAKERS: Mapping[str, Maker] = {
    "Photos": _photos,
    "OpenHouses": _open_houses,
    "Rooms": _rooms,
    "Units": _units,
    "Documents": _linked(4, "documents", ".pdf"),
    "Videos": _linked(5, "videos", ".mp4"),
    "VirtualTours": _linked(6, "virtualtours", ""),
    "FloPlans": _linked(7, "floplans", ".json"),
    "History": _history,
}

EXPANSIONS = ("Photos", "OpenHouses", "Rooms", "Units", "Documents", "Videos", "VirtualTours")
"""Sets that ``_expand`` puts into ``StandardFields``."""

SUB_RESOURCES: Mapping[str, str] = {name.lower(): name for name in _MAKERS}
"""Path segment below a listing to the set it answers."""


STAMPED: Mapping[str, str] = {name: f"{name}ChangeTimestamp" for name in ("Photos", "Documents", "Videos")}
"""Sets whose changes move a member of the listing besides its modification time."""


def related(seed: int, kind: str, listing: str, photos: int, turn: int = 0) -> list[bytes]:
    """The set *kind* of a listing as rendered records; *photos* is how many photos it has."""
    rng = Random(f"{seed}:spark:{kind}:{listing}" + (f":{turn}" if turn else ""))
    return [orjson.dumps(each) for each in _MAKERS[kind](rng, listing, photos, turn)]
