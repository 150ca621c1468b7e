"""Runs that found nothing new leave no directory: what remains of them is enough to go on from, and never too much."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec

from harvester.api.status import status
from harvester.errors import ConnectionFailed
from harvester.store.current import CurrentRun, begin_current
from harvester.store.documents import encode_document
from harvester.store.layout import renewal_file
from harvester.store.renewals import read_renewal
from tests.engine.test_deltas import DAY, brought, change, harvested
from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import failing_on, listings

DIED = ConnectionFailed("the connection died")


async def kept(out: Path, rows: int = 95) -> Bench:
    """A complete harvest of yesterday, and deltas to come that leave nothing where nothing is new."""
    bench = await harvested(out, rows)
    bench.renews = True
    return bench


async def again(bench: Bench, *, after: float = 300.0) -> None:
    bench.clock.advance(after)
    bench.server.asked.clear()
    assert (await bench.run("Property"))["Property"].verdict == "complete"


async def test_a_delta_that_found_nothing_leaves_no_run_and_is_told_by_status(out: Path) -> None:
    bench = await kept(out)
    for _ in range(3):
        await again(bench)
    assert len(bench.runs("Property")) == 1
    row = next(each for each in status(out).resources if each.resource == "Property")
    assert (row.verdict, row.checks, row.checked) == ("complete", 3, bench.clock.now())
    assert row.watermark == bench.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    assert row.mode == "full", "of the run that is there"


async def test_what_the_overlap_brings_again_is_nothing_new(out: Path) -> None:
    """Every delta reads some minutes twice: a change is written once, however often it is met."""
    bench = await kept(out)
    change(bench, "000007")
    await again(bench, after=60.0)
    assert len(bench.runs("Property")) == 2
    await again(bench, after=60.0)
    assert bench.server.asked
    assert len(bench.runs("Property")) == 2
    renewal = read_renewal(bench.fs, out, "lake", "Property")
    assert renewal is not None
    assert renewal.manifest.records == 1, "it was met again"


async def test_a_second_change_of_the_same_record_in_the_overlap_is_new(out: Path) -> None:
    bench = await kept(out)
    change(bench, "000007", price=1)
    await again(bench)
    change(bench, "000007", price=2)
    await again(bench, after=60.0)
    assert len(bench.runs("Property")) == 3
    assert brought(bench)[0]["ListPrice"] == 2


async def test_a_record_that_comes_back_as_it_was_is_new(out: Path) -> None:
    """FAULTS T12: a tombstone in between ended it."""
    bench = await kept(out)
    change(bench, "000007")
    await again(bench, after=60.0)
    row = next(row for row in bench.server.tables["Property"] if row["ListingKey"] == "000007")
    bench.server.tables["Property"].remove(row)
    bench.mode = "sweep"
    await again(bench, after=60.0)
    bench.server.tables["Property"].append(row)
    bench.mode = "delta"
    await again(bench, after=60.0)
    assert [each["ListingKey"] for each in brought(bench)] == ["000007"]


async def test_the_next_delta_starts_where_the_one_without_a_run_began(out: Path) -> None:
    bench = await kept(out)
    change(bench, "000007")
    await again(bench, after=60.0)
    await again(bench, after=60.0)  # meets it again
    began = bench.clock.now()
    await again(bench, after=DAY)
    since = next(url for url in bench.server.asked if "$filter" in url).replace("%3A", ":")
    assert (began - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%S") in since, "less the overlap"
    await again(bench, after=DAY)  # an empty answer forgets nothing of what was told before it
    assert next(url for url in bench.server.asked if "$filter" in url).replace("%3A", ":") >= since


async def test_a_renewal_that_is_damaged_or_gone_costs_a_longer_delta_and_nothing_else(out: Path) -> None:
    bench = await kept(out)
    change(bench, "000007")
    await again(bench)
    await again(bench, after=60.0)
    path = Path(renewal_file(out, "lake", "Property"))
    for spoil in (lambda: path.write_bytes(path.read_bytes()[:-9]), path.unlink):
        spoil()
        assert read_renewal(bench.fs, out, "lake", "Property") is None
        await again(bench, after=60.0)
    change(bench, "000008")
    await again(bench)
    assert "000008" in {str(each["ListingKey"]) for each in brought(bench)}


async def test_a_process_killed_between_the_renewal_and_the_removal_leaves_nothing_to_go_on_with(out: Path) -> None:
    """FAULTS R01: the directory is still there, with commits and without a manifest."""
    bench = await kept(out)
    removed, bench.fs.remove_tree = bench.fs.remove_tree, lambda path: None  # type: ignore[method-assign]
    await again(bench)
    bench.fs.remove_tree = removed  # type: ignore[method-assign]
    assert len(bench.runs("Property")) == 2
    change(bench, "000009")
    await again(bench)
    assert len(bench.runs("Property")) == 2
    assert [each["ListingKey"] for each in brought(bench)] == ["000009"]


async def test_a_later_run_takes_the_place_of_a_renewal(out: Path) -> None:
    bench = await kept(out)
    change(bench, "000007")
    await again(bench, after=60.0)
    await again(bench, after=60.0)  # meets it again, and leaves no run
    change(bench, "000008")
    await again(bench, after=DAY)
    began = bench.clock.now()
    await again(bench, after=DAY)
    since = next(url for url in bench.server.asked if "$filter" in url).replace("%3A", ":")
    assert (began - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%S") in since


async def test_a_full_run_leaves_its_directory_also_when_all_of_it_was_held(out: Path) -> None:
    """Later runs rest on it: an incomplete harvest is no ground, though it held the same."""
    bench = Bench(out, {"Property": listings(30)})
    bench.mode, bench.renews, bench.doubt = "auto", True, "the server ignores $filter"
    assert (await bench.run("Property"))["Property"].verdict == "incomplete"
    bench.doubt = ""
    await again(bench)
    assert [bench.manifest("Property", run).verdict for run in (0, 1)] == ["incomplete", "complete"]


async def test_a_run_is_never_named_before_one_that_is_there(out: Path) -> None:
    """A note of an older harvest, of which this resource was no part, does not put its next run behind the last."""
    bench = await harvested(out)
    older = CurrentRun(run="20200101T000000Z", provider="lakeside", mode="full", resources=("Property", "Office"))
    begin_current(bench.fs, out, "lake", older)
    change(bench, "000003")
    await again(bench)
    assert [each["ListingKey"] for each in brought(bench)] == ["000003"], "of the newest"


async def test_an_incomplete_or_failed_delta_is_no_renewal(out: Path) -> None:
    bench = await kept(out)
    change(bench, *(f"{index:06d}" for index in range(40)))
    bench.server.before = failing_on("000019", DIED)
    bench.clock.advance(300.0)
    assert (await bench.run("Property"))["Property"].verdict == "failed"
    assert read_renewal(bench.fs, out, "lake", "Property") is None
    assert len(bench.runs("Property")) == 2


async def test_of_other_settings_a_renewal_says_nothing(out: Path) -> None:
    bench = await kept(out)
    await again(bench)
    renewal = read_renewal(bench.fs, out, "lake", "Property")
    assert renewal is not None
    walks = tuple(
        msgspec.structs.replace(walk, anchor="2099-01-01T00:00:00Z", empty=False) for walk in renewal.manifest.walks
    )  # believed, it would hide every change
    other = msgspec.structs.replace(
        renewal, manifest=msgspec.structs.replace(renewal.manifest, fingerprint="other", walks=walks)
    )
    path = Path(renewal_file(out, "lake", "Property"))
    path.write_bytes(encode_document(other))
    change(bench, "000003")
    await again(bench)
    assert [each["ListingKey"] for each in brought(bench)] == ["000003"]


async def test_without_the_wish_every_run_leaves_its_directory(out: Path) -> None:
    bench = await harvested(out)
    await bench.run("Property")
    assert len(bench.runs("Property")) == 2


async def test_what_is_read_whole_each_time_is_written_once_while_it_stays_as_it_is(out: Path) -> None:
    bench = Bench(out, {"Property": listings(30)})
    bench.mode, bench.renews, bench.whole = "auto", True, True
    for _ in range(3):
        await again(bench)
    assert len(bench.runs("Property")) == 1
    change(bench, "000003")
    await again(bench)
    assert len(bench.runs("Property")) == 2
