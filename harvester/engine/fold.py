"""A full run and what came on top of it become one base run: the current state, as if it had just been harvested.

Whoever asks every five minutes has 100,000 runs in a year, and each of them is opened by every later one. A base says
all that they say together: the latest version of each key, where the next delta goes on, the digest of the keys. What
it does not keep is history: older versions, and tombstones of what is gone.

The base is made and verified where no reader looks, moved in whole, and then its runs are moved out, the oldest first.
So at every instant the directory amounts to the same state: what is there beside a base is older than it, whoever
reads it, and a tombstone goes after all the records it may be about. ``clear_folded`` finishes what was broken off
(FAULTS F04, F05, F08, R01).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import PurePath

from msgspec import Struct, structs

from harvester.contracts import Fs, Rng
from harvester.decode.heads import HeadReader
from harvester.engine.heads_of import heads_of
from harvester.engine.state import Run
from harvester.engine.view import CurrentState, Layers
from harvester.errors import StorageError
from harvester.model import Phase, Walk
from harvester.store.commits import CommitLog, Tally
from harvester.store.keys import fingerprint, identity
from harvester.store.layout import Compression, compression_of, shard_name
from harvester.store.manifest import Folded, KeyDigest, Manifest, WalkEvidence, newest_of, write_manifest
from harvester.store.runs import RunDirectory
from harvester.store.shardfile import ShardEntry, ShardFile
from harvester.store.splits import Sketches
from harvester.store.verify import verify_run

_AT_A_TIME = 1000  # lines

Watermarks = dict[str | None, str | None]
"""Where the next delta of each scope starts (``planning.delta.Standing``)."""


class Making(Struct, frozen=True, kw_only=True):
    """How a base is made."""

    name: str  # of the base run
    at: datetime  # aware UTC
    target: int  # bytes of a shard


def make_base(
    fs: Fs, rng: Rng, runs: Sequence[Run], watermarks: Watermarks, making: Making, staging: PurePath, scratch: PurePath
) -> Manifest:
    """Make the base of *runs*, whole and verified, as the run directory *staging*. Blocking.

    Args:
        runs: a complete full one, and those on top of it, oldest first.
        watermarks: where *runs* leave each scope.
        staging: what ends in ``source=…/resource=…/run=…`` of the base; it does not exist.
        scratch: an empty directory for the keys.
    Raises:
        StorageError: a shard is damaged, or something could not be written. Nothing outside has changed.
    """
    layers = Layers(
        runs=tuple(RunDirectory(manifest.run, path, finished=True) for path, manifest in runs),
        manifests=tuple(manifest for _, manifest in runs),
        grounded=True,
    )
    state = CurrentState(fs, layers, scratch)
    state.settle()
    fs.make_directory(staging)
    base = _Base(fs, rng, staging, making, runs)
    base.write(state)
    manifest = base.manifest(state, watermarks)
    write_manifest(fs, staging, manifest)
    if problems := verify_run(fs, staging, heads_of=heads_of).problems:
        raise StorageError(f"{staging}: what was just written cannot be read again ({problems[0]}). Nothing changed.")
    return manifest


class _Base:
    """One base run while it is written."""

    def __init__(self, fs: Fs, rng: Rng, directory: PurePath, making: Making, runs: Sequence[Run]) -> None:
        self._fs, self._rng, self._directory, self._making = fs, rng, directory, making
        self._manifests = [manifest for _, manifest in runs]
        self._ground, self._last = self._manifests[0], self._manifests[-1]
        self._digest, self._sketches = KeyDigest(), Sketches()
        self._names: dict[str | None, str] = {}  # of the walks, by scope
        self._walks: dict[str | None, Walk] = {}
        self._rows: dict[str, int] = {}  # of each walk
        self._latest: dict[str, str] = {}  # modification time that a walk met
        self._shards: list[ShardEntry] = []
        self._compression = self._chosen()

    def write(self, state: CurrentState) -> None:
        """The lines of *state*, one scope after another, each as one walk."""
        for like in state.walks():
            walk = self._walks[like.value] = structs.replace(
                like,
                id=self._name(like.value),
                phase=Phase.FULL,
                since=None,
                until=None,
                above=None,
                below=None,
                undated=False,
                part_of="",
                keys=(),
                reason="",
            )
            entries = self._write(walk, state.lines_of(walk.value))
            self._shards += entries
            CommitLog(self._fs, self._directory, walk.id, self._rng).append(
                walk=walk,
                at=self._making.at,
                fingerprint=self._ground.fingerprint,
                add=entries,
                cursor=(),
                done=True,
                tally=Tally(records=self._rows[walk.id]),
            )

    def _write(self, walk: Walk, lines: Iterator[bytes]) -> list[ShardEntry]:
        reader, sketch = HeadReader(walk.resource), self._sketches.of(walk.value)
        scope = () if walk.value is None else (walk.value,)
        entries: list[ShardEntry] = []
        shard: ShardFile | None = None
        rows = 0
        try:
            while batch := list(islice(lines, _AT_A_TIME)):
                times: Sequence[str | None] = [None] * len(batch)
                if walk.resource.key:
                    columns = reader.read_page(batch)
                    times = columns.times
                    prints = [fingerprint(identity((*scope, *(key or ())))) for key in columns.keys]
                    self._digest.add_prints(prints)
                    sketch.add(prints, columns.keys, times)
                known = [time for time in times if time is not None]
                self._latest[walk.id] = max([self._latest.get(walk.id, ""), *known])
                if shard is None:
                    shard = self._shard(walk, len(entries))
                data = b"\n".join([*batch, b""])
                shard.write([data], len(batch), min(known, default=None), max(known, default=None))
                rows += len(batch)
                if shard.disk_bytes >= self._making.target:
                    entries.append(shard.seal())
                    shard = None
            if shard is not None:
                entries.append(shard.seal())
        except BaseException:
            if shard is not None:
                shard.abandon()
            raise
        self._rows[walk.id] = rows
        return entries

    def _shard(self, walk: Walk, number: int) -> ShardFile:
        name = shard_name("part", walk.id, number, self._rng.hex(8), self._compression)
        return ShardFile(self._fs, self._directory, name, self._compression)

    def _chosen(self) -> Compression:
        """That of the newest shard there is."""
        paths = [entry.path for manifest in self._manifests for entry in manifest.shards]
        return compression_of(PurePath(paths[-1])) if paths else Compression.ZSTD

    # -------------------------------------------------------------- what it says

    def manifest(self, state: CurrentState, watermarks: Watermarks) -> Manifest:
        ground, last = self._ground, self._last
        sweeps = [each for each in self._manifests if each.sweep is not None and each.verdict == "complete"]
        anchors = [anchor for anchor in watermarks.values() if anchor is not None]
        return structs.replace(
            ground,
            run=self._making.name,
            records=sum(self._rows.values()),
            bytes=sum(entry.bytes for entry in self._shards),
            finished=last.finished,
            watermark=min(anchors, default=None),
            keys=self._digest.key_set() if ground.key else None,
            parent_run=last.parent_run,
            walks=self._evidence(watermarks),
            splits=self._sketches.splits() if ground.key else (),
            sweep=sweeps[-1].sweep if sweeps else None,
            shards=tuple(self._shards),
            folded=self._folded(state, sweeps[-1].run if sweeps else ""),
        )

    def _folded(self, state: CurrentState, swept: str) -> Folded:
        earlier = [each.folded for each in self._manifests if each.folded is not None]
        own = [each for each in self._manifests if each.folded is None]
        return Folded(
            at=self._making.at,
            first=earlier[0].first if earlier else self._ground.run,
            last=newest_of(self._last),
            runs=len(own) + sum(each.runs for each in earlier),
            requests=sum(each.requests for each in own) + sum(each.requests for each in earlier),
            superseded=state.superseded + sum(each.superseded for each in earlier),
            tombstones=state.tombstones + sum(each.tombstones for each in earlier),
            swept=swept or (earlier[-1].swept if earlier else ""),
        )

    def _evidence(self, watermarks: Watermarks) -> tuple[WalkEvidence, ...]:
        """One walk for each scope, which says where its next delta starts; beside it what the full run took."""
        walks = []
        values = dict.fromkeys([*self._values(), *watermarks, *self._walks])
        for value in values:
            name = self._name(value)
            own = [walk for walk in self._ground.walks if walk.phase == Phase.FULL and walk.value == value]
            begun = value in watermarks
            walks.append(
                WalkEvidence(
                    id=name,
                    # A scope that no complete run has begun is read whole by the next one.
                    phase=Phase.FULL if begun else Phase.DELTA,
                    value=value,
                    pager=own[0].pager if own else self._ground.walks[0].pager if self._ground.walks else "",
                    requests=sum(walk.requests for walk in own),
                    records=self._rows.get(name, 0),
                    duplicates=0,
                    wire_bytes=sum(walk.wire_bytes for walk in own),
                    seconds=sum(walk.seconds for walk in own),
                    anchor=watermarks.get(value),
                    watermark=self._latest.get(name) or None,
                )
            )
        others = [
            structs.replace(walk, records=0, duplicates=0, watermark=None)
            for walk in self._ground.walks
            if walk.phase != Phase.FULL and walk.requests
        ]
        return (*walks, *others)

    def _values(self) -> Collection[str | None]:
        return [walk.value for walk in self._ground.walks if walk.phase == Phase.FULL]

    def _name(self, value: str | None) -> str:
        return self._names.setdefault(value, f"w{len(self._names):02d}")


# ------------------------------------------------------------------ in the place of its runs


def install_base(fs: Fs, staging: PurePath, resource_dir: PurePath) -> PurePath:
    """Move a base that was made at *staging* to where it belongs, in one step; from now on it is the ground."""
    place = resource_dir / staging.name
    fs.rename(staging, place)
    return place


def clear_folded(fs: Fs, runs: Sequence[RunDirectory], attic: PurePath) -> None:
    """Take *runs*, which a base stands for, out of the directory of their resource, the oldest first, each at once.

    Args:
        runs: oldest first.
        attic: a directory that no reader looks into, on the same file system; it is gone afterwards.
    """
    fs.remove_tree(attic)
    if not runs:
        return
    fs.make_directory(attic, private=True)
    for run in runs:
        fs.rename(run.path, attic / run.path.name)
    # Before a file of them goes: after a loss of power a run is there as a whole, or not at all.
    fs.sync_directory(runs[0].path.parent)
    fs.remove_tree(attic)
