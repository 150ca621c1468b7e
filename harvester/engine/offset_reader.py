"""One walk by offset as a stream of decoded pages: many travel at once, and what they prove together is kept."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec
from anyio.abc import TaskGroup

from harvester.contracts import Clock, OffsetPager, Transport
from harvester.decode.heads import HeadReader, PageHeads
from harvester.engine.cells import Cell, Reached
from harvester.engine.fetched import Fetched
from harvester.engine.fetches import Fetches, Outcome
from harvester.engine.frontier import Frontier
from harvester.engine.reader import LOST_CURSOR, fetch_page
from harvester.engine.seams import Cover
from harvester.engine.source import Source
from harvester.errors import CursorExpired, HarvesterError, PageTooLarge, ResourceRefused, SeamBroken
from harvester.model import Page, PageRequest, Response, Walk

_LARGEST = 1000  # records of a page where nobody says


class OffsetReader:
    """Fetches the pages of one walk, up to *lanes* at a time, and hands them out as they arrive.

    Each page moves the cursor to the end of what is proved by it and by all that were handed out before. Pages beyond
    that are read again after a crash: as many as may be in flight, and a few more.

    Args:
        expected: the total that the provider claims; None: it does not say.
    """

    def __init__(
        self,
        walk: Walk,
        frontier: Frontier,
        pager: OffsetPager,
        *,
        source: Source,
        transport: Transport,
        clock: Clock,
        tasks: TaskGroup,
        lanes: int,
        expected: int | None = None,
    ) -> None:
        self._walk, self._pager = walk, pager
        self._source, self._transport, self._clock = source, transport, clock
        self._lanes = lanes
        self._heads = HeadReader(walk.resource)
        self._asked = frontier.cursor[0]
        self._base = self._asked
        reached = msgspec.json.decode(self._asked.state, type=Reached) if self._asked.state else None
        self._linked = reached is not None
        self._cover = Cover(
            pager.grid,
            self._asked.size or _LARGEST,
            lanes=lanes,
            expected=expected,
            reached=reached,
            may_count=pager.may_count,
        )
        self._told = (0, 0, 0)  # seams, mended, extra: as far as pages handed out have told them
        self._fetches = Fetches(tasks)

    async def next(self) -> Fetched | None:
        """The next page to arrive; None when the walk has ended.

        Raises:
            SeamBroken, OrderViolated: offset pages cannot read this set; pages handed out before stay good.
            CursorExpired: the place where an earlier attempt stood is not found any more.
            HarvesterError: a page cannot be had.
        """
        self._launch()
        if not self._fetches.running and not self._fetches.ready:
            if self._cover.ended:
                return None
            raise SeamBroken(f"{self._walk.resource.name}: there is nothing left to ask for, and no proof of the end")
        fetched = await self._fetches.take()
        self._launch()
        return fetched

    def narrow(self, walk: Walk) -> None:
        """Go on as *walk*."""
        self._walk = walk

    def close(self) -> None:
        """End the fetches under way."""
        self._fetches.close()

    def _launch(self) -> None:
        fetches = self._fetches
        for cell in self._cover.wanted(self._lanes - fetches.running - fetches.ready):
            fetches.start(partial(self._fetch, cell), self._came)

    def _came(self, outcome: Outcome) -> None:
        if isinstance(outcome, HarvesterError):
            return
        if self._cover.ended:
            self._fetches.cancel()  # asked for in case there was more
            if outcome is None:
                self._fetches.put(SeamBroken("the end came with an answer that could not be used"))
        try:
            self._launch()
        except HarvesterError as error:
            self._fetches.put(self._named(error))

    async def _fetch(self, cell: Cell) -> Fetched | None:
        """The page; None: nothing of it can be used, and the cover will ask for what is missing."""
        began, cover = self._clock.monotonic(), self._cover
        request = self._pager.at(self._walk, self._base, cell.start, cell.size, counted=cell.counted)
        try:
            page, response = await fetch_page(self._source, self._transport, self._clock, self._walk, request)
        except PageTooLarge as error:
            if not cover.too_large(cell, error.page_size):
                raise
            return None
        except ResourceRefused as error:
            if cell.counted:
                cover.uncounted(cell)
                return None
            if error.status not in LOST_CURSOR or not cover.pages:
                raise
            try:
                cover.refused(cell)
            except SeamBroken as broken:
                raise self._named(broken) from error
            return None
        heads = PageHeads(page.records, self._heads)
        try:
            if not self._take(cell, page, heads):
                return None
        except HarvesterError as error:
            raise self._named(error) from error
        return self._fetched(request, page, heads, response, self._clock.monotonic() - began)

    def _take(self, cell: Cell, page: Page, heads: PageHeads) -> bool:
        keys = [key for key in heads.columns.keys if key is not None]
        taken = self._cover.arrived(cell, keys, len(page.records) + len(page.rejected), page.count)
        if taken and not self._linked and keys:
            # The provider's own link, when it only hides an offset; else what the pager makes stays.
            self._base = self._pager.linked(self._walk, page) or self._base
            self._linked = True
        return taken

    def _fetched(
        self, request: PageRequest, page: Page, heads: PageHeads, response: Response, seconds: float
    ) -> Fetched:
        cover, asked = self._cover, self._asked
        followers: Sequence[PageRequest] = ()
        if not cover.ended:
            self._asked = self._cursor()
            followers = (self._asked,)
        seams, mended, extra = cover.seams, cover.mended, cover.extra
        before, self._told = self._told, (seams, mended, extra)
        return Fetched(
            asked=asked,
            request=request,
            # Where the link leads decides nothing here: what it hides is moved by the pager and proved by seams. And a
            # count that was told on the way is of one instant: rows that have gone since are no gap.
            page=msgspec.structs.replace(page, next_link=None, count=None),
            heads=heads,
            followers=followers,
            seconds=seconds,
            travelled=response.elapsed,
            wire_bytes=response.wire_bytes,
            seams=seams - before[0],
            mended=mended - before[1],
            extra=extra - before[2],
        )

    def _cursor(self) -> PageRequest:
        """Where to go on after a crash: the end of what is proved, and the keys it is known by."""
        reached = self._cover.reached
        if not reached.edge:
            return self._asked
        place = self._pager.at(self._walk, self._base, reached.end, self._asked.size or _LARGEST, counted=False)
        return msgspec.structs.replace(place, state=msgspec.json.encode(reached).decode(), size=self._asked.size)

    def _named(self, error: HarvesterError) -> HarvesterError:
        if isinstance(error, SeamBroken):
            if self._cover.resuming:
                return CursorExpired(f"{self._walk.resource.name}: the place of the last commit is not found any more")
            return SeamBroken(f"{self._walk.resource.name}: {error}. What was written before stays.")
        return error
