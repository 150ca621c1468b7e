"""A harvest waits the moments in which a listener writes, and nobody else."""

from __future__ import annotations

from pathlib import PurePosixPath

import anyio
import pytest

from harvester.api.locks import lock_inbox, lock_source
from harvester.api.turns import lock_file
from harvester.errors import Locked
from tests.fakes.clock import FakeClock
from tests.fakes.fs import MemoryFs

OUT = PurePosixPath("/out")


def prepared() -> MemoryFs:
    fs = MemoryFs()
    fs.make_directory(OUT / "_harvester", private=True)
    return fs


async def test_another_harvest_is_not_waited_for() -> None:
    """FAULTS R09: the second one says so at once."""
    fs, clock = prepared(), FakeClock()
    fs.lock(lock_file(OUT, "centris"))
    with pytest.raises(Locked):
        await lock_source(fs, OUT, "centris", clock)
    lock_inbox(fs, OUT, "centris").release()  # there was a listener once
    with pytest.raises(Locked):
        await lock_source(fs, OUT, "centris", clock)
    assert clock.slept == []


async def test_a_listener_that_writes_is_waited_for_but_not_for_ever() -> None:
    fs, clock = prepared(), FakeClock()
    listener = lock_inbox(fs, OUT, "centris")
    writing = fs.lock(lock_file(OUT, "centris"))
    taken: list[object] = []

    async def harvest() -> None:
        try:
            taken.append(await lock_source(fs, OUT, "centris", clock))
        except Locked as error:
            taken.append(error)

    async def passing(seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            clock.advance(0.05)
            for _ in range(5):
                await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(harvest)
        await passing(1.0)
        assert taken == []
        writing.release()
        await passing(0.5)
        assert len(taken) == 1
        assert not isinstance(taken[0], Locked)
        tasks.start_soon(harvest)  # and now somebody who does not let go
        await passing(30.0)
        assert isinstance(taken[1], Locked)
    listener.release()


async def test_a_second_listener_is_refused() -> None:
    fs = prepared()
    lock_inbox(fs, OUT, "centris")
    lock_inbox(fs, OUT, "other")
    with pytest.raises(Locked, match="another process listens"):
        lock_inbox(fs, OUT, "centris")
