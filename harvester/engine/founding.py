"""The parts that a walk is cut into before it begins: where the last run has learned, or where counts say.

They are made durable from behind, so that what is durable is always the rest from some place on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from harvester.contracts import LinkedPager
from harvester.engine.ask import count, find_anchor
from harvester.engine.parts import between, ending_at, part_id
from harvester.engine.source import Cutting
from harvester.engine.stopping import unless_stopped
from harvester.engine.workshop import Workshop
from harvester.model import PageRequest, Phase, Walk
from harvester.store.splits import Splits

if TYPE_CHECKING:
    from harvester.engine.crew import Crew

_ASKED_FOR = 2.5  # times as many pages in a part where its bounds have to be asked for: that takes two requests


class Founding:
    """Founds the parts of the walks of one resource.

    Args:
        cuttings: by the name of the walk that can be cut so.
    """

    def __init__(self, crew: Crew, shop: Workshop, cuttings: Mapping[str, Cutting]) -> None:
        self._crew, self._shop, self._cuttings = crew, shop, cuttings

    async def cut(self, root: Walk, learned: Splits | None, among: int, *, closed: bool) -> tuple[Walk, ...]:
        """The walks that read *root*: it alone where it is not known how to cut it, or is not worth it.

        Args:
            learned: by the last run; None: nothing.
            among: so many roots share the lanes.
            closed: a closing delta follows and brings what changes later than its anchor.
        """
        cutting = self._cuttings[root.pager]
        size = self._shop.source.provider.pager(root.pager).first(root).size
        if not size:
            return (root,)
        if learned is None:
            return await self._by_counts(root, cutting, among, size)
        number = _parts(cutting, learned.records / size, among)
        return await self._by_what_was_learned(root, cutting, learned, number, closed=closed)

    async def _by_what_was_learned(
        self, root: Walk, cutting: Cutting, learned: Splits, number: int, *, closed: bool
    ) -> tuple[Walk, ...]:
        shop = self._shop
        if number < 2:
            return (root,)
        anchor, stopped = await unless_stopped(shop.stop, lambda: find_anchor(shop.source, shop.transport, root))
        end = anchor if closed else None
        places = cutting.places(root, learned, number, end)
        if stopped or not places:
            return (root,)
        # Rows move from window to window, so that counts of each, at different times, are no count of the whole.
        whole = None if cutting.running or shop.count is None else await self._ask(root, shop.count(root))
        return await self._found(root, places, end, anchor, whole)

    async def _by_counts(self, root: Walk, cutting: Cutting, among: int, size: int) -> tuple[Walk, ...]:
        """Cut *root* where the provider's counts say, since no earlier run has learned where."""
        shop, sound = self._shop, cutting.sound
        pager = shop.source.provider.pager(root.pager)
        if sound is None or root.phase is not Phase.FULL or not isinstance(pager, LinkedPager):
            return (root,)
        records = await self._ask(root, pager.how_many(root))
        number = _parts(cutting, (records or 0) / size, among, _ASKED_FOR)
        if records is None or number < 2:
            return (root,)
        asked = sound(records, number, shop.clock.now())
        try:
            at = next(asked)
            while True:
                at = asked.send(await self._ask(root, pager.how_many(replace(root, until=at))))
        except StopIteration as found:
            places: tuple[str, ...] = found.value
        if not places or shop.stop.is_set():
            return (root,)
        return await self._found(root, places, None, None, None if shop.count is None else records)

    async def _ask(self, root: Walk, question: PageRequest) -> int | None:
        """How many; None: nobody says, or the run is asked to stop."""
        shop = self._shop
        number, _ = await unless_stopped(shop.stop, lambda: count(shop.source, shop.transport, root, question))
        return number

    async def _found(
        self, root: Walk, places: Sequence[str], end: str | None, anchor: str | None, whole: int | None
    ) -> tuple[Walk, ...]:
        """The parts of *root* that begin at *places*, durable.

        Args:
            end: of the last one, None: open.
            anchor: of all of them; None: the first page of each will tell.
            whole: records of *root*; None: each part is told its own, or nobody knows.
        """
        by_time = self._cuttings[root.pager].by_time
        ids = self._crew.names(root.id)
        parts = []
        for at, until in zip(places, (*places[1:], end), strict=True):
            ids.append(part_id(root.id, ids))
            parts.append(between(root, ids[-1], at, until, by_time=by_time))
        if by_time:
            parts.append(replace(root, id=part_id(root.id, ids), part_of=root.id, undated=True))
        first = ending_at(root, places[0], by_time=by_time)
        expected = None if whole is None else 0  # it is counted with the first one
        for part in reversed(parts):
            await self._crew.found(part, self._shop, anchor=anchor, expected=expected)
        await self._crew.found(first, self._shop, anchor=anchor, expected=whole)
        return (first, *parts)


def _parts(cutting: Cutting, pages: float, among: int, least: float = 1.0) -> int:
    """Parts for *pages*. *least*: how many times the pages that a part should have."""
    return min(-(-cutting.lanes(pages) // among), int(pages / (cutting.least_pages * least)))
