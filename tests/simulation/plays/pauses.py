"""A provider that asks for silence while much is under way: nothing is sent before its end, then one probe and a ramp.

Bar: inside every pause no request; the first at most a second after its end; in the first second no more than a
tenth of the concurrency open at once, and at least one (FAULTS S03, S04, Q12; invariant 6).
"""

from __future__ import annotations

import math

from harvester.config.schema import BudgetConfig
from harvester.model import Window
from harvester.sandbox.faults import Match, Rule
from tests.simulation.truth import check_complete, check_disk
from tests.simulation.world import World

_IN_FLIGHT = 20
_TENTH = _IN_FLIGHT // 10
_ENOUGH = Window(requests=1_000_000, seconds=3600)  # so that only the pauses hold anything


async def play(world: World) -> None:
    chance = world.faults
    async with world.serving(records=400, quota=False) as sandbox:
        world.think = chance.choice((0.03, 0.1, 0.25))
        config = world.config("idx_broker", budget=BudgetConfig(windows=(_ENOUGH,), in_flight=_IN_FLIGHT))
        pauses = chance.randint(1, 3)
        first = 0
        rules = []
        for _ in range(pauses):
            first += chance.randint(3, 30)
            seconds = chance.choice((2, 7, 30, 61, 600))
            # Some servers refuse only what made them; others refuse all until the pause is over.
            fault = chance.choice((f"429:ra={seconds}", f"429:mid={seconds}"))
            rules.append(Rule(fault=fault, match=Match(provider="idx_broker", nth=first)))
        sandbox.faults.replace(rules)
        report = await world.harvest(config)
        assert report.complete, report
        check_complete(world.machine, sandbox.simulator("idx_broker"), changed=False)
        check_disk(world.machine)
        _check_pauses(world)


def _check_pauses(world: World) -> None:
    inside = world.inside_a_pause()
    assert not inside, f"{len(inside)} requests inside a pause, as at {inside[0].at} s"
    for pause in world.pauses:
        later = sorted((each for each in world.exchanges if each.at >= pause.until), key=lambda each: each.at)
        if not later:
            continue
        late = later[0].at - pause.known
        assert late <= 1.0, f"the first request came {late:.3f} s after the end of the pause"
        second = [exchange for exchange in later if exchange.at < later[0].at + 0.95]
        most = max(sum(other.at <= each.at < other.done for other in second) for each in second)
        assert most <= max(1, _TENTH), f"{most} requests open in the first second after a pause"
        for name, figure in (("first after", late), ("open in the first second", most), ("in it", len(second))):
            world.figures[name] = max(world.figures.get(name, -math.inf), figure)
