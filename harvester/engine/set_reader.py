"""Sets of related records, those of one parent after another: each is read whole, or it is not handed out."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from harvester.contracts import Clock, SetPager, Transport
from harvester.decode.heads import HeadReader, PageHeads
from harvester.decode.lines import make_stamp, put_stamp
from harvester.decode.members import MemberReader, text_of
from harvester.decode.nested import read_nested
from harvester.engine.frontier import Frontier
from harvester.engine.reader import Fetched, fetch_page
from harvester.engine.shared_sets import SharedSets
from harvester.engine.source import Source
from harvester.errors import (
    CredentialsRefused,
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


class SetReader:
    """Reads the sets of ``walk.keys``. One that cannot be read is handed out as ``unread``, and the next one is tried.

    Never closed half way: whoever waits for a set is cancelled together with its request.
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
        shared: SharedSets,
    ) -> None:
        if walk.resource.relation is None:
            raise ValueError(f"{walk.resource.name} is no related resource")
        self._walk, self._pager = walk, pager
        self._relation: Relation = walk.resource.relation
        # The record of a parent is no record of the related resource.
        self._of_parent = msgspec.structs.replace(
            walk, resource=Resource(name=self._relation.parent, key=self._relation.parent_key)
        )
        self._source, self._transport, self._clock, self._shared = source, transport, clock, shared
        self._heads, self._parent_heads = HeadReader(walk.resource), HeadReader(self._of_parent.resource)
        self._owner = MemberReader([self._relation.member])
        self._todo = list(frontier.cursor)
        self._wire_bytes, self._travelled = 0, 0.0

    async def next(self) -> Fetched | None:
        """The next set; None when there is none left.

        Raises:
            HarvesterError: nothing more can be read, whichever set is asked for.
        """
        if not self._todo:
            return None
        asked = self._todo.pop(0)
        place, began = self._pager.place_of(asked), self._clock.monotonic()
        self._wire_bytes, self._travelled = 0, 0.0
        unread: HarvesterError | None = None
        page: Page | None = None
        try:
            page = await self._read(place)
        except _ENDS_ALL:
            raise
        except HarvesterError as error:
            unread = error
        following = (self._pager.at(self._walk, place + 1),) if place + 1 < len(self._walk.keys) else ()
        self._todo.extend(following)
        shown = page or Page(request=asked, url=asked.url, records=())
        return Fetched(
            asked=asked,
            request=asked,
            page=shown,
            heads=PageHeads(shown.records, self._heads),
            followers=following,
            seconds=self._clock.monotonic() - began,
            travelled=self._travelled,
            wire_bytes=self._wire_bytes,
            unread=unread,
            absent=page is None and unread is None,
        )

    def narrow(self, walk: Walk) -> None:
        """Nothing: a walk through sets has no bounds."""

    def close(self) -> None:
        """Nothing is under way between two calls of ``next``."""

    async def _read(self, place: int) -> Page | None:
        """The whole set of one parent; None: the parent is not there any more (FAULTS P12)."""
        relation, key = self._relation, self._walk.keys[place]
        if relation.expand is not None and not self._walk.select:
            parent = await self._shared.ask(self._walk.resource.name, key, lambda names: self._parent(place, names))
            if not parent.records:
                return None
            nested = read_nested(parent.records[0], relation)
            if nested.whole:
                return self._whole(place, parent, nested.records, ())
            if relation.path is None:
                raise ProtocolError(f"{self._walk.resource.name} of {' '.join(key)} may have been cut.")
        return await self._alone(place)

    async def _parent(self, place: int, names: Sequence[str]) -> Page:
        """The record of the parent, without any where it has gone."""
        try:
            page = await self._ask(self._of_parent, self._pager.inside(self._walk, place, names))
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

    async def _alone(self, place: int) -> Page | None:
        for reading in range(1, _READINGS + 1):
            try:
                page = await self._pages(place)
            except ResourceRefused as error:
                if error.status in _NOT_THERE and not (await self._parent(place, ())).records:
                    return None
                raise
            short = (page.count or 0) - len(page.records) - len(page.rejected)
            if short <= 0:
                return page
            if reading == _READINGS:
                raise ProtocolError(
                    f"{self._walk.resource.name} of {' '.join(self._walk.keys[place])}: {len(page.records)} records "
                    f"came, and the server counts {page.count} (FAULTS P06)."
                )
        return None

    async def _pages(self, place: int) -> Page:
        """Every page of the set by its own path, as one."""
        records: list[Raw] = []
        rejected: tuple[Rejected, ...] = ()
        first: Page | None = None
        request, seen = self._pager.alone(self._walk, place), set[str]()
        while True:
            page = await self._ask(self._walk, request)
            first = first or page
            records += page.records
            rejected += page.rejected
            following = self._pager.follow(self._walk, page, ())
            if not following:
                break
            seen.add(request.url)
            request = following[0]
            if request.url in seen or len(seen) >= _MOST_PAGES:
                raise WentRound(f"{self._walk.resource.name}: the next links of a set lead in a circle.")
        whole = msgspec.structs.replace(first, request=self._pager.at(self._walk, place))
        return self._whole(place, whole, records, rejected)

    async def _ask(self, walk: Walk, request: PageRequest) -> Page:
        while True:
            try:
                page, response = await fetch_page(self._source, self._transport, self._clock, walk, request)
            except PageTooLarge as error:
                smaller = self._pager.with_size(walk, request, error.page_size)
                if smaller == request:
                    raise
                request = smaller
            else:
                self._account(response)
                return page

    def _account(self, response: Response) -> None:
        self._wire_bytes += response.wire_bytes
        self._travelled += response.elapsed

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
