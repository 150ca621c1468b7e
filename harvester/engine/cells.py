"""What offset pages are asked for, and what a cursor keeps of those that came. Values."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

LEAST_SIZE = 4
"""Records that a page must have: two of overlap, and two to get on."""


class Kind(Enum):
    """Why a page is asked for."""

    ON = "on"  # reads on
    FAR = "far"  # shows that all before it exists
    FILL = "fill"  # what a shorter page left out
    MEND = "mend"  # a seam that did not meet
    END = "end"  # reads on from all there is, or shows that it is all
    TEST = "test"  # shows that the server sends what it is asked for


class Cell(Struct, frozen=True):
    """Rows to ask for: *size* of them, from rank *start*."""

    start: int
    size: int
    kind: Kind = Kind.ON
    counted: bool = False  # ask for the total as well


class Reached(Struct, frozen=True, omit_defaults=True):
    """The part of a set that is proved without a gap from its beginning, as a cursor keeps it."""

    end: int = 0
    edge: tuple[str, ...] = ()  # digests of its last keys; (): nothing is proved yet
    overlap: int = 0
    length: int = 0  # of the server's pages
    doubt: bool = False  # short pages were seen that were not the last
    pages: int = 0
