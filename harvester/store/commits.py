"""Numbered commits of one walk: each names the shards it adds and the position to resume from, in one file.

Data and position cannot disagree, because they become visible together: the shards are durable before the commit
exists, and a commit is created only if its number is free. Who creates number n+1 first owns the walk; whoever finds
it taken stops, so a process that slept through a take-over cannot write over newer work (FAULTS R10).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import PurePath

from msgspec import Struct, structs

from harvester.contracts import Fs, Rng
from harvester.errors import Locked, StorageError
from harvester.model import PageRequest, Walk
from harvester.store.documents import encode_document, read_document
from harvester.store.layout import LOG, is_walk, log_directory
from harvester.store.shardfile import ShardEntry

FORMAT = 1
MERGED = 2  # of a commit that removes shards: an earlier release would take them for lost
_FORMATS = frozenset({FORMAT, MERGED})
_FILE = re.compile(r"[0-9]{20}\.json")


class Tally(Struct, frozen=True, kw_only=True):
    """What a walk has done since its beginning, earlier attempts included."""

    records: int = 0  # in shards
    duplicates: int = 0  # delivered again with the same version, not written
    quarantined: int = 0
    requests: int = 0
    offsets: int = 0  # pages whose link to the next one is a bare offset, which rows may be shifted past
    bytes: int = 0  # decoded bodies
    wire_bytes: int = 0  # the same bodies as they came over the wire
    seconds: float = 0.0  # from sending to the last byte, summed; waits for the quota are not in it
    seams: int = 0  # offset pages that were found to share records with their neighbours
    seams_mended: int = 0  # of them, those that did so only when they were read again
    extra_requests: int = 0  # of offset pages: those that did not read on, but mended, or proved the end
    met: int | None = None  # different keys that came, written or not; None: they were not counted
    cut: int = 0  # records inside which an expanded set goes on behind a link
    ending: str = ""  # what the last page shows of the end of a walk that is led by links (``model.Ending``)


class Commit(Struct, frozen=True, kw_only=True):
    """One step of a walk, durable as a whole or not at all."""

    format: int = FORMAT
    commit_id: str  # by chance: tells our own commit from a rival's of the same number
    number: int  # from 1, without gaps
    walk: Walk
    at: datetime  # aware UTC, for the record
    fingerprint: str  # of the source's settings; a resumed run must have the same
    add: tuple[ShardEntry, ...]
    remove: tuple[str, ...] = ()  # shards that the one of *add* stands for: the same lines, in the same order
    cursor: tuple[PageRequest, ...]  # requests still to be made; () together with *done*
    done: bool  # the walk has ended
    tally: Tally
    last_key: tuple[str, ...] | None = None  # of the last record written; None: none yet, or it has no identity
    watermark: str | None = None  # largest modification time seen, the provider's text
    anchor: str | None = None  # the engine's own: where a closing delta starts
    expected: int | None = None  # the engine's own: records the provider claimed


class CommitLog:
    """The commits of one walk in ``<run>/_log/<walk>``. Blocking; for one thread at a time.

    Args:
        run_dir: of a run this process holds the lock of.
    """

    def __init__(self, fs: Fs, run_dir: PurePath, walk_id: str, rng: Rng) -> None:
        self._fs = fs
        self.run_directory = run_dir
        self._walk = walk_id
        self._directory = log_directory(run_dir, walk_id)
        self._rng = rng
        self._last = 0
        self._newest: Commit | None = None
        self._ready = False  # the directory exists
        self._doubt: str | None = None  # why nothing may be appended any more

    def load(self) -> tuple[Commit, ...]:
        """Every commit, in order; the next ``append`` continues behind the last. Empty: the walk has not begun.

        Raises:
            StorageError: a commit is missing, damaged, of another walk or format, or a shard it names is missing or
                has another size (FAULTS F07, F08, R11); the message names the file.
        """
        commits = read_log(self._fs, self.run_directory, self._walk)
        held = {entry.path for entry in living(commits)}
        for commit in commits:
            for shard in commit.add:
                if shard.path in held:
                    self._check_shard(self._directory / _file_name(commit.number), shard)
        if commits:
            # The last one may come from a process that was killed before its own sync; we go on from it.
            self._fs.sync_directory(self._directory)
        self._last = len(commits)
        self._newest = commits[-1] if commits else None
        return commits

    def append(
        self,
        *,
        walk: Walk,
        at: datetime,
        fingerprint: str,
        add: Sequence[ShardEntry],
        cursor: Sequence[PageRequest],
        done: bool,
        tally: Tally,
        last_key: tuple[str, ...] | None = None,
        watermark: str | None = None,
        anchor: str | None = None,
        expected: int | None = None,
    ) -> Commit:
        """Create the next commit; when this returns, it and the shards it names survive a loss of power.

        Args:
            add: shards that ``ShardWriter.seal`` returned since the previous commit; already durable.
        Raises:
            Locked: another run has created this number: it has taken over, stop.
            StorageError: it could not be made durable. Whether it exists is unknown, so this object refuses any
                further append; the next run reads what is there (FAULTS F04).
        """
        commit = Commit(
            commit_id=self._rng.hex(16),
            number=self._last + 1,
            walk=walk,
            at=at,
            fingerprint=fingerprint,
            add=tuple(add),
            cursor=tuple(cursor),
            done=done,
            tally=tally,
            last_key=last_key,
            watermark=watermark,
            anchor=anchor,
            expected=expected,
        )
        return self._append(commit)

    def merge(self, merged: ShardEntry, remove: Sequence[str], at: datetime) -> Commit:
        """Say durably that *merged* stands for the shards *remove*; the walk does not move. Call ``load`` first.

        Args:
            merged: durable, if only under its ``.part`` name: the walk has ended, and readers go by the manifest.
        Raises:
            Locked, StorageError: as ``append``.
        """
        if self._newest is None:
            raise StorageError(f"{self._directory}: there is nothing in it that could be merged.")
        return self._append(
            structs.replace(
                self._newest,
                format=MERGED,
                commit_id=self._rng.hex(16),
                number=self._last + 1,
                at=at,
                add=(merged,),
                remove=tuple(remove),
            )
        )

    def _append(self, commit: Commit) -> Commit:
        if self._doubt is not None:
            raise StorageError(self._doubt)
        path = self._directory / _file_name(commit.number)
        try:
            if not self._ready:
                self._fs.make_directory(self._directory)
                self._ready = True
            created = self._fs.create_if_absent(path, encode_document(commit))
            # "It exists" may be the echo of our own write, repeated by a layer below after a lost answer.
            if not created and self._read(path).commit_id != commit.commit_id:
                raise Locked(
                    f"{path}: another run has taken over walk {self._walk}. Nothing of it was changed and what this "
                    "run had committed is kept. Let the other run finish."
                )
        except (StorageError, Locked) as error:
            self._doubt = str(error)
            raise
        self._last, self._newest = commit.number, commit
        return commit

    def _read(self, path: PurePath) -> Commit:
        return read_document(self._fs, path, Commit, _FORMATS)

    def _check_shard(self, commit: PurePath, shard: ShardEntry) -> None:
        path = self.run_directory / shard.path
        if not self._fs.exists(path):
            raise StorageError(
                f"{path}: is missing, though {commit.name} of walk {self._walk} names it. "
                "Restore it, or remove the run directory and harvest again."
            )
        if (size := self._fs.size(path)) != shard.bytes:
            raise StorageError(
                f"{path}: has {size:,} bytes, but {commit.name} of walk {self._walk} names {shard.bytes:,}. "
                "Restore it, or remove the run directory and harvest again."
            )


def read_log(fs: Fs, run_dir: PurePath, walk: str) -> tuple[Commit, ...]:
    """Every commit of *walk*, in order, whatever became of the shards they name.

    Raises:
        StorageError: a commit is missing, damaged, or of another walk or format; the message names the file.
    """
    directory = log_directory(run_dir, walk)
    names = [name for name in fs.names(directory) if _FILE.fullmatch(name)]
    commits = tuple(read_document(fs, directory / name, Commit, _FORMATS) for name in names)
    for number, (name, commit) in enumerate(zip(names, commits, strict=True), start=1):
        path = directory / name
        if name != _file_name(number):
            raise StorageError(
                f"{directory / _file_name(number)}: is missing, though later commits exist. "
                "Restore it, or remove the run directory and harvest again."
            )
        if commit.number != number or commit.walk.id != walk:
            raise StorageError(f"{path}: is commit {commit.number} of walk {commit.walk.id}; it was moved here.")
    return commits


def living(commits: Iterable[Commit]) -> tuple[ShardEntry, ...]:
    """The shards that the *commits* of one walk amount to, in the order of their lines: without those that were
    merged, and with what they became in the place of the first of them."""
    held: list[ShardEntry] = []
    for commit in commits:
        if not commit.remove:
            held += commit.add
            continue
        gone = frozenset(commit.remove)
        place = next((number for number, entry in enumerate(held) if entry.path in gone), len(held))
        held[place:] = [*commit.add, *(entry for entry in held[place:] if entry.path not in gone)]
    return tuple(held)


def walks(fs: Fs, run_dir: PurePath) -> tuple[str, ...]:
    """Ids of the walks that have a log in *run_dir*, sorted."""
    return tuple(name for name in fs.names(run_dir / LOG) if is_walk(name))


def _file_name(number: int) -> str:
    return f"{number:020d}.json"
