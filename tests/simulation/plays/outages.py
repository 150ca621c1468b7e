"""A server that is out for ten minutes, or that fails one request in twenty: what repeats cost.

Bar: a full outage of 10 minutes, at most 1.2 times the requests that are needed without one; 5 % random 503, at most
1.1 times (FAULTS S01, S07, N02, Q10). The harvest is complete in both.
"""

from __future__ import annotations

import asyncio
from pathlib import PurePath

from harvester.sandbox.faults import Match, Rule
from tests.simulation.truth import check_complete, check_disk
from tests.simulation.world import PAGED, World

_MINUTES = 10
_SHARE = 0.05
_FORMS = ("status:503", "status:500", "status:504", "rst:0", "maint:503", "maint:200")


async def play(world: World) -> None:
    chance = world.faults
    provider = chance.choice(PAGED)
    async with world.serving(records=600) as sandbox:
        world.think = chance.choice((0.05, 0.3))
        config = world.config(provider, page_size=5)
        assert (await world.harvest(config)).complete
        needed = sandbox.log.number
        began = world.loop.time()
        world.machine.out = PurePath("/again")
        config = world.config(provider, page_size=5)
        out = chance.random() < 0.5
        match = Match(provider=provider)
        if not out:
            sandbox.faults.replace([Rule(fault=f"status:503,{_SHARE}", match=match)])
            report = await world.harvest(config)
        else:
            harvest = asyncio.ensure_future(world.harvest(config))
            await asyncio.wait([harvest], timeout=chance.uniform(0, 0.9) * began)
            sandbox.faults.replace([Rule(fault=chance.choice(_FORMS), match=match)])
            await asyncio.wait([harvest], timeout=_MINUTES * 60)
            sandbox.faults.replace([])
            report = await harvest
            if not report.complete:  # out from its first request on, it takes the base URL for wrong and gives up early
                report = await world.harvest(config)
        assert report.complete, report
        check_complete(world.machine, sandbox.simulator(provider), changed=False)
        check_disk(world.machine)
        share = (sandbox.log.number - needed) / needed
        world.figures["outage, times needed" if out else "5 % 503, times needed"] = share
        assert share <= (1.2 if out else 1.1), f"{share:.3f} times the {needed} requests that are needed"
