"""A resource read by several walks: what becomes durable in which order, and what a run says that lacks a part."""

from __future__ import annotations

from pathlib import Path

import pytest

from harvester.engine.crew import Crew
from harvester.errors import ConnectionFailed, ResourceRefused
from harvester.model import Walk
from harvester.store.commits import CommitLog
from tests.fakes.cut_bench import cut_bench, times


async def test_a_part_is_durable_before_the_walk_it_was_cut_from_ends_earlier(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = cut_bench(out, times(400))
    appended: list[tuple[str, str | None, str | None]] = []
    append = CommitLog.append

    def noted(log: CommitLog, *, walk: Walk, **fields: object) -> object:
        commit = append(log, walk=walk, **fields)  # type: ignore[arg-type]
        appended.append((walk.id, walk.since, walk.until))
        return commit

    monkeypatch.setattr(CommitLog, "append", noted)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    begins = {name: place for place, (name, _, _) in reversed(list(enumerate(appended)))}
    cuts = [(place, until) for place, (name, _, until) in enumerate(appended) if name == "w00" and until is not None]
    assert cuts
    place, until = cuts[0]
    child = next(name for name, since, _ in appended if since == until)
    assert begins[child] < place


async def test_the_parts_are_told_in_the_manifest_and_meet(out: Path) -> None:
    bench = cut_bench(out, times(400))
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    parts = [walk for walk in bench.manifest("Property").walks if walk.phase == "full"]
    assert len(parts) > 3
    assert sum(walk.undated for walk in parts) == 1
    dated = [walk for walk in parts if not walk.undated]
    begins = {walk.since for walk in dated}
    (end,) = {walk.until for walk in dated} - begins  # the last one's, where the closing delta takes over
    assert {walk.until for walk in dated} - {end} == begins - {None}
    assert sorted(bench.keys("Property")) == sorted(str(row["ListingKey"]) for row in times(400))


async def test_rows_without_a_time_come_with_a_walk_of_their_own(out: Path) -> None:
    """FAULTS T04: no window holds a null."""
    rows = times(400)
    for row in rows[::50]:
        row["ModificationTimestamp"] = None
    bench = cut_bench(out, rows)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert len(set(bench.keys("Property"))) == 400


async def test_a_run_without_a_part_is_not_complete(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check is of its own: whatever lost the part, the union of the walks is not the whole."""
    bench = cut_bench(out, times(400))
    family = Crew.family

    def without_one(crew: Crew, root: str) -> tuple[Walk, ...]:
        walks = family(crew, root)
        return tuple(walk for walk in walks if walk.id != "w00-2") if len(walks) > 4 else walks

    monkeypatch.setattr(Crew, "family", without_one)
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "no walk has read the records from" in outcome.reason


async def test_a_server_that_refuses_to_tell_rows_without_a_time_ends_as_incomplete(out: Path) -> None:
    bench = cut_bench(out, times(400))
    refusal = ResourceRefused("HTTP 400", status=400)
    bench.server.before = lambda number, url: refusal if "eq%20null" in url else None
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "without a modification time cannot be asked for" in outcome.reason


async def test_parts_of_an_earlier_attempt_are_gone_on_with(out: Path) -> None:
    """FAULTS R01: nothing is cut anew that was cut already, and nothing is read twice."""
    bench = cut_bench(out, times(400))
    failures = {30: ConnectionFailed("died")}
    bench.server.before = lambda number, url: failures.pop(number, None)
    assert (await bench.run("Property"))["Property"].verdict == "failed"
    cut = {path.name for path in (bench.runs("Property")[0] / "_log").iterdir()}
    assert len(cut) > 2
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert cut <= {walk.id for walk in bench.manifest("Property").walks}
    assert len(bench.keys("Property")) == len(set(bench.keys("Property"))) == 400
