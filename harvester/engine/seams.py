"""Offset pages in flight together, and the proof that nothing living was lost between them. Pure.

The order must be total and must not change: by key. Then each page is a run of neighbours in it (``spans.py``). A row
that lives throughout the walk can only be lost between two pages that share no record; if they share some, it cannot.
So pages overlap by a few records and must *meet*: a row deleted before the boundary, between the two readings, eats
one record of the overlap; an inserted one widens it. A seam survives as many deletions as it has records, less two.

A seam that does not meet is a gap, and is read again: a small page around it, then larger ones further off. What a
page left out because it was shorter than asked for (FAULTS P04), or because the server's cap fell, is read as well.
Whatever cannot be closed within bounds ends the walk with ``SeamBroken``: another strategy has to read the set.

Nothing here trusts a position, a page's length or a count. They say where to ask; keys say what is proved.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from harvester.contracts import Grid
from harvester.engine.collation import Collation
from harvester.engine.spans import Key, PageKeys, Span, from_edge
from harvester.engine.tail import Tail
from harvester.errors import SeamBroken

_MOST_TRIES = 8  # at one gap without getting any further
_MOST_MENDS = 16  # requests for mending: so many, or a quarter of all if that is more
_MOST_STRAYS = 3  # answers to other requests, one after another
_MOST_PROBES = 14  # of the end
_ELSEWHERE = 24  # records by which a page about the end may begin earlier
_MOST_IDLE = 32  # answers one after another that prove nothing new
_QUIET = 20  # pages that meet before the overlap becomes smaller again
_PLANNED = 60  # pages laid at a time
_WINDOW = 2  # times the lanes: pages that may be read beyond what is proved
_SAME = 4  # pages of one length, shorter than asked for: the server's cap
_RECENT = 6  # pages whose length tells what the server sends
_SPECULATION = 10  # without a total: one page more is asked for in advance for so many that came
_SURE = 20  # pages before that
_LEAST_SIZE = 4  # two records of overlap, and two to get on


class Kind(Enum):
    """Why a page is asked for."""

    ON = "on"  # reads on
    FILL = "fill"  # what a shorter page left out
    MEND = "mend"  # a seam that did not meet
    END = "end"  # reads on from all there is, or shows that it is all


class Cell(Struct, frozen=True):
    """Rows to ask for: *size* of them, from rank *start*."""

    start: int
    size: int
    kind: Kind = Kind.ON
    counted: bool = False  # ask for the total as well


class Reached(Struct, frozen=True, omit_defaults=True):
    """The part of a set that is proved without a gap from its beginning, as a cursor keeps it."""

    end: int = 0
    edge: tuple[str, ...] = ()  # digests of its last keys; (): nothing is proved yet
    overlap: int = 0
    length: int = 0  # of the server's pages
    doubt: bool = False  # short pages were seen that were not the last
    pages: int = 0


class Cover:
    """Says which pages to ask for, and what is proved by those that came.

    Args:
        size: records a page may have.
        lanes: pages that may be asked for at a time.
        expected: the total that the provider claims; None: it does not say.
        reached: where an earlier attempt stood.
        may_count: the provider can be asked for the total with a page.
    """

    def __init__(
        self,
        grid: Grid,
        size: int,
        *,
        lanes: int = 1,
        expected: int | None = None,
        reached: Reached | None = None,
        may_count: bool = False,
    ) -> None:
        self._grid, self._size, self._lanes = grid, max(_LEAST_SIZE, size), lanes
        self._count, self._may_count, self._liar = expected, may_count, False
        self._spans: list[Span] = []
        self._flying: list[Cell] = []
        self._plan: deque[Cell] = deque()
        self._front = 0  # rank up to which pages are planned
        self._wall: int | None = None  # nothing came from there on
        self._lengths: deque[int] = deque(maxlen=_RECENT)
        self._collation = Collation()
        self._signatures: dict[tuple[Key, Key], int] = {}
        self._answers = self._strays = self._idle = self._mends = self._blanks = self._misplaced = self._forgotten = (
            self._quiet
        ) = 0
        self._tail = Tail(doubt=reached is not None and reached.doubt)
        self._overlap = self._first_overlap()
        self.pages = 0  # with records
        self.seams = 0  # pages that met
        self.mended = 0  # seams that met only when they were read again
        self.extra = 0  # requests that did not read on
        self._filled = False  # a page as large as asked for has come
        self.ended = False
        if reached is not None and reached.edge:
            self._resume(reached)

    # -------------------------------------------------------------- what to ask for

    def wanted(self, most: int) -> list[Cell]:
        """Up to *most* pages to ask for now; they count as asked for. Empty: wait for answers.

        Raises:
            SeamBroken: nothing that could be asked would get the walk any further.
        """
        cells: list[Cell] = []
        while len(cells) < most and not self.ended and (cell := self._next()) is not None:
            cells.append(cell)
            self._flying.append(cell)
        return cells

    def _next(self) -> Cell | None:
        if not self._spans:
            return None if self._flying else self._first_cell()
        if self._spans[-1].resumed:
            return None if self._flying else self._end_cell()
        cell = self._gap_cell()
        if cell is not None:
            return cell
        if self._may_go_on():
            return self._next_on()
        return None if self._flying or len(self._spans) > 1 else self._end_cell()

    def _first_cell(self) -> Cell:
        start, size = self._grid.lay(0, self._size, self._size, self._overlap, 1)[0]
        return Cell(start, size, counted=self._may_count and self._count is None)

    def _gap_cell(self) -> Cell | None:
        for left, right in pairwise(self._spans):
            low, high = min(left.end, right.start), max(left.end, right.start)
            if any(cell.start <= high and self._end_of(cell) >= low for cell in self._flying):
                continue
            left.tries += 1
            if left.tries > (_MOST_TRIES if left.resumed else _MOST_TRIES // 2):
                self._forget(left, right)
                return self._next()
            if right.start >= left.end and not left.resumed:
                self._tail.doubt = True
                more = self._overlap if left.tries == 1 else self._size  # pages may be cut again
                return self._cell(Kind.FILL, left.end - self._overlap, right.start + more)
            self._mends += 1
            self.extra += 1
            if self._mends > max(_MOST_MENDS, self._answers // 4):
                raise self._gives_up(left, right)
            if not left.broken:
                left.broken = True
                self._adapt_overlap(broken=True)
            return self._cell(Kind.MEND, *self._around(left, right))
        return None

    def _forget(self, left: Span, right: Span) -> None:
        """What was read behind *left* is read again from there on: its rows are kept, what they prove is not."""
        self._forgotten += 1
        if left.resumed or self._forgotten > _MOST_TRIES:
            raise self._gives_up(left, right)
        if self._spans[-1] is right:
            self._set_front(left.end)
            self._wall = None
        self._spans.remove(right)
        left.tries = 0

    def _gives_up(self, left: Span, right: Span) -> SeamBroken:
        return SeamBroken(
            f"rows keep moving between record {left.end:,} and record {right.start:,}: pages that should overlap there "
            "do not, and reading across has not helped"
        )

    def _around(self, left: Span, right: Span) -> tuple[int, int]:
        """Where to read across a seam that did not meet: near at first, then further, at last to either side."""
        pivot = left.end if left.right_seen > right.left_seen else right.start
        whole = self._length() // 2
        match left.tries:
            case 1:
                reach = min(whole, max(8, 2 * self._overlap))
                return pivot - reach, pivot + reach
            case 2:  # pages may be cut
                return left.end - 2 * self._overlap, left.end + self._size
        steps, to_the_right = divmod(left.tries - 3, 2)
        shift = steps * max(1, 2 * whole - 2 * self._overlap) * (1 if to_the_right else -1)
        return pivot + shift - whole, pivot + shift + whole

    def _cell(self, kind: Kind, start: int, stop: int) -> Cell:
        """The page that holds as much as can be had of the rows from *start* to *stop*."""
        start = max(0, start)
        stop = min(max(stop, start + 2), start + self._size)
        place, size = self._grid.lay(start, stop, self._size, self._overlap, 1)[0]
        return Cell(place, size, kind, counted=kind is Kind.END and self._counts(place))

    def _counts(self, start: int) -> bool:
        """Whether the total is worth asking for with the page at *start*: only at the end can it prove anything."""
        return self._may_count and self._told is not None and start + self._length() >= self._told

    @property
    def _told(self) -> int | None:
        """The total, while the provider has not been caught lying about it."""
        return None if self._liar else self._count

    # -------------------------------------------------------------- onwards

    def _may_go_on(self) -> bool:
        last = self._spans[-1]
        ahead = sum(cell.kind in (Kind.ON, Kind.END) and self._end_of(cell) > last.end for cell in self._flying)
        if not ahead and self._front > last.end:
            self._set_front(last.end)
        if self._length() <= self._overlap:
            return False  # so few that any page would be the same again
        if self._tail.claimed or (self._wall is not None and self._front >= self._wall):
            return False
        if self._front - self._spans[0].end > _WINDOW * self._lanes * self._length():
            return False
        if self._told is not None:
            return self._front < self._told
        share = _SPECULATION if self._grid.exact else 3 * _SPECULATION
        return bool(self._flying) and ahead < 1 + max(0, self.pages - _SURE) // share

    def _next_on(self) -> Cell:
        if not self._plan:
            stop = self._told if self._told is not None and self._told > self._front else None
            laid = self._grid.lay(self._front - self._overlap, stop, self._length(), self._overlap, _PLANNED)
            self._plan.extend(Cell(start, size) for start, size in laid)
        cell = self._plan.popleft()
        size = self._size if self._grid.exact else cell.size
        self._front = max(self._front + 1, cell.start + cell.size)
        return Cell(cell.start, size, counted=self._counts(cell.start))

    def _set_front(self, front: int) -> None:
        self._front = front
        self._plan.clear()

    def _end_cell(self) -> Cell:
        """On from the end of what is proved: more records, or the proof that there are none."""
        tail, last = self._tail, self._spans[-1]
        if not tail.probing and not last.resumed:
            if self._front != last.end:
                self._set_front(last.end)
            return replace(self._next_on(), kind=Kind.END)
        tail.probes += 1
        self.extra += 1
        if tail.probes > _MOST_PROBES:
            raise SeamBroken("the end of the set keeps moving: its last records never come twice in the same way")
        width = tail.width(self._overlap, last.end, max(self._overlap, self._length() - 1))
        if last.resumed:
            width = max(width, self._length() // 2)
        for earlier in range(_ELSEWHERE):
            start = max(0, last.end - width - earlier)
            cell = self._cell(Kind.END, start, start + self._size)
            if cell.start == 0 or tail.is_new(last.end - cell.start):
                break  # not every grid has a page that begins just there
        self._set_front(max(self._front, cell.start + self._length()))
        return cell

    # -------------------------------------------------------------- what came

    def arrived(self, cell: Cell, keys: Sequence[Key], rows: int, count: int | None) -> bool:
        """Take the answer to *cell*: the *keys* of its records, in order, and how many records there were.

        Args:
            rows: all records, those without a usable key included.
            count: the total told in this answer.
        Returns:
            False: it is the answer to another request, to be thrown away (FAULTS H11).
        Raises:
            OrderViolated: the records are not in the order of their keys (FAULTS P15).
            SeamBroken: answers to other requests come again and again, or nothing new.
        """
        self._flying.remove(cell)
        self._answers += 1
        self._idle += 1
        if self._idle > _MOST_IDLE + self._lanes:
            raise SeamBroken("pages come, but the walk does not get any further")
        if count is not None:
            self._liar = self._liar or count < 0 or (rows > 0 and count < cell.start + rows)
            self._count = count
        if not rows:
            self._nothing(cell, count)
            return True
        page = PageKeys(self._collation.check(keys))
        if not page.keys or self._is_stray(cell, page):
            self._strays += 1
            self.extra += 1
            if self._strays >= _MOST_STRAYS:
                raise SeamBroken("the server answers with other pages than the ones it is asked for")
            return False
        self._strays = 0
        self.pages += 1
        self._filled = self._filled or rows >= cell.size >= self._size
        if self.pages == 1 and not self._grid.exact and rows < cell.size:
            self._shrink(rows)
        if self._wall is not None and cell.start + rows > self._wall:
            self._wall = None
        self._join(cell, page, rows, count)
        self._check_end()
        return True

    def refused(self, cell: Cell) -> None:
        """The server does not go so far (FAULTS P16). Raises ``SeamBroken`` when that leaves a gap."""
        self._flying.remove(cell)
        self._answers += 1
        if cell.kind is not Kind.ON or not self._spans or cell.start <= self._spans[-1].end:
            raise SeamBroken(f"the server refuses the page that begins with record {cell.start:,}")
        self._nothing(cell, None)

    def too_large(self, cell: Cell, size: int | None) -> bool:
        """*cell* has more records than the server sends; *size*: what it allows, None: half. False: no smaller."""
        smaller = cell.size // 2 if size is None else min(size, cell.size - 1)
        if smaller < _LEAST_SIZE:
            return False
        self._flying.remove(cell)
        if smaller < self._size:
            self._shrink(smaller)
        return True

    def uncounted(self, cell: Cell) -> None:
        """The total cannot be asked for after all; *cell* is asked for again."""
        self._flying.remove(cell)
        self._may_count = False

    def _shrink(self, size: int) -> None:
        self._size = max(_LEAST_SIZE, size)
        self._lengths.clear()
        self._overlap = min(self._overlap, self._first_overlap())
        self._plan.clear()

    def _nothing(self, cell: Cell, count: int | None) -> None:
        if not self._spans:
            self._blanks += 1
            self.extra += 1
            self.ended = self._blanks >= 2 or count == 0
        elif cell.kind is Kind.END:
            self._tail.empty(cell.start, self._spans[-1].end, self._overlap, self._length() // 2)
            self._check_end()
        else:
            self.extra += 1
            self._wall = cell.start if self._wall is None else min(self._wall, cell.start)

    def _is_stray(self, cell: Cell, page: PageKeys) -> bool:
        """A page that came before, from quite another place."""
        known = self._signatures.setdefault((page.keys[0], page.keys[-1]), cell.start)
        return len(page) > 1 and abs(known - cell.start) > max(self._length() // 2, 8 * self._overlap)

    # -------------------------------------------------------------- joining

    def _join(self, cell: Cell, page: PageKeys, rows: int, count: int | None) -> None:
        end = cell.start + rows
        mine = Span(cell.start, end, page, page, anchored=cell.start == 0)
        mine.left_seen = mine.right_seen = self._answers
        near = self._length() + 8 * self._overlap
        met = [
            index
            for index, span in enumerate(self._spans)
            if (span.resumed or (span.start - near <= end and span.end + near >= cell.start)) and span.meets(page)
        ]
        if not met:
            self._stand_alone(cell, mine)
        else:
            self._merge(met, mine)
        if self._spans[-1].end > self._front:
            self._set_front(self._spans[-1].end)
        self._hear_claim(cell, page, rows, count)

    def _stand_alone(self, cell: Cell, mine: Span) -> None:
        before = [span for span in self._spans if span.start <= mine.start and not span.right.is_digest]
        if before and self._collation.precedes(mine.left.keys[0], before[-1].right.keys[0]):
            # From elsewhere: the answer to another request, or to this one where pages have the server's own size.
            rows = mine.end - mine.start
            if not self._grid.exact and rows < cell.size and rows == self._misplaced:
                self._shrink(rows)
            self._misplaced = rows
            return
        if any(span.start <= mine.start and mine.end <= span.end for span in self._spans):
            return  # from within what is proved: it closes no gap
        at = next((index for index, span in enumerate(self._spans) if span.start > mine.start), len(self._spans))
        if self._spans and at == len(self._spans):
            self._tail.beyond(mine.end - mine.start, doubt=True)
        self._spans.insert(at, mine)
        self._idle = 0

    def _merge(self, met: Sequence[int], mine: Span) -> None:
        first, last = self._spans[met[0]], self._spans[met[-1]]
        joined = first.with_left(mine)
        last.with_right(mine, joined)
        self.seams += len(met)
        self._adapt_overlap(broken=False)
        self.mended += sum(self._spans[index].broken for index in met[:-1])
        if met[0] and joined.start < first.start:
            self._spans[met[0] - 1].tries = 1  # getting nearer
        grown = (joined.end - joined.start) - (first.end - first.start)
        if len(met) > 1 or grown > 0:
            self._idle = 0
        if len(met) > 1 or grown <= self._overlap:
            joined.tries, joined.broken = last.tries, last.broken
        else:
            joined.broken = last.broken
        self._spans[met[0] : met[-1] + 1] = [joined]

    # -------------------------------------------------------------- the end

    def _hear_claim(self, cell: Cell, page: PageKeys, rows: int, count: int | None) -> None:
        """What a page at the end of everything says about it."""
        last, tail, here = self._spans[-1], self._tail, page.keys[-1]
        if last.right is page and tail.last is not None and tail.last != here:
            self._refute(cell, page)
        first_page = self.pages == 1
        usual = min(cell.size, max(self._lengths, default=cell.size))
        nothing_new = last.right is not page and rows <= self._overlap and rows < cell.size
        promised = first_page and self._told is not None and rows < self._told
        if last.right.ends_at(here) and (rows < usual or nothing_new) and not promised:
            if self._told is not None and cell.start + rows < self._told:
                tail.doubt = True  # the provider says that there are more
            agrees = count is not None and not self._liar and self._fills() and count == cell.start + rows
            tail.claim(here, rows, cell.start + rows, agrees=agrees, cuts=not self._fills())
        elif rows < usual and cell.kind is Kind.END and last.right.holds(here):
            # Cut, or what was the last record has gone: then this is the end as it is now.
            tail.claim(here, rows, cell.start + rows, agrees=False, cuts=not self._fills())
            tail.narrow(rows)
        elif cell.kind in (Kind.ON, Kind.END):
            self._hear_length(rows)

    def _refute(self, cell: Cell, page: PageKeys) -> None:
        """*page* goes on behind a record that was claimed to be the last."""
        tail = self._tail
        shown = None if tail.last is None else page.places().get(tail.last)
        behind = len(page) if shown is None else len(page) - 1 - shown
        if shown is not None and tail.nothing_behind(cell.start + shown + 1):
            tail.proved = True  # what is behind it now came after the walk had seen that nothing was
        elif behind > 0:
            # Two equal pages at the beginning, both shorter than asked for: the server caps them, and cut none.
            capped = self.pages == 2 and tail.rows == len(page)
            if self.pages == 2:
                self._hear_length(tail.rows)
            tail.beyond(behind, doubt=not capped)

    def _hear_length(self, rows: int) -> None:
        fresh = not self._lengths
        self._lengths.append(rows)
        if fresh:
            self._overlap = self._first_overlap()
        if self._length() < _LEAST_SIZE and self._spans[-1].end > _LEAST_SIZE:
            raise SeamBroken(f"pages of {self._length()} records are too small to overlap")

    def _check_end(self) -> None:
        if self._tail.proved and len(self._spans) == 1 and self._spans[0].anchored:
            self.ended = True

    # -------------------------------------------------------------- sizes

    def _length(self) -> int:
        """Records that a page is likely to have."""
        return max(self._lengths, default=self._size)

    def _fills(self) -> bool:
        """Pages are as long as they can be, so that a shorter one means something."""
        return self._filled or (len(self._lengths) >= _SAME and len(set(self._lengths)) == 1)

    def _end_of(self, cell: Cell) -> int:
        return cell.start + min(cell.size, self._length())

    def _first_overlap(self) -> int:
        """Few records: each is fetched twice. Enough to survive what goes while neighbouring pages are in flight."""
        length = self._length()
        if not self._grid.exact:  # pages that cannot begin anywhere overlap by more than is asked for as it is
            return max(2, min(10, length // 66))
        return min(10, max(length // 40, min(4, length // 10), 2))

    def _adapt_overlap(self, *, broken: bool) -> None:
        """More after a seam that did not meet, up to a small share of the page; less again when all is quiet."""
        least = self._first_overlap()
        if broken:
            most = max(least, self._length() // (12 if self._grid.exact else 25))
            self._overlap, self._quiet = min(most, 2 * self._overlap), 0
            self._plan.clear()
        else:
            self._quiet += 1
            if self._quiet >= _QUIET and self._overlap > least:
                self._overlap, self._quiet = self._overlap - 1, 0

    # -------------------------------------------------------------- the cursor

    @property
    def resuming(self) -> bool:
        """What an earlier attempt proved has not been found again yet."""
        return any(span.resumed for span in self._spans)

    @property
    def reached(self) -> Reached:
        """What is proved from the beginning on."""
        if not self._spans or not self._spans[0].anchored:
            return Reached(doubt=self._tail.doubt)
        first = self._spans[0]
        return Reached(
            end=first.end,
            edge=first.right.edge(),
            overlap=self._overlap,
            length=self._length(),
            doubt=self._tail.doubt,
            pages=self.pages,
        )

    def _resume(self, reached: Reached) -> None:
        edge = from_edge(reached.edge)
        self._spans = [Span(0, reached.end, edge, edge, anchored=True, resumed=True)]
        self._front = reached.end
        self._overlap = max(2, min(reached.overlap, self._size // 4))
        self._lengths.append(min(self._size, reached.length) if reached.length else self._size)
        self.pages = reached.pages
