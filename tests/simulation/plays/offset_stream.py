"""A program that takes the pages of an offset walk itself, commits some and ends early, again and again.

What it committed is not asked of it twice by any restart, and what lives throughout reaches it (FAULTS P09, T09).
"""

from __future__ import annotations

from contextlib import aclosing

import msgspec

from harvester.api.session import open_session
from harvester.config.schema import BudgetConfig, Config
from harvester.model import Window
from harvester.sandbox.odata_server_data import KEYS
from tests.simulation.world import World

_RESOURCE, _PER_MEMBER = "Member", 5
_MOST = 6  # times it ends early


async def play(world: World) -> None:
    size = world.data.choice((20, 50))
    server = f"links-offset,cap-{size},churn-3"
    options = {"odata_server": {"servers": [server]}}
    async with world.serving(records=400 * _PER_MEMBER, options=options) as sandbox:
        simulator = sandbox.simulator("odata_server")
        before = _keys(simulator.truth(_RESOURCE))
        name = f"odata-{server.replace(',', '_')}"
        config = world.config(
            name,
            page_size=size,
            resources=[_RESOURCE],
            walk="offset",
            budget=BudgetConfig(in_flight=8, windows=(Window(seconds=1, requests=1000),)),
        )
        safe: set[str] = set()
        breaks = 0
        while not await _read(world, config, name, safe, early=breaks < _MOST):
            breaks += 1
            await world.machine.clock.sleep(world.faults.uniform(0, 30))
        missing = (before & _keys(simulator.truth(_RESOURCE))) - safe
        assert not missing, f"{len(missing)} rows that lived throughout are missing, as {min(missing)}"
        world.figures["breaks"] = breaks


async def _read(world: World, config: Config, name: str, safe: set[str], *, early: bool) -> bool:
    """One process; True: it came to the end. What it commits goes into *safe*."""
    chance = world.faults
    pages = chance.randint(1, 12) if early else None
    held: list[set[str]] = []
    async with (
        open_session(config, ports=world.machine.ports()) as session,
        aclosing(session.pages(name, _RESOURCE)) as stream,
    ):
        async for page in stream:
            held.append(_keys(page.records))
            if chance.random() < 0.6:
                await page.commit()
                safe.update(*held)
                held.clear()
            if pages is not None and (pages := pages - 1) == 0:
                return False
        safe.update(*held)  # the end of the stream: nothing is asked for any more
    return True


def _keys(lines: object) -> set[str]:
    decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
    return {bytes(decode(line)[KEYS[_RESOURCE]]).decode() for line in lines}  # type: ignore[attr-defined]
