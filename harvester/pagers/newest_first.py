"""What changed since the last success, in one page where it fits: the latest rows, newest first.

An ascending walk ends when nothing follows, and to know that takes a request more, or two. A page in the order of the
latest change first shows by itself that it holds everything: it ends with a row older than the instant asked about.
That it may have been cut short does not matter (FAULTS P04). Where it shows nothing, the walk is read as ever.

It may be the answer to another request, of another database even, whose records look like these (H11). So it must hold
a record with the time that was met last, or, because that one may have changed, come alike twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from msgspec.structs import replace

from harvester.model import Head, Page, PageRequest, Phase, Walk
from harvester.pagers.keyset import KeysetPager
from harvester.pagers.loops import digest
from harvester.pagers.odata import collection, selected, with_query
from harvester.pagers.ordering import sortable
from harvester.pagers.resize import resized

_STATE = "newest first"
ROWS = 200


@dataclass(frozen=True, kw_only=True)
class NewestFirstPager:
    """A look at the latest rows, and behind it the walk of another pager unless they are all that changed."""

    behind: KeysetPager
    rows: int = ROWS  # asked for in that look

    def first(self, walk: Walk) -> PageRequest:
        if walk.phase is not Phase.DELTA or walk.since is None or walk.part_of:
            return self.behind.first(walk)
        size = min(walk.page_size or self.rows, self.rows)
        query = (
            ("$filter", self.behind.dialect.filter(walk)),
            ("$orderby", f"{walk.resource.modified} desc"),
            ("$select", selected(walk)),
            ("$expand", walk.expand or ""),
            ("$top", str(size)),
        )
        return PageRequest(url=with_query(collection(walk), query), state=_STATE, size=size)

    def follow(self, walk: Walk, page: Page, heads: Sequence[Head]) -> Sequence[PageRequest]:
        if not page.request.state.startswith(_STATE):
            return self.behind.follow(walk, page, heads)
        if not _reaches_behind(walk, heads):
            return (self.behind.first(walk),)
        if _is_sure(walk, page, heads):
            return ()
        if page.request.state != _STATE:
            return (self.behind.first(walk),)
        return (replace(page.request, state=f"{_STATE} {_rows(page)}"),)

    def with_size(self, walk: Walk, request: PageRequest, size: int | None) -> PageRequest:
        if request.state.startswith(_STATE):
            return resized(request, size)
        return self.behind.with_size(walk, request, size)

    def fresh(self, walk: Walk, request: PageRequest, page: Page, heads: Sequence[Head]) -> Sequence[bool] | None:
        if not request.state.startswith(_STATE):
            return self.behind.fresh(walk, request, page, heads)
        if not _reaches_behind(walk, heads) or not _is_sure(walk, page, heads):
            return [False] * len(heads)  # the walk brings them, and whether these are what was asked for nobody knows
        since = sortable(walk.since or "")
        times = [sortable(head.modified or "") for head in heads]
        return [since is None or time is None or time >= since for time in times]


def _is_sure(walk: Walk, page: Page, heads: Sequence[Head]) -> bool:
    """Whether the page is no other request's: it holds what was met before, or has come like this before."""
    if walk.known is not None and any(head.modified == walk.known for head in heads):
        return True
    return page.request.state == f"{_STATE} {_rows(page)}"


def _rows(page: Page) -> str:
    return digest(*map(bytes, page.records))


def _reaches_behind(walk: Walk, heads: Sequence[Head]) -> bool:
    """Whether the rows are in order, begin with one that changed since, and end with one that did not.

    That the first one did is asked for because there always is one: the last row that was read before changed after
    that instant, which lies before it by the overlap. Rows in another order hardly look like that.
    """
    since, times = sortable(walk.since or ""), [sortable(head.modified or "") for head in heads]
    if since is None or len(times) < 2:
        return False
    known = [time for time in times if time is not None]
    if len(known) < len(times) or any(later > earlier for earlier, later in pairwise(known)):
        return False
    return known[0] >= since > known[-1]
