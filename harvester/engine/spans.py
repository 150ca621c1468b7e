"""Spans of a set in a fixed order, each known by the keys of its outermost pages; when two are one. Pure.

A page is a run of neighbours in the order, as it was at one instant: whatever lives throughout the walk and belongs
between its first and its last record is in it. So two pages that share a record have nothing living between them,
however rows moved meanwhile. Positions are guesses, membership is the proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import Struct
from xxhash import xxh3_64_hexdigest

Key = tuple[str, ...]

EDGE = 32
"""Keys of the last page that a cursor keeps, as digests."""

_ENOUGH = 2
"""Records that two pages must share where they have as many: one alone may be a row that a server repeats (FAULTS
P10)."""


class Meeting(Struct, frozen=True):
    """The records that two pages share."""

    number: int
    first: tuple[int, int]  # place of the first one, in the one page and in the other
    last: tuple[int, int]


class PageKeys:
    """The keys of one page in the server's order, or the digests of some, as a cursor keeps them."""

    __slots__ = ("_digested", "_places", "is_digest", "keys")

    def __init__(self, keys: Sequence[Key], *, is_digest: bool = False) -> None:
        self.keys = keys
        self.is_digest = is_digest
        self._places: dict[Key, int] | None = None
        self._digested: PageKeys | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def meet(self, other: PageKeys) -> Meeting | None:
        """What both hold; None: not enough to say that they meet."""
        if self.is_digest != other.is_digest:
            return self.digested().meet(other.digested())
        places = other.places()
        shared = [(place, places[key]) for place, key in enumerate(self.keys) if key in places]
        number = len({theirs for _, theirs in shared})
        if number < min(_ENOUGH, len(self.places()), len(places)) or not shared:
            return None
        return Meeting(number, shared[0], shared[-1])

    def places(self) -> dict[Key, int]:
        """Where each key is; of one that comes twice the last."""
        if self._places is None:
            self._places = {key: place for place, key in enumerate(self.keys)}
        return self._places

    def holds(self, key: Key) -> bool:
        return ((digest(key),) if self.is_digest else key) in self.places()

    def ends_at(self, key: Key) -> bool:
        return self.keys[-1] == ((digest(key),) if self.is_digest else key)

    def digested(self) -> PageKeys:
        """The same as digests."""
        if self.is_digest:
            return self
        if self._digested is None:
            self._digested = PageKeys([(digest(key),) for key in self.keys], is_digest=True)
        return self._digested

    def edge(self) -> tuple[str, ...]:
        """Digests of the last keys, for a cursor."""
        tail = PageKeys(self.keys[-EDGE:], is_digest=self.is_digest)
        return tuple(key[0] for key in tail.digested().keys)


def digest(key: Key) -> str:
    """A short name of *key*, the same in every process."""
    return xxh3_64_hexdigest("\x1f".join(key).encode("utf-8", "surrogatepass"))


def from_edge(edge: Sequence[str]) -> PageKeys:
    """The end of a page as a cursor kept it."""
    return PageKeys([(name,) for name in edge], is_digest=True)


@dataclass(eq=False, slots=True)
class Span:
    """Pages that meet. *start* and *end* are ranks as last observed: good guesses of where to read on."""

    start: int
    end: int
    left: PageKeys  # of its first page
    right: PageKeys  # of its last page
    anchored: bool = False  # begins where the set begins
    left_seen: int = 0  # number of the answer that told *start*
    right_seen: int = 0
    tries: int = 0  # attempts to close the gap behind it
    broken: bool = False  # that gap is a seam that did not meet
    resumed: bool = False  # known from a cursor: its end may be anywhere by now

    def meets(self, page: PageKeys) -> bool:
        """Whether *page* shares records with one of its edges."""
        return page.meet(self.right) is not None or (self.left is not self.right and page.meet(self.left) is not None)

    def with_left(self, mine: Span) -> Span:
        """A span that begins like this one, or like *mine*, a page that meets it; its right edge is this one's."""
        joined = Span(self.start, self.end, self.left, self.right, anchored=self.anchored or mine.anchored)
        joined.left_seen, joined.right_seen = self.left_seen, self.right_seen
        met = mine.left.meet(self.left)
        if met is None or self.anchored:
            return joined
        place, theirs = met.first
        if place > theirs:
            joined.start, joined.left = mine.start, mine.left
        else:
            joined.start = max(0, mine.start + place - theirs)
        joined.left_seen = mine.left_seen
        return joined

    def with_right(self, mine: Span, joined: Span) -> None:
        """Let *joined* end like this span, or like *mine* where that page goes further."""
        joined.end, joined.right, joined.right_seen = self.end, self.right, self.right_seen
        met = mine.right.meet(self.right)
        if met is None:
            joined.resumed = self.resumed  # it meets the beginning of this span, which goes on behind it
            return
        place, theirs = met.last
        mine_behind, theirs_behind = len(mine.right) - 1 - place, len(self.right) - 1 - theirs
        if (mine_behind > 0 or self.right.is_digest) and mine_behind >= theirs_behind:
            joined.end, joined.right = mine.end, mine.right
        else:
            joined.end = mine.end - mine_behind + theirs_behind
        joined.right_seen = mine.right_seen
