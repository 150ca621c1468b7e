"""The simulation itself: it repeats exactly, it notices what it is for, and a few seeds of every scenario hold."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from random import Random

import pytest

from tests.fakes.executors import InlineExecutor
from tests.simulation import __main__ as command
from tests.simulation.loop import run
from tests.simulation.network import Network
from tests.simulation.plays import scenarios
from tests.simulation.world import World, simulate


@pytest.mark.parametrize("scenario", scenarios())
def test_a_scenario_holds(scenario: str) -> None:
    """FAULTS invariants 1 to 6, 10: see the scenario's file. ``make simulate`` plays more seeds."""
    simulate(scenario, 0, scenarios()[scenario])


def test_the_same_seed_gives_the_same_trace_in_another_process() -> None:
    """FAULTS invariant 11: also where hashes of text and addresses of objects are others."""
    here = simulate("crashes", 3, scenarios()["crashes"])
    told = subprocess.run(
        command.replay("crashes", 3).split(),
        env=os.environ | {"PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert told.stdout.splitlines()[0] == f"crashes 3 {here.hash}"


def test_another_seed_gives_another_trace() -> None:
    hashes = {simulate("harvest_under_faults", seed, scenarios()["harvest_under_faults"]).hash for seed in (1, 2, 3)}
    assert len(hashes) == 3


def test_a_seed_that_fails_prints_the_command_that_plays_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fails_at_two(world: World) -> None:
        async with world.serving():
            assert world.seed != 2

    monkeypatch.setattr(command, "scenarios", lambda: {"doomed": fails_at_two})
    assert command.main(["--seeds", "5"]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"^doomed 2 failed", printed, re.MULTILINE)
    assert f"{sys.executable} -m tests.simulation --scenario doomed --from 2 --seeds 1" in printed


def order_of_tasks(seed: int) -> list[int]:
    """In which order eight equal tasks come to their turn."""
    order: list[int] = []

    async def one(number: int) -> None:
        await asyncio.sleep(0)
        order.append(number)

    async def main() -> None:
        await asyncio.gather(*(one(number) for number in range(8)))

    run(main(), Random(seed), Network(Random(0)))
    return order


def test_the_order_of_ready_tasks_follows_the_seed() -> None:
    assert order_of_tasks(1) == order_of_tasks(1)
    assert len({tuple(order_of_tasks(seed)) for seed in range(10)}) > 5


def test_a_program_that_spins_without_time_passing_is_stopped() -> None:
    """FAULTS C01: a busy loop would otherwise hang the simulation as it hangs the machine."""

    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="spins"):
        run(spin(), Random(0), Network(Random(0)))


def test_jobs_of_one_executor_run_in_order_and_one_after_another() -> None:
    """A thread pool of one thread keeps the order of its jobs; so must its imitation."""
    done: list[int] = []

    async def main() -> None:
        loop, thread = asyncio.get_running_loop(), InlineExecutor()
        await asyncio.gather(*(loop.run_in_executor(thread, done.append, number) for number in range(20)))

    run(main(), Random(5), Network(Random(0)))
    assert done == sorted(done)
