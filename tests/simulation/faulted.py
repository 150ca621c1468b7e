"""A harvest that meets the faults it is given; afterwards it meets none, and is complete."""

from __future__ import annotations

from collections.abc import Sequence

from harvester.sandbox.faults import Rule
from tests.simulation.contestants import Contestant
from tests.simulation.outcome import Witness, check_outcome
from tests.simulation.truth import check_disk
from tests.simulation.world import Play, World

_AGAIN = 4  # times it may be run again once nothing fails any more
_AN_HOUR = 3600
_A_MONTH = 30 * 86_400  # what a probe has found is forgotten by then


_CLOSING = ("cut", "gzip", "enc", "ctype", "smuggle", "bomb", "huge")  # the connection ends behind the answer
_LASTING = ("ts", "tz", "frac", "ties")  # they changed the rows themselves, which stay so


def harvest_under(contestant: Contestant, rules: Sequence[Rule], truth: str, told: list[str]) -> Play:
    """A play. *told* takes what came of it, in a few words, first."""
    lasting = any(rule.fault.partition(":")[0] in _LASTING for rule in rules)
    stamped = not lasting and truth != "silent"  # whether every change has a new time, so that a delta can see it

    async def play(world: World) -> None:
        async with world.serving(records=contestant.records, options=contestant.options) as sandbox:
            config = contestant.config(world)
            witness = Witness(world, contestant)
            options = {"resources": list(contestant.resources), "sink": witness, "prove": contestant.prove}
            if contestant.changes:
                assert (await world.harvest(config, **options)).complete, "without a fault"
                await world.machine.clock.sleep(2 ** world.data.uniform(8, 16))
                sandbox.mutate(contestant.changes, contestant.simulator)
                witness.began()
            sandbox.faults.replace(list(rules))
            witness.desync = any(rule.fault.startswith("desync") for rule in rules)
            world.trace.note(f"{contestant.name} {[rule.fault for rule in rules]}")
            report = await world.harvest(config, **options)
            check_disk(world.machine)
            told.append(check_outcome(world, contestant, report, truth, witness))
            met = any(entry.fault for entry in sandbox.log)
            told.append("" if met else "the fault never happened")
            entries = world.requests(contestant.simulator)
            over = [entry.over for entry in entries if entry.over]
            assert not over, f"{len(over)} requests above the window {over[0]}"
            # Who must dial anew is on the way longer than the world's grace, and knew of no pause when it set out.
            dialled = any(rule.fault.partition(":")[0] in _CLOSING for rule in rules)
            inside = [] if dialled else world.inside_a_pause()
            assert not inside, f"{len(inside)} requests inside a pause, as at {inside[0].at} s"
            sandbox.faults.replace([])
            witness.desync = False
            sandbox.clock.skew = 0.0
            again = 0
            while not report.complete:
                again += 1
                if lasting and again > 1:
                    break
                assert again <= _AGAIN, f"not complete although nothing fails any more: {report}"
                await world.machine.clock.sleep(_AN_HOUR if again == 1 else _A_MONTH)
                if contestant.changes and stamped:
                    witness.began()
                report = await world.harvest(config, **options)
            if contestant.changes and stamped:
                await world.machine.clock.sleep(_AN_HOUR)
                witness.began()
                again += 1
                assert (await world.harvest(config, **options)).complete, "a delta behind one that says complete"
            if again:
                check_outcome(world, contestant, report, truth, witness)
                check_disk(world.machine)
            world.figures["again"] = again

    return play
