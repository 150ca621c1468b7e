"""Listings of the simulated IDX Broker account, with the traps of its contract, section 9."""

from __future__ import annotations

from datetime import datetime
from random import Random

from harvester.sandbox.idx_entries import CITIES, COUNTIES, NEVER, REMARKS, STREETS, TYPES, Entry, entry, price, stamp


def make_listing(
    pick: Random, number: int, *, markets: tuple[str, ...], sold: bool, added: datetime, modified: datetime
) -> Entry:
    """One listing under the key ``<idxID>%%<listingID>``.

    Args:
        number: makes the listing number, which is unique within its MLS only, and may have leading zeros.
        markets: idxIDs to choose from.
        sold: the price stands in ``soldPrice`` then.
    """
    idx_id = pick.choice(markets)
    listing_id = pick.choice((f"{number:07d}", f"R{number:06d}", str(2_400_000 + number)))
    beds = pick.randrange(0, 7)
    photos = pick.randrange(0, 4)
    amount = price(pick)
    return entry(
        f"{idx_id}%%{listing_id}",
        idxID=idx_id,
        listingID=listing_id,
        mlsPtID=pick.choice(("1", 1, "2")),
        propType=pick.choice(TYPES),
        idxStatus="sold" if sold else "active",
        listingPrice="$0" if sold else amount,
        soldPrice=amount if sold else "",
        rntLsePrice=pick.choice((None, "", 0)),
        rntLse=pick.choice(("n", "n", "y")),
        featured="n" if sold else "y",
        displayAddress=pick.choice(("y", "n")),
        streetNumber=str(pick.randrange(1, 9_999)),
        streetName=pick.choice(STREETS),
        unitNumber=pick.choice(("", "0012", "B/3")),
        cityName=pick.choice(CITIES),
        countyName=pick.choice(COUNTIES),
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
        remarksConcat=pick.choice(REMARKS),
        viewCount=pick.choice((pick.randrange(900), str(pick.randrange(900)))),
        mediaData=[],
        image=_image(idx_id, listing_id, photos),
        fullDetailsURL=f"https://homes.example.com/idx/details/listing/{idx_id}/{listing_id}",
        dateAdded=stamp(added),
        dateModified=stamp(modified),
        lastImageDate=stamp(modified) if photos else NEVER,
    )


def _image(idx_id: str, listing_id: str, photos: int) -> dict[str, object]:
    """Photos as an object with numbered members and a count, never a list."""
    image: dict[str, object] = {
        str(n): {"url": f"https://cdn.example.com/{idx_id}/{listing_id}/{n}.jpg", "caption": ""} for n in range(photos)
    }
    image["totalCount"] = photos
    return image
