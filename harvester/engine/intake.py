"""What becomes of the records of a walk: they go into shards, or what cannot be taken into quarantine."""

from __future__ import annotations

import msgspec

from harvester.contracts import Pager
from harvester.decode.lines import join_lines
from harvester.engine.fetched import Fetched
from harvester.engine.quarantine import quarantine_line
from harvester.engine.sieve import Sifted
from harvester.engine.stamps import stamp_of
from harvester.engine.workshop import Workshop
from harvester.events import Quarantined
from harvester.model import Rejected, Walk
from harvester.store.shards import ShardEntry, ShardWriter


class ShardIntake:
    """Records into ``part`` shards, each version once a run; what cannot be taken into ``quarantine`` shards.

    Args:
        shards, quarantines: how many of either kind the walk has written before.
    """

    def __init__(self, walk: Walk, shop: Workshop, *, shards: int, quarantines: int) -> None:
        self._shop, self._stamp = shop, stamp_of(walk)
        self._records = shard_writer(walk, shop, "part", shards)
        self._rejects = shard_writer(walk, shop, "quarantine", quarantines)

    async def take(self, walk: Walk, pager: Pager, fetched: Fetched) -> Sifted:
        shop = self._shop
        sifted = shop.sieve.sift(walk, pager, fetched)
        if sifted.rows:
            lines = join_lines(fetched.page.records, self._stamp, sifted.keep)
            await self._records.write((lines.data,), lines.rows, sifted.first_modified, sifted.last_modified)
        rejected = shop.quarantine.admit(sifted.rejected)
        for each in rejected:
            await self._reject(walk, each)
        return msgspec.structs.replace(sifted, rejected=tuple(rejected))

    @property
    def open_disk_bytes(self) -> int:
        return self._records.open_disk_bytes

    async def seal(self) -> tuple[ShardEntry, ...]:
        return (*await self._records.seal(), *await self._rejects.seal())

    async def abandon(self) -> None:
        await self._records.abandon()
        await self._rejects.abandon()

    async def _reject(self, walk: Walk, rejected: Rejected) -> None:
        shop = self._shop
        await self._rejects.write((quarantine_line(rejected, shop.clock.now()),), 1, None, None)
        shop.sink(
            Quarantined(
                at=shop.clock.now(),
                source=shop.source.name,
                resource=walk.resource.name,
                walk=walk.id,
                reason=rejected.reason,
            )
        )


def shard_writer(walk: Walk, shop: Workshop, kind: str, first_number: int) -> ShardWriter:
    """A writer of *walk*'s shards of one kind, numbered from *first_number*."""
    return ShardWriter(
        shop.fs,
        shop.rng,
        shop.directory,
        walk=walk.id,
        kind=kind,
        compression=shop.compression,
        target_bytes=shop.shard_bytes,
        first_number=first_number,
        executor=shop.executor,
    )
