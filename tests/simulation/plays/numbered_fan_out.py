"""Numbered pages, many in flight, of a server where at every third of them a row comes or goes anywhere.

Their sizes differ so that neighbours overlap. Whatever lives from the beginning to the end is there, without a sweep,
at no more than 15 % more requests than a set that stands still would need (FAULTS P04, P09).
"""

from __future__ import annotations

import math
import os
from itertools import accumulate
from typing import Any

import msgspec

from harvester.config.schema import BudgetConfig
from harvester.model import Window
from harvester.sandbox.exchange import Reply
from harvester.sandbox.records import Row
from harvester.sandbox.shelves import Shelf
from harvester.sandbox.stamps import instant_at, stamp
from tests.simulation.truth import check_disk, finished, held
from tests.simulation.world import World

_RESOURCE = "accounts"


async def play(world: World) -> None:
    chance = world.data
    whole = bool(os.environ.get("HARVESTER_FULL_SIZE"))
    rows, size = (20_000, chance.choice((200, 1000))) if whole else (600, 50)
    async with world.serving(records=200, quota=False) as sandbox:
        simulator = sandbox.simulator("spark")
        (shelf,) = simulator.shelves(_RESOURCE)
        _fill(shelf, rows)
        before = _keys(simulator.truth(_RESOURCE))
        config = world.config(
            "spark",
            page_size=size,
            resources=[_RESOURCE],
            walk="numbered",
            budget=BudgetConfig(in_flight=16, windows=(Window(seconds=1, requests=1000),)),
        )
        exchange, pages = sandbox.exchange, 0

        async def moving(**asked: Any) -> Reply:
            nonlocal pages
            reply = await exchange(**asked)
            pages += "_page=" in asked["target"]
            if "_page=" in asked["target"] and pages % 3 == 0:
                table = shelf.table
                row = table.by_key[int(chance.random() * len(table))]
                if gone and chance.random() < 0.5:
                    instant = instant_at(sandbox.settings.clock.now())
                    shelf.put_time(gone.pop(int(chance.random() * len(gone))), stamp(instant, 0), instant)
                else:
                    gone.append(table.remove(row.key))
                    left.add(row.key)
            return reply

        gone: list[Any] = []
        left: set[str] = set()
        sandbox.exchange = moving  # type: ignore[method-assign]
        world.think = 2.0
        report = await world.harvest(config)
        assert report.complete, report
        check_disk(world.machine)
        run, manifest = finished(world.machine)[_RESOURCE]
        missing = before - {f'"{key}"' for key in left} - _keys(held(world.machine.files, run, manifest))
        assert not missing, f"{len(missing)} rows that lived throughout are missing, as {min(missing)}"
        walk = next(each for each in manifest.walks if each.id == "w00")
        assert walk.pager == "numbered", walk
        needed = math.ceil(len(before) / size)
        world.figures["extra"] = walk.requests / needed - 1
        world.figures["in_flight"] = _most_at_once(world)
        world.figures["mended"] = walk.seams_mended
        if whole:
            assert world.figures["extra"] <= 0.15, f"{walk.requests} requests where {needed} would do"


def _fill(shelf: Shelf, rows: int) -> None:
    """Let there be so many records: copies of one under other keys."""
    model = shelf.table.by_key[0]
    for number in range(rows - len(shelf.table)):
        key = f"2025{number * 7919 % 10_000_000:022d}"
        body = shelf.with_key(model.body, f'"{key}"'.encode())
        shelf.table.put(Row(key, body, modified=model.modified, instant=model.instant, extra=model.extra))


def _keys(lines: object) -> set[str]:
    decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
    return {bytes(decode(line)["Id"]).decode() for line in lines}  # type: ignore[attr-defined]


def _most_at_once(world: World) -> int:
    """Requests that the server was answering at the same time, at most."""
    edges = sorted([(each.at, 1) for each in world.exchanges] + [(each.done, -1) for each in world.exchanges])
    return max(accumulate(step for _, step in edges))
