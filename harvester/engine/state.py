"""The keys that the runs of a resource hold together, for a sweep that is to find what differs and what has gone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice
from pathlib import PurePath

from harvester.contracts import Fs
from harvester.decode.heads import HeadReader
from harvester.model import Phase, Resource
from harvester.store.key_table import KeyTable
from harvester.store.keys import fingerprint, identity
from harvester.store.layout import ShardKind, data_kind, walk_of
from harvester.store.manifest import Manifest
from harvester.store.shards import read_lines

_AT_A_TIME = 1000  # lines

Run = tuple[PurePath, Manifest]


def grounded(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The last complete full run of *runs*, oldest first, and what came on top of it; (): there is none."""
    full = [
        place
        for place, (_, manifest) in enumerate(runs)
        if manifest.mode == Phase.FULL and manifest.verdict == "complete"
    ]
    return tuple(runs[full[-1] :]) if full else ()


def load_state(
    fs: Fs, runs: Sequence[Run], resource: Resource, values: Collection[str | None], table: KeyTable
) -> None:
    """Put what *runs* hold into *table*. Blocking; reads every record.

    A later run counts, whatever its times say (FAULTS T08); of one run the latest version does, before a tombstone
    of the same run (T12). A tombstone is a row with an empty identity. What was pushed stands only where it is not
    older than what lies below it (W04).

    Args:
        values: of the parent as it is now; what belongs to one that has gone is left out, it is not judged.
    """
    for number, (directory, manifest) in enumerate(runs):
        scopes = {walk.id: walk.value for walk in manifest.walks}
        for entry in manifest.shards:
            kind = data_kind(entry.path)
            if kind not in {ShardKind.PART, ShardKind.DELETED}:
                continue
            value = scopes.get(walk_of(entry.path))
            if value not in values:
                continue
            tombstones = kind == ShardKind.DELETED
            reader = HeadReader(tombstone_of(resource) if tombstones else resource)
            lines = read_lines(fs, directory / entry.path)
            scope = () if value is None else (value,)
            while batch := list(islice(lines, _AT_A_TIME)):
                columns = reader.read_page(batch)
                rows = [
                    (identity((*scope, *key)), time)
                    for key, time in zip(columns.keys, columns.times, strict=True)
                    if key is not None
                ]
                prints = [fingerprint(name) for name, _ in rows]
                if tombstones:
                    table.put(prints, [b""] * len(rows), [None] * len(rows), rank=2 * number)
                else:
                    names, times = [name for name, _ in rows], [time for _, time in rows]
                    table.put(prints, names, times, rank=2 * number + 1, yields=manifest.mode == Phase.PUSH)


def tombstone_of(resource: Resource) -> Resource:
    """How the key of *resource* is read from a tombstone, ``{"key": {"ListingKey": "…"}, …}``."""
    return Resource(name=resource.name, key=tuple(f"key.{name}" for name in resource.key))
