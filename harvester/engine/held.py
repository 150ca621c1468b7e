"""What earlier runs hold of each key, for answers that are a whole set each time: only what changed is written.

Records are compared by what they say, not by their bytes: the order of an object's members carries no meaning (IDX
Broker contract, section 6).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import PurePath

import msgspec
from msgspec import Raw, structs
from xxhash import xxh3_64_digest

from harvester.contracts import Fs
from harvester.decode.heads import HeadReader
from harvester.engine.stamps import stamp_of
from harvester.model import Phase, Walk
from harvester.store.keys import fingerprint, identity
from harvester.store.layout import ShardKind, data_kind, walk_of
from harvester.store.manifest import Manifest
from harvester.store.shards import read_lines

_AT_A_TIME = 1000  # lines
_decode = msgspec.json.Decoder(float_hook=str).decode  # 1.10 and 1.1 differ, and nothing is rounded
_encode = msgspec.json.Encoder(order="deterministic").encode


class Held:
    """By key, the version that the newest of the earlier runs holds; about 150 bytes of memory a key.

    Sets that come whole in one answer are small; there is no index on disk for them.
    """

    def __init__(self) -> None:
        self._versions: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._versions)

    def load(self, fs: Fs, directory: PurePath, manifest: Manifest, like: Walk) -> None:
        """Take what one run holds; call it for each run, oldest first. Blocking.

        Args:
            like: any walk of the same resource: its records are read as this one's.
        """
        walks = {each.id: structs.replace(like, value=each.value) for each in manifest.walks}
        for entry in manifest.shards:
            if data_kind(entry.path) == ShardKind.PART:
                self._take(walks[walk_of(entry.path)], read_lines(fs, directory / entry.path))

    def _take(self, walk: Walk, lines: Iterator[bytes]) -> None:
        reader, stamp = HeadReader(walk.resource), stamp_of(walk)
        while batch := list(islice(lines, _AT_A_TIME)):
            records = [b"{" + line[len(stamp) :] if stamp and line.startswith(stamp) else line for line in batch]
            for key, record in zip(reader.read_page(records).keys, records, strict=True):
                if key is not None:
                    self._versions[_name(walk, key)] = canonical(record)

    def is_new(self, walk: Walk, key: tuple[str, ...], record: bytes | Raw) -> bool:
        """Whether *record* says something else than what is held of its key, or nothing is held of it."""
        return self._versions.get(_name(walk, key)) != canonical(record)


def canonical(record: bytes | Raw) -> bytes:
    """Eight bytes that stand for what *record* says, whatever the order of its members and the blanks between."""
    try:
        return xxh3_64_digest(_encode(_decode(record)))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return xxh3_64_digest(bytes(record))


def _name(walk: Walk, key: tuple[str, ...]) -> bytes:
    scope = () if walk.value is None else (walk.value,)
    return fingerprint(identity((*scope, *key)))[:16]


def is_changes_only(walk: Walk) -> bool:
    """Whether *walk* reads a whole set for a delta."""
    return walk.phase is Phase.DELTA and walk.since is None
