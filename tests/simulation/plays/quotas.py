"""A whole harvest under a tight quota of any kind, with slow answers: all of it, and never a request too many.

The budget states the limits and not how the server counts: in fixed windows of unknown phase, by the clock, sliding,
or from the first request on (FAULTS Q01, Q02, Q03; invariant 6).
"""

from __future__ import annotations

from typing import Any

from tests.simulation.truth import check_complete, check_disk
from tests.simulation.world import PROVIDERS, World

_KINDS = ("sliding", "fixed", "clock", "first")


async def play(world: World) -> None:
    chance = world.faults
    provider = chance.choice(PROVIDERS)
    async with world.serving(
        records=world.data.randint(100, 200), options={provider: _tight(world, provider)}
    ) as sandbox:
        world.think = chance.choice((0.02, 0.2, 0.8))
        config = world.config(provider, **({} if provider == "idx_broker" else {"page_size": 5}))
        report = await world.harvest(config)
        assert report.complete, report
        check_complete(world.machine, sandbox.simulator(provider), changed=False)
        check_disk(world.machine)
        entries = world.requests(provider)
        over = [entry for entry in entries if entry.over]
        assert not over, f"{len(over)} requests above {over[0].over}, the first at {over[0].at} s"
        counted = [entry.at for entry in entries if provider == "ims" or not entry.identity]
        windows = config.sources[provider].budget.windows
        # Sliding or not: before the last request, so many windows must have passed.
        least = max((len(counted) - 1) // (window.requests or 1) * window.seconds for window in windows)
        if least >= 600:
            world.figures["time, of the least"] = (counted[-1] - counted[0]) / least


def _tight(world: World, provider: str) -> dict[str, Any]:
    """Options of the simulator: few requests, counted in some way."""
    chance = world.faults
    kind = chance.choice(_KINDS)
    match provider:
        case "ims":
            return {"requests_per_hour": chance.randint(8, 40), "window": kind}
        case "centris":
            return {"per_minute": chance.randint(3, 20), "per_day": chance.choice((50, 5_000)), "window": kind}
        case "idx_broker":
            per_hour = chance.randint(10, 60)
            return {"per_hour": per_hour, "per_hour_ancillary": per_hour, "hour": chance.choice(("clock", "rolling"))}
        case _:
            return {"per_second": chance.randint(1, 10)}
