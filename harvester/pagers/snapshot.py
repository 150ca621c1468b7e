"""Methods whose one answer is the whole set, and their paged form in newer API versions."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from harvester.model import Head, Page, PageRequest, Walk
from harvester.pagers.paged_form import (
    Progress,
    following_link,
    overlapping,
    own_query,
    path_of,
    read_again,
    with_query,
)


class SnapshotPager:
    """One answer is the whole set; where the server pages it, its links are followed one after another.

    Args:
        sized: resources that understand ``offset`` and ``limit``. They are sent only where a page size is
            configured: versions without paging answer everything at once.
    """

    def __init__(self, *, sized: frozenset[str] = frozenset()) -> None:
        self._sized = sized

    def first(self, walk: Walk) -> PageRequest:
        return self._begin(walk, Progress(), walk.page_size)

    def follow(self, walk: Walk, page: Page, heads: Sequence[Head]) -> Sequence[PageRequest]:
        before = _progress(page.request)
        progress = before.after(page, heads)
        if walk.resource.key and not page.records and not page.rejected and before == Progress():
            # An empty answer is also what a server gives that has stumbled (FAULTS H13): it must say so twice.
            return (self._begin(walk, Progress(doubted=True), page.request.size),)
        link = following_link(page, progress, _parameters(page.request, walk))
        if link is not None:
            url, state = overlapping(link, progress) if walk.resource.key else (link, replace(progress, seam=()))
            return (PageRequest(url=url, state=_state(state), size=page.request.size),)
        if read_again(walk, page, progress):
            return (self._begin(walk, Progress(round=progress.round + 1), page.request.size),)
        return ()

    def with_size(self, walk: Walk, request: PageRequest, size: int | None) -> PageRequest:
        """From page one: a smaller ``limit`` moves every later offset. Without a limit nothing can be made smaller."""
        if request.size is None:
            return request
        smaller = max(1, request.size // 2 if size is None else min(size, request.size))
        if smaller == request.size:
            return request
        return self._begin(walk, Progress(round=_progress(request).round), smaller)

    def fresh(self, walk: Walk, request: PageRequest, page: Page, heads: Sequence[Head]) -> Sequence[bool] | None:
        return None

    def _begin(self, walk: Walk, progress: Progress, size: int | None) -> PageRequest:
        sized = size is not None and walk.resource.name in self._sized
        place = f"offset=0&limit={size}" if sized else ""
        query = "&".join(part for part in (place, own_query(walk)) if part)
        return PageRequest(
            url=with_query(path_of(walk), query),
            state=_state(progress) if progress.round or progress.doubted else "",
            size=size if sized else None,
        )


def _parameters(request: PageRequest, walk: Walk) -> str:
    limit = f"limit={request.size}" if request.size is not None else ""
    return "&".join(part for part in (limit, own_query(walk)) if part)


def _progress(request: PageRequest) -> Progress:
    return msgspec.json.decode(request.state, type=Progress) if request.state else Progress()


def _state(progress: Progress) -> str:
    return msgspec.json.encode(progress).decode()
