"""One fault of the catalogue against one provider or walk: seeds go through all of them, and on with other worlds.

The outcome equals the truth, or the harvest ends with a status other than 0 and a reason; once the faults are over,
running again completes it (FAULTS P01 to P16, T01 to T08, T12, H01 to H13, S01 to S13; invariants 1 to 6 and 10).
"""

from __future__ import annotations

from tests.simulation.contestants import ALL
from tests.simulation.fault_rows import CASES, HEAVY
from tests.simulation.faulted import harvest_under
from tests.simulation.world import World

_PLAYS = [(case, contestant) for case in (*CASES, *HEAVY) for contestant in ALL.values() if case.fits(contestant)]


async def play(world: World) -> None:
    case, contestant = _PLAYS[world.seed * _STRIDE % len(_PLAYS)]
    told: list[str] = []
    await harvest_under(contestant, case.rules(contestant), case.truth, told)(world)
    world.figures["equal"] = told[0] == "equal"


_STRIDE = 101  # so that a few seeds meet rows of every kind
