"""The current state of a resource: the latest version of each key over all its runs, minus what is proven gone.

The newest complete full run is the ground: what the provider had then. Every later finished run lies on top. Across
runs the later one counts, whatever its timestamps say (FAULTS T08); inside a run the highest version of a key does,
in whichever order the versions came (FAULTS P11). A tombstone ends a key until a later run brings it again (T12).

In three passes, so that memory does not grow with the records: keys go into files by their fingerprint, the winner
of each key is found file by file and becomes one bit beside its line, and the lines with a bit are read once more.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import PurePath
from struct import Struct

import msgspec

from harvester.contracts import Fs
from harvester.decode.heads import HeadReader
from harvester.errors import StorageError
from harvester.model import Head, Phase, Walk
from harvester.store.commits import read_log, walks
from harvester.store.keys import fingerprint, identity
from harvester.store.layout import ShardKind, data_kind
from harvester.store.lines import read_lines
from harvester.store.manifest import Manifest, read_manifest
from harvester.store.runs import RunDirectory
from harvester.store.sealed import read_sealed
from harvester.store.shardfile import ShardEntry

_FILES = 64  # that keys are spread over
_BUFFER = 1 << 16  # bytes of each file that wait in memory
ENTRY = Struct("<16sIBqQQ")  # fingerprint, run, kind, seconds and fraction of the version, place
_TOMBSTONE, _RECORD = 0, 1  # of one run, what it brings counts before what it found gone
_NO_TIME = -(1 << 62)
_LINE_BITS = 32
_DIGITS = 18  # of a fraction of a second
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,40}))?(?:[Zz]|([+-])(\d\d):?(\d\d))?", re.ASCII)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - both sides of a difference are without a zone

Rank = tuple[int, int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class _Shard:
    """A shard with the walk that wrote it, which tells what the keys in it are."""

    run: int
    path: PurePath
    entry: ShardEntry
    walk: Walk
    tombstones: bool

    @property
    def rows(self) -> int:
        return self.entry.rows


@dataclass(frozen=True, kw_only=True)
class Layers:
    """The runs that make up the current state."""

    runs: tuple[RunDirectory, ...]  # the ground first
    manifests: tuple[Manifest, ...]
    grounded: bool  # the first one is a complete full run

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the state has to know."""
        notes = []
        if not self.grounded:
            notes.append("no full run of it is complete, so records may be missing")
        notes += [
            f"run {manifest.run} is {manifest.verdict}: {manifest.reason}"
            for manifest in self.manifests
            if manifest.verdict != "complete"
        ]
        return tuple(notes)


def layers_of(fs: Fs, runs: Sequence[RunDirectory]) -> Layers:
    """The newest complete full run of *runs* and every finished one after it; all finished ones where there is none.

    Raises:
        StorageError: a finished one is gone. What it was folded into is not among *runs*, so nothing may be told.
    """
    finished: list[tuple[RunDirectory, Manifest]] = []
    for run in runs:
        if not run.finished:
            continue
        manifest = read_manifest(fs, run.path, settle=False)
        if manifest is None:
            raise StorageError(f"{run.path}: was taken out while it was looked at. Run the same command again.")
        finished.append((run, manifest))
    full = [
        place
        for place, (_, manifest) in enumerate(finished)
        if manifest.mode == "full" and manifest.verdict == "complete"
    ]
    chosen = finished[full[-1] :] if full else finished
    return Layers(
        runs=tuple(run for run, _ in chosen),
        manifests=tuple(manifest for _, manifest in chosen),
        # Where each set was read by itself, the run that read the last of them makes up for those before it.
        grounded=bool(full) or any(_has_every_set(manifest) for _, manifest in chosen),
    )


def _has_every_set(manifest: Manifest) -> bool:
    relation = manifest.relation
    return relation is not None and not relation.collection and manifest.verdict == "complete"


