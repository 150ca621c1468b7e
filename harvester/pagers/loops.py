"""A walk that comes back to where it was: found with a state of a few bytes, however long the loop.

Brent's algorithm: one position is remembered and moved ahead at every power of two. A loop of k pages is found at
most about two times k pages after it closed (FAULTS P02).
"""

from __future__ import annotations

from hashlib import blake2b

from msgspec import Struct


class Trail(Struct, frozen=True, array_like=True):
    """Where the walk was, as digests. *steps* counts positions since the remembered one."""

    link: str = ""
    rows: str = ""
    steps: int = 0
    reach: int = 1
    repeats: int = 0  # how often the remembered rows came again, under whatever link

    def step(self, link: str, rows: str) -> Trail:
        """The trail after a position with the digests *link* and *rows* (either may be "")."""
        repeats = self.repeats + bool(rows and rows == self.rows)
        if self.steps + 1 >= self.reach:
            return Trail(link, rows, 0, self.reach * 2, repeats)
        return Trail(self.link, self.rows, self.steps + 1, self.reach, repeats)


def digest(*parts: bytes) -> str:
    """A short name for *parts*; equal names mean equal parts."""
    state = blake2b(digest_size=8)
    for part in parts:
        state.update(len(part).to_bytes(8, "big") + part)
    return state.hexdigest()
