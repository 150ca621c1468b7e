"""A program that keeps the records itself gets every one of them, and its position moves when it says so."""

from __future__ import annotations

import errno
import gc
import json
from pathlib import Path

import anyio
import pytest

from harvester.engine.stream import DeliveredPage
from harvester.errors import CursorExpired, PageTooLarge, StorageError
from tests.fakes.fs import MemoryFs
from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import Row, failing_at, listings

EVERY_KEY = [f"{i:06d}" for i in range(35)]


def rows_of(page: DeliveredPage) -> list[Row]:
    return [json.loads(record) for record in page.records]


def keys_of(page: DeliveredPage) -> list[object]:
    return [row["ListingKey"] for row in rows_of(page)]


async def first_page(bench: Bench, resource: str) -> list[Row]:
    """What a program got that ended behind its first page, which it has committed."""
    rows: list[Row] = []
    async with bench.stream(resource) as pages:
        async for page in pages:
            rows += rows_of(page)
            await page.commit()
            break
    return rows


async def all_pages(bench: Bench, resource: str) -> list[Row]:
    """What a program gets that commits each page and goes on to the end."""
    rows: list[Row] = []
    async with bench.stream(resource) as pages:
        async for page in pages:
            rows += rows_of(page)
            await page.commit()
    return rows


async def test_a_page_refused_while_the_one_before_it_is_loaded_comes_in_smaller_parts(out: Path) -> None:
    """FAULTS S09."""
    bench = Bench(out, {"Property": listings(35)})
    bench.server.before = failing_at({2}, PageTooLarge("413", page_size=5))
    keys: list[object] = []
    async with bench.stream("Property") as pages:
        async for page in pages:
            await anyio.wait_all_tasks_blocked()  # the next page arrives meanwhile
            keys += keys_of(page)
            await page.commit()
    assert keys == EVERY_KEY


async def test_a_position_that_the_server_has_forgotten_brings_pages_again_and_loses_none(out: Path) -> None:
    """FAULTS S12, P08: the token is dead; the ones that the server issues afterwards are good."""
    bench = Bench(out, {"Property": listings(35)})
    rows = await first_page(bench, "Property")
    bench.server.before = failing_at({len(bench.server.asked)}, CursorExpired("410"))
    rows += await all_pages(bench, "Property")
    assert sorted({str(row["ListingKey"]) for row in rows}) == EVERY_KEY


async def test_a_walk_keeps_its_position_when_another_value_comes_before_its_own(out: Path) -> None:
    """The parent has a new record, and it is the first: every walk has another place than it had."""
    tables: dict[str, list[Row]] = {
        "Office": [{"OfficeKey": "B2"}],
        "Office('A1')/Agent": [{"AgentKey": "1"}],
        "Office('B2')/Agent": [{"AgentKey": "2"}, {"AgentKey": "3"}],
    }
    bench = Bench(out, tables)
    rows = await first_page(bench, "Agent")
    bench.server.tables["Office"].append({"OfficeKey": "A1"})
    rows += await all_pages(bench, "Agent")
    assert sorted((row["_OfficeKey"], row["AgentKey"]) for row in rows) == [("A1", "1"), ("B2", "2"), ("B2", "3")]


async def test_what_changed_between_two_attempts_comes_at_the_end_of_the_second(out: Path) -> None:
    """The closing delta begins at the first page of the first attempt, days ago."""
    bench = Bench(out, {"Property": listings(35)})
    await first_page(bench, "Property")
    changed: Row = {"ListingKey": "000000", "ModificationTimestamp": "2026-03-01T12:00:00Z", "Remarks": "changed"}
    bench.server.tables["Property"][0] = changed
    bench.clock.advance(3 * 86400)
    assert changed in await all_pages(bench, "Property")


async def test_a_last_page_committed_after_the_loop_lets_the_next_stream_begin_anew(out: Path) -> None:
    bench = Bench(out, {"Property": listings(35)})
    async with bench.stream("Property") as stream:
        pages = [page async for page in stream]
        await pages[-1].commit()
    assert len(await all_pages(bench, "Property")) == 35


async def test_nothing_has_to_be_committed_behind_the_last_record(out: Path) -> None:
    """The closing delta brings nothing new: no page of it is delivered, and yet the stream has ended."""
    bench = Bench(out, {"Property": [{**row, "ModificationTimestamp": "2026-03-01T12:00:00Z"} for row in listings(35)]})
    for _ in range(3):
        async with bench.stream("Property") as pages:
            keys = []
            async for page in pages:
                assert page.records
                keys += keys_of(page)
                await page.commit()
        assert keys == EVERY_KEY


async def test_a_commit_that_failed_is_none(out: Path) -> None:
    """FAULTS F01: nobody is told that the page is committed already, and the next stream brings it again."""
    disk = MemoryFs()
    bench = Bench(out, {"Property": listings(35)}, fs=disk)
    disk.fail("write", error=errno.ENOSPC, path="_log")
    async with bench.stream("Property") as pages:
        async for page in pages:
            for _ in range(2):
                with pytest.raises(StorageError):
                    await page.commit()
            break
    assert len(await all_pages(bench, "Property")) == 35


async def test_a_stream_that_is_left_early_leaves_nothing_open(out: Path, recwarn: pytest.WarningsRecorder) -> None:
    """The next page is under way when the program ends the loop."""
    await first_page(Bench(out, {"Property": listings(35)}), "Property")
    for _ in range(5):  # the loop ends what the program has dropped, one generator after the other
        await anyio.lowlevel.checkpoint()
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []
