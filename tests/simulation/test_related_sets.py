"""Related sets over hours: see ``plays.related_sets``. ``make simulate`` plays more seeds."""

from __future__ import annotations

import asyncio

import pytest

from harvester.sandbox.faults import Match, Rule
from tests.simulation.plays import related_sets
from tests.simulation.world import World, simulate


@pytest.mark.parametrize("seed", range(1, 4))
def test_two_deltas_leave_every_set_as_it_is_and_ask_for_none_again(seed: int) -> None:
    """FAULTS P06, P12, R01, R05, T09, T12; the first seed is played with all other scenarios."""
    simulate("related_sets", seed, related_sets.play)


def test_a_first_harvest_that_goes_on_hours_later_is_as_new_as_the_listings_it_began_with() -> None:
    """FAULTS T09: what changed between its two parts is asked for by the next delta, beyond every overlap."""

    async def play(world: World) -> None:
        async with world.serving(records=40) as sandbox:
            config = world.config("spark_reso", resources=("Property",), related=("Media",), page_size=10)
            match = Match(provider="spark_reso", resource="Media", nth=4)
            sandbox.faults.replace([Rule(fault="status:403", match=match, times=1)])
            assert not (await world.harvest(config)).complete
            sandbox.faults.replace([])
            sandbox.mutate(40, "spark_reso")
            await asyncio.sleep(7_200)
            report = await world.harvest(config)
            assert {each.resource: each.mode for each in report.resources} == {"Property": "delta", "Media": "full"}
            await asyncio.sleep(7_200)
            assert (await world.harvest(config)).complete
            related_sets.check_sets(world, "spark_reso", "Media")

    for seed in range(3):
        simulate("first harvest of sets goes on", seed, play)


def test_a_set_that_was_refused_is_asked_for_again_beyond_every_overlap() -> None:
    """FAULTS T09: a run that lacks a set is no ground for the next one."""

    async def play(world: World) -> None:
        async with world.serving(records=40) as sandbox:
            config = world.config("spark_reso", resources=("Property",), related=("Media",))
            assert (await world.harvest(config)).complete
            sandbox.mutate(40, "spark_reso")
            await asyncio.sleep(7_200)
            match = Match(provider="spark_reso", resource="Media", nth=2)
            sandbox.faults.replace([Rule(fault="status:400", match=match, times=1)])
            assert not (await world.harvest(config)).complete
            sandbox.faults.replace([])
            await asyncio.sleep(7_200)
            assert (await world.harvest(config)).complete
            related_sets.check_sets(world, "spark_reso", "Media")

    for seed in range(3):
        simulate("refused set", seed, play)
