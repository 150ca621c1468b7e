"""Single questions that show whether a listing of keys leaves something out."""

from __future__ import annotations

from collections.abc import Sequence

from harvester.contracts import Transport
from harvester.decode.heads import HeadReader
from harvester.engine.ask import ask, open_page, send
from harvester.engine.reader import told_to
from harvester.engine.reconcile import Reconcile
from harvester.engine.source import Source
from harvester.errors import GiveUpError
from harvester.model import PageRequest, Walk
from harvester.store.keys import identity, parts_of

MOST_GONE = 0.2  # share of what is held that may have gone while a run lasts


class Suspicion:
    """Asks about one listing.

    Args:
        walks: the full walks of the run.
        times: the listing goes by modification time: a record that changed meanwhile may have moved past its end.
    """

    def __init__(
        self, source: Source, reconcile: Reconcile, transport: Transport, walks: Sequence[Walk], *, times: bool
    ) -> None:
        self._source, self._reconcile, self._transport = source, reconcile, transport
        self._walks, self._times = walks, times

    async def nothing_beyond(self, listings: Sequence[Walk], number: int) -> bool:
        """Whether the server has no record behind *number* others. False: it has, or it cannot tell."""
        question = self._reconcile.beyond
        if question is None or len(listings) != 1:
            return False
        page = await self._answer(listings[0], question(listings[0], number))
        return page is not None and not page

    async def alive(self, gone: Sequence[tuple[bytes, str | None]]) -> tuple[str, ...] | None:
        """One of *gone* that is still there as it was, None: there is none, or the server cannot be asked.

        Args:
            gone: identity and modification time of keys that are held and not listed.
        """
        expected = dict(gone)
        for way in self._reconcile.ways(self._walks, len(gone), 0):
            if not way.fetcher:
                continue
            keys = [parts_of(name) for name in expected]
            for walk in self._reconcile.repairs(self._walks, way, keys, "x", 0):
                found = await self._find(walk)
                if found is None:
                    break  # this way of asking is not taken; try the next
                for name, time in found.items():
                    if name in expected and (not self._times or expected[name] in {None, time}):
                        return parts_of(name)
            else:
                return None
        return None

    async def _find(self, walk: Walk) -> dict[bytes, str | None] | None:
        """Identity and time of the records of *walk* that there are; None: it cannot be asked."""
        pager, scope = self._source.provider.pager(walk.pager), () if walk.value is None else (walk.value,)
        reader = HeadReader(walk.resource)
        found: dict[bytes, str | None] = {}
        todo = [pager.first(walk)]
        while todo:
            request = todo.pop()
            try:
                response = await send(self._source, self._transport, walk, request)
                page = open_page(self._source, walk, request, response)
                heads = [reader.read(record) for record in page.records]
                todo.extend(told_to(each, response.via) for each in pager.follow(walk, page, heads))
            except GiveUpError:
                return None
            found |= {identity((*scope, *head.key)): head.modified for head in heads if head.key is not None}
        return found

    async def _answer(self, walk: Walk, request: PageRequest) -> int | None:
        """How many records come; None: the question is not taken."""
        try:
            page = await ask(self._source, self._transport, walk, request)
        except GiveUpError:
            return None
        return len(page.records) + len(page.rejected)
