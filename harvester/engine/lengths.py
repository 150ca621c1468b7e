"""How long the pages of a server are, and by how many records the next ones overlap. Pure.

What a server sends need not be what it was asked for: it may cap pages without a word, and change its cap (FAULTS P16).
"""

from __future__ import annotations

from collections import deque

from harvester.engine.cells import LEAST_SIZE, Cell

_QUIET = 20  # pages that meet before the overlap becomes smaller again
_SAME = 2  # pages of one length, shorter than asked for: the server's cap
_RECENT = 6  # pages whose length tells what the server sends


class Lengths:
    """The sizes of pages, as they were asked for and as they came.

    Args:
        size: records a page may have.
        exact: a page may begin at any record.
    """

    def __init__(self, size: int, *, exact: bool) -> None:
        self._exact = exact
        self._recent: deque[int] = deque(maxlen=_RECENT)
        self._quiet = 0
        self.size = max(LEAST_SIZE, size)  # to ask for
        self.whole = 0  # records of the largest page that came as it was asked for
        self.overlap = self._least()

    @property
    def length(self) -> int:
        """Records that a page is likely to have."""
        return max(self._recent, default=self.size)

    def usual(self, cell: Cell) -> int:
        """Records that the answer to *cell* has, unless it is the last."""
        return min(cell.size, max(self._recent, default=cell.size))

    def end_of(self, cell: Cell) -> int:
        return cell.start + min(cell.size, self.length)

    @property
    def to_test(self) -> int | None:
        """A size to ask for in order to see whether pages of it come whole; None: the pages so far tell.

        A server that caps pages without a word sends pages of one length; one that cuts them does not send those
        whole either.
        """
        even = len(self._recent) >= _SAME and len(set(self._recent)) == 1
        return self.length if even and self.whole < self.length else None

    def came(self, cell: Cell, rows: int) -> None:
        """An answer of *rows* records to *cell*."""
        if rows >= cell.size:
            self.whole = max(self.whole, rows)

    def hear(self, rows: int) -> None:
        """A page that is not the last has so many."""
        fresh = not self._recent
        self._recent.append(rows)
        if fresh:
            self.overlap = self._least()

    def shrink(self, size: int) -> None:
        """Ask for no more than *size* records from now on."""
        self.size = max(LEAST_SIZE, size)
        self._recent.clear()
        self.overlap = min(self.overlap, self._least())

    def resume(self, overlap: int, length: int) -> None:
        """Go on with what an earlier attempt knew."""
        self.overlap = max(2, min(overlap, self.size // 4))
        self._recent.append(min(self.size, length) if length else self.size)

    def met(self) -> None:
        """A seam met: less overlap when all is quiet."""
        self._quiet += 1
        if self._quiet >= _QUIET and self.overlap > self._least():
            self.overlap, self._quiet = self.overlap - 1, 0

    def broke(self) -> None:
        """A seam did not meet: more overlap, up to a small share of the page."""
        most = max(self._least(), self.length // (12 if self._exact else 25))
        self.overlap, self._quiet = min(most, 2 * self.overlap), 0

    def _least(self) -> int:
        """Few records: each is fetched twice. Enough to survive what goes while neighbouring pages are in flight."""
        length = self.length
        if not self._exact:  # pages that cannot begin anywhere overlap by more than is asked for as it is
            return max(2, min(10, length // 66))
        return min(10, max(length // 40, min(4, length // 10), 2))
