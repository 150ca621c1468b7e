"""Offset pages, many in flight, of a server where at every third of them a row comes or goes anywhere.

Whatever lives from the beginning to the end is there, without a sweep, at no more than 15 % more requests than a set
that stands still would need (FAULTS P04, P09, P16). The server caps pages without a word; it counts, or refuses to;
its links hide an offset, or it has none.
"""

from __future__ import annotations

import math
import os
from itertools import accumulate

import msgspec

from harvester.config.schema import BudgetConfig
from harvester.model import Window
from harvester.sandbox.odata_server_data import KEYS
from tests.simulation.truth import check_disk, finished, held
from tests.simulation.world import World

_PLAIN, _FULL = 600, 20_000
_RESOURCE, _PER_MEMBER = "Member", 5  # one member for so many listings: small records, made quickly


async def play(world: World) -> None:
    chance = world.data
    whole = bool(os.environ.get("HARVESTER_FULL_SIZE"))
    rows = _FULL if whole else _PLAIN
    size = chance.choice((200, 1000) if whole else (20, 50))
    cap = chance.choice((size, size, size * 3 // 10)) if whole else size
    links = chance.choice(("links-offset", "links-none"))
    counts = chance.choice(("", ",refuses-count"))
    server = f"{links},cap-{cap},churn-3{counts}"
    world.trace.note(f"{server} {size} {rows}")
    options = {"odata_server": {"servers": [server]}}
    async with world.serving(records=rows * _PER_MEMBER, options=options) as sandbox:
        simulator = sandbox.simulator("odata_server")
        before = _keys(simulator.truth(_RESOURCE))
        config = world.config(
            f"odata-{server.replace(',', '_')}",
            page_size=size,
            resources=[_RESOURCE],
            walk="offset",
            # Where no limit is known the governor feels its way, with few requests open.
            budget=BudgetConfig(in_flight=16, windows=(Window(seconds=1, requests=1000),)),
        )
        world.think = 2.0
        report = await world.harvest(config)
        assert report.complete, report
        check_disk(world.machine)
        run, manifest = finished(world.machine)[_RESOURCE]
        got = _keys(held(world.machine.files, run, manifest))
        missing = (before & _keys(simulator.truth(_RESOURCE))) - got
        assert not missing, f"{len(missing)} rows that lived throughout are missing, as {min(missing)}"
        walk = next(each for each in manifest.walks if each.id == "w00")
        assert walk.pager == "offset", walk
        needed = math.ceil(rows / cap)
        world.figures["extra"] = walk.requests / needed - 1
        world.figures["in_flight"] = _most_at_once(world)
        world.figures["mended"] = walk.seams_mended
        world.figures["requests"] = walk.requests
        if whole:
            assert world.figures["extra"] <= 0.15, f"{walk.requests} requests where {needed} would do"


def _keys(lines: object) -> set[str]:
    decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
    return {bytes(decode(line)[KEYS[_RESOURCE]]).decode() for line in lines}  # type: ignore[attr-defined]


def _most_at_once(world: World) -> int:
    """Requests that the server was answering at the same time, at most."""
    edges = sorted([(each.at, 1) for each in world.exchanges] + [(each.done, -1) for each in world.exchanges])
    return max(accumulate(step for _, step in edges))
