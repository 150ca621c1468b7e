"""What follows the walks a run begins with: rounds that close full walks, and that read again what came short.

A full walk is followed by a delta from the instant before its first request. A delta that cannot be shown to have
brought everything is read once more: a link that was left out once is there the next time (FAULTS P06).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct, structs

from harvester.engine.crew import Crew
from harvester.engine.endings import Endings, Short
from harvester.engine.evidence import Evidence
from harvester.engine.parts import root_of, whole
from harvester.engine.source import Blueprint
from harvester.engine.workshop import Workshop
from harvester.errors import FilterIgnored
from harvester.model import Phase, Walk
from harvester.store.commits import Commit

ROUNDS = "cde"  # first letters of the walk ids


class Closed(Struct, frozen=True):
    """How the rounds of a run ended."""

    reason: str = ""  # why it may lack something; "" when nothing shows that it does
    unasked: str = ""  # why what changed meanwhile could not be asked for; "" when it could


class Closing:
    """The rounds of one resource's run."""

    def __init__(self, blueprint: Blueprint, crew: Crew, evidence: Evidence, endings: Endings) -> None:
        self._blueprint, self._crew = blueprint, crew
        self._evidence, self._endings = evidence, endings

    async def run(
        self, walks: Sequence[Walk], shop: Workshop, earlier: Mapping[str, tuple[Commit, ...]]
    ) -> Closed | None:
        """Close *walks*, which have ended; None: asked to stop.

        Args:
            earlier: what attempts before this one have committed. A round that one of them began belongs to the run
                and is finished, needed or not.
        """
        short = await self._judge_deltas(walks, shop)
        if short is None:
            return None
        reason = ""
        for letter, following in zip(ROUNDS, f"{ROUNDS[1:]}-", strict=True):
            lacking = {root_of(each.walk)[1:] for each in short}
            again = [
                self._uncut(walk, name)
                for walk in walks
                if walk.phase is Phase.DELTA
                and ((name := f"{letter}{walk.id[1:]}") in earlier or walk.id[1:] in lacking)
            ]
            full = [walk for walk in walks if walk.phase is Phase.FULL]
            closing = [*again, *(closed for walk in full if (closed := self._close(walk, letter)) is not None)]
            try:
                if not await self._crew.run(closing, shop, earlier):
                    return None
            except FilterIgnored as error:  # the full walk is whole; only its end cannot be closed (FAULTS P15)
                return Closed(reason, str(error))
            if self._evidence.mode is Phase.FULL:
                reason, stopped = await self._evidence.shortfall(walks, shop)
                if stopped:
                    return None
            told = await self._judge(closing, short, shop)
            if told is None:
                return None
            short = told
            if not reason and short:
                reason = self._evidence.lack(short[0].cause, short[0].missing)
            elif not short and self._evidence.mode is not Phase.FULL:
                reason = ""
            if not any(name.startswith(following) for name in earlier) and (not reason or not closing):
                break
        return Closed(reason)

    async def _judge_deltas(self, walks: Sequence[Walk], shop: Workshop) -> list[Short] | None:
        """Those of the *walks* of a delta that came short; None: asked to stop."""
        return await self._endings.short(walks, shop) if self._evidence.mode is Phase.DELTA else []

    async def _judge(self, closing: Sequence[Walk], before: Sequence[Short], shop: Workshop) -> list[Short] | None:
        """What is short after a round; None: asked to stop.

        Args:
            closing: its walks. What they do not read again is as short as it was *before*.
        """
        told = await self._endings.short(closing, shop)
        if told is None:
            return None
        again = {walk.id[1:] for walk in closing if walk.phase is Phase.DELTA}
        return [*(each for each in before if each.walk[0] in "wn" and root_of(each.walk)[1:] not in again), *told]

    def _uncut(self, walk: Walk, name: str) -> Walk:
        """*walk* to be read once more as *name*, in one piece if it was cut."""
        cut = len(self._crew.family(walk.id)) > 1
        return structs.replace(walk, id=name, until=None if cut else walk.until, part_of="")

    def _close(self, walk: Walk, letter: str) -> Walk | None:
        crew = self._crew
        if len(crew.family(walk.id)) > 1:
            walk = whole(walk)
        closing = self._blueprint.close(walk, crew.anchor(walk.id), crew.reached(walk.id))
        return structs.replace(closing, id=f"{letter}{walk.id[1:]}") if closing is not None else None
