"""Tombstones: keys that a sweep has proven gone, as shards and commits of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice

import msgspec
from msgspec import Struct

from harvester.engine.crew import Crew
from harvester.engine.frontier import Frontier
from harvester.engine.intake import shard_writer
from harvester.engine.position import Position
from harvester.engine.stamps import stamp_of
from harvester.engine.workshop import Workshop
from harvester.model import Phase, Walk
from harvester.store.commits import CommitLog, Tally
from harvester.store.key_table import KeyTable
from harvester.store.keys import parts_of
from harvester.store.layout import ShardKind
from harvester.store.listing import text_of

LETTER = "x"  # of the ids under which tombstones are committed
_AT_A_TIME = 1000  # lines


class _Tombstone(Struct):
    key: dict[str, str]
    deleted: bool
    evidence: str
    at: datetime
    last_seen: str | None  # modification time of the last version held, the provider's text


async def bury(crew: Crew, shop: Workshop, walks: Sequence[Walk], gone: KeyTable) -> int:
    """Write a tombstone for each key of *gone*, durably; how many.

    What an attempt before this one has buried it has buried whole: the commit came last.

    Args:
        walks: the full walks of the run, one for each value of the parent.
    """
    number = 0
    for place, walk in enumerate({walk.value: walk for walk in walks}.values()):
        grave = msgspec.structs.replace(walk, id=f"{LETTER}{place:02d}", phase=Phase.SWEEP, reason="")
        log = crew.logs.get(grave.id) or CommitLog(shop.fs, shop.directory, grave.id, shop.rng)
        buried = 0 if log.load() else await _bury(grave, shop, log, gone)
        number += buried
        if buried or grave.id in crew.logs:
            crew.logs[grave.id] = log
            crew.walks[grave.id], crew.positions[grave.id] = grave, Position(frontier=Frontier(()), done=True)
    return number


async def _bury(walk: Walk, shop: Workshop, log: CommitLog, gone: KeyTable) -> int:
    writer = shard_writer(walk, shop, ShardKind.DELETED, 0)
    lines, number = _lines(walk, gone, shop.clock.now()), 0
    try:
        while batch := list(islice(lines, _AT_A_TIME)):
            await writer.write((b"".join(batch),), len(batch), None, None)
            number += len(batch)
        entries = await writer.seal()
    finally:
        await writer.abandon()
    if entries:
        log.append(
            walk=walk,
            at=shop.clock.now(),
            fingerprint=shop.fingerprint,
            add=entries,
            cursor=(),
            done=True,
            tally=Tally(),
        )
    return number


def _lines(walk: Walk, gone: KeyTable, at: datetime) -> Iterator[bytes]:
    stamp = stamp_of(walk)
    for _, name, time in gone.rows():
        parts = parts_of(name)
        if walk.value is not None:
            value, parts = parts[0], parts[1:]
            if value != walk.value:
                continue
        key = dict(zip(walk.resource.key, parts, strict=True))
        line = msgspec.json.encode(_Tombstone(key=key, deleted=True, evidence="sweep", at=at, last_seen=text_of(time)))
        yield (stamp + line[1:] if stamp else line) + b"\n"
