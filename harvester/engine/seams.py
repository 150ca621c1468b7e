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

from collections.abc import Sequence
from itertools import pairwise

from msgspec.structs import replace

from harvester.contracts import Grid
from harvester.engine.cells import LEAST_SIZE, Cell, Kind, Reached
from harvester.engine.collation import Collation
from harvester.engine.front import Front
from harvester.engine.gaps import Gaps
from harvester.engine.lengths import Lengths
from harvester.engine.scouts import Ahead, Scouts
from harvester.engine.spans import Key, PageKeys, Span, from_edge
from harvester.engine.tail import Tail
from harvester.errors import SeamBroken

_MOST_STRAYS = 3  # answers to other requests, one after another
_MOST_PROBES = 14  # of the end
_ELSEWHERE = 24  # records by which a page about the end may begin earlier, where none begins just there
_MOST_IDLE = 32  # answers one after another that prove nothing new
_TEST = 16  # records of a page that shows whether pages come whole
_MOST_CUTS = 2  # of such pages that did not
_WINDOW = 2  # times the lanes: pages that may be read beyond what is proved
_SPECULATION = 30  # without a total: one page more is asked for in advance for so many that came
_MOST_SPECULATION = 4


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
        self._grid, self._lanes = grid, lanes
        self._count, self._may_count, self._liar = expected, may_count, False
        self._spans: list[Span] = []
        self._flying: list[Cell] = []
        self._lengths = Lengths(size, exact=grid.exact)
        self._front = Front(grid, self._lengths)
        self._gaps = Gaps(self._lengths)
        self._scouts = Scouts(lanes)
        self._wall: int | None = None  # nothing came from there on
        self._collation = Collation()
        self._signatures: dict[tuple[Key, Key], int] = {}
        self._answers = self._strays = self._idle = self._blanks = self._misplaced = self._cuts = 0
        self._tail = Tail(doubt=reached is not None and reached.doubt)
        self.pages = 0  # with records
        self.seams = 0  # pages that met
        self.mended = 0  # seams that met only when they were read again
        self.extra = 0  # requests that did not read on
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
        cell = self._far_cell()
        if cell is not None:
            return cell
        if self._may_go_on():
            return self._next_on()
        if self._flying or len(self._spans) > 1:
            return None
        if self._scouts.waiting:
            self._meet(self._scouts.rest())
            return self._next()
        return self._end_cell()

    def _first_cell(self) -> Cell:
        size = self._lengths.size
        start, size = self._grid.lay(0, size, size, self._lengths.overlap, 1)[0]
        return Cell(start, size, counted=self._may_count and self._count is None)

    def _gap_cell(self) -> Cell | None:
        for left, right in pairwise(self._spans):
            low, high = min(left.end, right.start), max(left.end, right.start)
            if any(cell.start <= high and self._lengths.end_of(cell) >= low for cell in self._flying):
                continue
            if not self._gaps.try_again(left, right):
                self._forget(right)
                return self._next()
            known = left.broken
            kind, start, stop = self._gaps.stretch(left, right, answers=self._answers)
            if kind is Kind.FILL:
                self._tail.doubt = True
            else:
                self.extra += 1
            if left.broken and not known:
                self._front.replan()  # pages overlap by more from now on
            return self._cell(kind, start, stop)
        return None

    def _forget(self, right: Span) -> None:
        """*right* is read again from the span before it on: its rows are kept, what they prove is not."""
        place = self._spans.index(right)
        if self._spans[-1] is right:
            self._front.set(self._spans[place - 1].end)
            self._wall = None
        del self._spans[place]

    def _cell(self, kind: Kind, start: int, stop: int) -> Cell:
        """The page that holds as much as can be had of the rows from *start* to *stop*."""
        size = self._lengths.size
        start = max(0, start)
        stop = min(max(stop, start + 2), start + size)
        place, size = self._grid.lay(start, stop, size, self._lengths.overlap, 1)[0]
        return Cell(place, size, kind, counted=kind is Kind.END and self._counts(place))

    def _counts(self, start: int) -> bool:
        """Whether the total is worth asking for with the page at *start*: only at the end can it prove anything."""
        return self._may_count and self._told is not None and start + self._lengths.length >= self._told

    @property
    def _told(self) -> int | None:
        """The total, while the provider has not been caught lying about it."""
        return None if self._liar else self._count

    # -------------------------------------------------------------- onwards

    def _may_go_on(self) -> bool:
        last, length = self._spans[-1], self._lengths.length
        on = [cell for cell in self._flying if cell.kind in (Kind.ON, Kind.END)]
        ahead = sum(self._lengths.end_of(cell) > last.end for cell in on)
        if not ahead and self._front.rank > last.end:
            self._front.set(last.end)
        if length <= self._lengths.overlap:
            return False  # so few that any page would be the same again
        front = self._front.rank
        if self._tail.claimed or (self._wall is not None and front >= self._wall):
            return False
        if front - self._spans[0].end > _WINDOW * self._lanes * length:
            return False
        if self._told is not None:
            return front < self._told
        if front < self._scouts.known:
            return True
        return bool(self._flying) and ahead < 1 + min(_MOST_SPECULATION, self.pages // _SPECULATION)

    def _far_cell(self) -> Cell | None:
        """Where nobody says how many there are: a page far ahead, one at a time."""
        if self._told is not None or not self._grid.exact or self._tail.claimed:
            return None
        if any(cell.kind is Kind.FAR for cell in self._flying):
            return None
        lengths, front = self._lengths, self._front.rank
        step = lengths.length - lengths.overlap
        place = self._scouts.place(front - lengths.overlap, step, self.pages) if step > 0 else None
        # Begun a little early: rows come and go until the pages before it reach it, and one more would be needed.
        return None if place is None else Cell(max(0, place - 2 * lengths.overlap), lengths.size, Kind.FAR)

    def _meet(self, ahead: Ahead) -> None:
        """What came from far ahead is a page like any other now."""
        self._join(ahead.cell, ahead.page, ahead.rows, None)
        self._check_end()

    def _next_on(self) -> Cell:
        while (ahead := self._scouts.met(self._front.rank - self._lengths.overlap)) is not None:
            self._meet(ahead)
        cell = self._front.next(self._told)
        test = self._lengths.to_test
        if test is not None and self._grid.exact and test < cell.size:
            cell = replace(cell, size=test)
        return replace(cell, counted=self._counts(cell.start))

    def _end_cell(self) -> Cell:
        """On from the end of what is proved: more records, or the proof that there are none."""
        tail, last, lengths = self._tail, self._spans[-1], self._lengths
        if not tail.probing and not last.resumed:
            if self._front.rank != last.end:
                self._front.set(last.end)
            return replace(self._next_on(), kind=Kind.END)
        tail.probes += 1
        self.extra += 1
        if tail.probes > _MOST_PROBES:
            raise SeamBroken("the end of the set keeps moving: its last records never come twice in the same way")
        test = min(_TEST, last.end - 1)
        believed = lengths.whole
        if lengths.whole < test:
            if tail.vain > 1 or (tail.claimed and self._told == last.end):
                return Cell(0, test, Kind.TEST)
            believed = lengths.size
        width = tail.width(
            lengths.overlap,
            last.end,
            max(lengths.overlap, lengths.length - 1),
            lambda width: width < max(1, believed) and self._may_begin(last.end - width, width),
        )
        if last.resumed:
            width = max(width, lengths.length // 2)
        cell = self._last_cell(max(0, last.end - width), last.end)
        self._front.set(max(self._front.rank, cell.start + lengths.length))
        return cell

    def _may_begin(self, start: int, width: int) -> bool:
        """Whether there is a page that begins at *start* and has room for more than *width* records."""
        return (self._grid.begin(start, self._lengths.size) or 0) > width

    def _last_cell(self, start: int, end: int) -> Cell:
        """A page about the *end*, from *start* on, or from a little before where none begins just there."""
        size = self._grid.begin(start, self._lengths.size)
        if size is not None and size > end - start:
            return Cell(start, size, Kind.END, counted=self._counts(start))
        for earlier in range(_ELSEWHERE):
            place = max(0, start - earlier)
            cell = self._cell(Kind.END, place, place + self._lengths.size)
            if cell.start == 0 or self._tail.is_new(end - cell.start):
                break
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
        self.pages += cell.kind is not Kind.TEST
        self._lengths.came(cell, rows)
        if self.pages == 1 and not self._grid.exact and rows < cell.size:
            self._shrink(rows)
        if self._wall is not None and cell.start + rows > self._wall:
            self._wall = None
        if cell.kind is Kind.FAR:
            self._scouts.found(Ahead(cell, page, rows))
            self._idle = 0
            return True
        self._join(cell, page, rows, count)
        self._check_end()
        return True

    def refused(self, cell: Cell) -> None:
        """The server does not go so far (FAULTS P16). Raises ``SeamBroken`` when that leaves a gap."""
        self._flying.remove(cell)
        self._answers += 1
        beyond = bool(self._spans) and cell.start > self._spans[-1].end
        if cell.kind not in {Kind.ON, Kind.FAR} or not beyond:
            raise SeamBroken(f"the server refuses the page that begins with record {cell.start:,}")
        self._nothing(cell, None)

    def too_large(self, cell: Cell, size: int | None) -> bool:
        """*cell* has more records than the server sends; *size*: what it allows, None: half. False: no smaller."""
        smaller = cell.size // 2 if size is None else min(size, cell.size - 1)
        if smaller < LEAST_SIZE:
            return False
        self._flying.remove(cell)
        if smaller < self._lengths.size:
            self._shrink(smaller)
        return True

    def uncounted(self, cell: Cell) -> None:
        """The total cannot be asked for after all; *cell* is asked for again."""
        self._flying.remove(cell)
        self._may_count = False

    def _shrink(self, size: int) -> None:
        self._lengths.shrink(size)
        self._front.replan()

    def _nothing(self, cell: Cell, count: int | None) -> None:
        if not self._spans:
            self._blanks += 1
            self.extra += 1
            self.ended = self._blanks >= 2 or count == 0
        elif cell.kind is Kind.END:
            lengths = self._lengths
            self._tail.empty(cell.start, self._spans[-1].end, lengths.overlap, lengths.length // 2)
            self._check_end()
        elif cell.kind is Kind.FAR:
            self.extra += 1
            self._scouts.missed(cell)
        else:
            self.extra += 1
            self._wall = cell.start if self._wall is None else min(self._wall, cell.start)

    def _is_stray(self, cell: Cell, page: PageKeys) -> bool:
        """A page that came before, from quite another place."""
        known = self._signatures.setdefault((page.keys[0], page.keys[-1]), cell.start)
        return len(page) > 1 and abs(known - cell.start) > max(self._lengths.length // 2, 8 * self._lengths.overlap)

    # -------------------------------------------------------------- joining

    def _join(self, cell: Cell, page: PageKeys, rows: int, count: int | None) -> None:
        end = cell.start + rows
        mine = Span(cell.start, end, page, page, anchored=cell.start == 0)
        mine.left_seen = mine.right_seen = self._answers
        near = self._lengths.length + 8 * self._lengths.overlap
        met = [
            index
            for index, span in enumerate(self._spans)
            if (span.resumed or (span.start - near <= end and span.end + near >= cell.start)) and span.meets(page)
        ]
        if not met:
            self._stand_alone(cell, mine)
        else:
            self._merge(met, mine)
        if self._spans[-1].end > self._front.rank:
            self._front.set(self._spans[-1].end)
        if not met and cell.kind is Kind.END and self._spans[-1].right is not page:
            self._tail.astray(self._lengths.overlap, self._lengths.length // 2)
        else:
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
        self._lengths.met()
        self.mended += sum(self._spans[index].broken for index in met[:-1])
        if met[0] and joined.start < first.start:
            self._spans[met[0] - 1].tries = 1  # getting nearer
        grown = (joined.end - joined.start) - (first.end - first.start)
        if len(met) > 1 or grown > 0:
            self._idle = 0
        if len(met) > 1 or grown <= self._lengths.overlap:
            joined.tries, joined.broken = last.tries, last.broken
        else:
            joined.broken = last.broken
        self._spans[met[0] : met[-1] + 1] = [joined]

    # -------------------------------------------------------------- the end

    def _hear_claim(self, cell: Cell, page: PageKeys, rows: int, count: int | None) -> None:
        """What a page at the end of everything says about it."""
        last, tail, here = self._spans[-1], self._tail, page.keys[-1]
        if cell.kind is Kind.TEST:
            self._cuts += rows < cell.size and not last.right.ends_at(here)
            if self._cuts >= _MOST_CUTS:
                raise SeamBroken("the server sends fewer records than it has, so that no page shows where the set ends")
            return
        if last.right is page and tail.last is not None and tail.last != here:
            self._refute(cell, page)
        usual, sound = self._lengths.usual(cell), rows < self._lengths.whole
        nothing_new = last.right is not page and rows <= self._lengths.overlap and rows < cell.size
        promised = self.pages == 1 and self._told is not None and rows < self._told
        if last.right.ends_at(here) and (rows < usual or nothing_new) and not promised:
            if self._told is not None and cell.start + rows < self._told:
                tail.doubt = True  # the provider says that there are more
            agrees = count is not None and not self._liar and count == cell.start + rows
            tail.claim(here, rows, cell.start + rows, agrees=agrees, sound=sound)
        elif rows < usual and cell.kind is Kind.END and last.right.holds(here):
            # Cut, or what was the last record has gone: then this is the end as it is now.
            tail.claim(here, rows, cell.start + rows, agrees=False, sound=sound)
            tail.narrow(rows)
        elif cell.kind in (Kind.ON, Kind.END) and (rows < cell.size or cell.size >= self._lengths.length):
            self._hear_length(rows)  # a small page that came as it was asked for tells nothing

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
        self._lengths.hear(rows)
        if self._lengths.length < LEAST_SIZE and self._spans[-1].end > LEAST_SIZE:
            raise SeamBroken(f"pages of {self._lengths.length} records are too small to overlap")

    def _check_end(self) -> None:
        whole = len(self._spans) == 1 and self._spans[0].anchored and not self._scouts.waiting
        self.ended = self.ended or (self._tail.proved and whole)

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
            overlap=self._lengths.overlap,
            length=self._lengths.length,
            doubt=self._tail.doubt,
            pages=self.pages,
        )

    def _resume(self, reached: Reached) -> None:
        edge = from_edge(reached.edge)
        self._spans = [Span(0, reached.end, edge, edge, anchored=True, resumed=True)]
        self._front.set(reached.end)
        self._lengths.resume(reached.overlap, reached.length)
        self.pages = reached.pages
