"""A process that ends when 90 % of the hour's quota is used, and one that is started after it.

Bar: none above the limit, and the rest of the hour is used (FAULTS Q09). Half of the machines have their wall clock
set back in between: then one window may be waited for, never more (FAULTS C02).
"""

from __future__ import annotations

import asyncio
from itertools import pairwise

from harvester.events import Event, Requested
from tests.simulation.truth import check_complete, check_disk
from tests.simulation.world import World

_LIMIT = 100
_HOUR = 3600.0


async def play(world: World) -> None:
    chance = world.faults
    options = {"ims": {"requests_per_hour": _LIMIT}}
    with world.machine.with_real_disk():
        async with world.serving(records=400, options=options) as sandbox:
            world.think = 0.2
            config = world.config("ims", page_size=4)
            sent = 0

            def end(event: Event) -> None:
                nonlocal sent
                sent += isinstance(event, Requested)
                if sent == 0.9 * _LIMIT:
                    harvest.cancel()

            harvest = asyncio.ensure_future(world.harvest(config, sink=end))
            await asyncio.wait([harvest])
            assert harvest.cancelled()
            set_back = chance.random() < 0.5
            if set_back:
                world.machine.clock.jump(-chance.choice((60.0, 7_200.0, 86_400.0 * 365)))
            await asyncio.sleep(chance.uniform(0, 1_200))
            again = asyncio.ensure_future(world.harvest(config))
            await asyncio.wait([again], timeout=20 * _HOUR)
            assert again.done(), "it waits for ever"
            assert again.result().complete
            check_complete(world.machine, sandbox.simulator("ims"), changed=False)
            check_disk(world.machine)
            entries = world.requests("ims")
            over = [entry.at for entry in entries if entry.over]
            assert not over, f"{len(over)} requests above the limit, the first at {over[0]:.0f} s"
            used = sum(entry.at < entries[0].at + _HOUR for entry in entries)
            world.figures["used, clock set back" if set_back else "used"] = used / _LIMIT
            assert set_back or used >= _LIMIT - 1, f"{used} of {_LIMIT} were used"
            gaps = [later.at - entry.at for entry, later in pairwise(entries)]
            assert max(gaps) <= _HOUR + 1_200 + 60, f"nothing was sent for {max(gaps):.0f} s"
