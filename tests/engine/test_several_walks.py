"""A resource read by several walks: what becomes durable in which order, and what a run says that lacks a part."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from harvester.engine.crew import Crew
from harvester.errors import ConnectionFailed, ResourceRefused
from harvester.model import Walk
from harvester.pagers.chain import ChainPager
from harvester.pagers.keyset import KeysetPager
from harvester.pagers.odata import ODataDialect
from harvester.planning.delta import standing_of
from harvester.providers.odata import count
from harvester.store.commits import CommitLog
from tests.fakes.cut_bench import cut_bench, times
from tests.fakes.lake_bench import Bench


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


# ------------------------------------------------------------------ deltas


def _touch(bench: Bench, rows: list[dict[str, str | int | None]], number: int) -> None:
    """The first *number* rows change, one a second from now on."""
    for place, row in enumerate(rows[:number]):
        row["ModificationTimestamp"] = f"{bench.clock.now() + timedelta(seconds=place):%Y-%m-%dT%H:%M:%SZ}"


async def test_a_delta_of_many_changes_is_read_in_windows_side_by_side(out: Path) -> None:
    """Together they are the whole delta: from its beginning on, without an end."""
    rows = times(400)
    bench = cut_bench(out, rows)
    await bench.run("Property")
    _touch(bench, rows, 300)
    bench.clock.advance(1_000)
    bench.mode = "delta"
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    manifest = bench.manifest("Property")
    parts = sorted(manifest.walks, key=lambda walk: walk.since or "")
    assert len(parts) > 3
    assert manifest.records == 300
    assert not any(walk.undated for walk in parts)
    assert [walk.until for walk in parts] == [*(walk.since for walk in parts[1:]), None]
    assert {walk.phase for walk in parts} == {"delta"}
    standing = standing_of([bench.manifest("Property", run) for run in (0, 1)])
    assert standing is not None
    assert standing.watermarks == {None: manifest.watermark}


async def test_a_delta_that_lacks_a_window_moves_no_watermark(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAULTS T09: the next one reads all of it again."""
    rows = times(400)
    bench = cut_bench(out, rows)
    await bench.run("Property")
    _touch(bench, rows, 300)
    bench.mode = "delta"
    family = Crew.family

    def without_one(crew: Crew, root: str) -> tuple[Walk, ...]:
        walks = family(crew, root)
        return tuple(walk for walk in walks if walk.id != "n00-2") if len(walks) > 3 else walks

    with monkeypatch.context() as patched:
        patched.setattr(Crew, "family", without_one)
        outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "no walk has read the records from" in outcome.reason
    bench.clock.advance(10)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert bench.manifest("Property").records == 300


async def test_windows_of_a_delta_that_died_are_gone_on_with(out: Path) -> None:
    """FAULTS R01, R03: what was cut stays cut, what was read is not read again, and the watermark moves once."""
    rows = times(400)
    bench = cut_bench(out, rows)
    await bench.run("Property")
    before = bench.manifest("Property").watermark
    _touch(bench, rows, 300)
    bench.mode = "delta"
    failures = {len(bench.server.asked) + 20: ConnectionFailed("died")}
    bench.server.before = lambda number, url: failures.pop(number, None)
    bench.clock.advance(60)
    assert (await bench.run("Property"))["Property"].verdict == "failed"
    cut = {path.name for path in (bench.runs("Property")[-1] / "_log").iterdir()}
    assert len(cut) > 1
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    manifest = bench.manifest("Property")
    assert cut <= {walk.id for walk in manifest.walks}
    assert manifest.records == 300
    assert (manifest.watermark or "") > (before or "")


