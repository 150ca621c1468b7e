"""Tombstones: keys that a sweep has proven gone, as shards and commits of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice

import msgspec
from msgspec import UNSET, Struct, UnsetType

from harvester.engine.crew import Crew
from harvester.engine.frontier import Frontier
from harvester.engine.intake import shard_writer
from harvester.engine.position import Position
from harvester.engine.stamps import stamp_of
from harvester.engine.workshop import Workshop
from harvester.model import Phase, Walk
from harvester.store.commits import CommitLog, Tally
from harvester.store.key_table import PARTS, KeyTable
from harvester.store.keys import parts_of
from harvester.store.layout import ShardKind
from harvester.store.listing import text_of

LETTER = "x"  # of the ids under which tombstones are committed
_AT_A_TIME = 1000  # lines


class Tombstone(Struct):
    key: dict[str, str]
    deleted: bool  # False: it only left this resource
    evidence: str
    at: datetime
    last_seen: str | None  # modification time of the last version held, the provider's text
    moved_to: str | UnsetType = UNSET  # the resource where it is now; absent: nowhere


async def bury(crew: Crew, shop: Workshop, walks: Sequence[Walk], gone: KeyTable, elsewhere: KeyTable) -> int:
    """Write a tombstone for each key of *gone*, durably; how many.

    A record that is in another resource now has not been deleted: its line says where it is. It ends the key here
    as a tombstone does.

    What an attempt before this one has buried it has buried whole: the commit came last.

    Args:
        walks: the full walks of the run, one for each value of the parent.
        elsewhere: keys of other resources, with the name of each resource in the place of times.
    """
    number = 0
    for place, walk in enumerate({walk.value: walk for walk in walks}.values()):
        grave = msgspec.structs.replace(walk, id=f"{LETTER}{place:02d}", phase=Phase.SWEEP, reason="")
        log = crew.logs.get(grave.id) or CommitLog(shop.fs, shop.directory, grave.id, shop.rng)
        buried = 0 if log.load() else await _bury(grave, shop, log, gone, elsewhere)
        number += buried
        if buried or grave.id in crew.logs:
            crew.logs[grave.id] = log
            crew.walks[grave.id], crew.positions[grave.id] = grave, Position(frontier=Frontier(()), done=True)
    return number


async def _bury(walk: Walk, shop: Workshop, log: CommitLog, gone: KeyTable, elsewhere: KeyTable) -> int:
    writer = shard_writer(walk, shop, ShardKind.DELETED, 0)
    lines, number = _lines(walk, gone, elsewhere, shop.clock.now()), 0
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


def _lines(walk: Walk, gone: KeyTable, elsewhere: KeyTable, at: datetime) -> Iterator[bytes]:
    stamp = stamp_of(walk)
    for name, time, place in _with_places(gone, elsewhere):
        parts = parts_of(name)
        if walk.value is not None:
            value, parts = parts[0], parts[1:]
            if value != walk.value:
                continue
        key = dict(zip(walk.resource.key, parts, strict=True))
        tombstone = Tombstone(
            key=key,
            deleted=not place,
            evidence="sweep",
            at=at,
            last_seen=text_of(time),
            moved_to=place or UNSET,
        )
        line = msgspec.json.encode(tombstone)
        yield (stamp + line[1:] if stamp else line) + b"\n"


def _with_places(gone: KeyTable, elsewhere: KeyTable) -> Iterator[tuple[bytes, bytes, str]]:
    """Identity and time of each key of *gone*, and the resource where it is now; "": nowhere."""
    for place in range(PARTS):
        there = elsewhere.part(place)
        for mark, (name, time) in gone.part(place).items():
            yield name, time, text_of(there[mark][1]) or "" if mark in there else ""
