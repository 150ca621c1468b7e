"""Whether a finished run found anything that earlier runs do not hold already.

A delta reads its overlap again, so most of what it brings on a quiet feed was brought by the ones before it. And a
resource that cannot be asked for changes is read whole each time, mostly to find it as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import PurePath

from msgspec import structs

from harvester.contracts import Fs
from harvester.decode.heads import HeadReader
from harvester.engine.held import Held
from harvester.engine.stamps import stamp_of
from harvester.engine.state import Run
from harvester.model import Phase, Walk
from harvester.store.layout import ShardKind, data_kind, walk_of
from harvester.store.manifest import Manifest
from harvester.store.shards import read_lines

_MOST_NEW = 20_000  # records of one delta that are compared; more of them are news, or nearly
_MOST_HELD = 100_000  # records of earlier runs that are read for it
_AT_A_TIME = 1000  # lines


def found_again(last: Manifest | None, manifest: Manifest) -> bool:
    """Whether a full run holds, byte for byte, what the run before it holds."""
    if last is None or last.mode != Phase.FULL or manifest.mode != Phase.FULL:
        return False
    if "incomplete" in {last.verdict, manifest.verdict} or last.fingerprint != manifest.fingerprint:
        return False
    return _contents(last) == _contents(manifest)


def _contents(manifest: Manifest) -> list[tuple[str, int, str]]:
    return sorted((walk_of(entry.path), entry.rows, entry.sha256) for entry in manifest.shards)


def brings_nothing(fs: Fs, directory: PurePath, manifest: Manifest, runs: Sequence[Run], like: Walk) -> bool:
    """Whether every record of a complete delta is the newest version that *runs* hold of its key. Blocking.

    False also where that cannot be found out cheaply: then the run is kept, and nothing is lost.

    Args:
        runs: finished before it, oldest first; those without a directory are passed over.
        like: any walk of the resource: its records are read as this one's.
    """
    if manifest.mode != Phase.DELTA or manifest.verdict != "complete" or manifest.tombstones:
        return False
    if not manifest.shards:
        return True
    if manifest.records > _MOST_NEW or any(data_kind(entry.path) != ShardKind.PART for entry in manifest.shards):
        return False
    held = Held()
    for path, earlier in _latest(runs):
        held.load(fs, path, earlier, like)
    return not _has_news(fs, directory, manifest, held, like)


def _latest(runs: Sequence[Run]) -> list[Run]:
    """The newest of *runs*, as many as may be read, oldest first."""
    chosen: list[Run] = []
    lines = 0
    for run in reversed(runs):
        lines += run[1].records + run[1].tombstones
        if lines > _MOST_HELD:
            break
        chosen.append(run)
    return chosen[::-1]


def _has_news(fs: Fs, directory: PurePath, manifest: Manifest, held: Held, like: Walk) -> bool:
    """Whether a record says something else than what is held of its key."""
    scopes = {walk.id: walk.value for walk in manifest.walks}
    reader = HeadReader(like.resource)
    for entry in manifest.shards:
        walk = structs.replace(like, value=scopes.get(walk_of(entry.path)))
        stamp, lines = stamp_of(walk), read_lines(fs, directory / entry.path)
        while batch := list(islice(lines, _AT_A_TIME)):
            records = [b"{" + line[len(stamp) :] if stamp and line.startswith(stamp) else line for line in batch]
            for key, record in zip(reader.read_page(records).keys, records, strict=True):
                if key is None or held.is_new(walk, key, record):
                    return True
    return False
