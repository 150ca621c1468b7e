"""Related sets as a program harvests them: replaced as sets, gone with their listings, honest where one is missing."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

import harvester
from harvester.api.ports import Ports
from harvester.api.status import status
from harvester.api.verify import verify
from harvester.api.view import view
from harvester.config.schema import ResourceConfig
from harvester.errors import ArgumentError, ConfigError, StorageError
from harvester.events import Event, PageFetched
from harvester.model import Budget
from harvester.sandbox.exchange import Reply, Sandbox
from harvester.sandbox.faults import Match, Rule
from harvester.sandbox.server import running_sandbox
from harvester.sandbox.settings import Settings
from harvester.store import layout
from harvester.store.lines import read_lines
from harvester.store.manifest import read_manifest, write_manifest
from harvester.store.runs import find_runs
from harvester.store.shardfile import ShardFile
from harvester.store.shards import Compression

PARENTS = {"spark": "listings", "spark_reso": "Property"}


class Bench:
    """A source with related sets and the sandbox it is harvested from."""

    def __init__(self, sandbox: Sandbox, out: Path, source: str, related: tuple[str, ...], **changes: Any) -> None:
        self.sandbox, self.out, self.source = sandbox, out, source
        config = harvester.parse_config(sandbox.config_toml(), overrides=[f"out={out}"])
        section = structs.replace(
            config.sources[source], **{"resources": (PARENTS[source],), "related": related, **changes}
        )
        self.config = structs.replace(config, sources={source: section})

    async def run(self, **options: Any) -> tuple[harvester.Report, list[str]]:
        """What became of it, and the paths that were asked for."""
        before = len(self.sandbox.log.of(self.source))
        report = await harvester.run(self.config, **options)
        return report, [entry.path for entry in self.sandbox.log.of(self.source)[before:]]

    def view(self, resource: str) -> set[bytes]:
        written: list[bytes] = []
        view(self.out, resource, write=written.append)
        return set(b"".join(written).split(b"\n")[:-1])

    def truth(self, resource: str) -> set[bytes]:
        return set(self.sandbox.simulator(self.source).truth(resource))


Begin = Callable[..., AbstractAsyncContextManager[Bench]]


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    @asynccontextmanager
    async def opened(
        source: str, *related: str, options: dict[str, Any] | None = None, **changes: Any
    ) -> AsyncIterator[Bench]:
        settings = Settings(seed=3, records=40, time_scale=3600, options={source: options} if options else {})
        async with running_sandbox(settings) as sandbox:
            yield Bench(sandbox, tmp_path / "out", source, related, **changes)

    return opened


@pytest.mark.parametrize("source", ["spark", "spark_reso"])
async def test_every_set_is_the_providers_after_a_delta_and_a_sweep(begin: Begin, source: str) -> None:
    """FAULTS T12, P12: as records, as runs that verify, and as numbers in the status."""
    async with begin(source, "all") as bench:
        report, _ = await bench.run()
        names = [each.resource for each in report.resources if each.resource != PARENTS[source]]
        assert len(names) == {"spark": 7, "spark_reso": 4}[source]
        bench.sandbox.mutate(40, source)
        for mode in ("delta", "sweep"):
            report, _ = await bench.run(mode=mode, allow_purge=mode == "sweep")
            assert report.complete, report
        for name in (PARENTS[source], *names):
            assert bench.view(name) == bench.truth(name), name
        assert (await verify(bench.out)).matches
        told = {row.resource: row.sets for row in status(bench.out).resources}
        assert set(names) < told.keys()


async def test_what_hangs_on_a_deleted_listing_goes_with_it(begin: Begin) -> None:
    """A sweep of the listings is enough; nothing of their media is asked for."""
    async with begin("spark_reso", "Media", "Room") as bench:
        await bench.run()
        bench.sandbox.mutate(60, "spark_reso")
        await bench.run()
        assert bench.view("Room") > bench.truth("Room")
        _, asked = await bench.run(mode="sweep", resources=["Property"], allow_purge=True)
        assert not [path for path in asked if "Media" in path or "Room" in path]
        await bench.run()
        for name in ("Property", "Media", "Room"):
            assert bench.view(name) == bench.truth(name)


async def test_a_run_of_what_was_pushed_changes_nothing_about_the_sets(begin: Begin) -> None:
    """It has no relation of its own, and lies on top of those that have one."""
    async with begin("spark_reso", "Media") as bench:
        await bench.run()
        bench.sandbox.mutate(40, "spark_reso")
        await bench.run()
        before = bench.view("Media")
        fs = Ports().fs
        last = find_runs(fs, bench.out, "spark_reso", "Media")[-1]
        manifest = read_manifest(fs, last.path)
        assert manifest is not None
        name = layout.run_name(manifest.finished, [last.name])
        pushed = layout.run_directory(bench.out, "spark_reso", "Media", name)
        fs.make_directory(pushed)
        nothing = structs.replace(
            manifest, run=name, mode="push", relation=None, parent_run="", sets=0, records=0, shards=()
        )
        write_manifest(fs, pushed, nothing)
        assert bench.view("Media") == before
        assert {each.mode for each in (await bench.run())[0].resources} == {"delta"}


async def test_a_related_resource_alone_brings_its_parent_along(begin: Begin) -> None:
    async with begin("spark_reso", "Media", "Room") as bench:
        report, _ = await bench.run(resources=["Media"])
        assert sorted(each.resource for each in report.resources) == ["Media", "Property"]
        assert bench.view("Media") == bench.truth("Media")


async def test_a_set_that_is_cut_inside_its_listing_is_fetched_by_itself(begin: Begin) -> None:
    """FAULTS P06: by its own path, which goes on to its end."""
    async with begin("spark_reso", "Room", "Unit", options={"nested": 1}, page_size=2) as bench:
        await bench.run()
        bench.sandbox.mutate(40, "spark_reso")
        _, asked = await bench.run()
        assert [path for path in asked if "$expand=" in path]
        alone = [path for path in asked if "/Room?" in path]
        assert [path for path in alone if "$skiptoken" in path], "a set of more than one page"
        for name in ("Property", "Room", "Unit"):
            assert bench.truth(name) <= bench.view(name)
        assert not [path for path in (await bench.run())[1] if "Property('" in path]


async def test_a_set_that_cannot_be_read_leaves_the_old_one_and_is_told(begin: Begin) -> None:
    """FAULTS S09: the run is incomplete and says why; the next one reads what was not read, and no more."""
    async with begin("spark_reso", "Media") as bench:
        await bench.run()
        before = bench.view("Media")
        bench.sandbox.mutate(40, "spark_reso")
        match = Match(provider="spark_reso", resource="Media", nth=2)
        bench.sandbox.faults.replace([Rule(fault="status:400", match=match, times=1)])
        report, asked = await bench.run()
        bench.sandbox.faults.replace([])
        (media,) = [each for each in report.resources if each.resource == "Media"]
        assert media.verdict == "incomplete"
        assert "1 set could not be read" in media.reason
        refused = [path for path in asked if "Media" in path][1]
        owner = refused.partition("('")[2].partition("'")[0].encode()
        assert {line for line in before if owner in line} <= bench.view("Media")
        again = [path for path in (await bench.run())[1] if "Media" in path]
        assert again == [refused]
        assert bench.truth("Media") <= bench.view("Media")


@pytest.mark.parametrize("answer", ["refused", "empty"])
async def test_one_answer_that_a_listing_is_not_there_loses_no_set(begin: Begin, answer: str) -> None:
    """FAULTS S09, P12: of a listing that is; whoever shares the answer asks again, alone."""
    async with begin("spark", "photos", "rooms") as bench:
        if answer == "refused":
            match = Match(provider="spark", path="_expand=")
            bench.sandbox.faults.replace([Rule(fault="status:404", match=match, times=1)])
        else:
            exchange, emptied = bench.sandbox.exchange, list[str]()

            async def emptying(**request: Any) -> Reply:
                reply = await exchange(**request)
                if "_expand=" in str(request["target"]) and not emptied:
                    emptied.append(str(request["target"]))
                    plain = (("Content-Type", "application/json"),)
                    return structs.replace(reply, headers=plain, body=b'{"D":{"Success":true,"Results":[]}}')
                return reply

            bench.sandbox.exchange = emptying  # type: ignore[method-assign]
        report, asked = await bench.run()
        assert report.complete, report
        assert len([path for path in asked if "_expand=" in path]) == 40 + 2
        for name in ("listings/photos", "listings/rooms"):
            assert bench.view(name) == bench.truth(name)


async def test_a_listing_that_is_twice_not_there_has_no_set_and_is_no_failure(begin: Begin) -> None:
    """FAULTS P12."""
    async with begin("spark", "photos") as bench:
        await bench.run(resources=["listings"])
        truth = bench.truth("listings/photos")
        key = min(json.loads(line)["_ListingKey"] for line in truth)
        match = Match(provider="spark", path=f"listings/{key}")
        bench.sandbox.faults.replace([Rule(fault="status:404", match=match, times=1000)])
        report, asked = await bench.run()
        assert report.complete, report
        assert len([path for path in asked if f"listings/{key}" in path]) == 2
        assert (
            bench.view("listings/photos") == {line for line in truth if json.loads(line)["_ListingKey"] != key} < truth
        )


async def test_a_damaged_set_gives_no_line(begin: Begin) -> None:
    """FAULTS F07: as many lines, a whole file, and not what was sealed."""
    async with begin("spark_reso", "Room") as bench:
        await bench.run()
        bench.sandbox.mutate(40, "spark_reso")
        await bench.run()
        bench.view("Room")
        fs = Ports().fs
        last = find_runs(fs, bench.out, "spark_reso", "Room")[-1]
        name = max(each for each in fs.names(last.path) if each.startswith("sets-"))
        lines = [re.sub(rb'"keys":\[[^]]*\]', b'"keys":[]', line) + b"\n" for line in read_lines(fs, last.path / name)]
        fs.remove(last.path / name)
        shard = ShardFile(fs, last.path, name, Compression.ZSTD)
        shard.write(lines, len(lines), None, None)
        shard.seal()
        with pytest.raises(StorageError, match="has other content than when it was sealed"):
            bench.view("Room")


async def test_where_no_set_can_be_read_not_all_of_them_are_tried(begin: Begin) -> None:
    async with begin("spark_reso", "Media") as bench:
        await bench.run()
        bench.sandbox.mutate(60, "spark_reso")
        match = Match(provider="spark_reso", resource="Media")
        bench.sandbox.faults.replace([Rule(fault="status:400", match=match, times=1000)])
        report, asked = await bench.run()
        (media,) = [each for each in report.resources if each.resource == "Media"]
        assert media.verdict == "failed"
        assert len([path for path in asked if "Media" in path]) < 12
        bench.sandbox.faults.replace([])
        report, _ = await bench.run()
        assert report.complete
        assert bench.truth("Media") <= bench.view("Media")


async def test_the_set_of_another_listing_is_not_taken(begin: Begin) -> None:
    """FAULTS H11: it is asked for again."""
    async with begin("spark_reso", "Media") as bench:
        await bench.run()
        bench.sandbox.mutate(40, "spark_reso")
        exchange = bench.sandbox.exchange
        asked: list[str] = []

        async def crossed(**request: Any) -> Reply:
            target = str(request["target"])
            if "/Media" in target:
                asked.append(target)
                if len(asked) == 3:  # the answer to the request before
                    request["target"] = asked[1]
            return await exchange(**request)

        bench.sandbox.exchange = crossed  # type: ignore[method-assign]
        report, _ = await bench.run()
        assert report.complete
        assert len(asked) == len(set(asked)) + 1
        assert bench.truth("Media") <= bench.view("Media")


async def test_listings_whose_selection_hides_every_stamp_are_refused(begin: Begin) -> None:
    async with begin("spark_reso", "Media", select=("ListPrice",)) as bench:
        with pytest.raises(ConfigError, match="selected without PhotosChangeTimestamp"):
            await bench.run()


async def test_a_filtered_set_is_refused(begin: Begin) -> None:
    table = ResourceConfig(name="Media", filter="Order eq 1")
    async with begin("spark_reso", "Media", resource=(table,)) as bench:
        with pytest.raises(ConfigError, match="whole or not at all"):
            await bench.run()


async def test_a_stream_of_what_exists_only_as_sets_is_refused(begin: Begin) -> None:
    async with begin("spark", "photos") as bench, harvester.open(bench.config) as session:
        with pytest.raises(ArgumentError, match="set by set"):
            async for _ in session.pages("spark", "listings/photos"):
                pass


async def test_other_settings_of_the_listings_read_everything_again(begin: Begin) -> None:
    """What belongs to which listing may be another thing then."""
    async with begin("spark", "photos") as bench:
        _, asked = await bench.run()
        whole = len([path for path in asked if "/listings/" in path])
        (section,) = bench.config.sources.values()
        changed = structs.replace(section, filter="MlsStatus Eq 'Active'", walk="pages")
        bench.config = structs.replace(bench.config, sources={"spark": changed})
        report, asked = await bench.run()
        modes = {each.resource: each.mode for each in report.resources}
        assert modes == {"listings": "full", "listings/photos": "full"}
        assert 0 < len([path for path in asked if "/listings/" in path]) < whole


async def test_what_was_read_before_a_crash_is_not_asked_for_again(begin: Begin) -> None:
    """FAULTS R05: but for what was at risk, of any of the resources that share the answers."""
    async with begin("spark", "photos", "rooms") as bench:
        bench.config = structs.replace(bench.config, max_requests_at_risk=5)
        fetched = 0

        def watch(event: Event) -> None:
            nonlocal fetched
            fetched += isinstance(event, PageFetched) and event.resource == "listings/rooms"
            if fetched == 23:
                process.cancel()

        process = asyncio.ensure_future(bench.run(sink=watch))
        with pytest.raises(asyncio.CancelledError):
            await process
        first = [entry.path for entry in bench.sandbox.log.of("spark") if "/listings/" in entry.path]
        report, second = await bench.run()
        assert report.complete
        again = [path for path in second if "/listings/" in path]
        lost = len(first) + len(again) - 40
        assert 0 <= lost <= 5 + bench.config.sources["spark"].budget.over(Budget()).in_flight
        for name in ("listings/photos", "listings/rooms"):
            assert bench.view(name) == bench.truth(name)


async def test_a_first_harvest_that_goes_on_later_is_as_new_as_the_listings_it_began_with(begin: Begin) -> None:
    """FAULTS T09: what changed between its two parts is asked for by the next delta."""
    async with begin("spark_reso", "Media", page_size=10) as bench:
        match = Match(provider="spark_reso", resource="Media", nth=4)
        bench.sandbox.faults.replace([Rule(fault="status:403", match=match, times=1)])
        report, _ = await bench.run()
        assert {each.resource: each.verdict for each in report.resources} == {"Property": "complete", "Media": "failed"}
        bench.sandbox.faults.replace([])
        bench.sandbox.mutate(40, "spark_reso")
        report, _ = await bench.run()
        assert {each.resource: each.mode for each in report.resources} == {"Property": "delta", "Media": "full"}
        _, asked = await bench.run()
        assert [path for path in asked if "Media" in path]
        truth, listings = bench.truth("Media"), bench.truth("Property")
        living = {json.loads(line)["ListingKey"] for line in listings}
        held = {line for line in bench.view("Media") if json.loads(line)["ResourceRecordKey"] in living}
        assert held == truth


async def test_stamps_of_a_harvest_that_lacks_something_are_not_taken_for_held(begin: Begin) -> None:
    """FAULTS P06, T09: on top of a complete one, it knows what every listing told and not every set."""
    async with begin("spark_reso", "Media", page_size=10) as bench:
        await bench.run()
        bench.sandbox.mutate(40, "spark_reso")
        match = Match(provider="spark_reso", resource="Media")
        bench.sandbox.faults.replace([Rule(fault="next:drop", match=match, times=1000)])
        report, _ = await bench.run(mode="full")
        bench.sandbox.faults.replace([])
        assert {each.resource: each.verdict for each in report.resources} == {
            "Property": "complete",
            "Media": "incomplete",
        }
        report, _ = await bench.run()
        assert {each.mode for each in report.resources} == {"delta"}
        assert bench.truth("Media") <= bench.view("Media")


async def test_a_first_harvest_that_had_only_noted_the_stamps_is_not_gone_on_with_as_a_sweep(begin: Begin) -> None:
    """FAULTS T09: the sets that belong to those stamps are still to be read."""
    async with begin("spark_reso", "Media", page_size=10) as bench:
        await bench.run()
        bench.sandbox.mutate(40, "spark_reso")
        match = Match(provider="spark_reso", resource="Media")
        bench.sandbox.faults.replace([Rule(fault="status:403", match=match, times=1)])
        await bench.run(mode="full")
        bench.sandbox.faults.replace([])
        await bench.run(mode="sweep", allow_purge=True)
        await bench.run()
        living = {json.loads(line)["ListingKey"] for line in bench.truth("Property")}
        held = {line for line in bench.view("Media") if json.loads(line)["ResourceRecordKey"] in living}
        assert held == bench.truth("Media")


async def test_a_set_of_which_a_page_is_missing_is_none(begin: Begin) -> None:
    """FAULTS P06: a link that is left out is seen by the count; the old set stays, and is told to."""
    async with begin("spark_reso", "Media", page_size=1) as bench:
        await bench.run()
        bench.sandbox.mutate(30, "spark_reso")
        match = Match(provider="spark_reso", resource="Media")
        bench.sandbox.faults.replace([Rule(fault="next:drop", match=match, p=0.5, times=1000)])
        report, _ = await bench.run()
        bench.sandbox.faults.replace([])
        (media,) = [each for each in report.resources if each.resource == "Media"]
        assert media.verdict != "complete"
        assert "the server counts" in media.reason
        report, _ = await bench.run()
        assert report.complete
        assert bench.truth("Media") <= bench.view("Media")


async def test_a_run_that_reads_no_set_costs_no_request_and_is_complete(begin: Begin) -> None:
    async with begin("spark_reso", "all") as bench:
        await bench.run()
        report, asked = await bench.run()
        assert report.complete
        assert {each.requests for each in report.resources if each.resource != "Property"} == {0}
        assert len(asked) == 1


async def test_a_delta_without_a_harvest_of_the_sets_is_refused(begin: Begin) -> None:
    async with begin("spark", "photos") as bench:
        await bench.run(resources=["listings"])
        report, _ = await bench.run(mode="delta")
        told = {each.resource: (each.verdict, each.reason) for each in report.resources}
        assert told["listings"] == ("complete", "")
        assert "--mode full" in told["listings/photos"][1]
        report, _ = await bench.run()
        assert {each.resource: each.mode for each in report.resources}["listings/photos"] == "full"


async def test_a_proof_of_the_sets_that_can_be_read_together_is_one(begin: Begin) -> None:
    async with begin("spark_reso", "Media") as bench:
        report, asked = await bench.run(prove=True)
        assert report.complete
        assert [path for path in asked if "$select=MediaKey" in path]
        bench.sandbox.mutate(30, "spark_reso")
        report, _ = await bench.run()
        assert {each.mode for each in report.resources} == {"delta"}
        assert bench.truth("Media") <= bench.view("Media")


# ------------------------------------------------------------------ expansions inside the records


async def test_an_expanded_set_that_goes_on_behind_a_link_is_told(begin: Begin) -> None:
    """FAULTS P06: the record came, and what was asked for inside it is not all."""
    options = {"nested": 1, "expand_in_full": True}
    async with begin("spark_reso", options=options, expand="Room", walk="chain_with_expand") as bench:
        report, _ = await bench.run()
        (listings,) = report.resources
        assert listings.verdict == "incomplete"
        assert "goes on behind a link" in listings.reason
        held = [json.loads(line) for line in bench.view("Property")]
        cut = [each for each in held if "Room@odata.nextLink" in each]
        assert listings.reason.startswith(f"{len(cut)} records")


async def test_nested_expansions_arrive_as_the_bytes_they_are(tmp_path: Path) -> None:
    """Centris contract, section 4: also in a delta, and two levels deep."""
    expand = "Media(select=MediaURL,Order),Expenses(expand=Translations)"
    bodies: list[bytes] = []
    async with running_sandbox(Settings(seed=3, records=60, time_scale=3600)) as sandbox:
        exchange = sandbox.exchange

        async def overheard(**asked: Any) -> Reply:
            reply = await exchange(**asked)
            bodies.append(reply.body)
            return reply

        sandbox.exchange = overheard  # type: ignore[method-assign]

        async def harvested(out: Path, rounds: int) -> set[bytes]:
            whole = harvester.parse_config(sandbox.config_toml(), overrides=[f"out={out}"])
            section = structs.replace(whole.sources["centris"], resources=("Property",), expand=expand)
            for round_ in range(rounds):
                report = await harvester.run(structs.replace(whole, sources={"centris": section}))
                assert report.complete
                if round_ + 1 < rounds:
                    sandbox.mutate(20, "centris")
            written: list[bytes] = []
            view(out, "Property", write=written.append)
            return set(b"".join(written).split(b"\n")[:-1])

        kept = await harvested(tmp_path / "kept", 2)
        fresh = await harvested(tmp_path / "fresh", 1)
        assert fresh <= kept, "what the delta brought is what a full harvest brings"
        everything = b"\n".join(bodies)
        assert all(line in everything for line in fresh)
        records = [json.loads(line) for line in fresh]
        assert any(expense["Translations"] for record in records for expense in record["Expenses"])
        assert {name for record in records for media in record["Media"] for name in media} == {"MediaURL", "Order"}
