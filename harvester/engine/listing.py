"""The keys of a sweep on their way to disk: listed, not written as records."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Raw

from harvester.contracts import Pager
from harvester.engine.fetched import Fetched
from harvester.engine.held import canonical
from harvester.engine.intake import shard_writer
from harvester.engine.sieve import Sifted
from harvester.engine.workshop import Workshop
from harvester.model import Walk
from harvester.store.layout import ShardKind
from harvester.store.listing import listing_lines, with_note
from harvester.store.shards import ShardEntry

_NOTHING = Sifted(keep=None, rows=0, duplicates=0, rejected=(), first_modified=None, last_modified=None)
_OFFSET = re.compile(r"[?&](?:\$|%24)?(?:skip|offset|page|_page|_skip)=\d", re.IGNORECASE)


class ListingIntake:
    """Keys and times of every record into ``listed`` shards, which exist only until the run has finished."""

    def __init__(self, walk: Walk, shop: Workshop, commits: int) -> None:
        self._lines = shard_writer(walk, shop, ShardKind.LISTED, commits)

    async def take(self, walk: Walk, pager: Pager, fetched: Fetched) -> Sifted:
        columns = fetched.heads.columns
        # A page may begin with rows of the page before; listed twice, a key counts once.
        keys = [*columns.keys, *(None for _ in fetched.page.rejected)]
        told = marks(columns.times, fetched.page.records) if walk.whole else columns.times
        times = [*told, *(None for _ in fetched.page.rejected)]
        if keys:
            await self._lines.write((listing_lines(keys, times),), len(keys), None, None)
        return _NOTHING

    @property
    def open_disk_bytes(self) -> int:
        return self._lines.open_disk_bytes

    async def seal(self) -> tuple[ShardEntry, ...]:
        return await self._lines.seal()

    async def abandon(self) -> None:
        await self._lines.abandon()


def marks(times: Sequence[str | None], records: Sequence[bytes | Raw]) -> list[str]:
    """What stands for whole records where times do else: the time of each, and what it says."""
    return [with_note(time, canonical(record).hex()) for time, record in zip(times, records, strict=True)]


def goes_by_offset(link: str) -> bool:
    """Whether a provider's link to the next page holds a bare offset, which rows may be shifted past (FAULTS P09)."""
    return _OFFSET.search(link) is not None
