"""A resource is harvested whole, or its outcome says what is missing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import anyio
import pytest

from harvester.engine.resource_run import Outcome, Site
from harvester.engine.source import Blueprint, Source
from harvester.engine.supervisor import Supervisor
from harvester.errors import ConnectionFailed, CursorExpired, HarvesterError, ResourceRefused
from harvester.events import Event
from harvester.planning.closing import closing_walk
from harvester.planning.plan import Wanted, full_walks, with_parents
from harvester.store.files import DiskFs
from harvester.store.manifest import Manifest, read_manifest
from harvester.store.shards import Compression, read_lines
from harvester.wire.origin import Origin
from tests.fakes.clock import FakeClock, SeededRng
from tests.fakes.lake_server import LakeServer, Row, listings
from tests.fakes.lakeside import PROVIDER


class Bench:
    """One lake server and one output directory; every ``run`` is an attempt of its own."""

    def __init__(self, out: Path, tables: dict[str, list[Row]], *, page: int = 10, at_risk: int = 3) -> None:
        self.out, self.clock, self.at_risk = out, FakeClock(), at_risk
        self.server = LakeServer(tables, self.clock, page=page)
        self.fs = DiskFs(SeededRng(1))
        self.events: list[Event] = []
        self.stop = anyio.Event()
        self.fingerprint = "as configured"

    async def run(self, *resources: str, restart: bool = False) -> dict[str, Outcome]:
        wanted = with_parents(PROVIDER, [Wanted(resource=r) for r in PROVIDER.resources if r.name in resources])
        source = Source(
            name="lake",
            provider=PROVIDER,
            origin=Origin.parse("https://api.lakeside.example/odata"),
            connect=self.server.connect,
            blueprints=tuple(
                Blueprint(
                    resource=item.resource,
                    walks=partial(full_walks, PROVIDER, item),
                    close=partial(closing_walk, PROVIDER),
                    count=None,
                    fingerprint=self.fingerprint,
                )
                for item in wanted
            ),
            requests_at_risk=self.at_risk,
        )
        with ThreadPoolExecutor(1) as executor:
            site = Site(
                out=self.out,
                fs=self.fs,
                clock=self.clock,
                rng=SeededRng(len(self.events) + 7),
                sink=self.events.append,
                executor=executor,
                compression=Compression.ZSTD,
                shard_bytes=1 << 20,
                commit_seconds=60,
                stop=self.stop,
            )
            outcomes = await Supervisor([source], site, restart=restart).run()
        return {outcome.resource: outcome for outcome in outcomes}

    def runs(self, resource: str) -> list[Path]:
        return sorted((self.out / "source=lake" / f"resource={resource}").glob("run=*"))

    def manifest(self, resource: str) -> Manifest:
        manifest = read_manifest(self.fs, self.runs(resource)[-1])
        assert manifest is not None
        return manifest

    def lines(self, resource: str, kind: str = "part") -> list[Row]:
        return [
            json.loads(line)
            for run in self.runs(resource)
            for shard in sorted(run.glob(f"{kind}-*"))
            for line in read_lines(self.fs, shard)
        ]

    def keys(self, resource: str) -> list[str]:
        return sorted(str(row["ListingKey"]) for row in self.lines(resource))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return_value = tmp_path / "out"
    (return_value / "_harvester").mkdir(parents=True)
    return return_value


def failing_once(numbers: Sequence[int], error: HarvesterError) -> object:
    left = set(numbers)

    def before(number: int, url: str) -> HarvesterError | None:
        if number in left:
            left.discard(number)
            return error
        return None

    return before


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
    bench.server.before = failing_once([5], ConnectionFailed("the connection died"))  # type: ignore[assignment]
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
    rows = [{**row, "ModificationTimestamp": "2026-03-01T11:59:00Z"} for row in listings(30)]
    bench = Bench(out, {"Property": rows})
    await bench.run("Property")
    assert bench.keys("Property") == [f"{i:06d}" for i in range(30)]
    closing = next(walk for walk in bench.manifest("Property").walks if walk.phase == "closing")
    assert (closing.records, closing.duplicates) == (0, 30)


async def test_a_lost_cursor_begins_the_walk_again_and_writes_nothing_twice(out: Path) -> None:
    """FAULTS P08, S08."""
    bench = Bench(out, {"Property": listings(95)})
    bench.server.before = failing_once([6], CursorExpired("410"))  # type: ignore[assignment]
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert bench.keys("Property") == [f"{i:06d}" for i in range(95)]


async def test_a_stored_link_refused_after_a_restart_begins_the_walk_again(out: Path) -> None:
    """FAULTS S12: 404 on a later page is a dead cursor, not a dead resource."""
    bench = Bench(out, {"Property": listings(95)})
    bench.server.before = failing_once([5], ConnectionFailed("died"))  # type: ignore[assignment]
    await bench.run("Property")
    bench.server.before = failing_once([6], ResourceRefused("404", status=404))  # type: ignore[assignment]
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


async def test_a_failed_resource_does_not_stop_its_sibling_but_its_children(out: Path) -> None:
    """FAULTS R06, S11."""
    bench = Bench(out, {"Property": listings(15)})
    outcomes = await bench.run("Property", "Agent")
    assert outcomes["Property"].verdict == "complete"
    assert outcomes["Office"].verdict == "failed"
    assert outcomes["Agent"].reason == "needs Office, which failed"


async def test_finished_resources_of_an_interrupted_harvest_are_not_fetched_again(out: Path) -> None:
    bench = Bench(out, {"Property": listings(95), "Office": [{"OfficeKey": "A1"}]})
    bench.server.before = failing_once([8], ConnectionFailed("died"))  # type: ignore[assignment]
    outcomes = await bench.run("Property", "Office")
    assert outcomes["Office"].verdict == "complete"
    asked = len(bench.server.asked)
    outcomes = await bench.run("Property", "Office")
    assert {outcome.verdict for outcome in outcomes.values()} == {"complete"}
    assert not any("Office" in url for url in bench.server.asked[asked:])
    assert len(bench.runs("Office")) == 1


async def test_a_resource_that_has_finished_is_harvested_anew_when_asked_for_alone(out: Path) -> None:
    """A resource taken out of the configuration must not make every later run end at once with old data."""
    bench = Bench(out, {"Property": listings(95), "Office": [{"OfficeKey": "A1"}]})
    bench.server.before = failing_once([8], ConnectionFailed("died"))  # type: ignore[assignment]
    await bench.run("Property", "Office")
    bench.clock.advance(60)
    asked = len(bench.server.asked)
    await bench.run("Office")
    assert len(bench.server.asked) > asked
    assert (await bench.run("Property", "Office"))["Property"].verdict == "complete"
    assert bench.keys("Property") == [f"{i:06d}" for i in range(95)]


async def test_a_finished_harvest_is_followed_by_a_new_run(out: Path) -> None:
    bench = Bench(out, {"Property": listings(15)})
    await bench.run("Property")
    await bench.run("Property")
    assert [read_manifest(bench.fs, run) is not None for run in bench.runs("Property")] == [True, True]


async def test_an_unfinished_run_of_other_settings_is_left_alone(out: Path) -> None:
    bench = Bench(out, {"Property": listings(95)})
    bench.server.before = failing_once([5], ConnectionFailed("died"))  # type: ignore[assignment]
    await bench.run("Property")
    bench.fingerprint = "changed"
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "failed"
    assert "other settings" in outcome.reason
    assert (await bench.run("Property", restart=True))["Property"].verdict == "complete"
    assert len(bench.runs("Property")) == 1


async def test_a_server_that_repeats_its_pages_for_ever_is_given_up(out: Path) -> None:
    """FAULTS P03: the walk fails, it does not finish and it does not run for ever."""
    bench = Bench(out, {"Property": listings(10)})
    original = bench.server.answer
    bench.server.answer = lambda url: json.dumps(  # type: ignore[method-assign]
        {
            **json.loads(original("https://api.lakeside.example/odata/Property")),
            "@odata.nextLink": f"Property?$skiptoken={len(bench.server.asked)}",
        }
    ).encode()
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "failed"
    assert len(bench.server.asked) < 10


async def test_asked_to_stop_it_commits_what_it_has_and_goes_on_next_time(out: Path) -> None:
    """FAULTS R02."""
    bench = Bench(out, {"Property": listings(95)}, at_risk=100)

    def before(number: int, url: str) -> None:
        if number == 4:
            bench.stop.set()

    bench.server.before = before
    assert (await bench.run("Property"))["Property"].verdict == "interrupted"
    held = len(bench.lines("Property"))
    assert held >= 30
    bench.stop = anyio.Event()
    asked = len(bench.server.asked)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert len(bench.server.asked) - asked <= 10 - held // 10 + 2
    assert bench.keys("Property") == [f"{i:06d}" for i in range(95)]
