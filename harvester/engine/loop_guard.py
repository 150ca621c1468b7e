"""Notices a walk that is given the same pages for ever (FAULTS P02, P03, H11)."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from harvester.errors import WentRound
from harvester.model import Head

# A page may honestly come again a few times: a walk begun again, a tie read anew. The last row of a small table comes
# four times while rows are put behind it: met, sought from, read as a tie, and as the seam of that tie.
_REPEATS = 8
_SAMPLE = 8  # records from either end of the page


class LoopGuard:
    """Counts how often a page with the same keys came back in one walk.

    Eight bytes a page, from a sample of its records: it need not prove that two pages are equal, only that a walk
    which is given the like of one page again and again gets nowhere.
    """

    def __init__(self) -> None:
        self._seen: dict[bytes, int] = {}

    def check(self, heads: Sequence[Head]) -> None:
        """Raises ``WentRound`` when the page with these heads has come too often. Empty pages say nothing."""
        digest = blake2b(b"%d" % len(heads), digest_size=8)
        known = False
        for head in (*heads[:_SAMPLE], *heads[-_SAMPLE:]):
            if head.key is not None:
                known = True
                digest.update("\x1f".join(head.key).encode("utf-8", "surrogatepass"))
                digest.update((head.modified or "").encode("utf-8", "surrogatepass"))
        if not known:
            return
        times = self._seen.get(digest.digest(), 0) + 1
        self._seen[digest.digest()] = times
        if times >= _REPEATS:
            raise WentRound(
                f"the server sent the same page of {len(heads)} records {times} times; "
                "the walk does not get any further. What was written before stays; run the command again to try anew."
            )
