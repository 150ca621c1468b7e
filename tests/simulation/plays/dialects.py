"""A server nobody has described, with a quota that only its answers tell, in the fields of one kind or another.

The budget states nothing. Never a request too many after the first answer, and the quota is used (FAULTS Q01, Q06).
"""

from __future__ import annotations

from typing import get_args

from harvester.sandbox.told_quotas import Dialect
from tests.simulation.truth import check_disk
from tests.simulation.world import World


async def play(world: World) -> None:
    chance = world.faults
    dialect, per_minute = chance.choice(get_args(Dialect)), chance.randint(4, 30)
    server = f"quota-{dialect}-{per_minute},cap-5"
    async with world.serving(records=250, options={"odata_server": {"servers": (server,)}}):
        world.think = chance.choice((0.02, 0.2, 0.8))
        report = await world.harvest(world.config(f"odata-{server.replace(',', '_')}"))
        assert report.complete, report
        check_disk(world.machine)
        entries = world.requests("odata_server")
        over = [entry for entry in entries if entry.over]
        assert not over, f"{len(over)} of {len(entries)} above {over[0].over}, the first at {over[0].at} s"
        least = (len(entries) - 1) // per_minute * 60.0
        if least >= 300:
            world.figures[f"time, of the least ({dialect})"] = (entries[-1].at - entries[0].at) / least
