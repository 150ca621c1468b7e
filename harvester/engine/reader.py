"""One walk as a stream of decoded pages: the next ones travel while the last is being written."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup
from msgspec.structs import replace

from harvester.contracts import Clock, Pager, Transport
from harvester.decode.heads import HeadReader, PageHeads
from harvester.engine.ask import open_page, send
from harvester.engine.frontier import Frontier
from harvester.engine.own_pages import check_own
from harvester.engine.source import Source
from harvester.errors import (
    CursorExpired,
    HarvesterError,
    PageTooLarge,
    ProtocolError,
    ResourceRefused,
)
from harvester.model import Page, PageRequest, Response, Walk

_AHEAD = 2  # pages that may lie ready: a commit takes about as long as they do
_DECODE_ATTEMPTS = 3  # a page whose body is no page of this provider is fetched again, then fails
_DECODE_PAUSE = 1.0  # seconds before that, times the attempt
LOST_CURSOR = frozenset({400, 404, 409, 410})  # on a later page: the position is refused, not the resource


@dataclass(frozen=True, slots=True)
class Fetched:
    """A decoded page, what it proves to exist, and how long it took."""

    asked: PageRequest  # as the page before named it: what the frontier knows
    request: PageRequest  # as it was sent in the end, with fewer records where the server wanted that
    page: Page
    heads: PageHeads
    followers: Sequence[PageRequest]
    seconds: float  # from asking to the last byte, waits for the governor included
    travelled: float  # seconds of that from sending to the last byte
    wire_bytes: int  # the body as it came over the wire
    seams: int = 0  # of offset pages: how many were found to meet
    mended: int = 0  # how many of them only when they were read again
    extra: int = 0  # requests since the page before that did not read on
    unread: HarvesterError | None = None  # of a set: why it could not be read whole; the page is empty then
    absent: bool = False  # of a set: its parent is not there any more; the page is empty then


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
        self._clock, self._tasks, self._lanes = clock, tasks, lanes
        self._todo = deque(frontier.cursor)
        self._linked_at = -math.inf  # monotonic; the page with the latest link came then. Resumed: nobody knows
        self._running = 0  # fetches under way
        self._ready = 0  # pages fetched and not yet handed out
        self._results_in, self._results = anyio.create_memory_object_stream[Fetched | HarvesterError](math.inf)
        self._scopes: set[anyio.CancelScope] = set()
        self._closed = False

    async def next(self) -> Fetched | None:
        """The next page to arrive; None when the walk has ended.

        Raises:
            HarvesterError: a page cannot be had. Pages handed out before stay good.
        """
        self._launch()
        if not self._running and not self._ready:
            return None
        outcome = await self._results.receive()
        self._ready -= 1
        if isinstance(outcome, HarvesterError):
            raise outcome
        self._launch()
        return outcome

    def narrow(self, walk: Walk) -> None:
        """Go on as *walk*, which ends earlier; a fetch under way may still bring rows beyond that end."""
        self._walk = walk

    def close(self) -> None:
        """End the fetches under way, also those that have not begun yet."""
        self._closed = True
        for scope in tuple(self._scopes):
            scope.cancel()
        self._results_in.close()
        self._results.close()

    def _launch(self) -> None:
        while self._todo and self._running < self._lanes and self._ready < _AHEAD:
            self._running += 1
            self._tasks.start_soon(self._deliver, self._todo.popleft())

    async def _deliver(self, request: PageRequest) -> None:
        if self._closed:  # a stop came before the event loop got here
            return
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                outcome: Fetched | HarvesterError = await self._fetch(request)
            except HarvesterError as error:
                outcome = error
            finally:
                self._scopes.discard(scope)
            if not scope.cancel_called:
                self._running -= 1
                self._ready += 1
                self._results_in.send_nowait(outcome)
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
                    followers=[_told_to(each, response.via) for each in followers],
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


def _told_to(request: PageRequest, credential: str) -> PageRequest:
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
