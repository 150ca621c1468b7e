"""A delta brings what changed since the last success, and leaves nothing out when it was broken off in between."""

from __future__ import annotations

from pathlib import Path

import anyio

from harvester.errors import ConfigError, ConnectionFailed
from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import Row, failing_at, failing_on, listings, offices

DAY = 86400.0
DIED = ConnectionFailed("the connection died")
NOTHING = failing_at((), DIED)


async def harvested(out: Path, rows: int = 95) -> Bench:
    """A complete harvest of yesterday, and a delta to come."""
    bench = Bench(out, {"Property": listings(rows), "Office": offices(12)})
    assert (await bench.run("Property", "Office"))["Property"].verdict == "complete"
    bench.clock.advance(DAY)
    bench.mode = "delta"
    bench.server.asked.clear()
    return bench


def change(bench: Bench, *keys: str, price: int = 1) -> None:
    """Change rows now, or add them."""
    rows = bench.server.tables["Property"]
    now = bench.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    for key in keys:
        rows[:] = [row for row in rows if row["ListingKey"] != key]
        rows.append({"ListingKey": key, "ModificationTimestamp": now, "ListPrice": price})


def brought(bench: Bench, run: int = -1, resource: str = "Property") -> list[Row]:
    """The records of one run."""
    directory = bench.runs(resource)[run]
    return [row for row, path in bench.lines_and_runs(resource) if path == directory]


async def test_a_delta_brings_what_changed_and_what_is_new_and_nothing_else(out: Path) -> None:
    bench = await harvested(out)
    change(bench, "000007", "000094", "999999")
    outcomes = await bench.run("Property")
    assert outcomes["Property"].verdict == "complete"
    assert sorted(str(row["ListingKey"]) for row in brought(bench)) == ["000007", "000094", "999999"]
    manifest = bench.manifest("Property")
    assert (manifest.mode, manifest.records, [walk.phase for walk in manifest.walks]) == ("delta", 3, ["delta"])


async def test_a_delta_without_changes_is_one_request(out: Path) -> None:
    bench = await harvested(out)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert len(bench.server.asked) == 1
    assert bench.manifest("Property").records == 0


