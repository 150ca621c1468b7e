"""The README's embedding example, as a type checker sees it; ``test_readme`` runs it."""

from __future__ import annotations

from pathlib import Path

import msgspec

import harvester


class Listing(msgspec.Struct):
    ListingKey: str
    ListPrice: float | None = None


async def load_listings(config: harvester.Config, into: Path) -> int:
    count = 0
    async with harvester.open(config) as session:
        async for page in session.pages("centris", "Property"):
            listings: list[Listing] = page.decode(Listing)
            with into.open("ab") as file:
                file.writelines(record + b"\n" for record in page.records)
            await page.commit()  # only now does the position move: what is not committed comes again
            count += len(listings)
    return count


async def harvest_all(config: harvester.Config) -> bool:
    report: harvester.Report = await harvester.run(config)
    return report.complete
