"""Deltas of many changes, cut into windows that are read side by side, while rows change and the machine dies.

What is brought together is the whole delta, and the watermark goes on only with all of it: the next deltas leave the
replica equal to the provider (FAULTS P09, T01, T09, R01, F05; invariants 2, 3, 5 and 10).
"""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from harvester.config.schema import BudgetConfig
from harvester.model import Window
from tests.simulation.plays.crashes import attempt
from tests.simulation.plays.deltas import Unrest
from tests.simulation.truth import check_disk, finished
from tests.simulation.world import World

_WAYS = (("centris", "windows"), ("ims", "windows"), ("ims", "ranges"))
_MOST = 4  # crashes of one run; then it is left alone


async def play(world: World) -> None:
    chance = world.faults
    provider, walk = chance.choice(_WAYS)
    async with world.serving(records=world.data.randint(150, 300), quota=False) as sandbox:
        world.think = chance.choice((0.0, 0.05))
        config = world.config(provider, walk=walk, page_size=world.data.choice((5, 10)))
        budget = BudgetConfig(windows=(Window(requests=1_000_000, seconds=1),), in_flight=chance.choice((3, 8)))
        resources = ("Database", "Property") if provider == "ims" else ("Property",)
        source = replace(config.sources[provider], budget=budget, resources=resources)
        config = replace(config, sources={provider: source})
        unrest = Unrest(world, provider)
        unrest.any = False
        parts = crashes = 0
        assert await attempt(world, config, unrest, None, mode="full")
        for changes in (chance.randint(60, 200), 0, chance.randint(60, 200), 0, 0):
            await asyncio.sleep(2 ** chance.uniform(6, 14))
            for _ in range(changes):
                sandbox.mutate(1, provider)
                await asyncio.sleep(chance.uniform(0, 2))
            unrest.any = bool(changes) and chance.random() < 0.5
            dying = _MOST if changes and chance.random() < 0.5 else 0
            while not await attempt(world, config, unrest, chance if dying else None, mode="delta"):
                crashes += 1
                check_disk(world.machine)
                dying = max(0, dying - 1)
                unrest.any = unrest.any and bool(dying)
                await asyncio.sleep(chance.uniform(0, 30))
            unrest.any = False
            _, manifest = finished(world.machine)["Property"]
            parts = max(parts, len(manifest.walks))
        check_disk(world.machine)
        unrest.check()
        world.figures["walks"] = parts
        world.figures["crashes"] = crashes
