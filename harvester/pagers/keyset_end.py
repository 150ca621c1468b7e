"""Whether a keyset page is the last one, by the server's own count: it spares the empty page at the end.

Asked for with ``$count=true``, a page tells how many rows there are from its bound on. A count alone proves nothing
(FAULTS P13): some servers tell the length of the page, some the size of the whole collection, some are wrong by a
few. So it is believed only together with a page that is short, of a server that has sent no short page before the
last one (P04) and whose counts have told more than the page held; then it must be exactly the length of the page.
Anything else ends at an empty page, as ever.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace


class Told(Struct, frozen=True, array_like=True):
    """What the counts of a walk have said so far."""

    left: int = -1  # rows behind the last page; -1: no count was told
    honest: bool = False  # a count was larger than its page
    short: bool = False  # a short page came that was not the last

    def after(self, count: int | None, *, so_far: int, rows: int, known: int, most: int) -> Told:
        """The same after a page that is not the last.

        Args:
            so_far: rows from the bound on to the end of the page.
            rows: that it held, *known* of them delivered before.
            most: rows of the largest page before it.
        """
        told = replace(self, short=self.short or rows < most)
        if count is not None and count >= so_far:
            return replace(told, left=count - so_far, honest=told.honest or count > so_far)
        return replace(told, left=max(0, told.left - rows + known)) if told.left >= 0 else told

    def ends(self, count: int | None, *, so_far: int, rows: int, most: int) -> bool:
        """Whether that page is the last one. *self* and *most*: before it."""
        return count == so_far and rows < most and self.honest and not self.short

    def close(self, size: int, known: int) -> bool:
        """Whether the next page, which begins with *known* rows again, may be the last: then it is worth a count.

        True also when nobody knows: at the start, and behind rows that share one value.
        """
        return self.left <= size - known
