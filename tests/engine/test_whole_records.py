"""Sweeps that compare what records say: they find what changed without another time (FAULTS T08)."""

from __future__ import annotations

from pathlib import Path

import pytest

from harvester.errors import ConnectionFailed
from tests.fakes.lake_server import failing_at, listings
from tests.fakes.swept_lake import DAY, harvested, remove, rows, tombstones, view


async def test_a_change_without_another_time_is_found(out: Path) -> None:
    bench = await harvested(out)
    rows(bench)[20] = {**rows(bench)[20], "Remarks": "changed in silence"}
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert view(bench) != rows(bench)  # keys and times are as they were
    bench.clock.advance(DAY)
    bench.whole_records = True
    bench.server.asked.clear()
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert view(bench) == rows(bench)
    manifest = bench.manifest("Property")
    assert manifest.records == 1
    assert manifest.sweep is not None
    assert (manifest.sweep.whole, manifest.sweep.differing, manifest.sweep.missing) == (True, 1, 0)
    assert not [url for url in bench.server.asked if "$select" in url]


async def test_what_says_the_same_is_not_written_again(out: Path) -> None:
    """The order of an object's members carries no meaning."""
    bench = await harvested(out)
    bench.whole_records = True
    rows(bench)[:] = [{"ListingKey": row["ListingKey"], **dict(reversed(row.items()))} for row in rows(bench)]
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert bench.manifest("Property").records == 0


async def test_the_version_that_a_view_shows_is_the_one_compared(out: Path) -> None:
    """FAULTS P11, T08: of several versions in one run, as a delta brings them."""
    bench = await harvested(out)
    bench.mode = "delta"
    old = dict(rows(bench)[5])
    new = {**old, "ModificationTimestamp": "2026-03-02T11:00:00Z", "Remarks": "new"}
    rows(bench)[5] = new

    def before(number: int, url: str) -> None:
        rows(bench)[5] = {**new, "ModificationTimestamp": "2026-03-02T11:00:00.5Z", "Remarks": "newer"}

    bench.server.before = before
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    bench.clock.advance(DAY)
    bench.mode, bench.whole_records = "sweep", True
    bench.server.before = lambda number, url: None
    rows(bench)[5] = new
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert view(bench) == rows(bench)


async def test_what_a_killed_sweep_has_left_beside_its_tables_goes_with_the_next_run(out: Path) -> None:
    """FAULTS F08."""
    bench = await harvested(out)
    left = out / "_harvester" / "seen" / "lake.Property.state"
    left.mkdir()
    (left / "keys-00").write_bytes(b"x")
    bench.mode = "delta"
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert not left.exists()


@pytest.mark.parametrize("number", range(0, 14, 2))
async def test_one_that_dies_is_finished_as_it_was_begun(out: Path, number: int) -> None:
    """FAULTS R01."""
    bench = await harvested(out)
    bench.at_risk = 1
    bench.whole_records = True
    remove(bench, "000010")
    rows(bench)[20] = {**rows(bench)[20], "Remarks": "changed in silence"}
    rows(bench).extend(listings(1, start=500))
    bench.server.before = failing_at({number}, ConnectionFailed("died"))
    first = (await bench.run("Property"))["Property"]
    bench.server.before = lambda number, url: None
    bench.whole_records = number == 0  # nothing of it is known then
    if first.verdict == "failed":
        assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert view(bench) == rows(bench)
    assert [row["key"] for row in tombstones(bench)] == [{"ListingKey": "000010"}]
