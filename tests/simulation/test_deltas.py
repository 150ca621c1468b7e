"""Deltas of every provider while its rows change: see ``plays.deltas``. ``make simulate`` plays more seeds."""

from __future__ import annotations

import asyncio

import pytest

from harvester.sandbox.faults import Match, Rule
from tests.simulation.plays import deltas
from tests.simulation.world import PROVIDERS, World, simulate


@pytest.mark.parametrize("seed", range(1, len(PROVIDERS)))
def test_after_the_last_change_two_deltas_leave_no_row_missing(seed: int) -> None:
    """FAULTS T01 to T03, T05 to T07, T09, T12, C02; the first provider is played with all other scenarios."""
    simulate("deltas", seed, deltas.play)


def test_a_machine_whose_clock_is_slow_reads_up_to_the_servers_time() -> None:
    """FAULTS T06, P04: a short page behind this machine's now is not the end, for the next delta begins at theirs."""

    async def play(world: World) -> None:
        async with world.serving(records=100) as sandbox:
            config = world.config("centris", page_size=20)
            unrest = deltas.Unrest(world, "centris")
            assert (await world.harvest(config, resources=unrest.resources)).complete
            world.machine.clock.jump(-7_200)
            for _ in range(100):
                sandbox.mutate(1, "centris")
                await asyncio.sleep(60)
            sandbox.faults.replace([Rule(fault="short:0.6", match=Match(provider="centris"), p=0.5, times=1_000)])
            for _ in range(2):
                assert (await world.harvest(config, resources=unrest.resources, mode="delta")).complete
                await asyncio.sleep(3_600)
            unrest.check()

    for seed in range(3):
        simulate("slow clock", seed, play)


def test_the_night_the_clocks_go_back_loses_no_change() -> None:
    """FAULTS T07: local times without a zone, as IMS tells them."""

    async def play(world: World) -> None:
        async with world.serving(records=200) as sandbox:
            config = world.config("ims", page_size=50)
            unrest = deltas.Unrest(world, "ims")
            for changes in (0, 150):
                sandbox.mutate(changes, "ims")
                await asyncio.sleep(60)
                assert (await world.harvest(config, resources=unrest.resources)).complete
            sandbox.clock.skew = -3_600.0
            for _ in range(2):
                sandbox.mutate(30, "ims")
                await asyncio.sleep(60)
                assert (await world.harvest(config, resources=unrest.resources, mode="delta")).complete
            unrest.check()

    simulate("clocks go back", 0, play)
