"""Resources read by several walks side by side, while rows change, servers fail and the machine dies, twice over.

The first harvest cuts its walks where it stands, the second begins with what the first has learned. A crash may come
between the birth of a part and the new end of the walk it was cut from. Nothing that stays is missing, no version is
held twice, and the parts are told to be the whole (FAULTS P09, T01, R01, F05; invariants 2, 3, 5 and 10).
"""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from harvester.config.schema import BudgetConfig, Config
from harvester.model import Window
from tests.simulation import rules
from tests.simulation.changes import Changes
from tests.simulation.plays.crashes import attempt
from tests.simulation.truth import check_complete, check_disk, finished
from tests.simulation.world import World

_WAYS = (
    ("centris", "centris", "windows"),
    ("ims", "ims", "windows"),
    ("ims", "ims", "ranges"),
    ("spark_reso", "odata", "windows"),
    ("spark_reso", "odata", "ranges"),
    ("spark_reso", "spark_reso", "windows"),
    ("spark", "spark", "windows"),
)
_MOST = 5  # crashes of one harvest; then it is left alone


async def play(world: World) -> None:
    chance = world.faults
    served, provider, walk = chance.choice(_WAYS)
    lanes = chance.choice((3, 8))
    # For any client a server that filters and orders whatever it is asked; for its own, strict as it is.
    options = {"spark_reso": {"strict": provider != "odata"}, "spark": {"end": world.data.choice(("empty", "missing"))}}
    records = world.data.randint(120, 400) if provider != served or "spark" not in served else 450
    async with world.serving(records=records, quota=False, options=options) as sandbox:
        world.think = chance.choice((0.0, 0.05))
        config = _config(world, served, provider, walk, lanes)
        world.trace.note(f"{provider} {walk} {lanes}")
        crashes = walks = 0
        for _ in range(2):
            changes = Changes(world, served, share=0.6)
            dying = chance.random() < 0.5
            before = crashes
            drawn = rules.draw(chance, served) if dying and chance.random() < 0.5 else []
            sandbox.faults.replace(drawn)
            world.trace.note(f"{[rule.fault for rule in drawn]}")
            while dying and crashes < before + _MOST:
                if await attempt(world, config, changes, chance, mode="full"):
                    break
                crashes += 1
                check_disk(world.machine)
                await world.machine.clock.sleep(chance.uniform(0, 30))
            else:
                sandbox.faults.replace([])
                await _finish(world, config, changes)
            check_disk(world.machine)
            check_complete(world.machine, sandbox.simulator(served), changed=changes.any)
            runs = finished(world.machine).values()
            assert all(manifest.verdict == "complete" for _, manifest in runs)
            walks = max(walks, *(len(manifest.walks) for _, manifest in runs))
            await asyncio.sleep(3_600)
        world.figures["crashes"] = crashes
        world.figures["walks"] = walks


async def _finish(world: World, config: Config, changes: Changes) -> None:
    """Let it run to its end. Rows that never rest may fail a walk, which is told; a part that is missing may not be."""
    for _ in range(4):
        complete = await attempt(world, config, changes, None, mode="full")
        reasons = [manifest.reason for _, manifest in finished(world.machine).values() if manifest.reason]
        assert not reasons, reasons
        if complete:
            return
        await world.machine.clock.sleep(60)
    raise AssertionError("it is not complete, although nothing fails any more")


def _config(world: World, served: str, provider: str, walk: str, lanes: int) -> Config:
    # Chains are cut into parts of 15 pages at least.
    page_size = 5 if provider == served and "spark" in served else world.data.choice((5, 10, 20))
    config = world.config(served, page_size=page_size, walk=walk)
    budget = BudgetConfig(windows=(Window(requests=1_000_000, seconds=1),), in_flight=lanes)
    source = replace(config.sources[served], provider=provider, budget=budget, resources=_resources(served))
    return replace(config, sources={served: source})


def _resources(served: str) -> tuple[str, ...]:
    return {"ims": ("Database", "Property"), "spark": ("listings",)}.get(served, ("Property",))
