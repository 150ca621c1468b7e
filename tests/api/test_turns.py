"""Who may write: the parts of a process side by side, never two of one resource, and never beside another process."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from harvester.api.turns import Turns, lock_file
from harvester.errors import Locked
from harvester.store.files import DiskFs
from tests.fakes.clock import FakeClock, SeededRng


class Bench:
    """A directory, its lock of the source ``lake``, and who waited for it."""

    def __init__(self, out: Path) -> None:
        self.fs, self.out, self.clock, self.stop = DiskFs(SeededRng(1)), out, FakeClock(), anyio.Event()
        self.fs.make_directory(lock_file(out, "lake").parent)
        self.waited: list[str] = []
        self.turns = Turns(self.fs, out, self.clock, self.stop, self.waited.append)

    @property
    def free(self) -> bool:
        """Whether another process could have the source."""
        try:
            self.fs.lock(lock_file(self.out, "lake")).release()
        except Locked:
            return False
        return True


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_the_parts_of_a_source_share_its_lock_and_the_last_one_gives_it_back(bench: Bench) -> None:
    async with bench.turns.of("lake", ["Property"]) as first:
        async with bench.turns.of("lake", ["Office"]) as second:
            assert (first, second, bench.free) == (True, True, False)
        assert not bench.free
    assert bench.free


async def test_two_of_one_resource_follow_each_other(bench: Bench) -> None:
    order: list[str] = []

    async def take(name: str, *resources: str) -> None:
        async with bench.turns.of("lake", resources):
            order.append(f"{name} begins")
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            order.append(f"{name} ends")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take, "delta", "Property", "Media")
        tasks.start_soon(take, "push", "Media", "Property")
    assert order in (
        ["delta begins", "delta ends", "push begins", "push ends"],
        ["push begins", "push ends", "delta begins", "delta ends"],
    )


async def test_another_process_is_waited_for_and_that_is_told_once(bench: Bench) -> None:
    other = bench.fs.lock(lock_file(bench.out, "lake"))
    got: list[bool] = []

    async def take() -> None:
        async with bench.turns.of("lake", ["Property"]) as ours:
            got.append(ours)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        for _ in range(5):
            await anyio.wait_all_tasks_blocked()
            bench.clock.advance(2.0)
        assert got == []
        other.release()
        await anyio.wait_all_tasks_blocked()
        bench.clock.advance(2.0)
    assert (got, bench.waited) == ([True], ["lake"])


async def test_a_stop_ends_the_wait_without_the_turn(bench: Bench) -> None:
    other = bench.fs.lock(lock_file(bench.out, "lake"))
    got: list[bool] = []

    async def take() -> None:
        async with bench.turns.of("lake", ["Property"]) as ours:
            got.append(ours)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        await anyio.wait_all_tasks_blocked()
        bench.stop.set()
    other.release()
    assert got == [False]
    async with bench.turns.of("lake", ["Property"]) as ours:
        assert not ours, "nor is one given afterwards"
    assert bench.free


async def test_a_failure_within_a_turn_gives_it_back(bench: Bench) -> None:
    with pytest.raises(ZeroDivisionError):
        async with bench.turns.of("lake", ["Property"]):
            raise ZeroDivisionError
    assert bench.free
