"""A provider's count can show that records are missing, and never that none are (FAULTS P13)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harvester.errors import ConnectionFailed
from harvester.model import PageRequest, Walk
from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import failing_on, listings

QUESTION = "Property?$count=true"
NOW = "2026-03-01T12:00:00Z"  # after the anchor, so that a closing delta brings it


def ask(walk: Walk) -> PageRequest:
    return PageRequest(url=QUESTION)


async def test_records_behind_a_missing_link_are_missed(out: Path) -> None:
    """FAULTS P06."""
    bench = Bench(out, {"Property": listings(35)})
    bench.count = ask
    bench.server.claim = lambda url: 35 if QUESTION in url else None
    bench.server.drops = lambda number, url: "000009" in url
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "counts 35 records, 15 more than could be read" in outcome.reason


async def test_a_count_that_the_server_refuses_fails_nothing(out: Path) -> None:
    bench = Bench(out, {"Property": listings(15)})
    bench.count = lambda walk: PageRequest(url="Property/$count")
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    manifest = bench.manifest("Property")
    assert (manifest.count_before, manifest.count_after) == (None, None)


async def test_a_count_that_is_told_before_and_not_after_still_counts(out: Path) -> None:
    """FAULTS P06: an answer without a number is not the number zero."""
    bench = Bench(out, {"Property": listings(15)})
    bench.provider = replace(bench.provider, counts_pages=True)
    bench.count = ask
    bench.server.claim, bench.server.counts = lambda url: 20 if QUESTION not in url else None, False
    assert (await bench.run("Property"))["Property"].verdict == "incomplete"
    manifest = bench.manifest("Property")
    assert (manifest.count_before, manifest.count_after) == (20, None)


async def test_records_that_keep_coming_are_no_gap(out: Path) -> None:
    """Between the last page and each count there is a new record; the count from before the walk was reached."""
    bench = Bench(out, {"Property": listings(15)})
    bench.count = ask
    rows = bench.server.tables["Property"]

    def claim(url: str) -> int | None:
        if QUESTION not in url:
            return None
        if len(bench.server.asked) > 1:
            rows.append({"ListingKey": f"{len(rows):06d}", "ModificationTimestamp": NOW})
        return len(rows)

    bench.server.claim = claim
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    manifest = bench.manifest("Property")
    assert (manifest.count_before, manifest.count_after) == (15, 16)


async def test_a_further_closing_round_that_was_broken_off_is_part_of_the_totals(out: Path) -> None:
    """FAULTS T02: 25 records are counted before they can be seen, so the run closes again, and dies of it.

    The next attempt finds nothing missing; what that round has written is in the shards, needed or not.
    """
    bench = Bench(out, {"Property": listings(15)})
    bench.count = ask
    rows = bench.server.tables["Property"]
    counts = 0

    def claim(url: str) -> int | None:
        nonlocal counts
        counts += QUESTION in url
        if counts == 2 and len(rows) == 15:
            rows.extend({**row, "ModificationTimestamp": NOW} for row in listings(25, start=15))
        return 40 if QUESTION in url and counts <= 2 else len(rows) if QUESTION in url else None

    bench.server.claim = claim
    bench.server.before = failing_on("$skiptoken=000024", ConnectionFailed("died"))
    assert (await bench.run("Property"))["Property"].verdict == "failed"
    bench.server.before = lambda number, url: None
    del rows[25:]
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    manifest = bench.manifest("Property")
    assert manifest.records == sum(shard.rows for shard in manifest.shards) == 25
