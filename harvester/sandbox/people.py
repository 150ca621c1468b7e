"""Building blocks of the roster: members (agents) and offices as JSON bytes by RESO name."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from harvester.sandbox.phrases import CITIES, FIRST_NAMES, INTRODUCTIONS, LAST_NAMES, OFFICES
from harvester.sandbox.records import members


def _phone(rng: Random) -> str:
    return f"{rng.randrange(200, 999)}-555-{rng.randrange(10000):04d}"


def office_members(rng: Random, index: int, *, key: str, modified: str) -> dict[str, bytes]:
    """One office of about 20 members; ``OfficeMlsId`` has leading zeros."""
    city, state, _ = rng.choice(CITIES)
    return members(
        {
            "OfficeKey": key,
            "OfficeMlsId": f"{index + 1:06d}",
            "ModificationTimestamp": modified,
            "OfficeName": f"{rng.choice(OFFICES)} {index + 1}",
            "OfficeStatus": "Active" if rng.random() < 0.9 else "Inactive",
            "OfficeAddress1": f"{rng.randrange(1, 9999)} Main St",
            "OfficeAddress2": None,
            "OfficeCity": city,
            "OfficeStateOrProvince": state,
            "OfficePostalCode": f"{rng.randrange(1, 99999):05d}",
            "OfficePhone": _phone(rng),
            "OfficeFax": None,
            "OfficeEmail": f"office{index + 1}@realty.example",
            "OfficeType": "Branch" if index % 4 else "MLS",
            "OfficeBrokerKey": f"B{index + 1:05d}",
            "OfficeBrokerMlsId": f"{index * 3 + 1:06d}",
            "OfficeManagerKey": f"M{index + 1:05d}" if rng.random() < 0.7 else None,
            "OfficeManagerMlsId": None,
            "MainOfficeKey": None,
            "SocialMediaType": [],
        }
    )


def member_members(
    rng: Random, index: int, *, key: str, modified: str, office: Mapping[str, bytes]
) -> dict[str, bytes]:
    """One member of the roster, of *office*, about 25 members; ``MemberMlsId`` has leading zeros."""
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    city, state, _ = rng.choice(CITIES)
    values = members(
        {
            "MemberKey": key,
            "MemberMlsId": f"{index + 1:06d}",
            "ModificationTimestamp": modified,
            "MemberFullName": f"{first} {last}",
            "MemberFirstName": first,
            "MemberLastName": last,
            "MemberMiddleName": None,
            "MemberStatus": "Active" if rng.random() < 0.9 else "Inactive",
            "MemberType": rng.choice(["Broker", "Salesperson", "Appraiser"]),
            "MemberEmail": f"agent{index + 1}@realty.example",
            "MemberMobilePhone": _phone(rng),
            "MemberPreferredPhone": _phone(rng),
            "MemberDirectPhone": _phone(rng) if rng.random() < 0.4 else None,
            "MemberCity": city,
            "MemberStateOrProvince": state,
            "MemberCorporationType": rng.choice(["", "Inc.", "s.e.n.c."]),
            "MemberLanguages": ["English", "Français"][: rng.randrange(3)],
            "MemberDesignation": [],
            "MemberIntroduction": rng.choice(INTRODUCTIONS)[0] if rng.random() < 0.6 else None,
            "MemberNationalAssociationId": f"{rng.randrange(10**9):09d}",
            "MemberLicenseNumber": f"{state}-{rng.randrange(10**6):06d}",
            "MemberStateLicense": f"{state}, {rng.choice(CITIES)[1]}",
        }
    )
    for name in ("OfficeKey", "OfficeMlsId", "OfficeName"):
        values[name] = office[name]
    return values
