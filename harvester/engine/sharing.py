"""Several walks for one resource: cut at the start by what the last run learned, and again when somebody is idle.

The order in which a cut becomes durable: first the part that is cut off, as a commit that holds nothing but its first
request; then the earlier end of the walk it is cut from. A crash between the two leaves both with the rest, which the
next attempt mends (``parts.mend``) before anything is read. The other way round it would leave the rest with nobody.
Until the earlier end is durable the new part is not begun, so no part is ever cut again before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import anyio
from msgspec.structs import replace

from harvester.decode.heads import HeadReader
from harvester.engine.ask import ask, count
from harvester.engine.balance import Stand, choose, shares
from harvester.engine.founding import Founding
from harvester.engine.parts import between, ending_at, lower, mend, part_id, root_of, upper
from harvester.engine.source import Cutting
from harvester.engine.stopping import unless_stopped
from harvester.engine.workshop import Workshop
from harvester.errors import ProtocolError, RepeatError, ResourceRefused
from harvester.model import Head, PageRequest, Phase, Walk
from harvester.store.commits import Commit
from harvester.store.splits import Splits

if TYPE_CHECKING:
    from harvester.engine.crew import Crew
    from harvester.engine.worker import WalkWorker

Earlier = Mapping[str, tuple[Commit, ...]]

_CUT = frozenset({Phase.FULL, Phase.DELTA})


class Sharing:
    """Decides which walks there are. Only ``Crew`` runs them.

    Args:
        cuttings: by the name of the walk that can be cut so.
        learned: by the last run, of each value of the parent (None: there is no parent).
    """

    def __init__(self, crew: Crew, shop: Workshop, cuttings: Mapping[str, Cutting], learned: Sequence[Splits]) -> None:
        self._crew, self._shop, self._cuttings = crew, shop, cuttings
        self._learned = {splits.value: splits for splits in learned}
        self._founding = Founding(crew, shop, cuttings)
        self._news = anyio.Event()
        self._last: dict[str, str | None] = {}  # order value of the last record there is, by root
        self._whole: set[str] = set()  # walks that cannot be cut any more
        self._pages = 0.0
        self._since_cut: dict[str, int] = {}  # requests of a walk when it was cut
        self._cut_at: dict[str, str | None] = {}  # and the value it had reached

    # -------------------------------------------------------------- the start

    async def begin(self, root: Walk, earlier: Earlier, among: int = 1) -> tuple[Walk, ...]:
        """The walks that read *root*: those of an earlier attempt, or new ones where it is known how to cut it.

        *among*: so many roots share the lanes.
        """
        if root.pager not in self._cuttings or root.phase not in _CUT:
            return (root,)
        others = [
            commits[-1].walk
            for name, commits in earlier.items()
            if root_of(name) == root.id and name != root.id and commits[-1].walk.pager == root.pager
        ]
        if not others:
            if root.id in earlier:
                return (root,)
            return await self._founding.cut(root, self._learned_of(root), among, closed=self._ends_at_anchor(root))
        walks = (root, *others)
        whole: int | None = None
        if root.id not in earlier and any(earlier[walk.id][-1].expected == 0 for walk in others):
            # It was counted with the root, whose number was not durable. Its first page would tell that of its window.
            whole = await self._count(root)
            if whole is None:
                return walks  # stopped; or the root is read uncut, and its own page tells the number of the whole
        mended = mend(walks)
        anchors = (earlier[walk.id][-1].anchor for walk in others)
        anchor = min((each for each in anchors if each is not None), default=None)
        for old, new in zip(walks, mended, strict=True):
            if new != old:
                begun = earlier.get(new.id, ())
                await self._crew.move_end(new, self._shop, begun, anchor=anchor, expected=whole)
        return mended

    async def _count(self, root: Walk) -> int | None:
        """Records of *root*, which is uncut; None: nobody says, or the run is asked to stop."""
        shop = self._shop
        question = shop.source.provider.pager(root.pager).first(root) if shop.count is None else shop.count(root)
        number, _ = await unless_stopped(shop.stop, lambda: count(shop.source, shop.transport, root, question))
        return number

    # -------------------------------------------------------------- on the way

    def look(self) -> None:
        """Something has changed: a page came, or a walk has ended."""
        self._news.set()

    async def run(self, start: Callable[[Walk], None], is_over: Callable[[], bool]) -> None:
        """Cut walks until *is_over*; *start* begins a new one."""
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            if is_over():
                return
            while (fattest := self._fattest()) is not None:
                for part in await self._cut(*fattest):
                    start(part)

    def _fattest(self) -> tuple[WalkWorker, tuple[float, ...]] | None:
        """The walk to cut, and the shares of its rest at which to cut it; None: none."""
        if self._shop.stop.is_set():
            return None
        workers = self._crew.workers
        stands = [self._stand(worker) for worker in workers.values()]
        # The most there ever was to do: near the end it would all fit into a window that is in fact full. Where
        # nobody can say how much there is, as if the quota allowed it all.
        self._pages = max(self._pages, sum(stand.left or 0.0 for stand in stands))
        lanes = next(iter(self._cuttings.values())).lanes(self._pages)
        chosen = choose(stands, lanes)
        return None if chosen is None else (workers[chosen.walk], shares(chosen.left, lanes - len(stands)))

    def _stand(self, worker: WalkWorker) -> Stand:
        walk, position = worker.walk, worker.position
        tally = position.tally
        since = tally.requests - self._since_cut.get(walk.id, 0)
        reached = self._value(walk, position.last)
        # In the midst of many records of one value there is nothing to cut, however many are left.
        stuck = self._cut_at.get(walk.id) == reached
        fixed = walk.undated or walk.id in self._whole or not since or walk.phase not in _CUT
        if reached is None or stuck or fixed or not self._cuttings[walk.pager].running or self._crew.is_given_up(walk):
            return Stand(walk=walk.id, left=0.0, pages=0, full=False)
        rows: float | None = position.left
        learned = self._learned_of(walk)
        if rows is None and learned is not None:
            rows = self._cuttings[walk.pager].rows_left(walk, reached, upper(walk), learned)
        size = max(1.0, (tally.records + tally.duplicates) / tally.requests)
        return Stand(walk=walk.id, left=None if rows is None else rows / size, pages=since, full=position.rows >= size)

    async def _cut(self, worker: WalkWorker, at_shares: Sequence[float]) -> tuple[Walk, ...]:
        """Cut the rest of a walk. Returns the new parts; () when it cannot be cut."""
        shop, crew = self._shop, self._crew
        walk, position = worker.walk, worker.position
        places = await self._places(walk, position.last, at_shares)
        if not places or walk is not worker.walk:
            self._whole.add(walk.id)
            return ()
        by_time, end = self._cuttings[walk.pager].by_time, upper(walk)
        if end is None and self._ends_at_anchor(walk):
            end = position.anchor  # what changes later is the closing delta's
        family = crew.family(root_of(walk.id))
        ids = crew.names(root_of(walk.id))
        parts: list[Walk] = []
        for at, until in zip(places, (*places[1:], end), strict=True):
            ids.append(part_id(root_of(walk.id), ids))
            parts.append(between(walk, ids[-1], at, until, by_time=by_time))
        # A delta asks for rows that changed since an instant: those without a time are not among them.
        if by_time and walk.phase is Phase.FULL and not any(each.undated for each in family):
            name = part_id(root_of(walk.id), ids)
            parts.append(replace(walk, id=name, part_of=walk.id, undated=True, since=None, until=None))
        expected = None if position.expected is None else 0  # it was counted with the walk
        # From behind, so that what is durable is always the rest from some place on.
        for part in reversed(parts):
            await crew.found(part, shop, anchor=position.anchor, expected=expected)
        await crew.narrow(worker, ending_at(walk, places[0], by_time=by_time))
        if position.left is not None:
            position.left = int(position.left * at_shares[0])  # until its next page tells
        self._since_cut[walk.id] = position.tally.requests
        self._cut_at[walk.id] = self._value(walk, position.last)
        return tuple(parts)

    async def _places(self, walk: Walk, last: Head | None, at_shares: Sequence[float]) -> tuple[str, ...]:
        """Where to cut *walk*, in order, each once; fewer than *at_shares* where the span is too short for them."""
        place, learned = self._cuttings[walk.pager].place, self._learned_of(walk)
        reached, end = self._value(walk, last), upper(walk)
        if reached is None:
            return ()
        if end is None and place(walk, reached, end, at_shares[0], learned) is None:
            end = await self._last_of(walk)
        found = (place(walk, reached, end, share, learned) for share in at_shares)
        return tuple(dict.fromkeys(at for at in found if at is not None and at != lower(walk)))

    async def _last_of(self, walk: Walk) -> str | None:
        """The order value of the last record of the resource; asked for once a root. None: it cannot be had."""
        root = root_of(walk.id)
        if root not in self._last:
            self._last[root] = None
            if self._cuttings[walk.pager].last is not None:
                found, _ = await unless_stopped(self._shop.stop, lambda: self._ask_last(walk))
                self._last[root] = found
        return self._last[root]

    async def _ask_last(self, walk: Walk) -> str | None:
        shop = self._shop
        last = self._cuttings[walk.pager].last
        request: PageRequest | None = last(walk) if last is not None else None
        if request is None:
            return None
        try:
            page = await ask(shop.source, shop.transport, walk, request)
        except (ResourceRefused, ProtocolError, RepeatError):
            return None  # a hint that is not had: the walk stays whole
        read = HeadReader(walk.resource).read
        return next((value for record in page.records if (value := self._value(walk, read(record))) is not None), None)

    def _learned_of(self, walk: Walk) -> Splits | None:
        """What the last full run learned says nothing about what has changed since."""
        return self._learned.get(walk.value) if walk.phase is Phase.FULL else None

    def _ends_at_anchor(self, walk: Walk) -> bool:
        """Whether a closing delta follows *walk* and brings what changes later."""
        by_time = self._cuttings[walk.pager].by_time
        return by_time and walk.phase is Phase.FULL and self._shop.source.provider.closing is not None

    def _value(self, walk: Walk, head: Head | None) -> str | None:
        cutting = self._cuttings.get(walk.pager)
        if head is None or cutting is None:
            return None
        if cutting.by_time:
            return head.modified
        return head.key[0] if head.key is not None else None
