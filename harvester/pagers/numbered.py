"""Numbered pages that overlap, many at a time: ``_page`` and ``_limit``, both chosen for each page.

Page *p* of size *s* holds the records from ``(p - 1) * s`` on, so pages of one size share none. But a page of another
size, a little smaller, begins elsewhere; of all sizes that are nearly the largest, some page begins just before the
one before it ends. Which sizes follow each other best is searched a few pages ahead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isqrt

from harvester.contracts import Grid
from harvester.errors import ConfigError
from harvester.model import Head, Page, PageRequest, Walk
from harvester.pagers.odata import collection, with_query
from harvester.pagers.skip import put_number

_BEAM = 12  # ways on that are looked at side by side


@dataclass(frozen=True)
class Numbered:
    """Pages that begin at a multiple of their own size."""

    exact: bool = False

    def lay(self, start: int, stop: int | None, size: int, overlap: int, most: int) -> Sequence[tuple[int, int]]:
        start = max(0, start)
        if stop is not None and stop - start <= size:
            whole = _around(start, stop, size)
            if whole is not None:
                return [whole]
        ways: list[tuple[int, tuple[tuple[int, int], ...]]] = [(start + overlap, ())]
        for _ in range(most):
            ways = _further(ways, size, overlap)
            if stop is not None and ways[0][0] >= stop:
                break
        return ways[0][1]

    def begin(self, start: int, size: int) -> int | None:
        return next((each for each in range(size, 0, -1) if not start % each), None)


def _around(start: int, stop: int, size: int) -> tuple[int, int] | None:
    """The smallest page that holds all records from *start* to *stop*; None: no page does."""
    for each in range(max(2, stop - start), size + 1):
        if start // each == (stop - 1) // each:
            return start // each * each, each
    return None


def _further(
    ways: Sequence[tuple[int, tuple[tuple[int, int], ...]]], size: int, overlap: int
) -> list[tuple[int, tuple[tuple[int, int], ...]]]:
    """The best of *ways* with one page more; each is (the rank it reaches, its pages)."""
    found: dict[int, tuple[tuple[int, int], ...]] = {}
    smallest = max(2, size - 3 * isqrt(size) - 2)
    for end, pages in ways:
        behind = max(0, end - overlap)
        for each in range(size, smallest - 1, -1):
            first = behind // each * each
            reached = first + each
            if reached > end:
                found.setdefault(reached, (*pages, (first, each)))
    if not found:  # pages too small to overlap: the next one, as it is
        end, pages = ways[0]
        first = max(0, end - overlap) // size * size
        return [(first + size, (*pages, (first, size)))]
    return sorted(found.items(), reverse=True)[:_BEAM]


@dataclass(frozen=True, kw_only=True)
class NumberedPager:
    """Numbered pages in flight together, of sizes that let neighbours overlap; they must share records."""

    page_size: int  # largest page to ask for
    page_sizes: Mapping[str, int] = field(default_factory=dict)  # by resource, where it is not *page_size*
    may_count: bool = True  # ``_pagination=1``
    grid: Grid = field(default_factory=Numbered)

    def first(self, walk: Walk) -> PageRequest:
        """Raises ``ConfigError`` when the resource has no key: nothing tells whether its pages meet."""
        if not walk.resource.key:
            raise ConfigError(f"{walk.resource.name} has no key to know its records by", path=walk.resource.name)
        own = self.page_sizes.get(walk.resource.name, self.page_size)
        size = min(walk.page_size or own, own)
        url = with_query(
            collection(walk),
            (
                ("_select", ",".join(walk.select)),
                ("_expand", walk.expand or ""),
                ("_filter", walk.filter or ""),
                ("_limit", str(size)),
                ("_page", "1"),
            ),
        )
        return PageRequest(url=url, size=size)

    def follow(self, walk: Walk, page: Page, heads: Sequence[Head]) -> Sequence[PageRequest]:
        return ()

    def with_size(self, walk: Walk, request: PageRequest, size: int | None) -> PageRequest:
        return request

    def fresh(self, walk: Walk, request: PageRequest, page: Page, heads: Sequence[Head]) -> Sequence[bool] | None:
        return None

    def at(self, walk: Walk, base: PageRequest, start: int, size: int, *, counted: bool) -> PageRequest:
        url = put_number(put_number(base.url, "_page", start // size + 1), "_limit", size)
        return PageRequest(url=f"{url}&_pagination=1" if counted else url, size=size, headers=base.headers)

    def linked(self, walk: Walk, page: Page) -> PageRequest | None:
        return None
