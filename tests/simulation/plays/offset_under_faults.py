"""A walk by offset or by page number while its server does one or two things wrong, and rows change.

What says ``complete`` is whole; everything else says what is wrong (FAULTS P04, P09, P10, P11, P13 to P16, H01, H02,
H11, S01, S03; invariant 10).
"""

from __future__ import annotations

from harvester.sandbox.faults import Match, Rule
from tests.simulation.changes import Changes
from tests.simulation.truth import check_complete, check_disk
from tests.simulation.world import World

_WALKS = {"ims": "offset", "spark": "numbered"}
_FAULTS = (
    *("short:0.5", "short:0.8", "short:0.1", "cap:top=7", "cap:top=30", "cap:more", "cap:60"),
    *("dup:same", "dup:newer", "dup:older", "count:wrong", "count:low", "count:moves", "count:absent"),
    *("ignore:orderby", "ignore:top", "key:null", "desync:page", "desync:other"),
    *("status:503", "429:ra=1", "cut:len", "cut:chunk", "latency:5"),
)


async def play(world: World) -> None:
    chance = world.faults
    provider = chance.choice(tuple(_WALKS))
    changes = Changes(world, provider)
    async with world.serving(records=world.data.randint(60, 300)) as sandbox:
        drawn = [
            Rule(
                fault=fault,
                match=Match(
                    provider=provider, resource=chance.choice(("", changes.resources[-1] if changes.any else ""))
                ),
                p=chance.choice((0.05, 0.2, 1.0)),
                times=chance.choice((1, 5, 1000)),
            )
            for fault in chance.sample(_FAULTS, chance.choice((1, 2)))
        ]
        sandbox.faults.replace(drawn)
        world.trace.note(f"{provider} {[(rule.fault, rule.p, rule.times) for rule in drawn]}")
        config = world.config(provider, walk=_WALKS[provider], page_size=world.data.choice((7, 20, 50)))
        resources = changes.resources or {"ims": ["Database", "Property"], "spark": ["listings"]}[provider]
        report = await world.harvest(config, sink=changes, resources=resources)
        older = any(rule.fault in ("dup:newer", "dup:older") for rule in drawn)  # versions that never were
        check_complete(world.machine, sandbox.simulator(provider), changed=changes.any or older)
        check_disk(world.machine)
        world.figures["complete"] = report.complete
