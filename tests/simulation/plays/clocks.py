"""Wall clocks that jump and loops that stand still while a quota and its pauses are kept.

No burst above the quota, no negative sleep, no pause that ends early, nothing that waits for ever (FAULTS C01, C03).
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from random import Random

from harvester.api.catalogue import providers
from harvester.sandbox.faults import Match, Rule
from tests.simulation.truth import check_complete, check_disk
from tests.simulation.world import PROVIDERS, World

_JUMPS = (-7_200.0, 7_200.0, -60.0, 30.0, -56 * 365 * 86_400.0)  # the last one leads to 1970
_STALL = 30.0


async def play(world: World) -> None:
    chance = world.faults
    provider = chance.choice(PROVIDERS)
    with world.machine.with_real_disk() if chance.random() < 0.3 else nullcontext():
        async with world.serving() as sandbox:
            world.think = chance.choice((0.0, 0.1))
            config = world.config(provider)
            sandbox.faults.replace(
                [
                    Rule(fault=f"429:ra={chance.choice((5, 40, 300))}", match=Match(provider=provider, nth=nth))
                    for nth in sorted(chance.sample(range(2, 20), 2))
                ]
            )
            harvest = asyncio.ensure_future(world.harvest(config, resources=_wanted(provider)))
            disturbing = asyncio.ensure_future(_disturb(world, chance))
            await asyncio.wait([harvest])
            disturbing.cancel()
            assert harvest.result().complete, harvest.result()
            check_complete(world.machine, sandbox.simulator(provider), changed=False)
            check_disk(world.machine)
            over = [entry for entry in world.requests(provider) if entry.over]
            assert not over, f"{len(over)} requests above the window {over[0].over}, the first at {over[0].at:.1f} s"
            assert world.machine.clock.shortest >= 0, f"somebody slept {world.machine.clock.shortest} s"
            inside = world.inside_a_pause()
            assert not inside, f"{len(inside)} requests inside a pause, as at {inside[0].at} s"


def _wanted(provider: str) -> list[str]:
    """What depends on no clock of ours: IDX leads are asked for by windows that end at the machine's time."""
    if provider != "idx_broker":
        return []
    declared = next(each for each in providers() if each.name == provider)
    return [each.name for each in declared.resources if each.default and not each.name.startswith("leads/")]


async def _disturb(world: World, chance: Random) -> None:
    while True:
        await asyncio.sleep(2 ** chance.uniform(-6, 8))
        if chance.random() < 0.7:
            world.machine.clock.jump(chance.choice(_JUMPS))
            world.trace.note(f"jump to {world.machine.clock.now()}")
        else:
            world.stall(_STALL)
