"""A harvest under a quota of bytes, which the server counts to the byte: never above it, and hardly less (FAULTS Q04).

The limit is declared in the budget, or told in the answers only (``content-bytes`` of the IETF drafts).
"""

from __future__ import annotations

import msgspec

from harvester.config.schema import BudgetConfig
from harvester.model import Window
from harvester.sandbox.faults import Match, Rule
from harvester.sandbox.request_log import Entry
from tests.simulation.truth import check_complete, check_disk
from tests.simulation.world import World

_HOUR = 3600.0
_PAGES = 150  # in one window, about: the last one that does not fit is what cannot be used
_LEAST = 0.95


async def play(world: World) -> None:
    chance = world.faults
    told = chance.random() < 0.5
    async with world.serving(records=world.data.randint(1_500, 2_500), quota=False) as sandbox:
        world.think = chance.choice((0.02, 0.2, 0.8))
        whole = sum(len(row) for row in sandbox.simulator("spark_reso").truth("Property"))
        records = sum(1 for _ in sandbox.simulator("spark_reso").truth("Property"))
        size = max(2, round(records / 3.3 / _PAGES))
        limit = round(whole / 3.3)
        fault = f"quota:bytes={limit},{_HOUR:g}{',told' if told else ''}"
        sandbox.faults.replace([Rule(fault=fault, match=Match(provider="spark_reso"))])
        windows = (Window(requests=20, seconds=1.0), *(() if told else (Window(bytes=limit, seconds=_HOUR),)))
        config = world.config(
            "spark_reso",
            page_size=size,
            resources=("Property", "Member", "Office"),
            budget=BudgetConfig(windows=windows, in_flight=4),
        )
        if told:  # by a server that nobody has described
            config.sources["spark_reso"] = msgspec.structs.replace(config.sources["spark_reso"], provider="odata")
        report = await world.harvest(config)
        assert report.complete, report
        check_disk(world.machine)
        if not told:
            check_complete(world.machine, sandbox.simulator("spark_reso"), changed=False)
        entries = world.requests("spark_reso")
        over = [entry for entry in entries if entry.over]
        assert not over, f"{len(over)} requests above {over[0].over}, the first at {over[0].at} s"
        world.figures["of the bytes"] = used = least_used(entries, limit)
        # Up to two pages cannot be used at the end of an hour, and of these servers' pages some hold few hours.
        assert used >= min(_LEAST, 1 - 2.5 * max(entry.bytes for entry in entries) / limit)


def least_used(entries: list[Entry], limit: int) -> float:
    """The share of *limit* that was used of the worst whole hour; hours follow each other from the first request."""
    start, end = entries[0].at, entries[-1].at
    whole = int((end - start) // _HOUR)
    served = [0] * (whole + 1)
    for entry in entries:
        served[int((entry.at - start) // _HOUR)] += entry.bytes
    return min(served[:whole]) / limit
