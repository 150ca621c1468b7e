"""Numbered pages, for Spark's small lists of metadata: nothing in them moves while they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from harvester.errors import ProtocolError
from harvester.model import Head, Page, PageRequest, Walk
from harvester.pagers.loops import digest
from harvester.pagers.odata import collection, with_query
from harvester.pagers.resize import resized

MAX_PAGES = 4000  # 25 rows each; more is no small list


class _State(Struct, frozen=True, omit_defaults=True):
    page: int = 1
    rows: int = 0  # records before this page
    last: str = ""  # digest of the page before


@dataclass(frozen=True, kw_only=True)
class PageNumberPager:
    """Numbered pages up to the total that the provider tells, or to an empty or repeated one where it tells none.

    Safe only where nothing moves: a row that leaves an earlier page takes another one with it (Spark contract,
    section 5).
    """

    page_size: int = 25

    def first(self, walk: Walk) -> PageRequest:
        return self._ask(walk, min(walk.page_size or self.page_size, self.page_size), _State())

    def follow(self, walk: Walk, page: Page, heads: Sequence[Head]) -> Sequence[PageRequest]:
        state = _read(page.request.state)
        rows = state.rows + len(page.records) + len(page.rejected)
        here = _rows(page)
        if not here or here == state.last or (page.count is not None and rows >= page.count):
            return ()
        if state.page >= MAX_PAGES:
            raise ProtocolError(f"{walk.resource.name}: more than {MAX_PAGES:,} numbered pages.")
        return (self._ask(walk, page.request.size or self.page_size, _State(state.page + 1, rows, here)),)

    def with_size(self, walk: Walk, request: PageRequest, size: int | None) -> PageRequest:
        """Only the first page: another size would move every later one."""
        return resized(request, size, parameter="_limit") if not request.state else request

    def fresh(self, walk: Walk, request: PageRequest, page: Page, heads: Sequence[Head]) -> Sequence[bool] | None:
        """A list that has no pages answers every number with the same rows: they count once."""
        state = _read(request.state)
        return [False] * len(page.records) if state.last and state.last == _rows(page) else None

    def _ask(self, walk: Walk, size: int, state: _State) -> PageRequest:
        url = with_query(
            collection(walk),
            (
                ("_select", ",".join(walk.select)),
                ("_expand", walk.expand or ""),
                ("_filter", walk.filter or ""),
                ("_pagination", "1"),
                ("_limit", str(size)),
                ("_page", str(state.page)),
            ),
        )
        return PageRequest(url=url, state=msgspec.json.encode(state).decode() if state.page > 1 else "", size=size)


def _rows(page: Page) -> str:
    return digest(*map(bytes, page.records)) if page.records else ""


def _read(state: str) -> _State:
    return msgspec.json.decode(state, type=_State) if state else _State()
