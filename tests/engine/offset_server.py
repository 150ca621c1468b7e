"""An offset server and a client of several lanes, in memory and without time: every order of events is a draw.

For the pure cover: a request is served at one draw and its answer arrives at a later one, in any order, while rows
come and go in between.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from harvester.engine.cells import Cell, Reached
from harvester.engine.seams import Cover
from harvester.engine.spans import Key


@dataclass
class OffsetServer:
    """Rows in the order of their keys; ``cap`` and ``short`` tell how many of them an answer really holds."""

    rows: list[int]
    chance: Random
    every: int = 0  # requests between two changes; 0: nothing changes
    inserts: float = 0.5  # share of the changes
    at_the_end: float = 0.0  # share of the inserts that come behind all others
    cap: Callable[[int], int] = lambda size: size
    short: Callable[[int], int] = lambda rows: rows
    by_own_pages: bool = False  # numbered pages: the place follows from the cap as well
    count: Callable[[int], int | None] = lambda rows: None
    asked: int = 0
    lasting: set[int] = field(default_factory=set)  # rows that have been there from the beginning

    def __post_init__(self) -> None:
        self.lasting = set(self.rows)

    def serve(self, cell: Cell) -> tuple[list[int], int | None]:
        """The answer, as things are now; then something may change."""
        size = self.cap(cell.size)
        start = cell.start // cell.size * size if self.by_own_pages else cell.start
        page = self.rows[start : start + size]
        page = page[: max(1, self.short(len(page)))] if page else page
        count = self.count(len(self.rows)) if cell.counted else None
        self.asked += 1
        if self.every and self.asked % self.every == 0:
            self.change()
        return page, count

    def change(self) -> None:
        """One row comes or goes, at any place."""
        if self.chance.random() < self.inserts or len(self.rows) < 2:
            top = self.rows[-1] if self.rows else 0
            new = top + 1 if self.chance.random() < self.at_the_end else self.chance.randrange(top + 2)
            if new not in self.lasting:
                insort(self.rows, new)
        else:
            gone = self.rows.pop(self.chance.randrange(len(self.rows)))
            self.lasting.discard(gone)


def key(number: int) -> Key:
    return (f"{number:012d}",)


@dataclass
class Walked:
    """What a walk has brought."""

    seen: set[Key] = field(default_factory=set)
    requests: int = 0
    reached: list[Reached] = field(default_factory=list)  # after each answer
    answers: list[set[Key]] = field(default_factory=list)


def walk(
    cover: Cover,
    server: OffsetServer,
    chance: Random,
    *,
    lanes: int = 16,
    patience: float = 0.5,
    most: int = 20_000,
    keep: bool = False,
) -> Walked:
    """Let *cover* read *server* to its end. *patience*: how often the next event is an arrival, not a service.

    Args:
        keep: remember what was proved after each answer.
    """
    walked = Walked()
    waiting: list[Cell] = []
    travelling: list[tuple[Cell, list[int], int | None]] = []
    while not cover.ended:
        waiting.extend(cover.wanted(lanes - len(waiting) - len(travelling)))
        assert waiting or travelling, "the cover waits for nothing"
        if travelling and (not waiting or chance.random() < patience):
            # Mostly in the order of the answers, now and then one is late.
            place = 0 if chance.random() < 0.7 else chance.randrange(len(travelling))
            cell, rows, count = travelling.pop(place)
            keys = [key(row) for row in rows]
            if cover.arrived(cell, keys, len(keys), count):
                walked.seen.update(keys)
            if keep:
                walked.answers.append(set(keys))
                walked.reached.append(cover.reached)
        else:
            place = 0 if chance.random() < 0.7 else chance.randrange(len(waiting))
            cell = waiting.pop(place)
            walked.requests += 1
            assert walked.requests <= most, "the walk does not end"
            travelling.append((cell, *server.serve(cell)))
    return walked


def missing(walked: Walked, server: OffsetServer) -> set[Key]:
    """Rows that lived throughout and did not come."""
    return {key(row) for row in server.lasting} - walked.seen
