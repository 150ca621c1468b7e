"""Two faults of the catalogue at once, drawn at random: still the truth, or a reason.

Each fault meets requests of its own choice: one page, a share of them, or all (bar 4 of fan-out and proof).
"""

from __future__ import annotations

from tests.simulation.contestants import ALL
from tests.simulation.fault_rows import CASES
from tests.simulation.faulted import harvest_under
from tests.simulation.world import World

_RANK = ("same", "moves", "altered", "silent")


async def play(world: World) -> None:
    chance = world.faults
    contestant = ALL[chance.choice(sorted(ALL))]
    able = [case for case in CASES if case.fits(contestant)]
    rows = sorted({case.row for case in able})
    # By row first: some have many more cases than others.
    chosen = [chance.choice([case for case in able if case.row == row]) for row in chance.sample(rows, 2)]
    rules = [rule for case in chosen for rule in case.rules(contestant)]
    world.trace.note(f"{contestant.name}: {' and '.join(case.name for case in chosen)}")
    told: list[str] = []
    truth = max((case.truth for case in chosen), key=_RANK.index)
    try:
        await harvest_under(contestant, rules, truth, told)(world)
    except AssertionError as error:
        raise AssertionError(f"{contestant.name}, {' and '.join(case.name for case in chosen)}: {error}") from error
    world.figures["equal"] = told[0] == "equal"
