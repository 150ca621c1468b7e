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
from harvester.engine.state import tombstone_of
from harvester.model import Phase, Walk
from harvester.store.keys import fingerprint, identity
from harvester.store.layout import ShardKind, data_kind, walk_of
from harvester.store.manifest import Manifest
from harvester.store.shards import read_lines

_AT_A_TIME = 1000  # lines
_UNSURE = b""  # no version has this name
# 1.10 and 1.1 differ, and so do 1.1 and "1.1"; nothing is rounded.
_decode = msgspec.json.Decoder(float_hook=lambda text: (text,)).decode
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

        A key that a run found gone is not held, or what comes back as it was would stay gone (FAULTS T12). Nor is one
        of which a run holds several versions, or one that was pushed: which of them counts is for a reader to find out.

        Args:
            like: any walk of the same resource: its records are read as this one's.
        """
        walks = {each.id: structs.replace(like, value=each.value) for each in manifest.walks}
        brought: dict[bytes, bytes] = {}
        pushed = manifest.mode == Phase.PUSH
        for entry in manifest.shards:
            walk, lines = walks.get(walk_of(entry.path), like), read_lines(fs, directory / entry.path)
            match data_kind(entry.path):
                case ShardKind.PART:
                    for name, version in _versions(walk, lines):
                        brought[name] = version if brought.get(name, version) == version and not pushed else _UNSURE
                case ShardKind.DELETED:
                    for name in _gone(walk, lines):
                        self._versions.pop(name, None)
        self._versions |= brought

    def is_new(self, walk: Walk, key: tuple[str, ...], record: bytes | Raw) -> bool:
        """Whether *record* says something else than what is held of its key, or nothing is held of it."""
        return self._versions.get(_name(walk, key)) != canonical(record)


def _versions(walk: Walk, lines: Iterator[bytes]) -> Iterator[tuple[bytes, bytes]]:
    reader, stamp = HeadReader(walk.resource), stamp_of(walk)
    while batch := list(islice(lines, _AT_A_TIME)):
        records = [b"{" + line[len(stamp) :] if stamp and line.startswith(stamp) else line for line in batch]
        for key, record in zip(reader.read_page(records).keys, records, strict=True):
            if key is not None:
                yield _name(walk, key), canonical(record)


def _gone(walk: Walk, lines: Iterator[bytes]) -> Iterator[bytes]:
    reader = HeadReader(tombstone_of(walk.resource))
    return (_name(walk, key) for line in lines if (key := reader.read(line).key) is not None)


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
    """Whether *walk* reads a whole set for a delta, or all of a span of time before its end; or for a sweep again."""
    if walk.phase is Phase.REPAIR:
        return not walk.keys
    return walk.phase is Phase.DELTA and (walk.since is None or walk.until is not None)
