"""A resource is harvested whole, or its outcome says what is missing."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import anyio

from harvester.engine.site import Outcome
from harvester.errors import ConnectionFailed, CursorExpired, ResourceRefused, StorageError
from harvester.events import PageFetched
from harvester.store.manifest import read_manifest
from tests.fakes.fs import MemoryFs
from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import Row, failing_at, listings, offices


async def test_every_record_is_written_once_and_the_manifest_says_so(out: Path) -> None:
    bench = Bench(out, {"Property": listings(95)})
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert bench.keys("Property") == [f"{i:06d}" for i in range(95)]
    manifest = bench.manifest("Property")
    assert (manifest.records, manifest.verdict, manifest.keys and manifest.keys.number) == (95, "complete", 95)
    assert sum(shard.rows for shard in manifest.shards) == 95
    assert {path.name for path in bench.runs("Property")[0].glob("part-*")} == {s.path for s in manifest.shards}


async def test_a_walk_that_fails_in_the_middle_goes_on_from_its_last_page(out: Path) -> None:
    """FAULTS R01, T09: what was written stays, what was not is asked for again, nothing is written twice."""
    bench = Bench(out, {"Property": listings(95)})
    bench.server.before = failing_at({5}, ConnectionFailed("the connection died"))
    outcome = (await bench.run("Property"))["Property"]
    assert (outcome.verdict, isinstance(outcome.error, ConnectionFailed)) == ("failed", True)
    assert read_manifest(bench.fs, bench.runs("Property")[0]) is None
    first = len(bench.server.asked)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert len(bench.server.asked) - first <= 10 - 5 + 1 + 1  # the rest, the failed page, the closing delta
    assert bench.keys("Property") == [f"{i:06d}" for i in range(95)]
    assert len(bench.runs("Property")) == 1


async def test_a_row_changed_and_a_row_added_behind_the_walk_come_with_the_closing_delta(out: Path) -> None:
    bench = Bench(out, {"Property": listings(60)})

    def before(number: int, url: str) -> None:
        if number == 4:
            rows = bench.server.tables["Property"]
            rows[0] = {**rows[0], "ModificationTimestamp": "2026-03-01T12:00:00Z", "Remarks": "changed"}
            rows.append({"ListingKey": "000000a", "ModificationTimestamp": "2026-03-01T12:00:00Z"})

    bench.server.before = before
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    lines = bench.lines("Property")
    assert "changed" in [row["Remarks"] for row in lines if row["ListingKey"] == "000000"]
    assert "000000a" in {row["ListingKey"] for row in lines}
    manifest = bench.manifest("Property")
    assert manifest.keys is not None
    assert (manifest.records, manifest.keys.number) == (62, 61)  # two versions of one key


async def test_a_row_that_did_not_change_is_not_written_again_by_the_closing_delta(out: Path) -> None:
    """FAULTS P10: (key, version) at most once a run."""
    rows = [{**row, "ModificationTimestamp": "2026-03-01T11:59:00Z"} for row in listings(35)]
    bench = Bench(out, {"Property": rows})
    await bench.run("Property")
    assert bench.keys("Property") == [f"{i:06d}" for i in range(35)]
    closing = next(walk for walk in bench.manifest("Property").walks if walk.phase == "closing")
    assert (closing.records, closing.duplicates) == (0, 35)


async def test_a_lost_cursor_begins_the_walk_again_and_writes_nothing_twice(out: Path) -> None:
    """FAULTS P08, S08."""
    bench = Bench(out, {"Property": listings(95)})
    bench.server.before = failing_at({6}, CursorExpired("410"))
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert bench.keys("Property") == [f"{i:06d}" for i in range(95)]


async def test_a_stored_link_refused_after_a_restart_begins_the_walk_again(out: Path) -> None:
    """FAULTS S12: 404 on a later page is a dead cursor, not a dead resource."""
    bench = Bench(out, {"Property": listings(95)})
    bench.server.before = failing_at({5}, ConnectionFailed("died"))
    await bench.run("Property")
    bench.server.before = failing_at({6}, ResourceRefused("404", status=404))
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert bench.keys("Property") == [f"{i:06d}" for i in range(95)]


async def test_a_record_without_a_key_is_quarantined_and_the_run_is_not_complete(out: Path) -> None:
    """FAULTS P14: the page is not lost, and the gap has a name."""
    rows: list[Row] = [*listings(20), {"ListingKey": "zz", "Remarks": "x"}]
    bench = Bench(out, {"Property": rows})
    bench.server.body = lambda number, body: body.replace(b'"zz"', b"null")
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "quarantine" in outcome.reason
    assert len(bench.lines("Property")) == 20
    kept = bench.lines("Property", "quarantine")
    assert "null" in str(kept[0]["reason"])


async def test_a_record_in_quarantine_is_counted_once_however_often_it_comes(out: Path) -> None:
    """FAULTS P14, P08: the next attempt begins the walk again, and meets the record that the first has put away."""
    bench = Bench(out, {"Property": [*listings(35), {"ListingKey": "000005a"}]})
    bench.server.body = lambda number, body: body.replace(b'"000005a"', b"null")
    failures = {2: ConnectionFailed("died"), 3: CursorExpired("410"), 5: CursorExpired("410")}
    bench.server.before = lambda number, url: failures.get(number)
    assert (await bench.run("Property"))["Property"].verdict == "failed"
    assert (await bench.run("Property"))["Property"].verdict == "incomplete"
    assert (bench.manifest("Property").quarantined, len(bench.lines("Property", "quarantine"))) == (1, 1)


async def test_a_page_that_is_no_json_is_asked_for_again(out: Path) -> None:
    """FAULTS H05, D12: no part of such a page is written."""
    bench = Bench(out, {"Property": listings(35)})
    bench.server.body = lambda number, body: body[: len(body) // 2] if number == 2 else body
    running = bench.run("Property")
    outcomes: dict[str, Outcome] = {}

    async def run() -> None:
        outcomes.update(await running)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        while not outcomes:
            await anyio.lowlevel.checkpoint()
            if bench.clock.next_due() is not None and len(bench.server.asked) == 3:
                bench.clock.advance(1.0)
    assert outcomes["Property"].verdict == "complete"
    assert bench.keys("Property") == [f"{i:06d}" for i in range(35)]


async def test_a_resource_per_value_is_walked_once_for_each_value_and_stamped_with_it(out: Path) -> None:
    offices: list[Row] = [{"OfficeKey": "A1"}, {"OfficeKey": "B2"}]
    tables: dict[str, list[Row]] = {
        "Office": offices,
        "Office('A1')/Agent": [{"AgentKey": "1"}, {"AgentKey": "2"}],
        "Office('B2')/Agent": [{"AgentKey": "1"}],
    }
    bench = Bench(out, tables)
    outcomes = await bench.run("Agent")
    assert {name: outcome.verdict for name, outcome in outcomes.items()} == {"Office": "complete", "Agent": "complete"}
    assert sorted((row["_OfficeKey"], row["AgentKey"]) for row in bench.lines("Agent")) == [
        ("A1", "1"),
        ("A1", "2"),
        ("B2", "1"),
    ]
    manifest = bench.manifest("Agent")
    assert manifest.keys is not None
    assert manifest.keys.number == 3  # the same key under two parents is two records


async def test_a_resource_per_value_is_not_complete_when_values_may_be_missing(out: Path) -> None:
    """FAULTS P14: a record of the parent could not be taken, so nobody walks its value."""
    tables: dict[str, list[Row]] = {"Office": offices(2), "Office('000')/Agent": [{"AgentKey": "1"}]}
    bench = Bench(out, tables)
    bench.server.body = lambda number, body: body.replace(b'"001"', b"null")
    outcomes = await bench.run("Agent")
    assert {name: outcome.verdict for name, outcome in outcomes.items()} == {
        "Office": "incomplete",
        "Agent": "incomplete",
    }
    assert "not every Office is known" in outcomes["Agent"].reason


async def test_a_failed_resource_does_not_stop_its_sibling_but_its_children(out: Path) -> None:
    """FAULTS R06, S11."""
    bench = Bench(out, {"Property": listings(15)})
    outcomes = await bench.run("Property", "Agent")
    assert outcomes["Property"].verdict == "complete"
    assert outcomes["Office"].verdict == "failed"
    assert outcomes["Agent"].reason == "needs Office, which failed"


async def test_a_commit_that_fails_while_the_walk_waits_spares_its_sibling(out: Path) -> None:
    """FAULTS F01, R06: nobody but the clock has asked for that commit, and yet its failure is the resource's own."""
    disk = MemoryFs()
    bench = Bench(out, {"Property": listings(35), "Office": offices(15)}, at_risk=100, fs=disk)

    async def delay(url: str) -> None:
        if "$skiptoken=000019" in url:
            await anyio.sleep_forever()

    bench.server.delay = delay
    async with bench.under_way("Property", "Office") as outcomes:
        await bench.until(lambda: sum(isinstance(event, PageFetched) for event in bench.events) == 4)
        disk.fail("write", error=errno.ENOSPC, path="resource=Property", times=None)
        bench.clock.advance(61)
    assert outcomes["Office"].verdict == "complete"
    assert isinstance(outcomes["Property"].error, StorageError)


