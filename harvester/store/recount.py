"""What the records of a run say of themselves, counted again: keys, their digest, rows and times of each walk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from msgspec import Struct

from harvester.contracts import Fs
from harvester.store.key_table import PARTS, KeyTable
from harvester.store.keys import fingerprint, identity
from harvester.store.layout import ShardKind, data_kind
from harvester.store.manifest import KeyDigest, Manifest
from harvester.store.set_lines import read_set_line, whole_key
from harvester.store.shardfile import ShardEntry

_AT_A_TIME = 1000  # lines

Heads = Callable[[Sequence[bytes]], tuple[Sequence[tuple[str, ...] | None], Sequence[str | None]]]
"""Identity (None: unusable) and modification time (None: absent) of each record."""

HeadsOf = Callable[[Manifest], Heads | None]
"""How the records of a run are read; None: its manifest does not say which members identify them."""


class _Times(Struct):
    """Which of the two times of a shard's entry occur among its records."""

    first_seen: bool = False
    last_seen: bool = False


class Recount:
    """Takes the lines of one run's shards, and tells where they contradict the manifest.

    Bounded memory: the keys are in a temporary file, which goes by itself.
    """

    def __init__(self, fs: Fs, manifest: Manifest, heads: Heads | None) -> None:
        self._manifest, self._heads = manifest, heads
        self._values = {walk.id: walk.value for walk in manifest.walks}
        self._known = sorted(self._values, key=len, reverse=True)  # w00-1 before w00
        self._rows: Counter[str] = Counter()
        self._latest: dict[str, str] = {}  # of each walk's records
        self._keyless = 0
        self._keys = KeyTable.temporary(fs)
        self._named = KeyTable.temporary(fs)  # keys that sets of this run name
        self._batch: list[bytes] = []
        self._shard: ShardEntry | None = None
        self._times = _Times()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keys.close()
        self._named.close()

    def begin(self, shard: ShardEntry) -> None:
        """The lines that follow are those of *shard*."""
        self._shard, self._times = shard, _Times()

    def line(self, line: bytes) -> None:
        """Take one line, a JSON object."""
        self._batch.append(line)
        if len(self._batch) == _AT_A_TIME:
            self._flush()

    def end(self) -> list[str]:
        """What is wrong with the times of the shard that ends here."""
        self._flush()
        shard, times = self._shard, self._times
        if shard is None or self._heads is None or data_kind(shard.path) != ShardKind.PART:
            return []
        return [
            f"the manifest says that its {which} record with a time has {stated}, and none has"
            for which, stated, seen in (
                ("first", shard.first_ts, times.first_seen),
                ("last", shard.last_ts, times.last_seen),
            )
            if stated is not None and not seen
        ]

    def problems(self) -> list[str]:
        """What is wrong with the run as a whole."""
        found: list[str] = []
        manifest = self._manifest
        for walk in manifest.walks:
            rows = self._rows[walk.id]
            if rows != walk.records:
                found.append(f"walk {walk.id} wrote {walk.records:,} records, its shards hold {rows:,}")
            latest = self._latest.get(walk.id)
            if walk.watermark is not None and latest is not None and walk.watermark > latest:
                found.append(f"walk {walk.id} saw records as late as {walk.watermark}, its shards end at {latest}")
        if self._heads is None or manifest.keys is None:
            return found
        if self._keyless:
            found.append(f"{self._keyless:,} records have no usable key")
        digest = KeyDigest()
        for place in range(PARTS):
            digest.add_prints(list(self._keys.part(place)))
        if digest.number != manifest.keys.number:
            found.append(f"the manifest says {manifest.keys.number:,} keys, the shards hold {digest.number:,}")
        elif digest.hexdigest() != manifest.keys.digest:
            found.append("the shards hold other keys than the manifest says (the digest of the keys differs)")
        missing = sum(len(self._named.part(place).keys() - self._keys.part(place).keys()) for place in range(PARTS))
        if missing:
            found.append(f"its sets name {missing:,} records that the shards do not hold")
        return found

    def _flush(self) -> None:
        batch, self._batch = self._batch, []
        if not batch or self._shard is None:
            return
        kind = data_kind(self._shard.path)
        if kind == ShardKind.SETS:
            self._take_sets(batch)
        if kind != ShardKind.PART:
            return
        walk = next((name for name in self._known if self._is_of(name)), "")
        self._rows[walk] += len(batch)
        if self._heads is None:
            return
        keys, times = self._heads(batch)
        self._note_times(walk, [time for time in times if time is not None])
        usable = [key for key in keys if key is not None]
        self._keyless += len(batch) - len(usable)
        value = self._values.get(walk)
        scope = () if value is None else (value,)
        names = [identity((*scope, *key)) for key in usable]
        self._keys.put(list(map(fingerprint, names)), [b""] * len(names), [None] * len(names))

    def _take_sets(self, lines: Sequence[bytes]) -> None:
        """Every record that a set names must be held in the same run. Raises ``StorageError`` for what is no set."""
        relation = self._manifest.relation
        for line in lines:
            found = read_set_line(line)
            if relation is None or found.members is None:
                continue
            parent = next(iter(found.parent.values()), "")
            keys = [whole_key(self._manifest.key, relation.member, parent, member) for member in found.members]
            names = [identity(key) for key in keys]
            self._named.put(list(map(fingerprint, names)), [b""] * len(names), [None] * len(names))

    def _is_of(self, walk: str) -> bool:
        return self._shard is not None and self._shard.path.startswith(f"{ShardKind.PART}-{walk}-")

    def _note_times(self, walk: str, known: list[str]) -> None:
        if not known or self._shard is None:
            return
        times, latest = self._times, max(known)
        times.first_seen = times.first_seen or self._shard.first_ts in known
        times.last_seen = times.last_seen or self._shard.last_ts in known
        self._latest[walk] = max(latest, self._latest.get(walk, ""))
