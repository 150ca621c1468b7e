"""``--mode sweep``: what differs from the provider's listing is fetched, what has gone becomes a tombstone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harvester.engine.heads_of import heads_of
from harvester.errors import ConfigError, ConnectionFailed, ResourceRefused, ServerFault
from harvester.store.layout import ShardKind, data_kind
from harvester.store.verify import verify_run
from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import failing_at, failing_on, listings
from tests.fakes.lakeside import PROVIDER
from tests.fakes.swept_lake import DAY, harvested, remove, rows, tombstones, view

LATER = "2026-03-02T12:00:00Z"


async def test_a_sweep_makes_the_replica_equal(out: Path) -> None:
    bench = await harvested(out)
    remove(bench, "000010", "000090")
    rows(bench)[3] = {**rows(bench)[3], "ModificationTimestamp": "2025-01-01T00:00:00Z", "Remarks": "went back"}
    rows(bench).append({"ListingKey": "000500", "ModificationTimestamp": LATER, "Remarks": "new"})
    outcome = (await bench.run("Property"))["Property"]
    assert (outcome.verdict, outcome.reason) == ("complete", "")
    assert view(bench) == sorted(rows(bench), key=lambda row: str(row["ListingKey"]))
    manifest = bench.manifest("Property")
    assert (manifest.mode, manifest.records, manifest.tombstones) == ("sweep", 2, 2)
    assert manifest.sweep is not None
    assert (manifest.sweep.missing, manifest.sweep.differing, manifest.sweep.gone) == (1, 1, 2)
    assert tombstones(bench)[0] == {
        "key": {"ListingKey": "000010"},
        "deleted": True,
        "evidence": "sweep",
        "at": "2026-03-02T12:00:00Z",
        "last_seen": "2026-01-11T00:00:00Z",
    }
    verdict = verify_run(bench.fs, bench.runs("Property")[-1], heads_of=heads_of)
    assert verdict.matches, verdict.problems


async def test_a_sweep_of_what_is_equal_writes_nothing(out: Path) -> None:
    bench = await harvested(out)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    manifest = bench.manifest("Property")
    assert (manifest.records, manifest.tombstones, manifest.shards) == (0, 0, ())
    assert len(bench.server.asked) == 10  # pages of the listing


async def test_a_second_sweep_rests_on_the_first(out: Path) -> None:
    """FAULTS T08, T12: later runs count, whatever their times say; a tombstone ends a key until it comes again."""
    bench = await harvested(out)
    remove(bench, "000010")
    rows(bench)[3] = {**rows(bench)[3], "ModificationTimestamp": "2025-01-01T00:00:00Z"}
    await bench.run("Property")
    bench.clock.advance(DAY)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert (bench.manifest("Property").records, bench.manifest("Property").tombstones) == (0, 0)
    bench.clock.advance(DAY)
    rows(bench).append({"ListingKey": "000010", "ModificationTimestamp": LATER, "Remarks": "again"})
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert bench.manifest("Property").records == 1
    assert view(bench) == sorted(rows(bench), key=lambda row: str(row["ListingKey"]))


@pytest.mark.parametrize("cut", [0, 60, 94])
async def test_a_listing_that_is_cut_buries_nobody(out: Path, cut: int) -> None:
    """FAULTS T10: cut, empty, or failing on its last page."""
    bench = await harvested(out)
    bench.most_gone = 1.0
    kept = {f"{number:06d}" for number in range(cut)}
    bench.server.hidden = lambda url: (
        [str(row["ListingKey"]) for row in rows(bench) if row["ListingKey"] not in kept] if "$select" in url else ()
    )
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "leaves out records that are there" in outcome.reason
    assert tombstones(bench) == []


async def test_a_listing_that_fails_buries_nobody(out: Path) -> None:
    """FAULTS T10."""
    bench = await harvested(out)
    remove(bench, "000010")
    bench.server.before = lambda number, url: (
        ResourceRefused("403", status=403) if "$select" in url and "000090" in url else None
    )
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "the listing of all keys broke off" in outcome.reason
    assert tombstones(bench) == []


async def test_more_than_a_fifth_needs_permission(out: Path) -> None:
    """FAULTS T10: the mass-delete guard."""
    bench = await harvested(out)
    remove(bench, *(f"{number:06d}" for number in range(30)))
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "30 of 95 keys are not listed any more, more than 20% of them" in outcome.reason
    assert "--allow-purge" in outcome.reason
    assert tombstones(bench) == []
    bench.clock.advance(DAY)
    bench.most_gone = 1.0
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert len(tombstones(bench)) == 30


async def test_a_key_that_is_there_when_it_is_asked_for_is_not_buried(out: Path) -> None:
    """FAULTS T11: it came back, or was listed in a place that had been read; what comes is held again."""
    bench = await harvested(out)
    gone = rows(bench)[10]
    remove(bench, "000010")

    def before(number: int, url: str) -> None:
        if "eq%20" in url and len(rows(bench)) == 94 and sum("eq%20" in each for each in bench.server.asked) == 2:
            rows(bench).append({**gone, "ModificationTimestamp": LATER})

    bench.server.before = before
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert tombstones(bench) == []
    assert [row["ListingKey"] for row in view(bench)] == [f"{number:06d}" for number in range(95)]


async def test_where_records_cannot_be_asked_for_a_second_listing_confirms(out: Path) -> None:
    """FAULTS S12."""
    bench = await harvested(out)
    bench.provider = PROVIDER
    remove(bench, "000010", "000011")
    hidden = True

    def hide(url: str) -> list[str]:
        nonlocal hidden
        hidden = hidden and sum("$select" in each for each in bench.server.asked) <= 10
        return ["000012"] if hidden and "$select" in url else []

    bench.server.hidden = hide
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert [row["key"] for row in tombstones(bench)] == [{"ListingKey": "000010"}, {"ListingKey": "000011"}]


async def test_without_a_complete_harvest_there_is_nothing_to_sweep(out: Path) -> None:
    bench = Bench(out, {"Property": listings(5)})
    bench.mode = "sweep"
    outcome = (await bench.run("Property"))["Property"]
    assert (outcome.verdict, isinstance(outcome.error, ConfigError)) == ("failed", True)


@pytest.mark.parametrize("number", range(14))
async def test_a_sweep_that_dies_goes_on_there(out: Path, number: int) -> None:
    """FAULTS R01: in the listing, in what it made necessary, or while it is confirmed what has gone."""
    bench = await harvested(out)
    bench.at_risk = 1
    remove(bench, "000010", "000090")
    rows(bench).append({"ListingKey": "000500", "ModificationTimestamp": LATER, "Remarks": "new"})
    bench.server.before = failing_at({number}, ConnectionFailed("died"))
    first = (await bench.run("Property"))["Property"]
    nothing: Callable[[int, str], None] = lambda number, url: None  # noqa: E731
    bench.server.before = nothing
    bench.mode = "full" if number in range(2, 9) else "sweep"  # what was begun as a sweep is finished as one
    if first.verdict == "failed":
        assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert len(bench.runs("Property")) == 2
    assert view(bench) == sorted(rows(bench), key=lambda row: str(row["ListingKey"]))
    assert len(tombstones(bench)) == bench.manifest("Property").tombstones == 2
    kinds = {data_kind(path.name) for path in bench.runs("Property")[-1].iterdir()} - {None}
    assert kinds == {ShardKind.PART, ShardKind.DELETED}


async def test_a_sweep_whose_listing_always_fails_at_one_place_ends_as_incomplete_and_deltas_go_on(out: Path) -> None:
    """Each of its listings is begun once and gone on with once: what fails once is mended by the next attempt."""
    bench = await harvested(out)
    bench.server.before = failing_on("skiptoken=000029", ServerFault("HTTP 500", status=500))
    told = []
    for mode in ("sweep", *["auto"] * 4):
        bench.mode = mode
        outcome = (await bench.run("Property"))["Property"]
        told.append((outcome.mode, outcome.verdict))
        bench.clock.advance(DAY)
    assert told == [*[("sweep", "failed")] * 3, ("sweep", "incomplete"), ("delta", "complete")]
    assert not tombstones(bench)


async def test_a_server_that_is_down_for_long_loses_no_sweep(out: Path) -> None:
    """What fails from the first page on is no place in a listing: the sweep waits, and goes on where it stood."""
    bench = await harvested(out)
    bench.mode = "sweep"
    down = ServerFault("HTTP 500", status=500)
    bench.server.before = lambda number, url: down if number > 5 else None
    for _ in range(5):
        assert (await bench.run("Property"))["Property"].verdict == "failed"
        bench.clock.advance(DAY)
    bench.server.before = lambda number, url: None
    bench.server.asked.clear()
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert len(bench.server.asked) == 4, "pages of the listing that were not read yet"
