"""Gaps between spans that should meet: which pages read across them, and when that is given up. Pure.

A page that was shorter than asked for left something out, which is filled. Two pages that overlap and share nothing
are a broken seam: rows have moved between the two readings. It is read across near the seam at first, then further
off to either side.
"""

from __future__ import annotations

from harvester.engine.cells import Kind
from harvester.engine.lengths import Lengths
from harvester.engine.spans import Span
from harvester.errors import SeamBroken

_MOST_TRIES = 8  # at one gap without getting any further
_MOST_MENDS = 16  # requests for mending: so many, or a quarter of all if that is more


class Gaps:
    """Says what to read where two neighbours do not meet."""

    def __init__(self, lengths: Lengths) -> None:
        self._lengths = lengths
        self._mends = self._forgotten = 0

    def try_again(self, left: Span, right: Span) -> bool:
        """Begin another attempt. False: it is useless, and what was read behind *left* is to be forgotten.

        Raises:
            SeamBroken: that has been done too often.
        """
        left.tries += 1
        if left.tries <= (_MOST_TRIES if left.resumed else _MOST_TRIES // 2):
            return True
        self._forgotten += 1
        if left.resumed or self._forgotten > _MOST_TRIES:
            raise _given_up(left, right)
        left.tries = 0
        return False

    def stretch(self, left: Span, right: Span, *, answers: int) -> tuple[Kind, int, int]:
        """What to read, as why, from and to.

        Args:
            answers: that came so far; mending may take a share of them.
        Raises:
            SeamBroken: mending takes too many requests.
        """
        lengths = self._lengths
        if right.start >= left.end and not left.resumed:
            more = lengths.overlap if left.tries == 1 else lengths.size  # pages may be cut again
            return Kind.FILL, left.end - lengths.overlap, right.start + more
        self._mends += 1
        if self._mends > max(_MOST_MENDS, answers // 4):
            raise _given_up(left, right)
        if not left.broken:
            left.broken = True
            lengths.broke()
        return Kind.MEND, *self._around(left, right)

    def _around(self, left: Span, right: Span) -> tuple[int, int]:
        """Where to read across a seam that did not meet: near at first, then further, at last to either side."""
        lengths = self._lengths
        pivot = left.end if left.right_seen > right.left_seen else right.start
        whole = lengths.length // 2
        match left.tries:
            case 1:
                reach = min(whole, max(8, 2 * lengths.overlap))
                return pivot - reach, pivot + reach
            case 2:  # pages may be cut
                return left.end - 2 * lengths.overlap, left.end + lengths.size
        steps, to_the_right = divmod(left.tries - 3, 2)
        shift = steps * max(1, 2 * whole - 2 * lengths.overlap) * (1 if to_the_right else -1)
        return pivot + shift - whole, pivot + shift + whole


def _given_up(left: Span, right: Span) -> SeamBroken:
    return SeamBroken(
        f"rows keep moving between record {left.end:,} and record {right.start:,}: pages that should overlap there "
        "do not, and reading across has not helped"
    )
