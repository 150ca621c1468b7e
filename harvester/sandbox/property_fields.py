"""Members of a listing that need no row of their own: variants by theme, rendered once and then shared.

A listing takes one variant of each theme. Making a few hundred variants costs what 300 listings would cost;
after that a listing of 190 members is a merge of dictionaries. Names are those of the RESO data dictionary,
values are invented. ``bytes`` are JSON as written: decimals keep their zeros, some strings their escapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from random import Random

from harvester.sandbox.phrases import CITIES, COUNTIES, SCHOOLS, STREET_SUFFIXES, STREETS, WORDS
from harvester.sandbox.records import members

Variants = Sequence[Mapping[str, bytes]]


def money(rng: Random, low: int, high: int) -> bytes:
    """An amount with two decimals, now and then ``.00``, as a JSON number."""
    cents = 0 if rng.random() < 0.7 else int(rng.random() * 100)
    return b"%d.%02d" % (low + int(rng.random() * (high - low)), cents)


def some(rng: Random, theme: str, most: int = 4) -> list[str]:
    """A few of a theme's words, in the order listed; may be empty."""
    words = WORDS[theme]
    return [word for word in words if rng.random() < most / len(words)][:most]


def _maybe(rng: Random, value: object, chance: float = 0.5) -> object:
    """*value*, or null."""
    return value if rng.random() < chance else None


def _place(rng: Random) -> dict[str, object]:
    city, state, zone = rng.choice(CITIES)
    postal = f"{rng.randrange(1, 99999):05d}"  # leading zeros
    return {
        "City": city,
        "PostalCode": postal,
        "PostalCodePlus4": _maybe(rng, f"{rng.randrange(10000):04d}"),
        "PostalCity": city,
        "StateOrProvince": state,
        "CountyOrParish": rng.choice(COUNTIES),
        "Country": "CA" if state == "QC" else "US",
        "MLSAreaMajor": f"{rng.randrange(1, 99):02d} - {city}",
        "MLSAreaMinor": None,
        "SubdivisionName": _maybe(rng, f"{rng.choice(STREETS)} Estates"),
        "StreetDirPrefix": _maybe(rng, rng.choice(["N", "S", "E", "W"]), 0.3),
        "StreetName": rng.choice(STREETS),
        "StreetSuffix": rng.choice(STREET_SUFFIXES),
        "Latitude": b"%.6f" % (zone[0] + rng.random()),
        "Longitude": b"%.6f" % (zone[1] + rng.random()),
        "Directions": _maybe(rng, f"From Main St turn left at {rng.choice(STREETS)}; 2nd house on the right."),
        "CrossStreet": _maybe(rng, rng.choice(STREETS)),
        "ElementarySchool": rng.choice(SCHOOLS),
        "ElementarySchoolDistrict": f"{city} ISD",
        "MiddleOrJuniorSchool": rng.choice(SCHOOLS),
        "HighSchool": rng.choice(SCHOOLS),
        "HighSchoolDistrict": f"{city} ISD",
        "CityRegion": None,
    }


