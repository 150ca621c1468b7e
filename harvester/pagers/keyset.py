"""Pages told by the last value seen: nothing that happens to other rows can shift a position that is a value.

The walk asks for ``member ge <last value>`` in the order of (member, key) and drops the rows it had at that value.
``gt`` would lose the rows that share the last value with the end of a page. What follows a page is decided in
``keyset_steps``; this file says it in a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from harvester.errors import ConfigError, OrderViolated
from harvester.model import Head, Page, PageRequest, Phase, Walk
from harvester.pagers.keyset_steps import EQ, GE, Position, delivered, read_position, step
from harvester.pagers.odata import ODataDialect, collection, selected, with_query
from harvester.pagers.ordering import Kind, sortable
from harvester.pagers.resize import resized
from harvester.pagers.rows import Rows

_AGAIN = 2  # times an empty first page is asked for again (FAULTS H11)
_BEGINNING = "0001-01-01"  # of time: everything since then is asked for where nothing was found before


@dataclass(frozen=True, kw_only=True)
class KeysetPager:
    """Continues from the last value with ``ge`` and reads ties whole: no row that stays is lost while others change.

    A walk may be a part of the resource: a window of its time (``since``, ``until``), a range of its keys (``above``,
    ``below``), or the rows without a time.
    """

    dialect: ODataDialect
    page_size: int  # largest page to ask for
    by: str = "modified"  # ordered by the "modified" member, or by the identity members ("key")
    numbers: frozenset[str] = field(default_factory=frozenset)  # identity members that hold integers
    patience: int = 1  # pages behind the instant that is enough; more where that instant is only the latest one seen
    meets_again: bool = False  # a delta begins before a record that was met, so that at least this one comes again
    count: bool = False  # ask the first page of a full walk for the total, and those that may be the last

    def first(self, walk: Walk) -> PageRequest:
        return self._ask(walk, self._start(walk), self._size(walk))

    def follow(self, walk: Walk, page: Page, heads: Sequence[Head]) -> Sequence[PageRequest]:
        position = read_position(page.request.state, self._start(walk))
        size = page.request.size or self._size(walk)
        try:
            then = step(
                position,
                self._rows(walk, page, heads),
                size,
                count=page.count if self.count else None,
                ask_again=self._asks_again(walk),
                patience=self.patience,
                enough=walk.enough if self._kind(walk) is Kind.TIME else None,
            )
        except OrderViolated as error:
            raise OrderViolated(
                f"{walk.resource.name}: {error}. The server does not keep to the filter or order it was asked for "
                f"({self._order(walk)[0]}), so completeness cannot be promised; what was written stays."
            ) from error
        return () if then is None or self._is_beyond(walk, then) else (self._ask(walk, then, size),)

    def with_size(self, walk: Walk, request: PageRequest, size: int | None) -> PageRequest:
        return resized(request, size)

    def fresh(self, walk: Walk, request: PageRequest, page: Page, heads: Sequence[Head]) -> Sequence[bool] | None:
        return delivered(read_position(request.state, self._start(walk)), self._rows(walk, page, heads))

    def last(self, walk: Walk) -> PageRequest:
        """The record that comes last in the order of *walk*: where parts of it may end."""
        query = (
            ("$filter", self.dialect.filter(walk)),
            ("$orderby", f"{self._order(walk)[0]} desc"),
            ("$select", selected(walk)),
            ("$top", "1"),
        )
        return PageRequest(url=with_query(collection(walk), query), size=1)

    def _ask(self, walk: Walk, position: Position, size: int) -> PageRequest:
        top = max(size, 2) if position.op == EQ or position.seam else size  # the seam and at least one more
        url = with_query(
            collection(walk),
            (
                ("$filter", self.dialect.filter(walk, *self._conditions(walk, position))),
                ("$orderby", self.dialect.order(self._order(walk))),
                ("$select", selected(walk)),
                ("$expand", walk.expand or ""),
                ("$count", "true" if self.count and self._is_worth_a_count(walk, position, size) else ""),
                ("$top", str(top)),
                ("$skip", str(position.skip) if position.skip else ""),
            ),
        )
        return PageRequest(url=url, state=position.text() if position.most or position.backs else "", size=size)

    def _conditions(self, walk: Walk, position: Position) -> list[str]:
        member, modified = self._order(walk)[0], walk.resource.modified
        conditions = []
        if position.at is not None:
            conditions.append(f"{member} {position.op} {self._literal(walk, position.at)}")
        elif position.op != GE:
            conditions.append(f"{member} {position.op} null")
        if member != modified and walk.below is not None:
            conditions.append(f"{member} lt {self._literal(walk, walk.below)}")
        if modified and walk.since and member != modified:
            conditions.append(f"{modified} ge {self.dialect.instant(walk.since)}")
        if modified and walk.until:
            conditions.append(f"{modified} lt {self.dialect.instant(walk.until)}")
        return conditions

    def _literal(self, walk: Walk, value: str) -> str:
        match self._kind(walk):
            case Kind.TIME:
                return self.dialect.instant(value)
            case Kind.NUMBER:
                return value
            case Kind.TEXT:
                return self.dialect.text(value)

    def _order(self, walk: Walk) -> tuple[str, ...]:
        """Members of the order; the first one bounds the pages, the others make it total."""
        resource = walk.resource
        if self.by == "modified" and resource.modified:
            return (resource.modified, *resource.key)
        if not resource.key:
            raise ConfigError(f"{resource.name} has no member to order by; name its key", path=resource.name)
        return resource.key

    def _kind(self, walk: Walk) -> Kind:
        member = self._order(walk)[0]
        if member == walk.resource.modified:
            return Kind.TIME
        return Kind.NUMBER if member in self.numbers else Kind.TEXT

    def _size(self, walk: Walk) -> int:
        return min(walk.page_size or self.page_size, self.page_size)

    def _start(self, walk: Walk) -> Position:
        if walk.undated:
            return Position(op=EQ, nulls="last")
        return Position(at=walk.since if self._kind(walk) is Kind.TIME else walk.above)

    def _asks_again(self, walk: Walk) -> int:
        """How often an empty first page is asked for again. Where counts are told, they tell whether it is true."""
        if walk.phase is Phase.FULL:
            return 0 if self.count else _AGAIN
        known = self.meets_again and walk.since is not None and not walk.since.startswith(_BEGINNING)
        # Behind a window that another one goes on from the watermark moves on, empty or not (FAULTS H11).
        within = walk.phase is Phase.DELTA and walk.until is not None
        return _AGAIN if known or within else 0

    def _is_worth_a_count(self, walk: Walk, position: Position, size: int) -> bool:
        """In a full walk: where it begins, in every page of a part, and where the last page may be."""
        if walk.phase is not Phase.FULL or (position.skip and not position.seam and position.op != EQ):
            return False
        part = walk.until is not None or walk.below is not None or bool(walk.part_of)
        return part or position.told.close(size, 1 if position.seam else len(position.seen))

    def _is_beyond(self, walk: Walk, position: Position) -> bool:
        """Whether nothing of the walk can follow: it was given an earlier end while a page was under way.

        Only instants are compared; whether a text is beyond another one, the server is asked.
        """
        if self._kind(walk) is not Kind.TIME or walk.until is None or position.at is None or position.op == EQ:
            return False
        end, here = sortable(walk.until), sortable(position.at)
        return end is not None and here is not None and here >= end

    def _rows(self, walk: Walk, page: Page, heads: Sequence[Head]) -> Rows:
        return Rows(page, heads, walk.resource, self._order(walk)[0], self._kind(walk))
