"""A program that keeps the records itself takes what changed since it had everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from harvester.errors import ConfigError, ConnectionFailed, FilterIgnored
from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import Row, failing_at, listings
from tests.fakes.swept_lake import DAY

NEW = "2026-03-02T11:00:00Z"
EMPTY: list[str] = []


async def taken(bench: Bench, mode: str, *, pages: int | None = None) -> list[str]:
    """Keys that a program gets that commits each page; *pages*: of so many only, then it ends."""
    keys: list[str] = []
    async with bench.stream("Property", mode) as stream:
        async for page in stream:
            keys += [str(row["ListingKey"]) for row in page.decode(dict)]
            await page.commit()
            if pages is not None and (pages := pages - 1) == 0:
                break
    return keys


async def had(out: Path, count: int = 35) -> Bench:
    """A program that had everything a day ago; some rows have changed since."""
    bench = Bench(out, {"Property": listings(count)})
    assert len(await taken(bench, "full")) == count
    bench.clock.advance(DAY)
    bench.server.asked.clear()
    return bench


def change(bench: Bench, *places: int, at: str = NEW) -> None:
    rows: list[Row] = bench.server.tables["Property"]
    for place in places:
        rows[place] = {**rows[place], "ModificationTimestamp": at}


async def test_a_delta_brings_what_changed_and_the_next_one_what_changed_since(out: Path) -> None:
    bench = await had(out)
    change(bench, 3, 20)
    assert await taken(bench, "delta") == ["000003", "000020"]
    assert len(bench.server.asked) == 1
    bench.clock.advance(DAY)
    change(bench, 5, at="2026-03-03T11:00:00Z")
    assert await taken(bench, "delta") == ["000005"]


def since_of(url: str) -> str:
    """The day from which on changes are asked for."""
    return url.replace("%3A", ":").partition("gt%20")[2].partition("T11:55:00Z")[0]


async def test_the_watermark_moves_with_what_came_and_stays_where_nothing_did(out: Path) -> None:
    """FAULTS H11: an empty page may be the answer to another request."""
    bench = await had(out)
    assert await taken(bench, "delta") == EMPTY
    bench.clock.advance(DAY)
    change(bench, 4)
    assert await taken(bench, "auto") == ["000004"]
    bench.clock.advance(DAY)
    assert await taken(bench, "auto") == EMPTY
    bench.clock.advance(DAY)
    assert await taken(bench, "auto") == EMPTY
    assert [since_of(url) for url in bench.server.asked] == ["2026-03-01", "2026-03-01", "2026-03-03", "2026-03-03"]


async def test_without_a_full_stream_there_is_nothing_to_go_on_from(out: Path) -> None:
    bench = Bench(out, {"Property": listings(35)})
    with pytest.raises(ConfigError, match="Take a full one first"):
        await taken(bench, "delta")
    assert len(await taken(bench, "auto")) == 35


async def test_a_full_stream_that_was_not_taken_to_its_end_is_gone_on_with_first(out: Path) -> None:
    bench = Bench(out, {"Property": listings(35)})
    first = await taken(bench, "full", pages=2)
    assert sorted(first + await taken(bench, "auto")) == [f"{number:06d}" for number in range(35)]
    bench.clock.advance(DAY)
    change(bench, 1)
    assert await taken(bench, "auto") == ["000001"]


async def test_the_watermark_moves_only_when_every_page_of_a_delta_is_committed(out: Path) -> None:
    """FAULTS T09: what was delivered and not committed comes again, however long ago that was."""
    bench = await had(out)
    change(bench, *range(25))
    async with bench.stream("Property", "delta") as stream:
        async for _ in stream:
            break
    bench.clock.advance(DAY)
    assert await taken(bench, "delta", pages=1) == [f"{number:06d}" for number in range(10)]
    bench.clock.advance(DAY)
    assert await taken(bench, "full") == [f"{number:06d}" for number in range(10, 25)]  # as it was begun
    bench.clock.advance(DAY)
    assert await taken(bench, "delta") == EMPTY


async def test_a_delta_that_fails_is_gone_on_with(out: Path) -> None:
    """FAULTS R01."""
    bench = await had(out)
    change(bench, *range(25))
    bench.server.before = failing_at({1}, ConnectionFailed("died"))
    with pytest.raises(ConnectionFailed):
        await taken(bench, "delta")
    bench.server.before = lambda number, url: None
    assert sorted(set(await taken(bench, "delta"))) == [f"{number:06d}" for number in range(10, 25)]


async def test_other_settings_begin_anew(out: Path) -> None:
    bench = await had(out)
    bench.fingerprints["Property"] = "with another filter"
    with pytest.raises(ConfigError):
        await taken(bench, "delta")
    assert len(await taken(bench, "auto")) == 35
    bench.clock.advance(DAY)
    bench.fingerprints.clear()
    assert len(await taken(bench, "auto")) == 35  # as it was at first: what came since lies on top of that


async def test_a_server_that_ignores_the_filter_ends_the_stream_and_moves_nothing(out: Path) -> None:
    """FAULTS P15."""
    bench = await had(out)
    bench.server.ignores_filter = True
    with pytest.raises(FilterIgnored):
        await taken(bench, "delta")
    bench.server.ignores_filter = False
    bench.clock.advance(DAY)
    change(bench, 7)
    assert "000007" in await taken(bench, "delta")


async def test_what_is_kept_between_streams_does_not_grow(out: Path) -> None:
    bench = await had(out)
    for _ in range(5):
        bench.clock.advance(DAY)
        await taken(bench, "delta")
    kept = out / "_harvester" / "positions" / "source=lake" / "resource=Property"
    assert sorted(path.name for run in kept.iterdir() for path in run.iterdir()) == ["_manifest.json"] * 2
