"""Building blocks of a listing: members as JSON bytes, which each provider names, orders and nests its own way."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from random import Random

from harvester.sandbox.phrases import REMARKS, ROOMS
from harvester.sandbox.property_fields import money, themes
from harvester.sandbox.records import array, json_bytes, render
from harvester.sandbox.stamps import DAY, SECOND, stamp

STATUSES = ("Active", "Active", "Active", "Active Under Contract", "Pending", "Closed", "Closed", "Expired")
_PHOTO = (
    b'{"MediaKey":"%b-%02d","ResourceRecordKey":"%b","ResourceName":"Property","MediaURL":'
    b'"https://media.example/%b/%02d.jpg?w=2048\\u0026h=1536","MediaCategory":"Photo","MimeType":"image/jpeg",'
    b'"Order":%d,"PreferredPhotoYN":%b,"ShortDescription":%b,"ModificationTimestamp":%b}'
)
_CAPTIONS = (b"null", '"Façade"'.encode(), b'"Kitchen \\u2013 view 2"', '"Jardin 🌳"'.encode(), b'"O\'Brien Park"')


@cache
def remarks() -> tuple[tuple[bytes, bytes], ...]:
    """Remarks in English and French as JSON strings: accents, emoji, quotes, escapes, U+2028, ``\\u`` sequences."""
    rng = Random("remarks")
    found: list[tuple[bytes, bytes]] = []
    for number in range(151):
        sentences = [rng.choice(REMARKS) for _ in range(rng.randrange(2, 9))]
        english = json_bytes(" ".join(each[0] for each in sentences))
        french = json_bytes(" ".join(each[1] for each in sentences))
        if number % 3 == 0:  # some servers escape what they need not
            english, french = (
                text.replace("é".encode(), b"\\u00e9").replace(b"/", b"\\/") for text in (english, french)
            )
        found.append((english, french))
    return tuple(found)


@cache
def _dates() -> tuple[bytes, ...]:
    first = date(2021, 1, 1)
    return tuple(b'"%b"' % (first + timedelta(days=number)).isoformat().encode() for number in range(1850))


def media_members(rng: Random, key: str, modified: bytes, *, most: int = 4) -> list[bytes]:
    """Photos of the listing *key* as rendered records with the key members ``MediaKey``, ``ResourceRecordKey``.

    *modified* is the JSON string their ``ModificationTimestamp`` holds. The list may be empty.
    """
    owner = json_bytes(key)[1:-1]
    captions = len(_CAPTIONS)
    return [
        _PHOTO
        % (
            owner,
            number,
            owner,
            owner,
            number,
            number,
            b"true" if number == 1 else b"false",
            _CAPTIONS[int(rng.random() * captions)],
            modified,
        )
        for number in range(1, 1 + int(rng.random() * (most + 1)))
    ]


@cache
def _rooms() -> tuple[tuple[bytes, ...], ...]:
    rng = Random("rooms")
    return tuple(
        tuple(
            render(
                {
                    "RoomType": json_bytes(rng.choice(ROOMS)[0]),
                    "RoomLevel": json_bytes(rng.choice(["Main", "Upper", "Lower"])),
                    "RoomLength": b"%d.%d" % (rng.randrange(6, 25), rng.randrange(10)),
                    "RoomWidth": b"%d.0" % rng.randrange(6, 25),
                    "RoomDimensions": json_bytes(f"{rng.randrange(6, 25)}' x {rng.randrange(6, 25)}'"),
                    "RoomFeatures": json_bytes(rng.sample(["Bay Window", "Fireplace", "Walk-In Closet(s)"], k=1)),
                }
            )
            for _ in range(rng.randrange(7))
        )
        for _ in range(127)
    )


def room_members(rng: Random) -> tuple[bytes, ...]:
    """Rooms of one listing as rendered records without keys; may be empty."""
    pool = _rooms()
    return pool[int(rng.random() * len(pool))]


def listing_members(
    rng: Random,
    index: int,
    *,
    key: str,
    modified: str,
    instant: int,
    agent: Mapping[str, bytes] | None = None,
    office: Mapping[str, bytes] | None = None,
    photos: int = 4,
) -> dict[str, bytes]:
    """One listing of about 190 members, nested ``Media`` and ``Rooms`` last; names of the RESO data dictionary.

    Args:
        rng: the stream of this table; the same stream and arguments give the same bytes.
        index: number of the listing, from 0; makes ``ListingId``.
        key: ``ListingKey``, any text.
        modified: ``ModificationTimestamp`` as served; *instant* is its value, other times are earlier.
        agent, office: members of the roster records (``people.py``) the listing belongs to; None: no names.
        photos: most ``Media`` entries.

    ``PublicRemarks`` is one of ``remarks()``, which has its French text.
    """
    chance = rng.random
    place, building, inside, outside, land, services, terms = (
        variants[int(chance() * len(variants))] for variants in themes()
    )
    stamped = json_bytes(modified)
    status = STATUSES[int(chance() * len(STATUSES))]
    closed = status == "Closed"
    dates = _dates()
    day = int(chance() * (len(dates) - 60))
    price = money(rng, 45_000, 2_400_000)
    number = b"%d" % (1 + int(chance() * 19_999))
    texts = remarks()
    entered = b'"%b"' % stamp(instant - int(chance() * 400) * DAY - 17 * SECOND, 0).encode()
    pictures = media_members(rng, key, stamped, most=photos)
    unparsed = number + b" " + place["StreetName"][1:-1] + b" " + place["StreetSuffix"][1:-1]
    return {
        "ListingKey": json_bytes(key),
        "ListingId": b'"%07d"' % (index + 1),
        "ModificationTimestamp": stamped,
        "StandardStatus": json_bytes(status),
        "MlsStatus": json_bytes(status),
        "PropertyType": b'"Residential"' if chance() < 0.8 else b'"Land"',
        "PropertySubType": b'"Single Family Residence"' if chance() < 0.6 else b'"Condominium"',
        "ListPrice": price,
        "OriginalListPrice": price,
        "PreviousListPrice": b"null",
        "ClosePrice": money(rng, 45_000, 2_400_000) if closed else b"null",
        "ListingContractDate": dates[day],
        "OnMarketDate": dates[day + 1],
        "OffMarketDate": dates[day + 40] if closed else b"null",
        "PurchaseContractDate": dates[day + 40] if closed else b"null",
        "CloseDate": dates[day + 59] if closed else b"null",
        "DaysOnMarket": b"%d" % int(chance() * 300),
        "CumulativeDaysOnMarket": b"%d" % int(chance() * 600),
        "OriginalEntryTimestamp": entered,
        "StatusChangeTimestamp": entered,
        "PriceChangeTimestamp": b"null",
        "PhotosChangeTimestamp": stamped if pictures else b"null",
        "PhotosCount": b"%d" % len(pictures),
        "SourceSystemKey": b'"%026d"' % (20_200_101_000_000_000_000_000_000 + index * 7919),  # 26 digits
        "StreetNumber": b'"%b"' % number,
        "UnitNumber": b"null" if chance() < 0.8 else b'"%d-B"' % int(chance() * 90),
        "UnparsedAddress": b'"%b"' % unparsed,
        **(_of_agent(agent) if agent is not None else {}),
        **(_of_office(office) if office is not None else {}),
        "PublicRemarks": texts[int(chance() * len(texts))][0],
        "PrivateRemarks": b"null",
        **place,
        **building,
        **inside,
        **outside,
        **land,
        **services,
        **terms,
        "Media": array(pictures),
        "Rooms": array(room_members(rng)),
    }


def _of_agent(agent: Mapping[str, bytes]) -> dict[str, bytes]:
    return {
        "ListAgentKey": agent["MemberKey"],
        "ListAgentMlsId": agent["MemberMlsId"],
        "ListAgentFullName": agent["MemberFullName"],
        "ListAgentEmail": agent["MemberEmail"],
        "ListAgentPreferredPhone": agent["MemberPreferredPhone"],
        "BuyerAgentKey": b"null",
        "BuyerAgentFullName": b"null",
    }


def _of_office(office: Mapping[str, bytes]) -> dict[str, bytes]:
    return {
        "ListOfficeKey": office["OfficeKey"],
        "ListOfficeMlsId": office["OfficeMlsId"],
        "ListOfficeName": office["OfficeName"],
        "ListOfficePhone": office["OfficePhone"],
        "BuyerOfficeName": b"null",
    }
