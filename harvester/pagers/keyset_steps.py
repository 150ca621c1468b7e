"""Where a keyset walk goes after a page: from one position to the next, as a function of values.

A walk asks ``ge`` its bound and has seen some rows of that value. From there it

* advances, when the page ends at a later value: that value is the new bound, its rows are the ones seen;
* reads the *tie*, when a page as large as any holds nothing but the bound's value: ``eq`` with ``$skip``, each page
  beginning with the last record of the one before, the seam. A seam that does not meet means that the tie moved,
  and it is read again; behind it, ``gt`` goes on;
* makes sure, when the page holds only rows it had: ``ge`` with ``$skip`` behind them must be empty.

Only an empty page ends a tie or the walk, unless the server's count proves the same (``keyset_end``): a short one may
be all the server cared to send (FAULTS P04).
"""

from __future__ import annotations

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from harvester.errors import OrderViolated
from harvester.pagers.keyset_end import Told
from harvester.pagers.loops import Trail, digest
from harvester.pagers.ordering import descends, same
from harvester.pagers.rows import Rows

MAX_REREADS = 3  # times one tie is read anew because it moved

GE, GT, EQ, NE = "ge", "gt", "eq", "ne"


class Position(Struct, frozen=True, omit_defaults=True):
    """A place in a keyset walk, as it goes into the cursor."""

    at: str | None = None  # the bound; None: none yet, or with eq and ne: null
    op: str = GE
    seen: tuple[str, ...] = ()  # identities delivered already at this value
    skip: int = 0  # offset asked for: in a tie, or to make sure that nothing follows
    seam: str = ""  # identity expected at that offset; "": none
    again: int = 0  # how often this tie was begun anew
    most: int = 0  # largest page so far: the server can send that many
    filled: bool = False  # a page of the size asked for came: the server honours the size
    nulls: str = ""  # rows without a value: "late" were met behind others, "last" are being read at the end
    trail: Trail = Trail()
    told: Told = Told()

    def text(self) -> str:
        return msgspec.json.encode(self).decode()


def read_position(state: str, start: Position) -> Position:
    """The position in a request's *state*; "" is the *start* of the walk."""
    return msgspec.json.decode(state, type=Position) if state else start


def step(
    position: Position,
    rows: Rows,
    size: int,
    *,
    count: int | None = None,
    short_page_ends: bool = False,
    enough: str | None = None,
) -> Position | None:
    """The position after the page *rows*, of which *size* records were asked for; None: the walk has ended.

    Args:
        count: rows there are from the position's bound on, as the server says; None: it does not.
        short_page_ends: a page shorter than *size* is the last one, once the server has filled one.
        enough: an instant, for walks in the order of time: a page that reaches it, and is shorter than one the server
            sent before, ends the walk. It holds all there is at this moment, and where rows change faster than pages
            come there would be a next page for ever.
    Raises:
        OrderViolated: the rows do not belong where they came (FAULTS P03, P15).
    """
    most = position.most
    position = replace(position, most=max(position.most, rows.total), filled=position.filled or rows.total >= size)
    if position.op == EQ:
        told = position.told
        position = replace(position, told=told.after_tie(count, position.skip + rows.total, rows.total, most))
        then = _after_tie(position, rows, told.ends(count, position.skip + rows.total, most + position.skip))
    else:
        if rows.late_nulls():
            position = replace(position, nulls="late")
        told = position.told
        if not position.skip:
            known = rows.known(position.at, position.seen)
            position = replace(position, told=told.after(count, rows.total, known, most))
        if (not position.skip and told.ends(count, rows.total, most)) or (
            short_page_ends and position.filled and rows.total < size
        ):
            _check(position, rows)
            then = None
        else:
            then = _after(position, rows)
            if then is not None and rows.total < most and enough is not None and rows.reach(enough):
                then = None
    if then is None and position.nulls == "late":
        return Position(op=EQ, nulls="last", most=position.most, filled=position.filled)
    return then


def delivered(position: Position, rows: Rows) -> list[bool] | None:
    """Which of *rows* are not delivered before, or later in their own place; None: all."""
    if position.op != EQ and position.skip:
        return [False] * len(rows)  # only asked whether there are any
    known = rows.places_of(position.at, position.seen)
    late = rows.late_nulls() if position.op != EQ else frozenset()
    if not known and not late:
        return None
    fresh = [True] * len(rows)
    for place in (*known, *late):
        fresh[place] = False
    return fresh


def _after(position: Position, rows: Rows) -> Position | None:
    if rows.total == 0:
        return None
    _check(position, rows)
    if position.skip:  # the page before did not hold all there was
        return replace(position, op=EQ, skip=0, seam="")
    last = next((value for value in reversed(rows.values) if value is not None), None)
    if last is None:
        if position.at is not None or position.op == NE or not len(rows):
            raise OrderViolated("a whole page holds nothing to go on from")
        return _tie(position, rows)  # more rows without a value than a page holds; they sort first
    if position.at is not None and same(rows.kind, last, position.at):
        return _stuck(position, rows)
    here = digest(last.encode("utf-8", "surrogatepass"))
    if here == position.trail.link:
        raise OrderViolated("the same values come round again")
    return replace(position, at=last, op=GE, seen=rows.at_end(last), again=0, trail=position.trail.step(here, ""))


def _stuck(position: Position, rows: Rows) -> Position:
    """After a page that ends at the value it began from."""
    if position.op == GT or not rows.all_have(position.at):
        raise OrderViolated("records below the bound come again")
    if rows.total >= position.most:  # as many as the server ever sent: there may be more of this value
        return _tie(position, rows)
    seen = tuple(dict.fromkeys((*position.seen, *rows.identities())))
    if len(seen) > len(position.seen):
        return replace(position, seen=seen)
    return replace(position, skip=rows.total)


def _after_tie(position: Position, rows: Rows, is_last: bool) -> Position | None:
    """*is_last*: by the count, there are no more rows of this value."""
    if not rows.all_have(position.at):
        raise OrderViolated("records outside the value asked for come")
    if position.seam and (not len(rows) or rows.identity(0) != position.seam):
        if position.again >= MAX_REREADS:
            raise OrderViolated(f"{len(position.seen):,} records share one value and keep moving")
        return replace(position, skip=0, seam="", again=position.again + 1)
    if rows.total == 0 or is_last:
        return _beyond(position)
    if position.seam and rows.total == 1:
        return replace(position, skip=position.skip + 1, seam="")
    return _tie(position, rows)


def _tie(position: Position, rows: Rows) -> Position:
    """On in a tie, behind *rows*."""
    seen = tuple(dict.fromkeys((*position.seen, *rows.identities())))
    start = position.skip if position.op == EQ else 0
    if rows.total > len(rows):  # undecodable records among them: whose place the last row has is not known
        return replace(position, op=EQ, seen=seen, skip=start + rows.total, seam="")
    return replace(position, op=EQ, seen=seen, skip=start + rows.total - 1, seam=rows.identity(len(rows) - 1))


def _beyond(position: Position) -> Position | None:
    """Behind a tie that has been read whole."""
    if position.nulls == "last":
        return None
    return replace(position, op=NE if position.at is None else GT, seen=(), skip=0, seam="", again=0)


def _check(position: Position, rows: Rows) -> None:
    known = [value for value in (position.at, *rows.values) if value is not None]
    if descends(rows.kind, known):
        raise OrderViolated("records come out of order")
