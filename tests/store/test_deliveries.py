"""Signed posts that were taken are known again, for as long as their signatures would be believed."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath

import pytest

from harvester.errors import StorageError
from harvester.store.deliveries import Deliveries
from tests.fakes.executors import InlineExecutor
from tests.fakes.fs import MemoryFs

DIRECTORY = PurePosixPath("/out/_harvester/inbox/centris/posts")
NOW = 1_000_000.0


async def opened(fs: MemoryFs, now: float = NOW) -> Deliveries:
    deliveries = Deliveries(fs, DIRECTORY, InlineExecutor(), 600.0)
    await deliveries.open(now)
    return deliveries


@pytest.mark.parametrize("seed", range(8))
async def test_what_was_taken_is_known_after_power_is_lost(seed: int) -> None:
    """FAULTS W02."""
    fs = MemoryFs()
    first = await opened(fs)
    await asyncio.gather(*(first.put(f"msg_{number}", NOW + number) for number in range(50)))
    again = await opened(fs.crash(seed), NOW + 60)
    assert all(again.has(f"msg_{number}") for number in range(50))
    assert not again.has("msg_50")
    thrice = await opened(fs.crash(seed), NOW + 61)
    assert thrice.has("msg_7")


async def test_posts_that_arrive_together_share_a_sync() -> None:
    fs = MemoryFs()
    deliveries = await opened(fs)
    await deliveries.put("first", NOW)
    before = fs.disk.calls["fsync"]
    await asyncio.gather(*(deliveries.put(f"msg_{number}", NOW) for number in range(500)))
    assert fs.disk.calls["fsync"] - before <= 2
    assert deliveries.has("msg_499")


async def test_what_nobody_would_believe_any_more_is_forgotten_on_disk_too() -> None:
    """FAULTS F12: files do not grow for ever."""
    fs = MemoryFs()
    deliveries = await opened(fs)
    for second in range(0, 20_000, 10):
        await deliveries.put(f"msg_{second}", NOW + second)
    sizes = [fs.size(path) for path in fs.walk(DIRECTORY)]
    assert sum(sizes) < 200 * 60
    again = await opened(fs, NOW + 20_000)
    assert again.has("msg_19990")
    assert not again.has("msg_19000")


async def test_a_disk_that_fails_is_told_and_the_next_post_is_kept() -> None:
    """FAULTS F03: what a failed sync left is not trusted."""
    fs = MemoryFs()
    deliveries = await opened(fs)
    await deliveries.put("one", NOW)
    fs.fail("fsync")
    with pytest.raises(StorageError):
        await deliveries.put("two", NOW)
    await deliveries.put("three", NOW)
    assert (await opened(fs.crash(1), NOW)).has("three")
