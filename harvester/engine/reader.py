"""One walk as a stream of decoded pages: the next ones travel while the last is being written."""

from __future__ import annotations

import math
from collections import deque
from functools import partial

from anyio.abc import TaskGroup
from msgspec.structs import replace

from harvester.contracts import Clock, Pager, Transport
from harvester.decode.heads import HeadReader, PageHeads
from harvester.engine.ask import open_page, send
from harvester.engine.fetched import Fetched
from harvester.engine.fetches import Fetches, Outcome
from harvester.engine.frontier import Frontier
from harvester.engine.own_pages import check_own
from harvester.engine.source import Source
from harvester.errors import (
    CursorExpired,
    PageTooLarge,
    ProtocolError,
    ResourceRefused,
)
from harvester.model import Page, PageRequest, Response, Walk

_AHEAD = 2  # pages that may lie ready: a commit takes about as long as they do
_DECODE_ATTEMPTS = 3  # a page whose body is no page of this provider is fetched again, then fails
_DECODE_PAUSE = 1.0  # seconds before that, times the attempt
LOST_CURSOR = frozenset({400, 404, 409, 410})  # on a later page: the position is refused, not the resource


class WalkReader:
    """Fetches the pages of one walk, up to *lanes* at a time, and hands them out as they arrive.

    The caller settles each page on the frontier once it is written. Fetches run in *tasks*, which the caller
    owns; ``close`` ends those of this reader.
    """

    def __init__(
        self,
        walk: Walk,
        frontier: Frontier,
        *,
        source: Source,
        transport: Transport,
        clock: Clock,
        tasks: TaskGroup,
        lanes: int = 1,
    ) -> None:
        self._walk, self._frontier = walk, frontier
        self._source, self._transport = source, transport
        self._pager: Pager = source.provider.pager(walk.pager)
        self._heads = HeadReader(walk.resource)
        self._clock, self._lanes = clock, lanes
        self._fetches = Fetches(tasks)
        self._todo = deque(frontier.cursor)
        self._linked_at = -math.inf  # monotonic; the page with the latest link came then. Resumed: nobody knows

    async def next(self) -> Fetched | None:
        """The next page to arrive; None when the walk has ended.

        Raises:
            HarvesterError: a page cannot be had. Pages handed out before stay good.
        """
        self._launch()
        if not self._fetches.running and not self._fetches.ready:
            return None
        fetched = await self._fetches.take()
        self._launch()
        return fetched

    def narrow(self, walk: Walk) -> None:
        """Go on as *walk*, which ends earlier; a fetch under way may still bring rows beyond that end."""
        self._walk = walk

    def close(self) -> None:
        """End the fetches under way."""
        self._fetches.close()

    def _launch(self) -> None:
        fetches = self._fetches
        while self._todo and fetches.running < self._lanes and fetches.ready < _AHEAD:
            fetches.start(partial(self._fetch, self._todo.popleft()), self._came)

    def _came(self, outcome: Outcome) -> None:
        if isinstance(outcome, Fetched):
            self._todo.extend(outcome.followers)
            # The next page travels while the caller writes this one, or waits for the disk.
            self._launch()

    async def _fetch(self, asked: PageRequest) -> Fetched:
        began = self._clock.monotonic()
        request = asked
        while True:
            try:
                page, response = await self._ask(request)
                heads = PageHeads(page.records, self._heads)
                followers = self._pager.follow(self._walk, page, heads)
            except PageTooLarge as error:  # by the server's word, or because the pager saw that the page is cut
                smaller = self._pager.with_size(self._walk, request, error.page_size)
                if smaller == request:
                    raise
                request = smaller
            except ResourceRefused as error:
                if error.status in LOST_CURSOR and asked != self._pager.first(self._walk):
                    raise CursorExpired(str(error)) from error
                raise
            else:
                self._linked_at = self._clock.monotonic()
                return Fetched(
                    asked=asked,
                    request=request,
                    page=page,
                    heads=heads,
                    followers=[told_to(each, response.via) for each in followers],
                    seconds=self._clock.monotonic() - began,
                    travelled=response.elapsed,
                    wire_bytes=response.wire_bytes,
                )

    def _urgent_at(self, request: PageRequest) -> float:
        """When *request* must go before all others (monotonic): half of the time that its link lives has gone."""
        lifetime = self._source.link_lifetime
        if lifetime is None or request == self._pager.first(self._walk):
            return math.inf
        return self._linked_at + lifetime / 2

    async def _ask(self, request: PageRequest) -> tuple[Page, Response]:
        urgent_at = self._urgent_at(request)
        return await fetch_page(self._source, self._transport, self._clock, self._walk, request, urgent_at=urgent_at)


def told_to(request: PageRequest, credential: str) -> PageRequest:
    """*request*, which a page named; a link in it is for the *credential* that got the page."""
    return request if request.via is None or not credential else replace(request, via=credential)


async def fetch_page(
    source: Source,
    transport: Transport,
    clock: Clock,
    walk: Walk,
    request: PageRequest,
    *,
    urgent_at: float = math.inf,
) -> tuple[Page, Response]:
    """Ask for one page until its body can be read, a few times at most.

    Raises:
        ProtocolError: it cannot be read. Other ``HarvesterError``: as ``send``.
    """
    attempt = 1
    while True:
        response = await send(source, transport, walk, request, urgent_at=urgent_at)
        try:
            page = open_page(source, walk, request, response)
            check_own(walk.resource, page.records)
            return page, response
        except ProtocolError:
            # A body cut where no length or chunk told it looks like this (FAULTS H05), and so does a page
            # served by something in between or for another request (H11); asking again decides.
            if attempt == _DECODE_ATTEMPTS:
                raise
        await clock.sleep(_DECODE_PAUSE * attempt)
        attempt += 1
