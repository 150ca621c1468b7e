"""A record that leaves one resource for another has not been deleted: IDX Broker's listings (contract, section 8)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harvester.errors import ResourceRefused
from harvester.model import Resource
from harvester.provider import KeyListing
from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import failing_on
from tests.fakes.swept_lake import BY_KEY, DAY, harvested, remove, rows, tombstones, view

SOLD, OTHER = (Resource(name=name, key=("ListingKey",)) for name in ("Sold", "Other"))
MOVING = replace(
    BY_KEY,
    resources=(*BY_KEY.resources, SOLD, OTHER),
    listing=KeyListing(elsewhere={"Property": ("Sold", "Other")}),
)


async def ready(out: Path) -> Bench:
    """Three listings have left; one of them is in another resource now."""
    bench = await harvested(out)
    bench.provider = MOVING
    bench.server.tables |= {"Sold": [dict(rows(bench)[10])], "Other": []}
    remove(bench, "000010", "000011", "000012")
    return bench


async def test_what_is_elsewhere_has_moved_and_what_is_nowhere_is_deleted(out: Path) -> None:
    bench = await ready(out)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert [(row["key"], row["deleted"], row.get("moved_to")) for row in tombstones(bench)] == [
        ({"ListingKey": "000010"}, False, "Sold"),
        ({"ListingKey": "000011"}, True, None),
        ({"ListingKey": "000012"}, True, None),
    ]
    assert view(bench) == rows(bench)
    sweep = bench.manifest("Property").sweep
    assert sweep is not None
    assert (sweep.gone, sweep.moved) == (3, 1)


async def test_where_nothing_has_left_nothing_else_is_asked(out: Path) -> None:
    bench = await harvested(out)
    bench.provider = MOVING
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert not [url for url in bench.server.asked if "Sold" in url or "Other" in url]


@pytest.mark.parametrize("name", ["Sold", "Other"])
async def test_nobody_is_buried_unless_every_place_was_looked_at(out: Path, name: str) -> None:
    """FAULTS T10: only a key absent from all, after complete snapshots."""
    bench = await ready(out)
    bench.server.before = failing_on(f"/{name}", ResourceRefused("403", status=403))
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "whether they are elsewhere is not known" in outcome.reason
    assert tombstones(bench) == []


async def test_what_moved_does_not_count_as_deleted_for_the_guard(out: Path) -> None:
    """FAULTS T10: many sold listings need no permission."""
    bench = await harvested(out)
    bench.provider = MOVING
    sold = [dict(row) for row in rows(bench)[:60]]
    bench.server.tables |= {"Sold": sold, "Other": []}
    remove(bench, *(str(row["ListingKey"]) for row in sold))
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert {row["deleted"] for row in tombstones(bench)} == {False}
    assert len(tombstones(bench)) == 60


async def test_what_comes_back_meanwhile_is_not_taken_away(out: Path) -> None:
    """FAULTS T11: it is looked for elsewhere first, and here once more after that."""
    bench = await ready(out)
    back = bench.server.tables["Sold"][0]

    def before(number: int, url: str) -> None:
        if "/Sold" in url and back in bench.server.tables["Sold"]:
            bench.server.tables["Sold"].remove(back)
            rows(bench).append(back)

    bench.server.before = before
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert [row["key"] for row in tombstones(bench)] == [{"ListingKey": "000011"}, {"ListingKey": "000012"}]
    bench.clock.advance(DAY)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert {row["ListingKey"] for row in view(bench)} == {row["ListingKey"] for row in rows(bench)}
