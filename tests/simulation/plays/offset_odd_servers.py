"""A walk by offset of servers that differ: whole by offset, whole by another walk, or not called complete.

Silent caps, refused sizes, links of every kind, wrong totals, options that are ignored (FAULTS P07, P13, P15, P16).
"""

from __future__ import annotations

from harvester.config.schema import BudgetConfig
from harvester.model import Window
from tests.simulation.truth import check_complete, check_disk, finished
from tests.simulation.world import World

_BY_OFFSET = (
    *("links-hidden,cap-20", "links-offset,cap-30", "links-page,cap-30", "links-key,cap-20", "plain"),
    *("ignores-top,cap-30", "top-max-30", "top-ends,cap-30", "count-wrong,cap-30", "refuses-count,cap-30"),
    *("ignores-count,cap-20", "cap-1000", "order-time,cap-40"),
)
_OTHERWISE = (  # by time, by key, or by the server's own links
    *("order-time,ignores-orderby,cap-50", "cap-3"),
    *("ignores-skip,cap-50", "refuses-skip", "refuses-orderby"),
)
_NOT_AT_ALL = ("order-chance,ignores-orderby,cap-50",)


async def play(world: World) -> None:
    servers = (*_BY_OFFSET, *_OTHERWISE, *_NOT_AT_ALL)
    server = servers[world.seed % len(servers)]
    options = {"odata_server": {"servers": [server]}}
    async with world.serving(records=world.data.choice((300, 1500)), options=options) as sandbox:
        config = world.config(
            f"odata-{server.replace(',', '_')}",
            page_size=50,
            resources=["Member"],
            walk="offset",
            budget=BudgetConfig(in_flight=8, windows=(Window(seconds=1, requests=1000),)),
        )
        report = await world.harvest(config)
        check_disk(world.machine)
        check_complete(world.machine, sandbox.simulator("odata_server"), changed=False)
        if server in _NOT_AT_ALL:
            assert not report.complete, server
            return
        assert report.complete or "count-wrong" in server, (server, report)
        (walk,) = [each for each in finished(world.machine)["Member"][1].walks if each.id == "w00"]
        assert (walk.pager == "offset") == (server in _BY_OFFSET), (server, walk)