async def test_each_delta_starts_where_the_last_successful_one_began(out: Path) -> None:
    """Not where it ended: what changed while it was under way is met again (FAULTS T02)."""
    bench = await harvested(out)
    began = bench.clock.now()
    change(bench, "000007")
    await bench.run("Property")
    assert bench.manifest("Property").watermark == began.strftime("%Y-%m-%dT%H:%M:%SZ")
    bench.clock.advance(DAY)
    await bench.run("Property")
    since = bench.manifest("Property").walks[0].since
    assert since is not None
    assert since < began.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert since > (began.replace(hour=began.hour - 1)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_what_an_empty_answer_to_another_request_hid_comes_with_the_next_delta(out: Path) -> None:
    """FAULTS H11: nothing tells it from a span in which nothing changed, so that span is asked for again."""
    bench = await harvested(out)
    change(bench, "000007", "000011")
    bench.clock.advance(3600)  # longer than the overlap, which would hide it
    bench.server.body = lambda number, body: b'{"value": []}'
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    bench.server.body = lambda number, body: body
    bench.clock.advance(DAY)
    change(bench, "000022")
    await bench.run("Property")
    assert sorted(str(row["ListingKey"]) for row in brought(bench)) == ["000007", "000011", "000022"]


async def test_a_delta_that_failed_moves_no_watermark(out: Path) -> None:
    """FAULTS T09: the next one reads its span again."""
    bench = await harvested(out)
    change(bench, *(f"{index:06d}" for index in range(40)))
    bench.server.before = failing_on("000019", DIED)
    assert (await bench.run("Property"))["Property"].verdict == "failed"
    bench.server.before = NOTHING
    bench.clock.advance(DAY)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert len(bench.runs("Property")) == 2, "the unfinished delta was gone on with"
    assert len(brought(bench)) == 40
    assert len({str(row["ListingKey"]) for row in brought(bench)}) == 40


async def test_a_delta_broken_off_is_gone_on_with_from_the_same_instant_in_any_mode(out: Path) -> None:
    bench = await harvested(out)
    change(bench, *(f"{index:06d}" for index in range(40)))
    bench.server.before = failing_on("000019", DIED)
    await bench.run("Property")
    asked = next(url for url in bench.server.asked if "$filter" in url)
    bench.server.before, bench.mode = NOTHING, "auto"
    bench.clock.advance(DAY)
    change(bench, "000050")  # after the beginning, and found by its link or by the next delta
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert bench.manifest("Property").mode == "delta"
    assert (bench.manifest("Property").walks[0].since or "?") in asked.replace("%3A", ":")


async def test_auto_reads_everything_until_there_is_a_complete_harvest(out: Path) -> None:
    bench = Bench(out, {"Property": listings(30)})
    bench.mode = "auto"
    bench.doubt = "the server ignores $filter"
    modes = []
    for _ in range(4):
        await bench.run("Property")
        modes.append((bench.manifest("Property").mode, bench.manifest("Property").verdict))
        bench.doubt = ""
        bench.clock.advance(DAY)
    assert modes == [("full", "incomplete"), ("full", "complete"), ("delta", "complete"), ("delta", "complete")]


async def test_a_delta_that_has_nothing_to_go_on_from_says_so(out: Path) -> None:
    bench = Bench(out, {"Property": listings(30)})
    bench.mode = "delta"
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "failed"
    assert isinstance(outcome.error, ConfigError)
    assert "--mode full" in outcome.reason
    assert bench.server.asked == []
    assert bench.runs("Property") == []


async def test_a_harvest_with_other_settings_is_no_ground_for_a_delta(out: Path) -> None:
    bench = await harvested(out)
    bench.mode, bench.fingerprints = "auto", {"Property": "with another select"}
    await bench.run("Property")
    assert bench.manifest("Property").mode == "full"
    assert bench.manifest("Property").records == 95


async def test_of_a_set_that_cannot_be_asked_for_changes_only_the_changed_are_written(out: Path) -> None:
    bench = await harvested(out)
    table = bench.server.tables["Office"]
    table[3] = {"OfficeKey": "003", "Name": "Lac", "City": "Québec"}
    table.append({"OfficeKey": "777"})
    await bench.run("Office")
    assert sorted(str(row["OfficeKey"]) for row in brought(bench, resource="Office")) == ["003", "777"]
    bench.clock.advance(DAY)
    table[3] = {"OfficeKey": "003", "City": "Québec", "Name": "Lac"}  # the same, said in another order
    await bench.run("Office")
    assert brought(bench, resource="Office") == []
    bench.clock.advance(DAY)
    table[3] = {"OfficeKey": "003"}  # as it was before: that is a change, too
    await bench.run("Office")
    assert brought(bench, resource="Office") == [{"OfficeKey": "003"}]


async def test_a_record_that_was_found_gone_and_comes_back_as_it_was_is_a_change(out: Path) -> None:
    """FAULTS T12: without it the tombstone would stay the last word."""
    bench = await harvested(out)
    table = bench.server.tables["Office"]
    row = table.pop(3)
    bench.mode = "sweep"
    assert (await bench.run("Office"))["Office"].verdict == "complete"
    assert bench.manifest("Office").tombstones == 1
    bench.clock.advance(DAY)
    bench.mode = "delta"
    table.insert(3, row)
    await bench.run("Office")
    assert brought(bench, resource="Office") == [row]


async def test_what_a_run_holds_in_several_versions_is_taken_for_changed(out: Path) -> None:
    """Which of the two a reader takes is not for a delta to guess."""
    bench = Bench(out, {"Office": [{"OfficeKey": "1", "Name": "old"}, {"OfficeKey": "1", "Name": "new"}]})
    await bench.run("Office")
    bench.clock.advance(DAY)
    bench.mode = "delta"
    bench.server.tables["Office"].pop(0)
    await bench.run("Office")
    assert brought(bench, resource="Office") == [{"OfficeKey": "1", "Name": "new"}]


async def test_a_number_that_becomes_text_is_a_change(out: Path) -> None:
    bench = Bench(out, {"Office": [{"OfficeKey": "1", "Share": 1.5}, {"OfficeKey": "2", "Share": 1.5}]})
    await bench.run("Office")
    bench.clock.advance(DAY)
    bench.mode = "delta"
    bench.server.tables["Office"][0]["Share"] = "1.5"
    await bench.run("Office")
    assert brought(bench, resource="Office") == [{"OfficeKey": "1", "Share": "1.5"}]


async def test_settings_that_come_back_are_harvested_anew(out: Path) -> None:
    """What other settings brought lies on top: a delta from before would leave it there."""
    bench = await harvested(out)
    bench.mode = "auto"
    for fingerprint in ("another select", "as configured"):
        bench.fingerprints = {"Property": fingerprint}
        await bench.run("Property")
        assert (bench.manifest("Property").mode, bench.manifest("Property").records) == ("full", 95)
        bench.clock.advance(DAY)
    await bench.run("Property")
    assert bench.manifest("Property").mode == "delta"


async def test_a_server_that_tells_no_time_moves_no_watermark(out: Path) -> None:
    """FAULTS T05, T06: what it brought last may be dated in the future, and says nothing of rows it brought before."""
    bench = await harvested(out)
    bench.server.tells_time = False
    bench.mode = "full"
    await bench.run("Property")
    bench.mode = "delta"
    bench.server.tables["Property"].append({"ListingKey": "999999", "ModificationTimestamp": "2036-01-01T00:00:00Z"})
    for price in (1, 2):
        bench.clock.advance(DAY)
        change(bench, "000007", price=price)
        assert (await bench.run("Property"))["Property"].verdict == "complete"
        assert {"000007"} <= {str(row["ListingKey"]) for row in brought(bench) if row.get("ListPrice") == price}


async def test_a_resource_that_others_take_values_from_is_read_whole(out: Path) -> None:
    """Or a delta would know only the new values, and leave out what changed below the others."""
    tables: dict[str, list[Row]] = {
        "Office": [{"OfficeKey": "A1"}],
        "Office('A1')/Agent": [{"AgentKey": "1"}, {"AgentKey": "2"}],
        "Office('B2')/Agent": [{"AgentKey": "1"}],
    }
    bench = Bench(out, tables)
    await bench.run("Agent")
    bench.clock.advance(DAY)
    bench.mode = "auto"
    tables["Office"].append({"OfficeKey": "B2"})
    tables["Office('A1')/Agent"].append({"AgentKey": "3"})
    outcomes = await bench.run("Agent")
    assert {outcome.verdict for outcome in outcomes.values()} == {"complete"}
    assert (bench.manifest("Office").mode, bench.manifest("Agent").mode) == ("full", "delta")
    found = sorted((str(row["_OfficeKey"]), str(row["AgentKey"])) for row in brought(bench, resource="Agent"))
    assert found == [("A1", "3"), ("B2", "1")]


async def test_a_set_read_for_its_changes_goes_on_after_a_crash_without_writing_twice(out: Path) -> None:
    bench = await harvested(out)
    table = bench.server.tables["Office"]
    table[:] = [{"OfficeKey": f"{index:03d}", "Name": "new"} for index in range(60)]
    bench.at_risk = 1
    bench.server.before = failing_on("029", DIED)
    assert (await bench.run("Office"))["Office"].verdict == "failed"
    bench.server.before, bench.stop = NOTHING, anyio.Event()
    assert (await bench.run("Office"))["Office"].verdict == "complete"
    assert sorted(str(row["OfficeKey"]) for row in brought(bench, resource="Office")) == [
        f"{index:03d}" for index in range(60)
    ]


async def test_each_walk_of_a_delta_broken_off_keeps_its_value_and_its_beginning(out: Path) -> None:
    tables: dict[str, list[Row]] = {
        "Office": [{"OfficeKey": "A1"}, {"OfficeKey": "B2"}],
        "Office('A1')/Agent": [{"AgentKey": f"{index}"} for index in range(3)],
        "Office('B2')/Agent": [{"AgentKey": f"{index}"} for index in range(3)],
    }
    bench = Bench(out, tables)
    await bench.run("Agent")
    bench.clock.advance(DAY)
    bench.mode = "delta"
    tables["Office('A1')/Agent"] += [{"AgentKey": f"a{index:02d}"} for index in range(25)]
    tables["Office('B2')/Agent"] += [{"AgentKey": f"b{index:02d}"} for index in range(25)]
    bench.at_risk = 1
    bench.server.before = failing_on("b16", DIED)
    assert (await bench.run("Agent"))["Agent"].verdict == "failed"
    bench.server.before = NOTHING
    outcome = (await bench.run("Agent"))["Agent"]
    assert (outcome.verdict, outcome.reason) == ("complete", "")
    found = sorted((str(row["_OfficeKey"]), str(row["AgentKey"])) for row in brought(bench, resource="Agent"))
    wanted = [(office, f"{office[0].lower()}{n:02d}") for office in ("A1", "B2") for n in range(25)]
    assert found == sorted(wanted)
