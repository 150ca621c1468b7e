"""That no link comes proves no end: deltas and closing deltas are whole, or say that they may not be (FAULTS P06)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harvester.errors import ConnectionFailed
from harvester.model import PageRequest
from harvester.pagers.chain import ChainPager
from tests.engine.test_deltas import DAY, brought, change, harvested
from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import failing_on, listings, offices

FORTY = [f"{index:06d}" for index in range(40)]


def asked(bench: Bench, part: str) -> list[str]:
    return [url for url in bench.server.asked if part in url]


async def test_a_link_that_was_left_out_once_costs_one_request(out: Path) -> None:
    bench = await harvested(out)
    change(bench, *FORTY[:35])
    bench.server.drops = lambda number, url: number == 1
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert sorted(str(row["ListingKey"]) for row in brought(bench)) == FORTY[:35]
    assert len(bench.server.asked) == 4 + 1 + 1, "pages, the one without a link again, and the count"


async def test_a_delta_whose_links_stay_away_is_incomplete_and_the_next_one_reads_its_span_again(out: Path) -> None:
    bench = await harvested(out)
    watermark = bench.manifest("Property").watermark
    change(bench, *FORTY)
    bench.server.drops = lambda number, url: "$filter" in url
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "counts 40 changed records, 30 more than could be read" in outcome.reason
    assert [gap.missing for gap in bench.manifest("Property").gaps] == [30]
    bench.server.drops = lambda number, url: False
    bench.clock.advance(DAY)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert {str(row["ListingKey"]) for row in brought(bench)} == set(FORTY)
    since = bench.manifest("Property").walks[0].since
    assert since is not None
    assert watermark is not None
    assert since < watermark


async def test_a_delta_without_changes_asks_for_no_count(out: Path) -> None:
    bench = await harvested(out)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert len(bench.server.asked) == 1


async def test_what_changes_behind_the_position_is_no_gap(out: Path) -> None:
    """The count is asked for after the walk, which passed the place where a record has come since."""
    bench = await harvested(out)
    change(bench, *FORTY[10:40])

    def before(number: int, url: str) -> None:
        if "$count" in url and len(asked(bench, "$count")) == 1:
            bench.clock.advance(5)
            change(bench, *FORTY[:3])

    bench.server.before = before
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert len(asked(bench, " lt ".replace(" ", "%20"))) == 1, "asked again, up to when the walk began"


@pytest.mark.parametrize("again", [FORTY[:10], FORTY[10:20]], ids=["behind the position", "before it"])
async def test_what_was_met_and_changes_again_hides_no_gap(out: Path, again: list[str]) -> None:
    """FAULTS P06: as many as are left out of the count did not come, because the second page has lost its link."""
    bench = await harvested(out)
    change(bench, *FORTY[:30])

    def before(number: int, url: str) -> None:
        if number == 1:
            bench.clock.advance(5)
            for row in bench.server.tables["Property"]:
                if row["ListingKey"] in again:
                    row["ModificationTimestamp"] = bench.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    bench.server.before = before
    bench.server.drops = lambda number, url: "000009" in url
    watermark = bench.manifest("Property").watermark
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "10 more than could be read" in outcome.reason
    bench.server.drops = lambda number, url: False
    bench.clock.advance(DAY)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert {str(row["ListingKey"]) for row in brought(bench)} >= set(FORTY[:30])
    assert (bench.manifest("Property").walks[0].since or "") < (watermark or "")


@pytest.mark.parametrize("counts", [True, False])
async def test_a_full_last_page_is_the_end_where_the_count_says_so(out: Path, counts: bool) -> None:
    bench = await harvested(out)
    change(bench, *FORTY)
    bench.server.counts = counts
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == ("complete" if counts else "incomplete")
    assert counts or "nothing shows that the last page" in outcome.reason
    assert {str(row["ListingKey"]) for row in brought(bench)} == set(FORTY)


async def test_a_short_last_page_is_the_end_where_nothing_is_counted(out: Path) -> None:
    bench = await harvested(out)
    change(bench, *FORTY[:35])
    bench.server.counts = False
    assert (await bench.run("Property"))["Property"].verdict == "complete"


async def test_a_short_page_shows_nothing_where_another_was_short(out: Path) -> None:
    """FAULTS P04: 10, 3 and 5 records; the third page may have lost its link."""
    bench = await harvested(out)
    change(bench, *FORTY)
    bench.server.counts = False
    sizes = iter([10, 3, 5])

    def shorten(number: int, url: str) -> None:
        bench.server.page = next(sizes, 5)

    bench.server.before = shorten
    bench.server.drops = lambda number, url: "000012" in url
    assert (await bench.run("Property"))["Property"].verdict == "incomplete"


async def test_a_count_of_everything_is_not_one_of_what_changed(out: Path) -> None:
    """FAULTS P15: a server whose counts ignore the filter claims all its records."""
    bench = await harvested(out)
    change(bench, *FORTY[:35])
    bench.server.claim = lambda url: 95 if "$count" in url else None
    assert (await bench.run("Property"))["Property"].verdict == "complete"


async def test_nothing_changed_although_everything_is_counted(out: Path) -> None:
    """FAULTS P15: a first page that is empty, and tells the count of all records."""
    bench = await harvested(out)
    bench.server.claim = lambda url: 95
    assert (await bench.run("Property"))["Property"].verdict == "complete"


async def test_a_count_below_what_came_is_no_proof_of_a_full_page_being_the_last(out: Path) -> None:
    """FAULTS P13."""
    bench = await harvested(out)
    change(bench, *FORTY)
    bench.server.drops = lambda number, url: "000019" in url
    bench.server.claim = lambda url: 20 if "$count" in url else None
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "counts 20 changed records where 30 came" in outcome.reason


async def test_records_that_come_twice_count_once(out: Path) -> None:
    """FAULTS P10: thirty records on four pages are not forty."""
    bench = await harvested(out)
    change(bench, *FORTY)
    bench.server.drops = lambda number, url: "000019" in url
    bench.server.body = lambda number, body: body.replace(b"000022", b"000002").replace(b"000023", b"000003")
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "12 more than could be read" in outcome.reason


async def test_a_delta_that_was_broken_off_counts_what_it_had(out: Path) -> None:
    bench = await harvested(out)
    change(bench, *FORTY)
    bench.at_risk = 1
    bench.server.before = failing_on("000019", ConnectionFailed("died"))
    assert (await bench.run("Property"))["Property"].verdict == "failed"
    bench.server.before = lambda number, url: None
    bench.server.asked.clear()
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert len(bench.server.asked) == 2 + 1 + 1, "two pages, the last one again, and the count"


async def test_a_closing_delta_whose_links_stay_away_leaves_the_run_incomplete(out: Path) -> None:
    """The records that changed are held, as they were: a count of all of them misses nothing."""
    bench = Bench(out, {"Property": listings(60)})
    bench.count = lambda walk: PageRequest(url="Property?$count=true")

    def before(number: int, url: str) -> None:
        if "000049" in url and "$filter" not in url:
            bench.clock.advance(3600)
            change(bench, *FORTY, price=7)

    bench.server.before = before
    bench.server.drops = lambda number, url: "$filter" in url
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "30 more than could be read" in outcome.reason
    assert {walk.id[0] for walk in bench.manifest("Property").walks} == {"w", "c", "d", "e"}


async def test_a_set_read_for_its_changes_is_short_although_nothing_of_it_changed(out: Path) -> None:
    """What is found as it was held is met, too; what does not come may have changed."""
    bench = Bench(out, {"Property": listings(5), "Office": offices(40)})
    await bench.run("Property", "Office")
    bench.clock.advance(DAY)
    bench.mode = "delta"
    bench.server.tables["Office"][35]["Name"] = "new"
    bench.server.drops = lambda number, url: "Office" in url
    outcome = (await bench.run("Office"))["Office"]
    assert outcome.verdict == "incomplete"
    assert "30 more than could be read" in outcome.reason
    bench.server.drops = lambda number, url: False
    assert (await bench.run("Office"))["Office"].verdict == "complete"
    assert [row["OfficeKey"] for row in brought(bench, resource="Office")] == ["035"]


async def test_a_new_value_of_the_parent_is_read_whole_or_the_delta_is_incomplete(out: Path) -> None:
    tables: dict[str, list[dict[str, object]]] = {
        "Office": [{"OfficeKey": "A1"}],
        "Office('A1')/Agent": [{"AgentKey": f"{index}"} for index in range(3)],
        "Office('B2')/Agent": [{"AgentKey": f"{index:03d}"} for index in range(40)],
    }
    bench = Bench(out, tables)
    await bench.run("Agent")
    bench.clock.advance(DAY)
    bench.mode = "auto"
    tables["Office"].append({"OfficeKey": "B2"})
    bench.server.drops = lambda number, url: "B2" in url and "skiptoken" in url
    outcome = (await bench.run("Agent"))["Agent"]
    assert outcome.verdict == "incomplete"
    assert "counts 40 records, 20 more than could be read (B2)" in outcome.reason


async def test_a_first_page_that_tells_the_count_spares_the_question(out: Path) -> None:
    """As those of Spark RESO do."""
    bench = Bench(out, {"Property": listings(95)})
    chain = ChainPager(page_size=100, page_size_parameter="$top", count=True)
    bench.provider = replace(bench.provider, pagers={"chain": chain}, counts_pages=True)
    bench.count = lambda walk: PageRequest(url="Property?$count=true")
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    bench.clock.advance(DAY)
    bench.mode = "delta"
    bench.server.asked.clear()
    change(bench, *FORTY)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert len(bench.server.asked) == 4


@pytest.mark.parametrize("rows", [35, 40])
async def test_a_full_walk_that_nobody_counts_ends_at_a_short_page(out: Path, rows: int) -> None:
    """FAULTS P13, P06: a full page without a link may have lost it."""
    bench = Bench(out, {"Property": listings(rows)})
    bench.server.counts = False
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == ("complete" if rows == 35 else "incomplete")
    assert rows == 35 or "nothing shows that the last page was the last" in outcome.reason
    assert rows == 35 or "run with --prove" in outcome.reason


@pytest.mark.parametrize(("lasting", "verdict"), [(False, "complete"), (True, "incomplete")])
async def test_a_full_walk_that_nobody_counts_misses_its_link(out: Path, lasting: bool, verdict: str) -> None:
    bench = Bench(out, {"Property": listings(95)})
    bench.server.counts = False
    bench.server.drops = lambda number, url: "000019" in url and (lasting or url not in bench.server.asked[:-1])
    assert (await bench.run("Property"))["Property"].verdict == verdict
    assert (bench.keys("Property") == [f"{index:06d}" for index in range(95)]) is not lasting


async def test_a_count_below_what_a_full_walk_brought_does_not_end_it(out: Path) -> None:
    """FAULTS P13, P06: it is half of what there is, and the fourth page lost its link."""
    bench = Bench(out, {"Property": listings(60)})
    bench.count = lambda walk: PageRequest(url="Property?$count=true")
    bench.server.claim = lambda url: 30 if "$count" in url else None
    bench.server.drops = lambda number, url: "000029" in url
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "counts 30 records where 40 came" in outcome.reason


async def test_a_listing_of_keys_that_may_have_lost_its_link_proves_nothing(out: Path) -> None:
    """FAULTS T10, P06: it holds what the run holds, because both ended at the same page."""
    bench = Bench(out, {"Property": listings(60)})
    bench.prove, bench.server.counts = True, False
    bench.server.drops = lambda number, url: "000029" in url
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "nothing shows that the last page of the listing" in outcome.reason
