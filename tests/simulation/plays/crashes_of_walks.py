"""The walks that must be asked for, cut down again and again while the server fails and rows change.

Several walks a resource, parts that are cut off while they run, offset pages in flight together and sweeps behind it
all keep their positions apart: started again on what survived, nothing is lost and nothing is doubled (FAULTS F05,
F06, F08, R01, R05, T09; invariants 2, 3, 5 and 10).
"""

from __future__ import annotations

from harvester.sandbox.faults import Match, Rule
from tests.simulation.contestants import OTHER_WALKS
from tests.simulation.outcome import Witness, check_runs
from tests.simulation.plays.crashes import attempt
from tests.simulation.truth import check_disk
from tests.simulation.world import World

_MOST = 10  # crashes of one seed; then it is left alone
_A_MONTH = 30 * 86_400  # what a probe has found is forgotten by then
_FAULTS = ("status:503", "cut:len", "rst:0", "short:0.5", "429:ra=3", "cut:valid_json", "next:drop", "latency:3")


async def play(world: World) -> None:
    chance = world.faults
    contestant = chance.choice(OTHER_WALKS)
    async with world.serving(records=chance.choice((40, 90, 160)), options=contestant.options) as sandbox:
        config = contestant.config(world)
        here = Match(provider=contestant.simulator)
        rules = [Rule(fault=chance.choice(_FAULTS), match=here, p=0.1, times=5)] if chance.random() < 0.5 else []
        moves = chance.random() < 0.5
        if moves:
            rules.append(Rule(fault=f"mutate:{chance.choice((0.05, 0.3))}", match=here, times=200))
        sandbox.faults.replace(rules)
        world.think = chance.choice((0.0, 0.05))
        world.trace.note(f"{contestant.name} {[rule.fault for rule in rules]}")
        witness = Witness(world, contestant)
        crashes = 0
        while not await attempt(world, config, witness, None if crashes >= _MOST else chance, prove=contestant.prove):
            crashes += 1
            if crashes == _MOST:
                sandbox.faults.replace([])
            assert crashes < _MOST + 4, "not complete although nothing fails any more"
            check_disk(world.machine)
            await world.machine.clock.sleep(chance.uniform(0, 30) if crashes < _MOST else _A_MONTH)
        check_disk(world.machine)
        check_runs(world, contestant, "moves" if moves else "same", witness)
        assert not world.machine.fs.disk.open_files, "files were left open"
        world.figures["crashes"] = crashes
