"""Where a walk stands: what its last commit says, and what its pages have told since."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from harvester.engine.frontier import Frontier
from harvester.model import Head, Page, PageRequest, Walk
from harvester.store.commits import Commit, Tally

_SECONDS = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(kw_only=True)
class Position:
    """Where a walk stands, as its last commit says."""

    frontier: Frontier
    done: bool = False
    tally: Tally = field(default_factory=Tally)
    committed: Tally = field(default_factory=Tally)  # of the last commit: what is on disk
    anchor: str | None = None
    expected: int | None = None
    watermark: str | None = None
    reached: str | None = None  # instant of the last page, told like the anchor; None: no page in this attempt
    last: Head | None = None  # of the last record that came; None: none came in this attempt
    left: int | None = None  # records that are still to come, by the server's last word; None: it did not say
    rows: int = 0  # records of the last page
    proven: bool = False  # nothing can be behind the last page; False also when that is not known
    number: int = 0  # of the last commit
    shards: int = 0  # written so far
    quarantines: int = 0
    bytes: int = 0  # on disk, of every committed shard

    def meet(self, page: Page, *, anchored: bool) -> None:
        """Take what a page tells beside its records: the server's time and the total it claims.

        *anchored*: the provider's data told the anchor, because its clock cannot (IMS).
        """
        if page.served_at is not None and not anchored:
            self.reached = page.served_at.strftime(_SECONDS)
            # The earliest: a clock that is set back writes changes with times before the first page's (FAULTS T06).
            self.anchor = min(self.anchor or self.reached, self.reached)
        self.proven = _is_the_end(page)
        if self.expected is None:
            self.expected = page.count
        if page.count is not None:
            self.left = page.count
        if self.left is not None:
            self.left = max(0, self.left - len(page.records))
        self.rows = len(page.records)

    def copy(self) -> Position:
        """The same position, to be moved on trial."""
        return replace(self, frontier=Frontier(self.frontier.cursor))


def second_after(anchor: str | None) -> str | None:
    """The end of the second that *anchor* tells, where a provider's clock told it; any other text as it is."""
    if anchor is None:
        return None
    try:
        return (datetime.strptime(anchor, _SECONDS).replace(tzinfo=UTC) + timedelta(seconds=1)).strftime(_SECONDS)
    except (ValueError, OverflowError):
        return anchor


def _is_the_end(page: Page) -> bool:
    """Whether nothing can be behind *page*: it is empty and its link leads back to it.

    An empty page without a link may be the answer to another request (FAULTS H11).
    """
    if page.records or page.rejected or page.next_link is None:
        return False
    return unquote(page.next_link) in unquote(page.request.url)


def resume(walk: Walk, pager_first: PageRequest, commits: tuple[Commit, ...]) -> Position:
    """The position that *commits* prove; the start of the walk when there are none."""
    if not commits:
        return Position(frontier=Frontier((pager_first,)))
    last = commits[-1]
    added = [entry for commit in commits for entry in commit.add]
    return Position(
        frontier=Frontier(last.cursor),
        done=last.done,
        tally=last.tally,
        committed=last.tally,
        anchor=last.anchor,
        expected=last.expected,
        watermark=last.watermark,
        number=last.number,
        shards=sum(entry.path.startswith("part-") for entry in added),
        quarantines=sum(entry.path.startswith("quarantine-") for entry in added),
        bytes=sum(entry.bytes for entry in added),
    )
