"""A finished run held against its manifest: every shard, every line, every total (FAULTS F07, F08)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import PurePath

import msgspec
from msgspec import Struct

from harvester.contracts import Fs
from harvester.errors import StorageError
from harvester.store.layout import ShardKind, data_kind, is_temporary
from harvester.store.lines import Hashed, lines_of
from harvester.store.manifest import Manifest, read_manifest, stray_files
from harvester.store.merge import is_merging
from harvester.store.recount import HeadsOf, Recount
from harvester.store.runs import find_all_runs
from harvester.store.shardfile import ShardEntry
from harvester.store.verify_commits import verify_commits


class RunVerdict(Struct, frozen=True, kw_only=True):
    """What was found in one run directory."""

    path: PurePath
    finished: bool  # it has a manifest; an unfinished run is not judged
    verdict: str = ""  # as the manifest says: complete | incomplete | failed; "" when there is none to read
    shards: int = 0
    rows: int = 0  # counted, of all kinds
    bytes: int = 0  # read from disk
    problems: tuple[str, ...] = ()  # each names the file

    @property
    def matches(self) -> bool:
        """Finished, and nothing differs. Says nothing of completeness: that is ``verdict``."""
        return self.finished and not self.problems


_TRIES = 3  # a run that is compacted while it is read is read again


class _Object(Struct):
    """Any JSON object; decoding into it checks the grammar and builds nothing."""


_decode_object = msgspec.json.Decoder(_Object).decode


def verify_tree(
    fs: Fs,
    out: PurePath,
    on_progress: Callable[[RunVerdict], None] | None = None,
    *,
    heads_of: HeadsOf | None = None,
    on_bytes: Callable[[PurePath, int], None] | None = None,
) -> tuple[RunVerdict, ...]:
    """Verify every run below *out*, in the order of their paths.

    Args:
        on_progress: called with each verdict as it is reached.
        heads_of, on_bytes: as for ``verify_run``.
    """
    verdicts = []
    for run in find_all_runs(fs, out):
        verdict = verify_run(fs, run.path, heads_of=heads_of, on_bytes=on_bytes)
        verdicts.append(verdict)
        if on_progress is not None:
            on_progress(verdict)
    return tuple(verdicts)


def verify_run(
    fs: Fs,
    run_dir: PurePath,
    *,
    heads_of: HeadsOf | None = None,
    on_bytes: Callable[[PurePath, int], None] | None = None,
) -> RunVerdict:
    """Read every shard of a run and compare it with the manifest.

    Checked: each shard exists with its size, SHA-256 and rows; it decompresses to its end; each line is one JSON
    object in UTF-8; no other data file lies beside the manifest; the totals are the sums; the keys have the digest
    and the walks the rows and times they are said to have; the commits name the same shards. Every shard is read once.
    Damage is a problem in the verdict, never an exception.

    Args:
        heads_of: reads keys and times; None: they are not looked at.
        on_bytes: called while a shard is read, with its path and the bytes read since the last call.
    """
    for _ in range(_TRIES):
        try:
            manifest = read_manifest(fs, run_dir)
        except StorageError as error:
            return RunVerdict(path=run_dir, finished=True, problems=(str(error),))
        if manifest is None:
            return RunVerdict(path=run_dir, finished=False)
        verdict = _verify(fs, run_dir, manifest, heads_of, on_bytes)
        if verdict.matches or not _has_changed(fs, run_dir, manifest):
            break
    return verdict


def _has_changed(fs: Fs, run_dir: PurePath, manifest: Manifest) -> bool:
    """Whether the run was compacted while it was read."""
    try:
        return read_manifest(fs, run_dir) != manifest
    except StorageError:
        return False  # what was found stands


def _verify(
    fs: Fs,
    run_dir: PurePath,
    manifest: Manifest,
    heads_of: HeadsOf | None,
    on_bytes: Callable[[PurePath, int], None] | None,
) -> RunVerdict:
    strays = stray_files(fs, run_dir, manifest.shards)
    problems = [
        f"{run_dir / name}: lies beside the manifest but is not in it; readers of the directory would take it for data"
        for name in strays
    ]
    # No manifest is written beside an unsealed shard: of a finished run only a merge makes one, before any log tells.
    if strays and (any(map(is_temporary, strays)) or is_merging(fs, run_dir, manifest)):
        problems.append(f"{run_dir}: a compaction was broken off; `harvester compact` finishes it")
    rows: Counter[str] = Counter()
    size = 0
    with Recount(fs, manifest, heads_of(manifest) if heads_of is not None else None) as recount:
        for entry in manifest.shards:
            counted, read, found = _verify_shard(fs, run_dir, entry, recount, on_bytes)
            rows[data_kind(entry.path) or ""] += counted
            size += read
            problems.extend(f"{run_dir / entry.path}: {problem}" for problem in found)
        damaged = bool(problems)
        problems.extend(f"{run_dir}: {problem}" for problem in _verify_totals(manifest, run_dir, rows, size))
        # Of shards that are damaged everything else would be told to be wrong as well.
        whole = [] if damaged else [*recount.problems(), *verify_commits(fs, run_dir, manifest)]
        problems.extend(f"{run_dir}: {problem}" for problem in whole)
    return RunVerdict(
        path=run_dir,
        finished=True,
        verdict=manifest.verdict,
        shards=len(manifest.shards),
        rows=rows.total(),
        bytes=size,
        problems=tuple(problems),
    )


def _verify_shard(
    fs: Fs,
    run_dir: PurePath,
    entry: ShardEntry,
    recount: Recount,
    on_bytes: Callable[[PurePath, int], None] | None,
) -> tuple[int, int, list[str]]:
    """Rows counted, bytes read, and what is wrong."""
    path = run_dir / entry.path
    problems: list[str] = []
    try:
        if PurePath(entry.path).name != entry.path or not fs.exists(path):
            return 0, 0, ["is missing"]
        rows = 0
        recount.begin(entry)
        with fs.open(path) as stream:
            hashed = Hashed(stream, partial(on_bytes, path) if on_bytes is not None else None)
            try:
                for line in lines_of(hashed, path):
                    rows += 1
                    if problems:
                        continue
                    if fault := _fault_of(line):
                        problems.append(f"line {rows:,} {fault}")
                    else:
                        recount.line(line)
                problems.extend(recount.end())
            except StorageError as error:
                problems.append(str(error).removeprefix(f"{path}: "))
            while hashed.read(1 << 20):  # what lies behind the damage counts for size and hash
                pass
    except StorageError as error:
        return 0, 0, [str(error).removeprefix(f"{path}: ")]
    if hashed.size != entry.bytes:
        problems.append(f"has {hashed.size:,} bytes, the manifest says {entry.bytes:,}")
    elif hashed.hash.hexdigest() != entry.sha256:
        problems.append("has other content than when it was sealed (its SHA-256 differs)")
    if rows != entry.rows:
        problems.append(f"has {rows:,} rows, the manifest says {entry.rows:,}")
    return rows, hashed.size, problems


def _fault_of(line: bytes) -> str:
    """Why *line* is not one JSON object in UTF-8; "" when it is."""
    try:
        _decode_object(line)
        line.isascii() or line.decode()  # the decoder lets wrong UTF-8 in skipped strings pass
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return f"is not one JSON object in UTF-8: {error}"
    return ""


def _verify_totals(manifest: Manifest, run_dir: PurePath, rows: Counter[str], size: int) -> list[str]:
    expected = (
        ("records", manifest.records, rows[ShardKind.PART]),
        ("quarantined", manifest.quarantined, rows[ShardKind.QUARANTINE]),
        ("tombstones", manifest.tombstones, rows[ShardKind.DELETED]),
        ("sets", manifest.sets, rows[ShardKind.SETS]),
        ("bytes", manifest.bytes, size),
    )
    problems = [
        f"the manifest says {stated:,} {name}, the shards hold {found:,}"
        for name, stated, found in expected
        if stated != found
    ]
    place = (f"source={manifest.source}", f"resource={manifest.resource.replace('/', '.')}", f"run={manifest.run}")
    if run_dir.parts[-3:] != place:
        problems.append(f"the manifest is that of {'/'.join(place)}")
    return problems
