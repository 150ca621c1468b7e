"""Sets of related records, those of one parent after another: each is read whole, or it is not handed out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import anyio
import msgspec
from anyio.abc import TaskGroup
from msgspec import Raw

from harvester.contracts import Clock, SetPager, Transport
from harvester.decode.heads import HeadReader, PageHeads
from harvester.decode.lines import make_stamp, put_stamp
from harvester.decode.members import MemberReader, text_of
from harvester.decode.nested import read_nested
from harvester.engine.fetched import Fetched
from harvester.engine.frontier import Frontier
from harvester.engine.reader import fetch_page, told_to
from harvester.engine.shared_sets import SharedSets
from harvester.engine.source import Source
from harvester.errors import (
    CredentialsRefused,
    CursorExpired,
    HarvesterError,
    Locked,
    OriginRefused,
    PageTooLarge,
    ProtocolError,
    ResourceRefused,
    StorageError,
    WaitError,
    WentRound,
)
from harvester.model import Page, PageRequest, Rejected, Relation, Resource, Response, Walk

_NOT_THERE = frozenset({404, 410})
_MOST_PAGES = 1000  # of one set
_READINGS = 2  # of a set of which fewer records came than the server counts
_ENDS_ALL = (CredentialsRefused, WaitError, StorageError, Locked, OriginRefused)  # no matter of one set


@dataclass(slots=True)
class _Travel:
    """What the answers for one set came to."""

    wire_bytes: int = 0
    seconds: float = 0.0  # from sending to the last byte


class SetReader:
    """Reads the sets of ``walk.keys``, some at a time, and hands them out in that order.

    One that cannot be read is handed out as ``unread``, and the next one is tried.

    Args:
        frontier: where the walk stands: at the first set that was not handed out.
        tasks: runs the requests; the caller owns it. ``close`` ends those of this reader.
        lanes: sets that may be asked for at a time.
    """

    def __init__(
        self,
        walk: Walk,
        frontier: Frontier,
        pager: SetPager,
        *,
        source: Source,
        transport: Transport,
        clock: Clock,
        tasks: TaskGroup,
        lanes: int,
    ) -> None:
        if walk.resource.relation is None:
            raise ValueError(f"{walk.resource.name} is no related resource")
        self._walk, self._pager = walk, pager
        self._relation: Relation = walk.resource.relation
        # The record of a parent is no record of the related resource.
        self._of_parent = msgspec.structs.replace(
            walk, resource=Resource(name=self._relation.parent, key=self._relation.parent_key)
        )
        self._source, self._transport, self._clock = source, transport, clock
        self._shared: SharedSets = source.shared_sets
        self._tasks, self._lanes = tasks, lanes
        self._heads, self._parent_heads = HeadReader(walk.resource), HeadReader(self._of_parent.resource)
        self._owner = MemberReader([self._relation.member])
        self._given = pager.place_of(frontier.cursor[0]) if frontier.cursor else len(walk.keys)  # sets handed out
        self._begun = self._given
        self._landed: dict[int, Fetched | HarvesterError] = {}
        self._landing = anyio.Event()
        self._scopes: set[anyio.CancelScope] = set()
        self._closed = False

    async def next(self) -> Fetched | None:
        """The next set; None when there is none left.

        Raises:
            HarvesterError: nothing more can be read, whichever set is asked for.
        """
        if self._given >= len(self._walk.keys):
            return None
        self._launch()
        while self._given not in self._landed:
            await self._landing.wait()
        outcome = self._landed.pop(self._given)
        if isinstance(outcome, HarvesterError):
            raise outcome
        self._given += 1
        self._launch()
        return outcome

    def narrow(self, walk: Walk) -> None:
        """Nothing: a walk through sets has no bounds."""

    def close(self) -> None:
        """End the requests under way, also those that have not begun yet."""
        self._closed = True
        for scope in tuple(self._scopes):
            scope.cancel()

    def _launch(self) -> None:
        while self._begun < min(len(self._walk.keys), self._given + self._lanes):
            self._tasks.start_soon(self._deliver, self._begun)
            self._begun += 1

    async def _deliver(self, place: int) -> None:
        if self._closed:
            return
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                self._landed[place] = await self._fetch(place)
            except HarvesterError as error:
                self._landed[place] = error
            finally:
                self._scopes.discard(scope)
            landing, self._landing = self._landing, anyio.Event()
            landing.set()

    async def _fetch(self, place: int) -> Fetched:
        """Raises ``HarvesterError`` when nothing more can be read, whichever set is asked for."""
        asked, began = self._pager.at(self._walk, place), self._clock.monotonic()
        unread: HarvesterError | None = None
        page: Page | None = None
        travel = _Travel()
        try:
            try:
                page = await self._read(place, travel)
            except ProtocolError:  # perhaps the answer to another request (FAULTS H11): asking again decides
                page = await self._read(place, travel)
        except _ENDS_ALL:
            raise
        except HarvesterError as error:
            unread = error
        shown = page or Page(request=asked, url=asked.url, records=())
        return Fetched(
            asked=asked,
            request=asked,
            page=shown,
            heads=PageHeads(shown.records, self._heads),
            followers=(self._pager.at(self._walk, place + 1),) if place + 1 < len(self._walk.keys) else (),
            seconds=self._clock.monotonic() - began,
            travelled=travel.seconds,
            wire_bytes=travel.wire_bytes,
            unread=unread,
            absent=page is None and unread is None,
        )

    async def _read(self, place: int, travel: _Travel) -> Page | None:
        """The whole set of one parent; None: the parent is not there any more (FAULTS P12)."""
        relation, key = self._relation, self._walk.keys[place]
        if relation.expand is not None and not self._walk.select:
            parent = await self._shared.ask(
                self._walk.resource.name, key, lambda names: self._parent(place, names, travel)
            )
            if not parent.records:  # one such answer may be a fault of the server (FAULTS S09): two say so
                parent = await self._parent(place, (relation.expand,), travel)
            if not parent.records:
                return None
            nested = read_nested(parent.records[0], relation)
            if nested.whole:
                return self._whole(place, parent, nested.records, ())
            if relation.path is None:
                raise ProtocolError(f"{self._walk.resource.name} of {' '.join(key)} may have been cut.")
        return await self._alone(place, travel)

    async def _parent(self, place: int, names: Sequence[str], travel: _Travel) -> Page:
        """The record of the parent, without any where it has gone."""
        try:
            page, _ = await self._ask(self._of_parent, self._pager.inside(self._walk, place, names), travel)
        except ResourceRefused as error:
            if error.status not in _NOT_THERE:
                raise
            request = self._pager.at(self._walk, place)
            return Page(request=request, url=request.url, records=())
        if len(page.records) > 1 or any(
            self._parent_heads.read(each).key != self._walk.keys[place] for each in page.records
        ):
            raise ProtocolError(f"{self._relation.parent}: another record came than the one asked for (FAULTS H11).")
        return page

    async def _alone(self, place: int, travel: _Travel) -> Page | None:
        for reading in range(1, _READINGS + 1):
            try:
                page = await self._pages(place, travel)
            except ResourceRefused as error:
                if error.status in _NOT_THERE and not (await self._parent(place, (), travel)).records:
                    return None
                raise
            except CursorExpired:  # the credential that its next link was told to is lost: begin it with another
                if reading == _READINGS:
                    raise
                continue
            short = (page.count or 0) - len(page.records) - len(page.rejected)
            if short <= 0:
                return page
            if reading == _READINGS:
                raise ProtocolError(
                    f"{self._walk.resource.name} of {' '.join(self._walk.keys[place])}: {len(page.records)} records "
                    f"came, and the server counts {page.count} (FAULTS P06)."
                )
        return None

    async def _pages(self, place: int, travel: _Travel) -> Page:
        """Every page of the set by its own path, as one."""
        records: list[Raw] = []
        rejected: tuple[Rejected, ...] = ()
        first: Page | None = None
        request, seen = self._pager.alone(self._walk, place), set[str]()
        while True:
            page, response = await self._ask(self._walk, request, travel)
            first = first or page
            records += page.records
            rejected += page.rejected
            following = self._pager.follow(self._walk, page, ())
            if not following:
                break
            seen.add(request.url)
            request = told_to(following[0], response.via)
            if request.url in seen or len(seen) >= _MOST_PAGES:
                raise WentRound(f"{self._walk.resource.name}: the next links of a set lead in a circle.")
        whole = msgspec.structs.replace(first, request=self._pager.at(self._walk, place))
        return self._whole(place, whole, records, rejected)

    async def _ask(self, walk: Walk, request: PageRequest, travel: _Travel) -> tuple[Page, Response]:
        while True:
            try:
                page, response = await fetch_page(self._source, self._transport, self._clock, walk, request)
            except PageTooLarge as error:
                smaller = self._pager.with_size(walk, request, error.page_size)
                if smaller == request:
                    raise
                request = smaller
            else:
                travel.wire_bytes += response.wire_bytes
                travel.seconds += response.elapsed
                return page, response

    def _whole(self, place: int, page: Page, records: Sequence[Raw], rejected: tuple[Rejected, ...]) -> Page:
        """*records* as those of the parent, and of no other (FAULTS H11)."""
        relation, key = self._relation, self._walk.keys[place]
        if relation.stamped:
            stamp = make_stamp([(relation.member, key[0])])
            own = [Raw(put_stamp(stamp, record)) for record in records]
        else:
            own = []
            for record in records:
                (value,) = self._owner.read(record)
                owner = text_of(value)
                if owner is None:  # nobody could tell later whose it is
                    rejected += (Rejected(bytes(record), f"{relation.member} is no key"),)
                elif owner != key[0]:
                    raise ProtocolError(
                        f"{self._walk.resource.name}: a record of {owner} came in the set of {key[0]} (FAULTS H11)."
                    )
                else:
                    own.append(record)
        return msgspec.structs.replace(
            page, request=self._pager.at(self._walk, place), records=own, rejected=rejected, next_link=None
        )
