"""Pages far ahead, where nobody says how many there are: each that comes shows that all before it exist. Pure.

A page that is there is one of those that will be read anyway; one that is not has cost a request. So the distance
doubles while they come, and is halved when one does not, and of all requests only a small share may be in vain.
"""

from __future__ import annotations

from dataclasses import dataclass

from harvester.engine.cells import Cell
from harvester.engine.spans import PageKeys

_SURE = 25  # pages before the first one is asked for; and one may be in vain for so many


@dataclass(frozen=True)
class Ahead:
    """A page that came before those in front of it, kept until they have been asked for."""

    cell: Cell
    page: PageKeys
    rows: int


class Scouts:
    """Says how far ahead to look, and keeps what was found there.

    Args:
        lanes: as far as twice so many pages: more would not make anything faster.
    """

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._distance = 2  # pages
        self._vain = 0
        self._wall: int | None = None  # nothing came from there on
        self._ahead: list[Ahead] = []
        self.known = 0  # there are records up to this rank

    def place(self, front: int, step: int, pages: int) -> int | None:
        """The rank at which to ask next; None: nowhere.

        Args:
            front: rank up to which pages are asked for.
            step: from one page to the next.
            pages: that came so far.
        """
        here = max(front, self.known)
        if self._lanes < 2 or pages < _SURE * (1 + self._vain) or here - front > self._lanes * step:
            return None
        while self._wall is not None and self._distance and here + self._distance * step >= self._wall:
            self._distance //= 2
        return here + self._distance * step if self._distance else None

    def found(self, ahead: Ahead) -> None:
        """There are records so far ahead."""
        self._ahead.append(ahead)
        self._ahead.sort(key=lambda each: each.cell.start)
        self.known = max(self.known, ahead.cell.start)
        self._distance = min(2 * self._lanes, 2 * self._distance)

    def missed(self, cell: Cell) -> None:
        """There are none."""
        self._vain += 1
        self._distance //= 2
        self._wall = cell.start if self._wall is None else min(self._wall, cell.start)

    def met(self, front: int) -> Ahead | None:
        """The first of those found that begins before *front*, which is not kept any longer; None: there is none."""
        if self._ahead and self._ahead[0].cell.start <= front:
            return self._ahead.pop(0)
        return None

    @property
    def waiting(self) -> bool:
        """Pages are kept that were not met yet."""
        return bool(self._ahead)

    def rest(self) -> Ahead:
        """The first of those kept: nothing is asked for in front of it any more."""
        return self._ahead.pop(0)