async def test_a_server_that_repeats_its_pages_for_ever_is_given_up(out: Path) -> None:
    """FAULTS P03: the walk fails, it does not finish and it does not run for ever."""
    bench = Bench(out, {"Property": listings(10)})
    original = bench.server.answer
    bench.server.answer = lambda url, number=-1: json.dumps(  # type: ignore[method-assign]
        {
            **json.loads(original("https://api.lakeside.example/odata/Property")),
            "@odata.nextLink": f"Property?$skiptoken={len(bench.server.asked)}",
        }
    ).encode()
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "failed"
    assert len(bench.server.asked) < 10


async def test_a_server_that_ignores_the_filter_is_not_closed_by_a_silent_full_copy(out: Path) -> None:
    """FAULTS P15: the delta would be everything, and what comes while it is read would be missing again."""
    bench = Bench(out, {"Property": listings(95)})
    bench.server.ignores_filter = True
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "ignores $filter" in outcome.reason
    assert "run with --prove" in outcome.reason
    assert len(bench.server.asked) == 10 + 1  # the walk, and one page of the delta
    assert bench.keys("Property") == [f"{i:06d}" for i in range(95)]
    assert bench.manifest("Property").reason == outcome.reason


async def test_a_doubt_of_the_blueprint_is_the_reason_of_a_run_that_met_no_failure(out: Path) -> None:
    bench = Bench(out, {"Property": listings(5)})
    bench.doubt = "nobody knows"
    outcome = (await bench.run("Property"))["Property"]
    assert (outcome.verdict, outcome.reason) == ("incomplete", "nobody knows")
