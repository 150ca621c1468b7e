"""A whole harvest of one provider while its server fails in every way at random.

What says ``complete`` is equal to the truth; what is not says so. Once the faults are over, running again completes
it (FAULTS N01 to N03, H01, H02, S01 to S05, S07, S10, A01, Q01, Q02, Q11, Q12, P09; invariants 1 to 6 and 10).
"""

from __future__ import annotations

from tests.simulation import rules
from tests.simulation.changes import Changes
from tests.simulation.truth import check_complete, check_disk
from tests.simulation.world import PROVIDERS, World


async def play(world: World) -> None:
    chance = world.faults
    provider = chance.choice(PROVIDERS)
    changes = Changes(world, provider)
    async with world.serving() as sandbox:
        drawn = rules.draw(chance, provider)
        sandbox.faults.replace(drawn)
        world.network.refuse = chance.choice((0.0, 0.0, 0.05))
        world.trace.note(f"{provider} {[rule.fault for rule in drawn]}")
        config = world.config(provider)

        report = await world.harvest(config, sink=changes, resources=changes.resources)
        again = 0
        check_complete(world.machine, sandbox.simulator(provider), changed=changes.any)
        check_disk(world.machine)
        sandbox.faults.replace([])
        world.network.refuse = 0.0
        while not report.complete:
            again += 1
            assert again < 4, f"not complete although nothing fails any more: {report}"
            await world.machine.clock.sleep(3600)
            report = await world.harvest(config, sink=changes, resources=changes.resources)
        check_complete(world.machine, sandbox.simulator(provider), changed=changes.any)
        check_disk(world.machine)
        entries = world.requests(provider)
        over = [entry.over for entry in entries if entry.over]
        assert not over, f"{len(over)} requests above the window {over[0]}"
        inside = world.inside_a_pause()
        assert not inside, f"{len(inside)} requests inside a pause, as at {inside[0].at} s"
        assert world.machine.clock.shortest >= 0
        world.figures["again"] = again