class CurrentState:
    """Which lines of some runs are the current state. Blocking; for one thread.

    Memory: a bit a line, the keys of one file in 64, and some MiB.
    """

    def __init__(self, fs: Fs, layers: Layers, scratch: PurePath) -> None:
        """*scratch*: an empty directory for about 45 bytes a line."""
        self._fs = fs
        self._scratch = scratch
        self._shards = [
            shard
            for number, (run, manifest) in enumerate(zip(layers.runs, layers.manifests, strict=True))
            for shard in _shards_of(fs, number, run, manifest)
        ]
        self._wins = [bytearray((shard.rows + 7) // 8) for shard in self._shards]
        self._pushes = {number for number, manifest in enumerate(layers.manifests) if manifest.mode == Phase.PUSH}
        self.records = 0
        self.tombstones = 0  # keys that a tombstone ended
        self.superseded = 0  # lines that a later or higher version replaced
        self.ended = 0  # lines that were dropped afterwards

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the lines has to know, besides ``Layers.notes``."""
        keyless = [shard for shard in self._shards if not shard.walk.resource.key and shard.rows]
        if len({shard.run for shard in keyless}) < 2:
            return ()
        return ("its records have no identity, so that those of later runs stand beside the earlier ones",)

    def settle(self) -> None:
        """Find the winner of each key. Raises ``StorageError`` when a shard is damaged or not what it should be."""
        spread = Spread(self._fs, self._scratch)
        for number, shard in enumerate(self._shards):
            self._spread(spread, number, shard)
        spread.close()
        for path in spread.paths:
            self._decide(path)
            self._fs.remove(path)

    def winners(self) -> Iterator[tuple[int, int, int, bytes]]:
        """Every line of the current state with its run, from 0, its shard, and its place there."""
        for number, (shard, wins) in enumerate(zip(self._shards, self._wins, strict=True)):
            if any(wins):
                for place, line in enumerate(read_lines(self._fs, shard.path)):
                    if wins[place >> 3] >> (place & 7) & 1:
                        yield shard.run, number, place, line

    def drop(self, shard: int, place: int) -> None:
        """Take a line out of the current state."""
        self._wins[shard][place >> 3] &= ~(1 << (place & 7))
        self.records -= 1
        self.ended += 1

    def lines(self) -> Iterator[bytes]:
        """The current state's lines, without line feeds, in the order of the runs."""
        return (line for _, line in self.records_with_walks())

    def walks(self) -> tuple[Walk, ...]:
        """The walks that brought records, the newest of each value of the parent; in the order of the first ones."""
        return tuple({shard.walk.value: shard.walk for shard in self._shards if not shard.tombstones}.values())

    def lines_of(self, value: str | None) -> Iterator[bytes]:
        """``lines`` of one value of the parent."""
        return (line for _, line in self.records_with_walks(lambda walk: walk.value == value))

    def records_with_walks(self, chosen: Callable[[Walk], bool] = lambda walk: True) -> Iterator[tuple[Walk, bytes]]:
        """``lines`` with the walk that brought each, which tells what its key is; of *chosen* walks only."""
        for shard, wins in zip(self._shards, self._wins, strict=True):
            if not chosen(shard.walk) or not any(wins):
                continue
            for place, line in enumerate(read_lines(self._fs, shard.path)):
                if wins[place >> 3] >> (place & 7) & 1:
                    yield shard.walk, line

    def _spread(self, spread: Spread, number: int, shard: _Shard) -> None:
        read = _reader(shard)
        scope = () if shard.walk.value is None else (shard.walk.value,)
        kind = _TOMBSTONE if shard.tombstones else _RECORD
        place = -1
        for place, line in enumerate(read_sealed(self._fs, shard.path.parent, shard.entry)):
            if place >= shard.rows:
                break
            if read is None:
                self._win(number, place)  # without identity members every line is one of its own
                continue
            head = read(line)
            if head.key is None:
                raise StorageError(f"{shard.path}: line {place + 1} has no key ({head.problem}). Verify the run.")
            name = fingerprint(identity((*scope, *head.key)))
            at = number << _LINE_BITS | place
            spread.add(ENTRY.pack(name[:16], shard.run, kind, *instant_of(head.modified), at))
        if place + 1 != shard.rows:
            raise StorageError(f"{shard.path}: does not hold the {shard.rows:,} lines its commit says. Verify the run.")

    def _decide(self, path: PurePath) -> None:
        best: dict[bytes, Rank] = {}
        lines = 0
        for key, *rank in entries_in(self._fs, path):
            lines += rank[1] == _RECORD
            held = best.get(key)
            found: Rank = tuple(rank)  # type: ignore[assignment]
            if held is None or self._outdoes(found, held):
                best[key] = found
        outcome = Counter(rank[1] for rank in best.values())
        for _, kind, _, _, at in best.values():
            if kind == _RECORD:
                self._win(at >> _LINE_BITS, at & ((1 << _LINE_BITS) - 1))
        self.tombstones += outcome[_TOMBSTONE]
        self.superseded += lines - outcome[_RECORD]

    def _outdoes(self, found: Rank, held: Rank) -> bool:
        """Whether *found* counts before *held*, of the same or an earlier run.

        A record that was pushed may come from a server that lags behind: an older version than what is held is no news
        (FAULTS W04).
        """
        if found[0] in self._pushes and found[1] == held[1] == _RECORD and _NO_TIME not in (found[2], held[2]):
            return found[2:] > held[2:]
        return found > held

    def _win(self, shard: int, line: int) -> None:
        self._wins[shard][line >> 3] |= 1 << (line & 7)
        self.records += 1


def instant_of(text: str | None) -> tuple[int, int]:
    """Seconds and 10^-18 seconds, to compare by: never rounded, whatever the number of digits (FAULTS T03).

    A time without a zone is taken for UTC; one that is absent or cannot be read is before all others (FAULTS T04).
    """
    found = _INSTANT.fullmatch(text or "")
    if found is None:
        return _NO_TIME, 0
    try:
        whole = int((datetime.fromisoformat(found[1]) - _EPOCH).total_seconds())
    except ValueError:  # :60, 24:00
        return _NO_TIME, 0
    if found[3]:
        offset = int(found[4]) * 3600 + int(found[5]) * 60
        whole += -offset if found[3] == "+" else offset
    return whole, int((found[2] or "0")[:_DIGITS].ljust(_DIGITS, "0"))


def _shards_of(fs: Fs, number: int, run: RunDirectory, manifest: Manifest) -> Iterator[_Shard]:
    """The shards of a run that bear on the current state, in the order they were committed.

    Raises:
        StorageError: the run holds something whose meaning this release does not know.
    """
    wrote = _writers(fs, run.path)
    found = []
    for entry in manifest.shards:
        kind = data_kind(entry.path)
        if kind in (ShardKind.QUARANTINE, ShardKind.SETS):  # for sets see sets_view.py
            continue
        if kind not in (ShardKind.PART, ShardKind.DELETED):
            raise StorageError(f"{run.path / entry.path}: this release does not know what {kind!a} shards mean.")
        if entry.path not in wrote:
            raise StorageError(f"{run.path / entry.path}: no commit of its run names it. Verify the run.")
        at, walk_id, step, walk = wrote[entry.path]
        shard = _Shard(
            run=number,
            path=run.path / entry.path,
            entry=entry,
            walk=walk,
            tombstones=kind == ShardKind.DELETED,
        )
        found.append(((at, walk_id, step, entry.path), shard))
    yield from (shard for _, shard in sorted(found, key=lambda pair: pair[0]))


def _writers(fs: Fs, run_dir: PurePath) -> dict[str, tuple[datetime, str, int, Walk]]:
    """When, in which walk and in which of its commits the lines of each shard came, by its path.

    Shards that were merged are among them: the manifest says which ones count, also while they are being merged.
    """
    wrote: dict[str, tuple[datetime, str, int, Walk]] = {}
    for walk in walks(fs, run_dir):
        for commit in read_log(fs, run_dir, walk):  # what a sweep had listed is gone by now
            came = commit.at, commit.walk.id, commit.number, commit.walk
            wrote |= {entry.path: wrote[commit.remove[0]] if commit.remove else came for entry in commit.add}
    return wrote


def _reader(shard: _Shard) -> Callable[[bytes], Head] | None:
    """How keys are read from the lines of *shard*; None: its records have no identity members."""
    resource = shard.walk.resource
    if not resource.key:
        return None
    return partial(_read_tombstone, resource.key) if shard.tombstones else HeadReader(resource).read


class _Tombstone(msgspec.Struct):
    """``{"key": {"ListingKey": "…"}, "deleted": true, …}``: values as text, by the names of the resource."""

    key: dict[str, str]


_decode_tombstone = msgspec.json.Decoder(_Tombstone).decode


def _read_tombstone(names: tuple[str, ...], line: bytes) -> Head:
    try:
        key = _decode_tombstone(line).key
        return Head(tuple(key[name] for name in names), None)
    except (msgspec.DecodeError, KeyError):
        return Head(None, None, "no tombstone of this resource")


class Spread:
    """Entries by the first bits of their fingerprint, each share in a file of its own."""

    def __init__(self, fs: Fs, scratch: PurePath) -> None:
        self.paths = [scratch / f"keys-{number:02d}" for number in range(_FILES)]
        self._files = [fs.create(path) for path in self.paths]
        self._waiting = [bytearray() for _ in self.paths]

    def add(self, entry: bytes) -> None:
        number = entry[0] % _FILES
        waiting = self._waiting[number]
        waiting += entry
        if len(waiting) >= _BUFFER:
            self._files[number].write(bytes(waiting))
            waiting.clear()

    def close(self) -> None:
        for file, waiting in zip(self._files, self._waiting, strict=True):
            file.write(bytes(waiting))
            file.close()


def entries_in(fs: Fs, path: PurePath) -> Iterator[tuple[bytes, int, int, int, int, int]]:
    with fs.open(path) as stream:
        rest = b""
        while block := stream.read(ENTRY.size << 12):
            data = rest + block
            whole = len(data) - len(data) % ENTRY.size
            yield from ENTRY.iter_unpack(memoryview(data)[:whole])
            rest = data[whole:]