def _building(rng: Random) -> dict[str, object]:
    full, half = rng.randrange(1, 5), rng.randrange(3)
    area = rng.randrange(600, 6000)
    year = rng.randrange(1890, 2025)
    return {
        "ArchitecturalStyle": some(rng, "style", 2),
        "AboveGradeFinishedArea": b"%d.0" % area,
        "BelowGradeFinishedArea": _maybe(rng, b"%d.5" % (area // 4), 0.3),
        "Basement": some(rng, "basement", 2),
        "BathroomsFull": full,
        "BathroomsHalf": half,
        "BathroomsThreeQuarter": None,
        "BathroomsTotalInteger": full + half,
        "BedroomsTotal": rng.randrange(1, 8),
        "BuildingAreaTotal": b"%d.00" % area,
        "BuildingAreaUnits": "Square Feet",
        "BuildingName": None,
        "CommonWalls": some(rng, "walls", 2),
        "ConstructionMaterials": some(rng, "materials"),
        "DirectionFaces": rng.choice(["North", "Southeast", "West", "South"]),
        "EntryLevel": rng.randrange(1, 4),
        "FoundationDetails": some(rng, "foundation", 2),
        "Levels": [rng.choice(["One", "Two", "Three Or More", "Multi/Split"])],
        "LivingArea": b"%d.00" % area,
        "LivingAreaSource": rng.choice(["Assessor", "Builder", "Owner", "Public Records"]),
        "NewConstructionYN": year > 2023,
        "PropertyAttachedYN": rng.random() < 0.2,
        "PropertyCondition": some(rng, "condition", 2),
        "Roof": some(rng, "roof", 2),
        "RoomsTotal": rng.randrange(4, 14),
        "Stories": rng.randrange(1, 4),
        "StructureType": [rng.choice(["House", "Multi Family", "Dock", "Townhouse"])],
        "UnitsInBuilding": _maybe(rng, rng.randrange(1, 200), 0.2),
        "YearBuilt": year,
        "YearBuiltSource": "Assessor",
    }


def _inside(rng: Random) -> dict[str, object]:
    return {
        "AccessibilityFeatures": some(rng, "accessibility", 2),
        "Appliances": some(rng, "appliances", 6),
        "Cooling": some(rng, "cooling", 2),
        "CoolingYN": rng.random() < 0.8,
        "DoorFeatures": [],
        "FireplaceFeatures": some(rng, "fireplace", 2),
        "FireplaceYN": rng.random() < 0.5,
        "FireplacesTotal": rng.randrange(3),
        "Flooring": some(rng, "flooring"),
        "Heating": some(rng, "heating", 2),
        "HeatingYN": True,
        "InteriorFeatures": some(rng, "interior", 6),
        "LaundryFeatures": some(rng, "laundry", 2),
        "MainLevelBathrooms": rng.randrange(3),
        "MainLevelBedrooms": rng.randrange(4),
        "OtherEquipment": some(rng, "equipment", 2),
        "SecurityFeatures": some(rng, "security", 2),
        "WindowFeatures": some(rng, "windows", 2),
    }


def _outside(rng: Random) -> dict[str, object]:
    garage = rng.randrange(4)
    return {
        "AttachedGarageYN": garage > 1,
        "CarportSpaces": None,
        "CarportYN": False,
        "CoveredSpaces": b"%d.0" % garage,
        "ExteriorFeatures": some(rng, "exterior"),
        "Fencing": some(rng, "fencing", 2),
        "GarageSpaces": b"%d.0" % garage,
        "GarageYN": garage > 0,
        "HorseYN": rng.random() < 0.05,
        "OpenParkingYN": True,
        "OtherStructures": some(rng, "structures", 2),
        "ParkingFeatures": some(rng, "parking"),
        "ParkingTotal": b"%d.0" % (garage + 2),
        "PatioAndPorchFeatures": some(rng, "patio", 2),
        "PoolFeatures": some(rng, "pool", 2),
        "PoolPrivateYN": rng.random() < 0.2,
        "SpaYN": rng.random() < 0.1,
        "View": some(rng, "view", 2),
        "ViewYN": rng.random() < 0.4,
        "WaterBodyName": _maybe(rng, "Lac-à-l'Eau-Claire", 0.05),
        "WaterfrontFeatures": some(rng, "waterfront", 1),
        "WaterfrontYN": rng.random() < 0.1,
    }


def _land(rng: Random) -> dict[str, object]:
    square_feet = rng.randrange(2000, 90000)
    return {
        "CurrentUse": ["Residential"],
        "LandLeaseAmount": None,
        "LandLeaseYN": False,
        "LotFeatures": some(rng, "lot"),
        "LotSizeAcres": b"%.4f" % (square_feet / 43560),
        "LotSizeDimensions": f"{rng.randrange(40, 200)}x{rng.randrange(80, 400)}",
        "LotSizeSquareFeet": b"%d.00" % square_feet,
        "LotSizeUnits": "Acres",
        "ParcelNumber": f"{rng.randrange(10**9):010d}",
        "PossibleUse": [],
        "RoadFrontageType": some(rng, "road", 1),
        "RoadSurfaceType": ["Paved"],
        "TaxAnnualAmount": money(rng, 800, 20000),
        "TaxAssessedValue": money(rng, 90000, 900000),
        "TaxBlock": _maybe(rng, "A"),
        "TaxLegalDescription": f'LOT {rng.randrange(1, 60)} BLK {rng.randrange(1, 20)} "{rng.choice(STREETS)}" SEC 2',
        "TaxLot": f"{rng.randrange(1, 60)}",
        "TaxYear": rng.randrange(2019, 2026),
        "Topography": _maybe(rng, "Level"),
        "Zoning": rng.choice(["R-1", "R-2", "A/1", "MU\\2"]),
        "ZoningDescription": None,
    }


def _services(rng: Random) -> dict[str, object]:
    member = rng.random() < 0.4
    return {
        "AssociationAmenities": some(rng, "amenities") if member else [],
        "AssociationFee": money(rng, 20, 900) if member else None,
        "AssociationFeeFrequency": "Monthly" if member else None,
        "AssociationFeeIncludes": some(rng, "fee", 3) if member else [],
        "AssociationName": f"{rng.choice(STREETS)} HOA" if member else None,
        "AssociationYN": member,
        "CommunityFeatures": some(rng, "amenities", 3),
        "Electric": some(rng, "electric", 1),
        "ElectricOnPropertyYN": True,
        "GreenEnergyEfficient": some(rng, "green", 2),
        "InternetSpeed": None,
        "PetsAllowed": some(rng, "pets", 2),
        "SeniorCommunityYN": rng.random() < 0.05,
        "Sewer": some(rng, "sewer", 1),
        "Utilities": some(rng, "utilities"),
        "WaterSource": some(rng, "water", 1),
    }


def _terms(rng: Random) -> dict[str, object]:
    return {
        "Contingency": None,
        "Disclosures": some(rng, "disclosures", 2),
        "Exclusions": _maybe(rng, rng.choice(WORDS["exclusions"])),
        "Inclusions": _maybe(rng, rng.choice(WORDS["inclusions"])),
        "IDXParticipationYN": True,
        "InternetAddressDisplayYN": rng.random() < 0.97,
        "InternetAutomatedValuationDisplayYN": rng.random() < 0.5,
        "InternetConsumerCommentYN": rng.random() < 0.5,
        "InternetEntireListingDisplayYN": rng.random() < 0.95,
        "LeaseAmount": None,
        "LeaseTerm": None,
        "ListingAgreement": "Exclusive Right To Sell",
        "ListingService": "Full Service",
        "ListingTerms": some(rng, "terms"),
        "LockBoxType": some(rng, "lockbox", 1),
        "OccupantType": rng.choice(["Owner", "Tenant", "Vacant"]),
        "Ownership": "Fee Simple",
        "Possession": some(rng, "possession", 1),
        "ShowingContactType": ["Agent"],
        "ShowingInstructions": _maybe(rng, "Call first; 2 h notice — no exceptions."),
        "SignOnPropertyYN": rng.random() < 0.8,
        "SpecialListingConditions": ["Standard"],
        "VirtualTourURLUnbranded": _maybe(rng, "https://tours.example/unbranded/%C3%A9t%C3%A9?id=1&v=2", 0.3),
    }


_THEMES: tuple[tuple[Callable[[Random], dict[str, object]], int], ...] = (
    (_place, 211),
    (_building, 199),
    (_inside, 97),
    (_outside, 101),
    (_land, 197),
    (_services, 61),
    (_terms, 73),
)


@cache
def themes() -> Sequence[Variants]:
    """The variants of every theme. The same in every sandbox: the seed decides which one a listing takes."""
    rng = Random("themes")
    return tuple(tuple(members(make(rng)) for _ in range(size)) for make, size in _THEMES)
