"""A plan is of the run that would be made: a delta's is not that of everything."""

from __future__ import annotations

from typing import Any

import pytest

from harvester.api.plan import PlannedResource, PlanReport, plan
from harvester.errors import ArgumentError
from tests.simulation.world import World, simulate


async def planned(world: World, config: Any, mode: str = "auto") -> tuple[PlanReport, PlannedResource]:
    report = await plan(config, mode=mode, ports=world.machine.ports())
    return report, report.sources[0].resources[-1]


def played(play: Any) -> None:
    async def world_of(world: World) -> None:
        async with world.serving(records=200, quota=False):
            config = world.config("centris", page_size=20, resources=("Property",))
            await play(world, config)

    simulate("plans", 1, world_of)


def test_before_the_first_harvest_it_is_of_everything_and_a_delta_would_be_refused() -> None:
    async def play(world: World, config: Any) -> None:
        _, first = await planned(world, config)
        assert (first.mode, first.records, first.delta) == ("full", 200, False)
        report, refused = await planned(world, config, "delta")
        assert (refused.mode, refused.requests) == ("", None)
        assert "no complete harvest" in refused.doubt
        assert not report.sources[0].complete

    played(play)


def test_after_it_the_plan_is_of_a_delta_and_says_at_least_until_one_was_made() -> None:
    async def play(world: World, config: Any) -> None:
        await world.harvest(config)
        asked = len(world.requests("centris"))
        report, delta = await planned(world, config)
        assert (delta.mode, delta.requests, delta.least, delta.records) == ("delta", 1, 1, None)
        assert not report.sources[0].complete, "how much has changed nobody knows"
        assert len(world.requests("centris")) == asked, "and no count would tell"
        for changes in (50, 1, 45):
            world.sandbox.mutate(changes, "centris")
            await world.machine.clock.sleep(1_000)
            await world.harvest(config)
        report, delta = await planned(world, config)
        assert delta.evidence == "the last 3 deltas"
        assert delta.requests is not None
        assert delta.least is not None
        assert 1 <= delta.least < delta.requests <= 6
        assert report.sources[0].complete
        assert report.sources[0].forecast.requests == delta.requests

    played(play)


def test_a_full_run_and_a_sweep_are_planned_when_they_are_asked_for() -> None:
    async def play(world: World, config: Any) -> None:
        await world.harvest(config)
        _, full = await planned(world, config, "full")
        assert (full.mode, full.delta) == ("full", True)
        assert full.requests is not None
        assert full.requests >= 10
        _, sweep = await planned(world, config, "sweep")
        assert sweep.mode == "sweep"
        least = sweep.least
        await world.harvest(config, mode="sweep")
        _, sweep = await planned(world, config, "sweep")
        assert sweep.evidence == "the last 1 sweep"
        assert least is not None
        assert sweep.requests is not None
        assert least <= sweep.requests <= 2 * full.requests

    played(play)


def test_another_word_is_no_mode() -> None:
    async def play(world: World, config: Any) -> None:
        with pytest.raises(ArgumentError, match="there is no mode 'often'"):
            await planned(world, config, "often")

    played(play)
