"""What the engine tells while it works, for whoever shows it."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

from harvester.events import Counted, PageFetched, ResourceFinished, ResourceStarted
from tests.fakes.fs import MemoryFs
from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import listings


async def test_a_count_is_told_once_as_soon_as_it_is_known(out: Path) -> None:
    bench = Bench(out, {"Property": listings(25)})
    bench.provider = replace(bench.provider, counts_pages=True)
    bench.server.claim = lambda url: 25
    await bench.run("Property")
    counted = [event for event in bench.events if isinstance(event, Counted)]
    assert [(event.resource, event.expected) for event in counted] == [("Property", 25)]
    (started,) = (event for event in bench.events if isinstance(event, ResourceStarted))
    assert started.walks == 1


async def test_a_resource_that_failed_counts_what_is_on_disk(out: Path) -> None:
    """FAULTS F01: what was read but could not be written is not there."""
    disk = MemoryFs()
    bench = Bench(out, {"Property": listings(50)}, at_risk=100, fs=disk)

    async def full_after_three_pages(url: str) -> None:
        if "$skiptoken=000039" in url:
            await bench.until(lambda: sum(isinstance(event, PageFetched) for event in bench.events) == 3)
            disk.fail("write", error=errno.ENOSPC, path="resource=Property", times=None)

    bench.server.delay = full_after_three_pages
    await bench.run("Property")
    (finished,) = (event for event in bench.events if isinstance(event, ResourceFinished))
    assert (finished.verdict, finished.records) == ("failed", 0)