async def test_a_window_of_a_delta_that_comes_empty_once_hides_nothing(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAULTS H11: the answer to another request. Behind a window in the midst the watermark would move on."""
    rows = times(400)
    bench = cut_bench(out, rows)
    await bench.run("Property")
    _touch(bench, rows, 300)
    bench.clock.advance(1_000)
    bench.mode = "delta"
    windows: list[tuple[str, str]] = []
    append = CommitLog.append

    def noted(log: CommitLog, *, walk: Walk, **fields: object) -> object:
        if walk.part_of and walk.since and walk.until:
            windows.append((f"ge%20{walk.since}", f"lt%20{walk.until}"))
        return append(log, walk=walk, **fields)  # type: ignore[arg-type]

    monkeypatch.setattr(CommitLog, "append", noted)
    hidden: list[str] = []

    def empty_once(number: int, body: bytes) -> bytes:
        url = bench.server.asked[number]
        if not hidden and any(low in url and high in url for low, high in windows):
            hidden.append(url)
            return b'{"value":[]}'
        return body

    bench.server.body = empty_once
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert hidden
    assert bench.manifest("Property").records == 300


# ------------------------------------------------------------------ another walk in the place of all parts


async def test_when_a_window_cannot_be_read_another_walk_reads_the_whole(out: Path) -> None:
    """FAULTS P15: after 12 requests the server does not keep to the order of time in one window. The others stop as
    well; what they had read is kept, and not written twice; a crash on the way changes nothing."""
    bench = cut_bench(out, times(400))
    by_key = KeysetPager(dialect=ODataDialect(), page_size=10, by="key", count=True)
    bench.provider = replace(
        bench.provider,
        pagers={**bench.provider.pagers, "ranges": by_key},
        instead={"windows": "ranges"},
        closing=None,
    )

    spoilt: list[str] = []

    def spoil(number: int, body: bytes) -> bytes:
        url = bench.server.asked[number]
        if number >= 12 and "$orderby=Modification" in url and "%20lt%20" in url:
            window = url[url.rindex("%20lt%20") : url.index("&$orderby")]
            spoilt.extend([] if spoilt else [window])
            if window == spoilt[0]:
                page = json.loads(body)
                page["value"].reverse()
                return json.dumps(page).encode()
        return body

    bench.server.body = spoil
    by_key_asked = 0

    def die_once(number: int, url: str) -> ConnectionFailed | None:
        nonlocal by_key_asked
        by_key_asked += "$orderby=ListingKey" in url
        return ConnectionFailed("died") if by_key_asked == 5 and "$orderby=ListingKey" in url else None

    bench.server.before = die_once
    assert (await bench.run("Property"))["Property"].verdict == "failed"
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    manifest = bench.manifest("Property")
    root = next(walk for walk in manifest.walks if walk.id == "w00")
    assert (root.pager, root.since, root.until) == ("ranges", None, None)
    assert {walk.pager for walk in manifest.walks if walk.id != "w00"} == {"windows"}
    assert bench.keys("Property") == sorted(str(row["ListingKey"]) for row in times(400))
    assert manifest.records == 400
    assert sum(entry.rows for entry in manifest.shards) == 400
    assert spoilt
    by_time = sum("$orderby=Modification" in url for url in bench.server.asked)
    assert by_time <= 40, by_time


async def test_what_reads_the_whole_is_held_against_the_count_of_the_whole(out: Path) -> None:
    """FAULTS P06: parts begun where the last run learned each count their own share; a chain that stands in for all of
    them and loses its link would be measured by the share of the first."""
    rows = times(400)
    bench = cut_bench(out, rows)
    bench.count = count
    bench.provider = replace(
        bench.provider,
        pagers={**bench.provider.pagers, "chain": ChainPager(prefer_page_size=True)},
        instead={"windows": "chain"},
        closing=None,
    )
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    bench.clock.advance(100)
    begun = len(bench.server.asked)

    def refuse(number: int, url: str) -> ResourceRefused | None:
        window = "%20lt%20" in url and "orderby=Modif" in url and "$skip" not in url
        return ResourceRefused("HTTP 400", status=400) if window and number > begun + 10 else None

    def lose_the_link(number: int, body: bytes) -> bytes:
        parts = urlsplit(bench.server.asked[number])
        if any(word in parts.query for word in ("$orderby", "$count", "$filter")):
            return body
        at = int(parse_qs(parts.query).get("$skiptoken", ["0"])[0])
        page: dict[str, object] = {"value": rows[at : at + 10]}
        if at + 10 < 300:
            page["@odata.nextLink"] = f"Property?$skiptoken={at + 10}"
        return json.dumps(page).encode()

    bench.server.before, bench.server.body = refuse, lose_the_link
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "the provider counts 400 records" in outcome.reason
