"""Small shards of a finished run become large ones: the same lines, in the same order, by commits of their own.

The manifest decides what a run holds, from one instant to the next. First the large shards are made, durable under
names that no reader looks at; then the walks' logs say what they stand for; then they get their names; then the
manifest is replaced; and then the small ones go. A process or machine that stops anywhere between leaves a run whose
manifest is right, and ``mend`` finishes what the logs say (FAULTS F04, F05, F08, R01). A glob that reads the directory
meanwhile may meet lines twice; it never misses one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from pathlib import PurePath

from msgspec import Struct, structs

from harvester.contracts import Fs, Rng
from harvester.errors import StorageError
from harvester.model import Phase
from harvester.store.commits import Commit, CommitLog, living, read_log, walks
from harvester.store.documents import encode_document
from harvester.store.layout import (
    PART,
    compression_of,
    data_kind,
    is_temporary,
    log_directory,
    manifest_path,
    shard_name,
    walk_of,
)
from harvester.store.lines import Hashed, blocks_of
from harvester.store.manifest import Manifest, stray_files
from harvester.store.sealed import check_sealed
from harvester.store.shardfile import ShardEntry, ShardFile

_SMALL = 0.75  # of the target: a shard that is larger is left as it is


class Group(Struct, frozen=True):
    """Neighbouring shards of one walk that become one."""

    walk: str
    shards: tuple[ShardEntry, ...]

    @property
    def bytes(self) -> int:
        return sum(entry.bytes for entry in self.shards)


def groups_of(fs: Fs, run_dir: PurePath, manifest: Manifest, target: int) -> tuple[Group, ...]:
    """What can be merged in a finished run, each group about *target* bytes at most; (): nothing.

    Args:
        manifest: of the run, after ``mend``.
    Raises:
        StorageError: a commit is damaged, or a shard is in no commit.
    """
    logs = {walk: read_log(fs, run_dir, walk) for walk in walks(fs, run_dir)}
    held = {entry.path for entry in manifest.shards}
    named = {entry.path for commits in logs.values() for entry in living(commits)}
    if lost := sorted(held - named):
        raise StorageError(f"{run_dir / lost[0]}: no commit of its run names it. Verify the run.")
    order = _Order(logs)
    return tuple(group for walk in logs for group in _groups(walk, logs[walk], held, order, target))


def _groups(walk: str, commits: Sequence[Commit], held: set[str], order: _Order, target: int) -> Iterable[Group]:
    by_kind: dict[str | None, list[ShardEntry]] = {}
    for entry in living(commits):
        if entry.path in held:
            by_kind.setdefault(data_kind(entry.path), []).append(entry)
    for entries in by_kind.values():
        waiting: list[ShardEntry] = []
        for entry in entries:
            fits = waiting and (
                sum(each.bytes for each in waiting) + entry.bytes <= target
                and compression_of(PurePath(entry.path)) is compression_of(PurePath(waiting[0].path))
                and order.adjoin(waiting[0].path, entry.path)
            )
            if not fits:
                if len(waiting) > 1:
                    yield Group(walk, tuple(waiting))
                waiting = []
            if entry.bytes <= _SMALL * target:
                waiting.append(entry)
        if len(waiting) > 1:
            yield Group(walk, tuple(waiting))


class _Order:
    """The order in which the walks of a run wrote their shards.

    Of two versions of a key with one time the later line counts. So shards are not moved past those of a walk that
    may hold the same keys: any other one of the same value, but for the parts of one whole, which are disjoint.
    """

    def __init__(self, logs: dict[str, tuple[Commit, ...]]) -> None:
        self._at: dict[str, tuple[datetime, str, int]] = {}
        self._walks: dict[tuple[str | None, bool], list[tuple[datetime, str, int]]] = {}
        self._of: dict[str, tuple[str, str | None, bool]] = {}
        for walk, commits in logs.items():
            for commit in commits:
                for entry in commit.add:
                    if commit.remove:
                        self._at[entry.path], self._of[entry.path] = (
                            self._at[commit.remove[0]],
                            self._of[commit.remove[0]],
                        )
                        continue
                    came = self._at[entry.path] = commit.at, walk, commit.number
                    full = commit.walk.phase is Phase.FULL
                    self._of[entry.path] = walk, commit.walk.value, full
                    self._walks.setdefault((commit.walk.value, full), []).append(came)

    def adjoin(self, first: str, last: str) -> bool:
        """Whether nothing that could hold the same keys was written between the two shards of one walk."""
        walk, value, full = self._of[first]
        low, high = self._at[first], self._at[last]
        others = [came for kind in (True, False) if not (full and kind) for came in self._walks.get((value, kind), ())]
        return not any(low < came < high and came[1] != walk for came in others)


def merge_run(
    fs: Fs,
    rng: Rng,
    run_dir: PurePath,
    manifest: Manifest,
    groups: Sequence[Group],
    at: datetime,
    *,
    on_bytes: Callable[[int], None] = lambda size: None,
) -> Manifest:
    """Merge *groups* of a finished run; its manifest as it is then. Blocking; under the lock of its source.

    Args:
        manifest: of the run, after ``mend``.
        on_bytes: called with the bytes read since the last call.
    Raises:
        StorageError: a shard is not what the manifest says, or something could not be made durable. The run is as it
            was, or will be when ``mend`` has been called.
    """
    if not groups:
        return manifest
    made: list[tuple[Group, ShardEntry]] = []
    # The logs name also what is gone: no shard may ever stand for itself.
    taken = {
        entry.path
        for walk in {group.walk for group in groups}
        for commit in read_log(fs, run_dir, walk)
        for entry in commit.add
    }
    try:
        for number, group in enumerate(groups):
            made.append((group, _write(fs, rng, run_dir, group, number, taken, on_bytes)))
        fs.sync_directory(run_dir)  # before a log names them
    except BaseException:
        _clear(fs, run_dir)
        raise
    logs: dict[str, CommitLog] = {}
    for group, entry in made:
        if group.walk not in logs:
            logs[group.walk] = CommitLog(fs, run_dir, group.walk, rng)
            logs[group.walk].load()
        logs[group.walk].merge(entry, [each.path for each in group.shards], at)
    return mend(fs, run_dir, manifest)


def _write(
    fs: Fs,
    rng: Rng,
    run_dir: PurePath,
    group: Group,
    number: int,
    taken: Collection[str],
    on_bytes: Callable[[int], None],
) -> ShardEntry:
    first = PurePath(group.shards[0].path)
    compression = compression_of(first)
    while (name := shard_name(data_kind(first.name) or "", group.walk, number, rng.hex(8), compression)) in taken:
        pass
    shard = ShardFile(fs, run_dir, name, compression)
    try:
        for entry in group.shards:
            _copy(fs, run_dir / entry.path, entry, shard, on_bytes)
        return shard.finish()
    except BaseException:
        shard.abandon()
        raise


def _copy(fs: Fs, path: PurePath, entry: ShardEntry, shard: ShardFile, on_bytes: Callable[[int], None]) -> None:
    """Copy the lines of *entry*, which must be what they were when it was sealed: damage would be sealed anew, and
    nobody would ever see it (FAULTS F07)."""
    rows, last = 0, b"\n"
    with fs.open(path) as stream:
        hashed = Hashed(stream, on_bytes)
        for block in blocks_of(hashed, path):
            shard.write([block], block.count(b"\n"), entry.first_ts, entry.last_ts)
            rows += block.count(b"\n")
            last = block[-1:]
        check_sealed(path, entry, hashed, rows if last == b"\n" else -1)


def mend(fs: Fs, run_dir: PurePath, manifest: Manifest) -> Manifest:
    """Finish what a merge has begun: after this the logs, the manifest and the directory agree. Under the lock.

    Raises:
        StorageError: a log is damaged, or a shard it names is missing. The manifest is as it was.
    """
    became = _became(fs, run_dir)
    held = {entry.path for entry in manifest.shards}
    if held & became.keys():
        shards: dict[str, ShardEntry] = {}
        for entry in manifest.shards:
            found = entry
            while found.path in became:
                found = became[found.path]
            shards.setdefault(found.path, found)
        for walk in {walk_of(entry.path) for entry in shards.values() if entry.path not in held}:
            fs.sync_directory(log_directory(run_dir, walk))  # of a process that was killed before its own sync
        for entry in shards.values():
            if entry.path not in held:
                _name(fs, run_dir, entry)
        manifest = structs.replace(
            manifest, shards=tuple(shards.values()), bytes=sum(entry.bytes for entry in shards.values())
        )
        fs.replace(manifest_path(run_dir), encode_document(manifest))
    removed = [name for name in stray_files(fs, run_dir, manifest.shards) if name in became]
    for name in removed:
        fs.remove(run_dir / name)
    if removed:
        fs.sync_directory(run_dir)
    _clear(fs, run_dir)
    return manifest


def is_merging(fs: Fs, run_dir: PurePath, manifest: Manifest) -> bool:
    """Whether a merge of a finished run was broken off, or is under way; False also where a log cannot be read."""
    known = {entry.path for entry in manifest.shards} | set(stray_files(fs, run_dir, manifest.shards))
    try:
        return not _became(fs, run_dir).keys().isdisjoint(known)
    except StorageError:
        return False


def _became(fs: Fs, run_dir: PurePath) -> dict[str, ShardEntry]:
    """By the name of every shard that was merged, the one that stands for it."""
    return {
        path: entry
        for walk in walks(fs, run_dir)
        for commit in read_log(fs, run_dir, walk)
        for entry in commit.add
        for path in commit.remove
    }


def _name(fs: Fs, run_dir: PurePath, entry: ShardEntry) -> None:
    path = run_dir / entry.path
    part = path.with_name(path.name + PART)
    if not fs.exists(path):
        if not fs.exists(part) or fs.size(part) != entry.bytes:
            raise StorageError(f"{path}: is missing, though a commit of its run names it. Verify the run.")
        fs.rename(part, path)


def _clear(fs: Fs, run_dir: PurePath) -> None:
    """Remove what was never named."""
    for name in fs.names(run_dir):
        if is_temporary(name):
            fs.remove(run_dir / name)
