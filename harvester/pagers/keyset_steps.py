"""Where a keyset walk goes after a page: from one position to the next, as a function of values.

A walk asks ``ge`` its bound and has seen some rows of that value. From there it

* advances, when the page ends at a later value: that value is the new bound, its rows are the ones seen. Several rows
  of one value are passed over with ``$skip``, all but the last: the next page begins with it, the *seam*. What is
  passed over cannot move without moving the seam, unless one row of the very value comes as another goes;
* begins at the bound again, when the seam does not meet; if a page as large as any then holds nothing but the bound's
  value, it reads the *tie*: ``eq`` with ``$skip`` and seams, read again when they do not meet; behind it, ``gt``;
* makes sure, when the page holds only rows it had: ``ge`` with ``$skip`` behind them must be empty.

Only an empty page ends a tie or the walk, unless the server's count proves the same (``keyset_end``): a short one may
be all the server cared to send (FAULTS P04).

A page asked for with ``ge`` begins with a row it had. One that does not is not taken: that row has gone, or this is the
answer to another request (FAULTS H11), and reading on from the bound before tells which.
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
MAX_ASTRAY = 2  # times one bound is gone back on because the page behind it does not begin with a row it had
MAX_BACKS = 50  # times a walk goes back at all: where rows move that fast there is no more to be learned so

GE, GT, EQ, NE = "ge", "gt", "eq", "ne"


class Bound(Struct, frozen=True, omit_defaults=True):
    """Where a walk asked from before: as much of a position as it takes to ask so again."""

    at: str | None = None
    op: str = GE
    seen: tuple[str, ...] = ()
    trail: Trail = Trail()


class Position(Struct, frozen=True, omit_defaults=True):
    """A place in a keyset walk, as it goes into the cursor."""

    at: str | None = None  # the bound; None: none yet, or with eq and ne: null
    op: str = GE
    seen: tuple[str, ...] = ()  # identities delivered already at this value
    mark: str = ""  # of what the last of them said, where the order is by key
    skip: int = 0  # offset asked for: up to the seam, or without one to make sure that nothing follows
    seam: str = ""  # identity expected at that offset; "": none
    again: int = 0  # how often the rows of this value were begun anew
    most: int = 0  # largest page so far: the server can send that many
    nulls: str = ""  # rows without a value: "late" were met behind others, "last" are being read at the end
    trail: Trail = Trail()
    told: Told = Told()
    behind: Bound | None = None  # the bound before this one; None: there is none
    missed: str = ""  # the bound that was gone back on last
    astray: int = 0  # how often that one was
    backs: int = 0  # how often any was
    late: int = 0  # short pages so far behind the instant that is enough

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
    ask_again: int = 0,
    enough: str | None = None,
    patience: int = 1,
) -> Position | None:
    """The position after the page *rows*, of which *size* records were asked for; None: the walk has ended.

    Args:
        count: rows there are from the position's bound on, as the server says; None: it does not.
        ask_again: times an empty first page is asked for again: it may be another request's answer (FAULTS H11).
        enough: an instant, for walks in the order of time: a page that reaches it, and is shorter than one the server
            sent before, ends the walk. What follows has changed later, and where rows change faster than pages come
            there would be a next page for ever.
        patience: how many such pages it takes, each with later rows than the one before.
    Raises:
        OrderViolated: the rows do not belong where they came (FAULTS P03, P15).
    """
    if _is_astray(position, rows):
        return _back(position)
    if not _meets(position, rows):
        return replace(position, skip=0, seam="", again=position.again + 1)
    if not rows.total and not position.most and position.backs < ask_again:
        return replace(position, backs=position.backs + 1)
    most = position.most
    known = rows.known(position.at, position.seen)
    told, so_far = position.told, position.skip + rows.total
    position = replace(
        position,
        most=max(position.most, rows.total),
        told=told.after(count, so_far=so_far, rows=rows.total, known=known, most=most),
    )
    is_last = told.ends(count, so_far=so_far, rows=rows.total, most=most)
    if position.op == EQ:
        position = replace(position, told=replace(position.told, left=-1))  # of this one value
        then = _after_tie(position, rows, is_last=is_last)
    else:
        if rows.late_nulls():
            position = replace(position, nulls="late")
        if is_last and (position.seam or not position.skip):
            _check(position, rows)
            then = None
        else:
            then = _after(position, rows)
            if then is not None and rows.total < most and enough is not None and rows.reach(enough):
                late = position.late + (then.at != position.at)
                then = replace(then, late=late) if late < patience else None
    if then is None and position.nulls == "late":
        return Position(op=EQ, nulls="last", most=position.most)
    return then


def delivered(position: Position, rows: Rows) -> list[bool] | None:
    """Which of *rows* are not delivered before, or later in their own place; None: all."""
    if position.op != EQ and position.skip and not position.seam:
        return [False] * len(rows)  # only asked whether there are any
    if _is_astray(position, rows) or not _meets(position, rows):
        return [False] * len(rows)  # perhaps another request's
    known = rows.places_of(position.at, position.seen)
    # A row without its key goes to quarantine now: asked for by value it may never be seen again (FAULTS P14).
    late = rows.keyed(rows.late_nulls()) if position.op != EQ else frozenset()
    if not known and not late:
        return None
    fresh = [True] * len(rows)
    for place in (*known, *late):
        fresh[place] = False
    return fresh


def _meets(position: Position, rows: Rows) -> bool:
    """Whether the page begins where it was expected to: with the seam, and that still at its value."""
    if position.op == EQ or not position.seam:
        return True
    if not len(rows) or rows.identity(0) != position.seam:
        return False
    return rows.has(0, position.at) and rows.holds_mark(position.at, position.mark)


def _after(position: Position, rows: Rows) -> Position | None:
    if rows.total == 0:
        return None
    _check(position, rows)
    if position.skip and not position.seam:  # the page before did not hold all there was
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
    then = replace(
        position,
        at=last,
        op=GE,
        seen=rows.at_end(last),
        mark=rows.mark(),
        skip=0,
        seam="",
        again=0,
        trail=position.trail.step(here, ""),
        behind=Bound(position.at, position.op, position.seen, position.trail),
    )
    return _behind(then, rows, len(then.seen))


def _behind(position: Position, rows: Rows, passed: int) -> Position:
    """*position* behind *passed* rows of its value, the last ones of the page; the next begins with the last one."""
    if passed < 2 or position.again or rows.total > len(rows) or rows.late_nulls():
        return position
    return replace(position, skip=passed - 1, seam=rows.identity(len(rows) - 1))


def _is_astray(position: Position, rows: Rows) -> bool:
    """Whether the page does not begin with a row the walk had, although there is a bound to go back to."""
    if position.op != GE or not position.seen or position.skip or position.behind is None:
        return False
    if position.backs >= MAX_BACKS:
        return False
    return not rows.known(position.at, position.seen) or not rows.holds_mark(position.at, position.mark)


def _back(position: Position) -> Position:
    """To the bound before. From there this one is met again, or another one: then its row has gone, or moved.

    Raises:
        OrderViolated: the row is there whenever it is asked for from further back, and never at the bound.
    """
    astray = position.astray + 1 if position.missed == position.at else 1
    if astray > MAX_ASTRAY:
        raise OrderViolated("pages leave out the record at their bound, or are those of other requests")
    bound = position.behind or Bound()
    return replace(
        position,
        at=bound.at,
        op=bound.op,
        seen=bound.seen,
        mark="",
        trail=bound.trail,
        behind=None,
        missed=position.at or "",
        astray=astray,
        backs=position.backs + 1,
    )


def _stuck(position: Position, rows: Rows) -> Position:
    """After a page that ends at the value it began from."""
    if position.op == GT or not rows.all_have(position.at):
        raise OrderViolated("records below the bound come again")
    if position.seam and rows.total == 1:
        return replace(position, skip=position.skip + 1, seam="")
    if not position.again and rows.total == len(rows):
        seen = tuple(dict.fromkeys((*position.seen, *rows.identities())))
        if rows.total > 1 and len(seen) > len(position.seen):
            return _behind(replace(position, seen=seen, mark=rows.mark()), rows, position.skip + rows.total)
    if rows.total >= position.most:  # as many as the server ever sent: there may be more of this value
        return _tie(position, rows)
    seen = tuple(dict.fromkeys((*position.seen, *rows.identities())))
    if len(seen) > len(position.seen):
        return replace(position, seen=seen)
    return replace(position, skip=rows.total)


def _after_tie(position: Position, rows: Rows, *, is_last: bool) -> Position | None:
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
