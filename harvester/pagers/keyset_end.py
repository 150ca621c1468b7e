"""Whether a keyset page is the last one, by the server's own count: it spares the empty page at the end.

Asked for with ``$count=true``, a page tells how many rows there are from its bound on. A count alone proves nothing
(FAULTS P13): some servers tell the length of the page, some the size of the whole collection, some lie. It is
believed only when it agrees with everything else: it told more than a page holds earlier in this walk, it is exactly
the length of this page, and the page is short, or the rows that came since the last count are exactly those it said.
Anything else ends at an empty page, as ever.
"""

from __future__ import annotations

from msgspec import Struct


class Told(Struct, frozen=True, array_like=True):
    """What the counts of a walk have said so far."""

    left: int = -1  # rows behind the last page; -1: no count was told
    honest: bool = False  # a count was larger than its page

    def after(self, count: int | None, rows: int, known: int) -> Told:
        """The same after a page of *rows*, of which *known* had been delivered before."""
        if count is not None and count >= rows:
            return Told(count - rows, self.honest or count > rows)
        return Told(max(0, self.left - rows + known), self.honest) if self.left >= 0 else self

    def ends(self, count: int | None, rows: int, known: int, size: int) -> bool:
        """Whether a page of *rows*, of *size* that were asked for, is the last one. *self*: before that page."""
        if count is None or count != rows or not self.honest:
            return False
        return rows < size or self.left == rows - known

    def close(self, size: int, known: int) -> bool:
        """Whether the next page, which begins with *known* rows again, may be the last: then it is worth a count."""
        return 0 <= self.left <= size - known
