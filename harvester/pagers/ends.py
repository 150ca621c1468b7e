"""Whether the page of a chain that names no next one is the last, by its form and by what came before it.

A link may be left out (FAULTS P06). A page that is shorter than all before it looks like the last one, as long as no
other was short (P04); a full one shows nothing, and is asked for once more: the link may come then.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from harvester.model import Ending, Page, Phase, Walk
from harvester.pagers.loops import digest


class Ends(Struct, frozen=True, omit_defaults=True):
    """What a chain remembers for its end; part of its cursor."""

    most: int = 0  # records of the largest page so far
    short: bool = False  # pages that were not the last differed in length
    left: int | None = None  # records behind the last page by the server's own count; None: it told none
    held: str = ""  # digest of a page that named no next one; this request repeats it

    def after(self, page: Page) -> Ends:
        """The same behind *page*, which names a next one."""
        number = _number(page)
        differs = 0 < self.most != number > 0
        return Ends(most=max(self.most, number), short=self.short or differs, left=self._left(page))

    def ending(self, walk: Walk, page: Page) -> Ending:
        """What *page* shows, as the last one of *walk*."""
        number, left = _number(page), self._left(page)
        if page.next_link is not None:
            return Ending.OPEN
        # More came than was counted: rows were added meanwhile, and how many are behind this page nobody has told.
        if left is not None and left >= 0 and (left == 0 or not _shrinks(walk)):
            return Ending.OPEN if left > 0 else Ending.LIKELY
        if not number:  # behind others it may be the answer to another request (FAULTS H11)
            return Ending.LIKELY if self.held or not self.most else Ending.OPEN
        full = self.most or page.request.size
        if full is None:  # how many records make a page is not known; asked once more, it said the same
            return Ending.LIKELY if self.held else Ending.OPEN
        return Ending.LIKELY if number < full and not self.short else Ending.OPEN

    def is_worth_a_look(self, walk: Walk, page: Page) -> bool:
        """Whether *page* is to be asked for once more; not the only one of a server that counts: its count tells."""
        alone = not self.most and page.request.size is None and walk.counted
        some = bool(_number(page) or self.most)
        return some and not (self.held or alone) and self.ending(walk, page) is Ending.OPEN

    def again(self, page: Page) -> Ends:
        """The same while *page* is asked for once more."""
        return replace(self, held=_rows(page))

    def is_repeated(self, page: Page) -> bool:
        """Whether *page* is the one that was held, its records delivered."""
        return bool(self.held) and self.held == _rows(page)

    def _left(self, page: Page) -> int | None:
        told = page.count if self.left is None else self.left
        return None if told is None else told - _number(page)


def _shrinks(walk: Walk) -> bool:
    """Whether rows come to *walk* and leave it by changing: another number of a window may come than was counted."""
    return walk.phase is Phase.FULL and (walk.since is not None or walk.until is not None)


def _number(page: Page) -> int:
    return len(page.records) + len(page.rejected)


def _rows(page: Page) -> str:
    return digest(*map(bytes, page.records)) if page.records else "-"
