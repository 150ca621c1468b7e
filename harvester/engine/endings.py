"""Whether deltas that were led by links have brought all that changed: that no link came proves nothing.

A link may be left out (FAULTS P06), and nothing else would tell: a count of the whole resource says nothing about what
changed, because a lost change is the change of a record that is held. So the provider is asked how many records there
are within the bounds of the walk, unless its first page has told that, or nothing changed at all, or its last page
showed that nothing lies behind it.

Rows come and go meanwhile. Only fewer than *both* counts, of before and after, is a gap; without one of before, what
changed since the walk began is left out of the count, and of what came. A count proves nothing (P13): where the last
page shows nothing either, one that is smaller than what came is not believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from msgspec import Struct, structs

from harvester.contracts import LinkedPager, Transport
from harvester.decode.heads import HeadReader
from harvester.engine.ask import ask, count
from harvester.engine.crew import Crew
from harvester.engine.position import second_after
from harvester.engine.sieve import Sieve
from harvester.engine.source import Source
from harvester.engine.stopping import unless_stopped
from harvester.engine.workshop import Workshop
from harvester.errors import GiveUpError
from harvester.model import Ending, PageRequest, Phase, Walk

_NEVER = "9999-12-31T23:59:59Z"  # nothing changed since
_LATE_PAGES = 20  # of what changes while a delta is under way; with more the delta is read again


class Short(Struct, frozen=True):
    """A walk that cannot be shown to be whole."""

    walk: str  # its id
    cause: str
    missing: int | None = None  # records; None: nobody can tell


class Endings:
    """Judges the ends of walks that have ended.

    Args:
        transport: of the run, so that its questions are counted as the run's requests.
        crew: its walks.
    """

    def __init__(self, source: Source, transport: Transport, crew: Crew) -> None:
        self._source, self._transport, self._crew = source, transport, crew

    async def short(self, walks: Sequence[Walk], shop: Workshop) -> list[Short] | None:
        """Those of *walks*, or of the parts they were cut into, that may lack something; None: asked to stop."""
        found: list[Short] = []
        parts = [part for walk in walks for part in self._crew.family(walk.id)]
        for part in parts:
            position = self._crew.positions.get(part.id)
            if position is None or not position.done:
                continue
            told, stopped = await unless_stopped(shop.stop, partial(self._judge, part, shop))
            if stopped:
                return None
            if told is not None:
                found.append(told)
        return found

    async def _judge(self, walk: Walk, shop: Workshop) -> Short | None:
        position, pager = self._crew.positions[walk.id], self._source.provider.pager(walk.pager)
        tally = position.tally
        if not isinstance(pager, LinkedPager) or tally.ending == Ending.SHOWN:
            return None
        met = tally.met if tally.met is not None and walk.resource.key else tally.records
        likely = tally.ending == Ending.LIKELY
        if not met and likely:
            return None  # one empty page: nothing changed
        before = position.expected if walk.counted else None
        if before is not None and (before == met or (before < met and likely)):
            return None
        after = await self._count(walk, pager) if walk.counted else None
        known = [number for number in (before, after) if number is not None]
        if known and min(known) > met and before is None and await self._has_changed_since(walk, pager, shop.sieve):
            return None
        if known and min(known) > met and await self._is_of_everything(walk, pager):
            if not met:
                return None  # one empty page of a server that does not count changes
            known = []
        if not known:
            told = "nothing shows that the last page of what changed was the last, and how many there are is not told"
            return None if likely else Short(walk.id, _of(walk, told))
        if min(known) > met:
            missing = min(known) - met
            told = f"the provider counts {min(known):,} changed records, {missing:,} more than could be read"
            return Short(walk.id, _of(walk, told), missing)
        if max(known) < met and not likely:
            told = f"the provider counts {max(known):,} changed records where {met:,} came, and nothing shows the end"
            return Short(walk.id, _of(walk, told))
        return None

    async def _has_changed_since(self, walk: Walk, pager: LinkedPager, sieve: Sieve) -> bool:
        """Whether what was not met has changed since the walk began, by a count that leaves that out.

        Records that were met may have changed since, too. They are not in that count, so they are listed, and left out
        of what was met: with them, as many others could be missing.
        """
        anchor = self._crew.positions[walk.id].anchor
        until = second_after(anchor)
        if walk.since is None or walk.until is not None or until is None or self._source.provider.timestamps != "iso":
            return False
        if until == anchor:
            return False  # what changed at that very instant would be neither counted nor listed
        number = await self._count(structs.replace(walk, until=until), pager)
        if number is None or number > sieve.met_without(walk, ()):
            return False
        # Listed after the count: what changes between the two is left out although it was counted, never the other way.
        late = await self._list(structs.replace(walk, since=anchor), pager)
        return late is not None and number <= sieve.met_without(walk, late)

    async def _list(self, walk: Walk, pager: LinkedPager) -> set[tuple[str, ...]] | None:
        """Keys of the records of *walk*; None: they are too many for that, or cannot be shown to be all of them."""
        read, keys = HeadReader(walk.resource).read, set[tuple[str, ...]]()
        asked: Sequence[PageRequest] = (pager.first(walk),)
        for _ in range(_LATE_PAGES):
            if not asked:
                number = await self._count(walk, pager)
                return keys if number is not None and number <= len(keys) else None
            try:
                page = await ask(self._source, self._transport, walk, asked[0])
                heads = [read(record) for record in page.records]
                asked = pager.follow(walk, page, heads)
            except GiveUpError:
                return None
            if page.rejected or any(head.key is None for head in heads):
                return None
            keys.update(head.key for head in heads if head.key is not None)
        return None

    async def _is_of_everything(self, walk: Walk, pager: LinkedPager) -> bool:
        """Whether the server's counts do not keep to the bounds they are asked for."""
        if walk.since is None:
            return False
        return bool(await self._count(structs.replace(walk, since=_NEVER, until=None), pager))

    async def _count(self, walk: Walk, pager: LinkedPager) -> int | None:
        number = await count(self._source, self._transport, walk, pager.how_many(walk))
        if number is not None:
            return number
        # Once more: of a server that counts, it may be the answer to another request (FAULTS H11).
        return await count(self._source, self._transport, walk, pager.how_many(walk))


def _of(walk: Walk, told: str) -> str:
    if walk.phase is Phase.FULL:
        told = told.replace("changed records", "records").replace("of what changed ", "")
    return told if walk.value is None else f"{told} ({walk.value})"
