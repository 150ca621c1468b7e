"""A harvest that was broken off is gone on with where it stands; one that has ended is followed by a new one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio

from harvester.engine.site import Outcome
from harvester.errors import ConnectionFailed, QuotaExhausted, ResourceRefused
from harvester.model import PageRequest
from harvester.store.manifest import read_manifest
from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import failing_at, failing_on, listings, offices

DAY = 86400.0
EVERY_KEY = [f"{i:06d}" for i in range(95)]
DIED = ConnectionFailed("the connection died")
NOTHING = failing_at((), DIED)


def verdicts(outcomes: dict[str, Outcome]) -> dict[str, str]:
    return {name: outcome.verdict for name, outcome in outcomes.items()}


async def broken_off(out: Path) -> Bench:
    """A harvest whose offices are complete and whose listings are not."""
    bench = Bench(out, {"Property": listings(95), "Office": offices(1)})
    bench.server.before = failing_on("000069", DIED)
    assert verdicts(await bench.run("Property", "Office")) == {"Property": "failed", "Office": "complete"}
    bench.server.before = NOTHING
    bench.clock.advance(DAY)
    return bench


async def test_what_has_finished_in_a_harvest_broken_off_is_not_fetched_again(out: Path) -> None:
    bench = await broken_off(out)
    asked = len(bench.server.asked)
    assert verdicts(await bench.run("Property", "Office")) == {"Property": "complete", "Office": "complete"}
    assert not any("Office" in url for url in bench.server.asked[asked:])
    assert bench.keys("Property") == EVERY_KEY
    assert len(bench.runs("Office")) == len(bench.runs("Property")) == 1


async def test_a_source_that_had_finished_is_not_fetched_again_when_another_was_stopped(out: Path) -> None:
    """FAULTS R01, R02: sources end at different times; a restart goes on with the harvest of all of them."""
    bench = Bench(out, {"Property": listings(95), "Office": offices(1)})

    def stop_late(number: int, url: str) -> None:
        if "000069" in url:
            bench.stop.set()

    bench.server.before = stop_late
    assert verdicts(await bench.run_side_by_side(lake="Property", pond="Office")) == {
        "Property": "interrupted",
        "Office": "complete",
    }
    bench.server.before, bench.stop = NOTHING, anyio.Event()
    bench.clock.advance(DAY)
    asked = len(bench.server.asked)
    assert set(verdicts(await bench.run_side_by_side(lake="Property", pond="Office")).values()) == {"complete"}
    assert not any("Office" in url for url in bench.server.asked[asked:])


async def test_a_spent_quota_breaks_a_harvest_off_and_does_not_end_it(out: Path) -> None:
    """Exit status 75: run again later, and nothing is asked for twice."""
    bench = Bench(out, {"Property": listings(95), "Office": offices(1)})
    bench.server.before = failing_on("000069", QuotaExhausted("later"))
    outcome = (await bench.run("Property", "Office"))["Property"]
    assert outcome.error is not None
    assert outcome.error.exit_status == 75
    bench.server.before = NOTHING
    asked = len(bench.server.asked)
    assert verdicts(await bench.run("Property", "Office")) == {"Property": "complete", "Office": "complete"}
    assert not any("Office" in url for url in bench.server.asked[asked:])
    assert bench.keys("Property") == EVERY_KEY


async def test_what_has_finished_is_harvested_anew_when_asked_for_alone(out: Path) -> None:
    """A resource taken out of the configuration must not make every later run end at once with old data."""
    bench = await broken_off(out)
    bench.server.tables["Office"] = offices(2)
    assert verdicts(await bench.run("Office")) == {"Office": "complete"}
    assert bench.manifest("Office").records == 2


async def test_an_old_run_is_finished_beside_a_new_one_of_its_sibling(out: Path) -> None:
    """The sibling was harvested alone meanwhile: what it was in the old run is old data, not "complete"."""
    bench = await broken_off(out)
    await bench.run("Office")
    bench.clock.advance(DAY)
    bench.server.tables["Office"] = offices(2)
    assert verdicts(await bench.run("Property", "Office")) == {"Property": "complete", "Office": "complete"}
    assert bench.manifest("Office").records == 2
    assert bench.keys("Property") == EVERY_KEY


async def test_giving_up_one_resource_leaves_its_sibling_where_it_stands(out: Path) -> None:
    """And what is newer never lies under an older name: readers take the last run."""
    bench = Bench(out, {"Property": listings(95), "Office": offices(35)})
    bench.server.before = failing_on("$skiptoken=", DIED)
    assert verdicts(await bench.run("Property", "Office")) == {"Property": "failed", "Office": "failed"}
    begun = bench.runs("Office")
    bench.server.before = NOTHING
    bench.clock.advance(DAY)
    assert verdicts(await bench.run("Property", restart=True)) == {"Property": "complete"}
    bench.clock.advance(DAY)
    bench.server.tables["Property"] = listings(96)
    assert verdicts(await bench.run("Property", "Office")) == {"Property": "complete", "Office": "complete"}
    assert bench.manifest("Property").records == 96
    assert bench.runs("Office") == begun


async def test_a_resource_refused_for_good_does_not_keep_its_siblings_at_the_first_day(out: Path) -> None:
    """FAULTS S11: every day the offices are refused, and every day the listings are read."""
    bench = Bench(out, {"Property": listings(15)})
    assert verdicts(await bench.run("Property", "Office")) == {"Property": "complete", "Office": "failed"}
    bench.clock.advance(DAY)
    bench.server.tables["Property"] = listings(40)
    assert verdicts(await bench.run("Property", "Office")) == {"Property": "complete", "Office": "failed"}
    assert bench.manifest("Property").records == 40


async def test_a_finished_harvest_is_followed_by_a_new_run(out: Path) -> None:
    bench = Bench(out, {"Property": listings(15)})
    await bench.run("Property")
    await bench.run("Property")
    assert [read_manifest(bench.fs, run) is not None for run in bench.runs("Property")] == [True, True]


async def test_an_unfinished_run_of_other_settings_is_left_alone(out: Path) -> None:
    bench = Bench(out, {"Property": listings(95)})
    bench.server.before = failing_at({5}, DIED)
    await bench.run("Property")
    bench.fingerprints = {"Property": "changed"}
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "failed"
    assert "other settings" in outcome.reason
    assert (await bench.run("Property", restart=True))["Property"].verdict == "complete"
    assert len(bench.runs("Property")) == 1


async def test_what_has_finished_under_other_settings_is_not_reported_complete(out: Path) -> None:
    bench = await broken_off(out)
    bench.fingerprints = {"Office": "without the filter"}
    outcome = (await bench.run("Property", "Office"))["Office"]
    assert outcome.verdict == "failed"
    assert "other settings" in outcome.reason


async def test_settings_that_were_refused_at_once_may_be_mended(out: Path) -> None:
    """FAULTS S09: an attempt that has read nothing leaves nothing to be gone on with."""
    bench = Bench(out, {"Property": listings(15)})
    bench.server.before = failing_at({0}, ResourceRefused("400: the filter is wrong", status=400))
    assert verdicts(await bench.run("Property")) == {"Property": "failed"}
    assert bench.runs("Property") == []
    bench.fingerprints = {"Property": "with a better filter"}
    assert verdicts(await bench.run("Property")) == {"Property": "complete"}


async def test_an_anchor_that_was_not_told_is_asked_for_by_the_next_attempt(out: Path) -> None:
    """Without it the closing delta would begin at the beginning of time."""
    bench = Bench(out, {"Property": listings(35)})
    bench.provider = replace(bench.provider, anchor=lambda walk: PageRequest(url="Property?anchor"))
    bench.server.before = failing_at({0}, DIED)
    assert verdicts(await bench.run("Property")) == {"Property": "failed"}
    assert verdicts(await bench.run("Property")) == {"Property": "complete"}
    manifest = bench.manifest("Property")
    closing = next(walk for walk in manifest.walks if walk.phase == "closing")
    # Half of the ten rows that were asked for come behind it: one dated in the future hides nothing (FAULTS T05).
    assert (manifest.watermark, closing.since) == ("2026-01-05T00:00:00Z", "2026-01-04T23:55:00Z")
