"""When the end of a set is proved. Pure.

A page shorter than asked for is not the end by itself: servers cut pages (FAULTS P04), and so do broken connections
(H03, H05). A count alone is none either (P13): rows lost and rows deleted cancel out. A short page *claims* that its
last record is the last there is, if the server has shown before that it sends larger ones whole. That is believed

* when the count told in the same answer agrees, from a server that was never caught lying about its count, and was
  never seen to cut a page; and a second page says the same;
* when several pages claim it that begin at different distances before that record: whatever cuts pages, it would have
  to cut each of them at another length. Rows that come and go elsewhere do not disturb this;
* when even more pages say so of an end that grows by a few records between them: those are added as they are asked for,
  and the closing delta has them;
* where so few records are known that there are no such pages: when nothing came from right behind the last record,
  and a claim after that found it where it was, so that no deletion had made the place behind it empty; and again. If
  it was ever found elsewhere, rows move, and this proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from harvester.engine.spans import Key

_CLAIMS = 3
_CLAIMS_COUNTED = 2
_CLAIMS_IN_DOUBT = 5
_STEADY = 8
_ADDED = 3  # records between two such pages that may be new
_STEP = 2  # records by which the distances differ
_BLANKS = 2  # times that nothing is behind the last record


class Tail:
    """What pages at the end have claimed."""

    def __init__(self, *, doubt: bool = False) -> None:
        self.doubt = doubt  # a page was short, and not the last
        self.proved = False
        self.last: Key | None = None  # what was claimed
        self.rows = 0  # of the page that claimed it
        self.probes = 0  # of the end, so far
        self.vain = 0  # claims of the same record that cannot be believed
        self._lengths: set[int] = set()  # of the pages that claimed it and may be believed
        self._steady: set[int] = set()  # the same, while no more than a few records are added meanwhile
        self._agreed = False  # a count that came with one of them
        self._exhausted = False  # no page that could be asked for would claim it at another length
        self._ends: set[int] = set()  # ranks behind the last record, in all claims: one, while nothing moves
        self._nothing_at: int | None = None
        self._blanks = 0  # times that was so, and a claim after it found the last record where it was
        self._moved: int | None = None  # begin so many records before the end, whatever was claimed

    @property
    def claimed(self) -> bool:
        """A page has said that nothing is behind it, and none has shown otherwise."""
        return self.last is not None

    @property
    def probing(self) -> bool:
        """The end has been asked about, and not only read on to."""
        return self.claimed or self._moved is not None

    def width(self, overlap: int, end: int, most: int, begins: Callable[[int], bool]) -> int:
        """How far before the *end* the next page begins, *most* records at most; 0: right behind it.

        Args:
            begins: whether there is a page that begins so many records before the end and would be believed.
        """
        if self._moved is not None:
            return self._moved
        if not self.claimed:
            return overlap
        if self._nothing_at is not None:
            return next(filter(begins, (min(overlap, end), *range(1, end + 1))), end)
        farther = range(overlap, min(most, end) + 1, _STEP)
        new = (width for width in (*farther, *range(1, min(overlap, end))) if width not in self._steady)
        found = next(filter(begins, new), None)
        self._exhausted = found is None
        return found or 0

    def is_new(self, length: int) -> bool:
        """A page of this length that ends at the end would say more than those that came."""
        return length not in self._steady

    def claim(self, last: Key, rows: int, end: int, *, agrees: bool, sound: bool) -> None:
        """A short page of *rows* ends at *last*, whose rank is before *end*.

        Args:
            agrees: so does the count in its answer.
            sound: the server has sent a larger page whole.
        """
        if last != self.last:
            self._forget()
        self.last, self.rows, self._moved = last, rows, None
        self.vain += not sound
        if sound:
            self._lengths.add(rows)
            self._steady.add(rows)
        self._agreed = self._agreed or agrees
        needed = _CLAIMS_IN_DOUBT if self.doubt else _CLAIMS_COUNTED if self._agreed else _CLAIMS
        enough = len(self._lengths) >= needed or len(self._steady) >= _STEADY
        if self.nothing_behind(end):
            self._blanks += 1
        self._ends.add(end)
        still = len(self._ends) == 1 and not self.doubt
        self.proved = enough or (still and self._exhausted and self._blanks >= (1 if self._agreed else _BLANKS))
        if self._nothing_at is not None and not self.proved:
            self._nothing_at = None  # the place moved, or once is not enough: ask again

    def nothing_behind(self, end: int) -> bool:
        """An empty answer was right behind what is now before *end*, or behind something further on."""
        return self._nothing_at is not None and self._nothing_at <= end

    def narrow(self, rows: int) -> None:
        """The page of *rows* ended before the last record that is known: cut, or that record has gone. Look nearer."""
        self._steady = set()
        self._moved = max(1, rows // 2) if self._moved is None else max(1, min(rows, self._moved // 2))

    def beyond(self, grown: int, *, doubt: bool) -> None:
        """*grown* records came behind one that a page had claimed to be the last. *doubt*: it was cut, perhaps."""
        self.doubt = self.doubt or (doubt and self.claimed)
        if grown > _ADDED:
            self._steady = set()
        self._forget()

    def astray(self, overlap: int, most: int) -> None:
        """A page from a little before the end shares nothing with what is known: it has moved. Look further back."""
        self._moved = min(most, 4 * (self._moved or overlap))

    def empty(self, start: int, end: int, overlap: int, most: int) -> None:
        """Nothing came from *start* on: right behind the last record, or where some are known to have been."""
        if start >= end:
            self._nothing_at = start
        else:
            self.astray(overlap, most)

    def _forget(self) -> None:
        self.last, self.rows, self.vain, self.proved = None, 0, 0, False
        self._lengths, self._agreed, self._exhausted, self._blanks = set(), False, False, 0
        self._nothing_at = self._moved = None
