"""What becomes of sets: their records go into shards, and behind them a line that tells which records there are."""

from __future__ import annotations

from harvester.contracts import Pager, SetPager
from harvester.engine.fetched import Fetched
from harvester.engine.intake import ShardIntake, shard_writer
from harvester.engine.set_work import SetWork
from harvester.engine.sieve import Sifted
from harvester.engine.workshop import Workshop
from harvester.model import Walk
from harvester.store.layout import ShardKind
from harvester.store.set_lines import set_line
from harvester.store.shards import ShardEntry

_NOTHING = Sifted(keep=None, rows=0, duplicates=0, rejected=(), first_modified=None, last_modified=None)


class SetIntake:
    """Records into ``part`` shards and lines into ``sets`` shards, which one commit makes durable together.

    So no record is gone for want of a line, and none is told to be gone by a set that was not read whole.

    Args:
        commits: how many the walk has made before.
    """

    def __init__(self, work: SetWork, walk: Walk, shop: Workshop, commits: int) -> None:
        if not isinstance(pager := shop.source.provider.pager(walk.pager), SetPager):
            raise TypeError(f"{walk.pager} reads no sets")
        self._work, self._shop, self._pager = work, shop, pager
        self._records = ShardIntake(walk, shop, shards=commits, quarantines=commits)
        self._lines = shard_writer(walk, shop, ShardKind.SETS, commits)

    async def take(self, walk: Walk, pager: Pager, fetched: Fetched) -> Sifted:
        parent = walk.keys[self._pager.place_of(fetched.asked)]
        if fetched.unread is not None or fetched.absent:
            self._work.not_read(parent, fetched.unread)
            return _NOTHING
        sifted = await self._records.take(walk, pager, fetched)
        keys = fetched.heads.columns.keys
        # Where a record could not be taken nobody knows the whole set: what was held of it stays.
        if None not in keys and not fetched.page.rejected:
            line = set_line(
                dict(zip(self._work.relation.parent_key, parent, strict=True)),
                walk.resource.name,
                list(dict.fromkeys(self._work.own_key(key) for key in keys if key is not None)),
                fetched.page.served_at or self._shop.clock.now(),
                self._work.stamps_of(parent),
            )
            await self._lines.write((line,), 1, None, None)
        self._work.read(parent)
        return sifted

    @property
    def open_disk_bytes(self) -> int:
        return self._records.open_disk_bytes + self._lines.open_disk_bytes

    async def seal(self) -> tuple[ShardEntry, ...]:
        return (*await self._records.seal(), *await self._lines.seal())

    async def abandon(self) -> None:
        await self._records.abandon()
        await self._lines.abandon()
