"""Who gets the quota when it is scarce, as the server's log shows it."""

from __future__ import annotations

from collections import Counter

import msgspec

from harvester.config.schema import BudgetConfig, ResourceConfig
from harvester.model import Window
from harvester.sandbox.request_log import Entry
from tests.simulation.world import World, simulate

_NAMES = ("Property", "Member", "Office", "Media", "Room", "Unit", "OpenHouse")


def resource_of(entry: Entry) -> str:
    return entry.path.partition("?")[0].rpartition("/")[2]


async def harvested(world: World, seconds: float, **changes: object) -> list[Entry]:
    """The log of a harvest of many pages with one request in *seconds*."""
    budget = BudgetConfig(windows=(Window(requests=1, seconds=seconds),), in_flight=4)
    async with world.serving(records=60, quota=False):
        config = world.config("spark_reso", page_size=5, budget=budget)
        source = config.sources["spark_reso"]
        config.sources["spark_reso"] = msgspec.structs.replace(source, **changes)
        assert (await world.harvest(config)).complete
        return world.requests("spark_reso")


def test_resources_share_the_quota_by_weight() -> None:
    async def play(world: World) -> None:
        entries = await harvested(
            world,
            10.0,
            resource=(ResourceConfig(name="Media", weight=3.0), ResourceConfig(name="Room")),
        )
        early = Counter(map(resource_of, entries[:24]))
        assert 2.5 <= early["Media"] / early["Room"] <= 3.5, early

    simulate("weights", 1, play)


def test_no_next_link_dies_while_others_begin() -> None:
    """Seven chains, a request in 100 s, links that live 300 s: of so many, only some can be kept alive."""

    async def play(world: World) -> None:
        tables = tuple(ResourceConfig(name=name) for name in _NAMES)
        # As a server that nobody has described, whose links die.
        entries = await harvested(world, 100.0, provider="odata", resource=tables, page_size=None, link_lifetime=300.0)
        last: dict[str, Entry] = {}
        idle = []
        for entry in entries:
            name = resource_of(entry)
            if "skiptoken" in entry.path:
                idle.append(entry.at - last[name].at)
            last[name] = entry
        assert len(idle) > 20
        assert max(idle) < 300.0

    simulate("links", 1, play)


def test_a_closing_delta_does_not_wait_for_a_backfill() -> None:
    async def play(world: World) -> None:
        entries = await harvested(world, 10.0, resources=("Media", "Room", "Office"))
        names = [resource_of(entry) for entry in entries]
        first = next(at for at, entry in enumerate(entries) if names[at] == "Office" and "filter" in entry.path.lower())
        before = max(at for at in range(first) if names[at] == "Office")
        assert first - before <= 2, names

    simulate("closing", 1, play)
