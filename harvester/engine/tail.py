"""When the end of a set is proved. Pure.

A page shorter than asked for is not the end by itself: servers cut pages (FAULTS P04), and so do broken connections
(H03, H05). A count alone is none either (P13). What counts:

* a short page *claims* that its last record is the last there is;
* the same claim by a second page, asked for from another place, or a count told with the first one that agrees and
  has never been caught lying, is the proof;
* where short pages have been seen with records behind them, an empty answer right behind the last record as well.
"""

from __future__ import annotations

from harvester.engine.spans import Key

_CLAIMS = 2
_CLAIMS_WHILE_GROWING = (
    5  # records are being added at the end as fast as it is asked for: those are the closing delta's
)
_ADDED = 3  # more records than so many behind a claimed end, and the page that claimed it was cut


class Tail:
    """What pages at the end have claimed."""

    def __init__(self, *, doubt: bool = False) -> None:
        self.doubt = doubt  # a page was short, and not the last
        self.proved = False
        self.behind = False  # ask right behind the last record
        self.width: int | None = None  # records to begin before the end; None: as many as pages overlap
        self.probes = 0
        self.last: Key | None = None  # what was claimed
        self._claims = 0
        self._grown = 0

    @property
    def claimed(self) -> bool:
        """A page has said that nothing is behind it, and none has shown otherwise."""
        return self._claims > 0

    def claim(self, last: Key, *, agrees: bool = False) -> bool:
        """A short page ends at *last*. *agrees*: so does the count in its answer. True: said often enough."""
        if last != self.last:
            self.last, self._claims = last, 0
        self._claims += 1
        self._grown += 1
        certain = self._claims >= _CLAIMS or (agrees and not self.doubt)
        if self.doubt:
            self.behind = certain
        else:
            self.proved = certain or self._grown >= _CLAIMS_WHILE_GROWING
        return certain

    def narrow(self, rows: int) -> None:
        """The page ended before the last record that is known: cut, or that record has gone. Look nearer."""
        self.width = max(1, min(rows, (self.width or rows) // 2))

    def beyond(self, rows: int, *, doubt: bool = True) -> None:
        """*rows* came behind a record that a page had claimed to be the last."""
        if self._claims and rows > _ADDED and doubt:
            self.doubt, self._grown = True, 0
        self.last, self._claims, self.behind, self.proved, self.width = None, 0, False, False, None

    def empty(self, overlap: int, most: int) -> None:
        """Nothing came where records are known to be, or right behind them."""
        if self.behind:
            self.proved = True
        else:
            self.width = min(most, 4 * (self.width or overlap))
