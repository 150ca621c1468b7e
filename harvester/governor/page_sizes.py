"""How many bytes the next page may bring, so that a quota of bytes has room for it before it is asked for. Pure."""

from __future__ import annotations

_GENERATION = 256
"""Pages after which the sizes before them begin to be forgotten: a resource with large pages may have ended."""

_LEAST = 1 / 16
"""Share of the largest page that is always added to it."""


class PageSizes:
    """The sizes seen lately, as they came over the wire.

    The largest counts, not the mean: at the edge of a window one page too large is a refusal (FAULTS Q04). The more
    sizes differ, the more is added for one that is larger than any before.
    """

    __slots__ = ("_before", "_largest", "_pages", "_total", "expected")

    def __init__(self) -> None:
        self.expected = 0  # bytes to keep free for one page; 0: none has been seen
        self._before = 0  # largest of the generation before
        self._largest = 0
        self._total = 0
        self._pages = 0

    def saw(self, size: int) -> None:
        """A page of *size* bytes has come."""
        if self._pages == _GENERATION:
            self._before, self._largest, self._total, self._pages = self._largest, 0, 0, 0
        self._pages += 1
        self._total += size
        self._largest = max(self._largest, size)
        largest = max(self._before, self._largest)
        spread = largest - self._total // self._pages
        self.expected = largest + max(int(largest * _LEAST), spread // 2)
