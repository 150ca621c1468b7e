"""Where reading goes on: pages laid one behind the other from a rank on, as far as it is known to be worth it. Pure."""

from __future__ import annotations

from collections import deque

from harvester.contracts import Grid
from harvester.engine.cells import Cell
from harvester.engine.lengths import Lengths

_PLANNED = 60  # pages laid at a time


class Front:
    """The rank up to which pages have been asked for, and those that come next."""

    def __init__(self, grid: Grid, lengths: Lengths) -> None:
        self._grid, self._lengths = grid, lengths
        self._plan: deque[Cell] = deque()
        self.rank = 0

    def set(self, rank: int) -> None:
        """Go on from *rank*."""
        self.rank = rank
        self._plan.clear()

    def replan(self) -> None:
        """Pages have another size or overlap from now on."""
        self._plan.clear()

    def next(self, told: int | None) -> Cell:
        """The next page. *told*: where the set is said to end; None: nobody says."""
        lengths = self._lengths
        if not self._plan:
            stop = told if told is not None and told > self.rank else None
            laid = self._grid.lay(self.rank - lengths.overlap, stop, lengths.length, lengths.overlap, _PLANNED)
            self._plan.extend(Cell(start, size) for start, size in laid)
        cell = self._plan.popleft()
        self.rank = max(self.rank + 1, cell.start + cell.size)
        return Cell(cell.start, lengths.size if self._grid.exact else cell.size)
