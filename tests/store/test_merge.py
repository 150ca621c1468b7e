"""Small shards of a finished run become large ones, and nothing else about it changes."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import PurePath

import pytest
from msgspec import structs

from harvester.errors import StorageError
from harvester.model import Phase, Walk
from harvester.store.commits import CommitLog, Tally, living, read_log
from harvester.store.layout import Compression, data_kind, shard_name
from harvester.store.lines import read_lines
from harvester.store.manifest import Manifest, WalkEvidence, read_manifest, write_manifest
from harvester.store.merge import groups_of, mend, merge_run
from harvester.store.shardfile import ShardEntry, ShardFile
from harvester.store.verify import verify_run
from tests.fakes.clock import SeededRng
from tests.fakes.fs import MemoryFs, PowerLoss
from tests.store.harvest import AT, RUN, WALK, finish

MIB = 1 << 20
LATER = AT + timedelta(days=1)


class Writing:
    """A finished run made by hand, a commit a shard, a second apart."""

    def __init__(self, fs: MemoryFs, compression: Compression = Compression.ZSTD) -> None:
        self.fs, self.rng, self.compression = fs, SeededRng(3), compression
        self.seconds = 0
        self.entries: list[ShardEntry] = []
        self.walks: dict[str, Walk] = {}
        fs.make_directory(RUN)

    def shard(self, walk: Walk, lines: Sequence[bytes], kind: str = "part") -> ShardEntry:
        name = shard_name(kind, walk.id, 0, self.rng.hex(8), self.compression)
        file = ShardFile(self.fs, RUN, name, self.compression)
        file.write([line + b"\n" for line in lines], len(lines), None, None)
        entry = file.seal()
        log = CommitLog(self.fs, RUN, walk.id, self.rng)
        log.load()
        self.seconds += 1
        log.append(
            walk=walk, at=AT + timedelta(seconds=self.seconds), fingerprint="f1", add=[entry], cursor=(), done=True,
            tally=Tally(),
        )  # fmt: skip
        self.entries.append(entry)
        self.walks[walk.id] = walk
        return entry

    def finish(self) -> Manifest:
        rows = {name: sum(e.rows for e in self.entries if e.path.startswith(f"part-{name}-")) for name in self.walks}
        manifest = structs.replace(
            finish_as(self.entries),
            walks=tuple(
                WalkEvidence(id=name, phase=walk.phase, pager="keyset", requests=1, records=rows[name], duplicates=0)
                for name, walk in self.walks.items()
            ),
        )
        write_manifest(self.fs, RUN, manifest)
        return manifest


def finish_as(entries: Sequence[ShardEntry]) -> Manifest:
    """The manifest that agrees with *entries*, unwritten."""
    fs = MemoryFs()
    fs.make_directory(RUN)
    return finish(fs, entries)


def line(number: int) -> bytes:
    return b'{"ListingKey":"%d","ModificationTimestamp":"2026-01-01T00:00:00Z"}' % number


def merge(fs: MemoryFs, target: int = MIB, seed: int = 11) -> Manifest:
    manifest = mend(fs, RUN, manifest_of(fs))
    return merge_run(fs, SeededRng(seed), RUN, manifest, groups_of(fs, RUN, manifest, target), LATER)


def manifest_of(fs: MemoryFs) -> Manifest:
    found = read_manifest(fs, RUN)
    assert found is not None
    return found


def globbed(fs: MemoryFs, kind: str = "part") -> list[bytes]:
    """What a reader that knows nothing of manifests finds."""
    names = [name for name in fs.names(RUN) if data_kind(name) == kind]
    return [each for name in names for each in read_lines(fs, RUN / name)]


def lines_of(fs: MemoryFs, manifest: Manifest, kind: str = "part") -> list[bytes]:
    return [each for e in manifest.shards if data_kind(e.path) == kind for each in read_lines(fs, RUN / e.path)]


@pytest.mark.parametrize("compression", list(Compression))
def test_neighbours_become_one_with_the_same_lines_in_the_same_order(compression: Compression) -> None:
    fs = MemoryFs()
    run = Writing(fs, compression)
    for number in range(5):
        run.shard(WALK, [line(2 * number), line(2 * number + 1)])
    run.finish()
    manifest = merge(fs)
    assert len(manifest.shards) == 1
    assert lines_of(fs, manifest) == globbed(fs) == [line(number) for number in range(10)]
    assert verify_run(fs, RUN).problems == ()
    assert living(read_log(fs, RUN, "w00")) == manifest.shards


def test_a_merged_run_says_all_else_that_it_said() -> None:
    fs = MemoryFs()
    run = Writing(fs)
    for number in range(3):
        run.shard(WALK, [line(number)])
    before = run.finish()
    after = merge(fs)
    assert structs.replace(after, shards=before.shards, bytes=before.bytes) == before
    log = read_log(fs, RUN, "w00")
    assert structs.replace(
        log[-1], add=log[-2].add, remove=(), number=3, at=log[-2].at, commit_id=log[-2].commit_id, format=1
    ) == log[-2]  # fmt: skip


def test_kinds_and_walks_stay_apart_and_large_shards_as_they_are() -> None:
    fs = MemoryFs()
    run = Writing(fs, Compression.NONE)
    other = structs.replace(WALK, id="w01")
    for number in range(3):
        run.shard(WALK, [line(number)])
    for number in range(3):
        run.shard(other, [line(10 + number)])
        run.shard(other, [b'{"key":{"ListingKey":"%d"}}' % number], "deleted")
    large = run.shard(WALK, [line(number) for number in range(20, 200)])
    run.finish()
    manifest = merge(fs, large.bytes)
    assert sorted((data_kind(e.path), e.path.split("-")[1], e.rows) for e in manifest.shards) == [
        ("deleted", "w01", 3), ("part", "w00", 3), ("part", "w00", 180), ("part", "w01", 3),
    ]  # fmt: skip
    assert large in manifest.shards
    assert verify_run(fs, RUN).problems == ()


def test_merging_again_finds_nothing_to_do() -> None:
    fs = MemoryFs()
    run = Writing(fs, Compression.NONE)
    for number in range(40):
        run.shard(WALK, [line(number)])
    run.finish()
    manifest = merge(fs, 10 * len(line(10)))
    assert 4 <= len(manifest.shards) <= 6
    assert groups_of(fs, RUN, manifest, 10 * len(line(10))) == ()


def test_a_merged_run_can_be_merged_into_larger_shards() -> None:
    fs = MemoryFs()
    run = Writing(fs, Compression.NONE)
    for number in range(40):
        run.shard(WALK, [line(number)])
    run.finish()
    merge(fs, 10 * len(line(10)))
    manifest = merge(fs, seed=12)
    assert lines_of(fs, manifest) == globbed(fs) == [line(number) for number in range(40)]
    assert (len(manifest.shards), verify_run(fs, RUN).problems) == (1, ())


def test_shards_are_not_moved_past_those_that_may_hold_the_same_keys() -> None:
    """Of two versions with one time the later line counts, so it must stay the later one."""
    fs = MemoryFs()
    run = Writing(fs)
    again = structs.replace(WALK, id="r00", phase=Phase.REPAIR)
    for number in range(2):
        run.shard(again, [line(number)])
        run.shard(WALK, [line(number)])
    manifest = run.finish()
    assert groups_of(fs, RUN, manifest, MIB) == ()


def test_the_parts_of_one_whole_are_merged_though_they_were_written_side_by_side() -> None:
    fs = MemoryFs()
    run = Writing(fs)
    parts = [structs.replace(WALK, id=f"w00-{number}", part_of="w00") for number in range(2)]
    for number in range(6):
        run.shard(parts[number % 2], [line(number)])
    run.finish()
    assert len(merge(fs).shards) == 2
    assert verify_run(fs, RUN).problems == ()


def test_damage_is_not_sealed_anew() -> None:
    """FAULTS F07: plain shards tell nothing of a flipped bit by themselves."""
    fs = MemoryFs()
    run = Writing(fs, Compression.NONE)
    victim = [run.shard(WALK, [line(number)]) for number in range(3)][1]
    before = run.finish()
    fs.replace(RUN / victim.path, line(7) + b"\n")
    with pytest.raises(StorageError, match=f"{victim.path}: has other content than when it was sealed"):
        merge(fs)
    assert manifest_of(fs) == before
    assert sorted(globbed(fs)) == [line(0), line(2), line(7)]
    assert not [name for name in fs.names(RUN) if name.endswith(".part")]


def test_a_shard_that_no_commit_names_is_refused() -> None:
    fs = MemoryFs()
    run = Writing(fs)
    run.shard(WALK, [line(0)])
    manifest = run.finish()
    fs.remove_tree(RUN / "_log")
    with pytest.raises(StorageError, match="no commit of its run names it"):
        groups_of(fs, RUN, manifest, MIB)


# ------------------------------------------------------------------ stopped anywhere


def _prepared() -> MemoryFs:
    fs = MemoryFs()
    run = Writing(fs, Compression.NONE)
    other = structs.replace(WALK, id="w01")
    for number in range(3):
        run.shard(WALK, [line(number)])
        run.shard(other, [line(10 + number)])
    run.finish()
    return fs


EXPECTED = sorted([line(number) for number in (0, 1, 2, 10, 11, 12)])


def _stopped(power: int) -> MemoryFs:
    fs = _prepared()
    fs.disk.power = power
    with contextlib.suppress(PowerLoss):
        merge(fs)
    fs.disk.power = None
    return fs


def _calls() -> int:
    fs = _prepared()
    before = fs.disk.calls.total()
    merge(fs)
    return fs.disk.calls.total() - before


@pytest.mark.parametrize("lost", [False, True], ids=["killed", "power lost"])
def test_a_stop_inside_any_system_call_loses_no_line_and_is_mended(lost: bool) -> None:
    """FAULTS F04, F05, F08, R01: the manifest's lines are right at once, the directory after the next compaction."""
    calls = _calls()
    assert calls > 100
    for power in range(calls):
        fs = _stopped(power)
        if lost:
            fs = fs.crash(power)
        manifest = manifest_of(fs)
        assert sorted(lines_of(fs, manifest)) == EXPECTED
        assert set(globbed(fs)) == set(EXPECTED)
        broken = verify_run(fs, RUN).problems
        assert not broken or "a compaction was broken off; `harvester compact` finishes it" in broken[-1]
        merged = merge(fs, seed=12)
        assert len(merged.shards) == 2
        assert sorted(lines_of(fs, merged)) == sorted(globbed(fs)) == EXPECTED
        assert verify_run(fs, RUN).problems == ()
        after = fs.crash(power)
        assert sorted(globbed(after)) == EXPECTED
        assert verify_run(after, RUN).problems == ()


def test_a_call_that_fails_leaves_what_can_be_mended() -> None:
    """FAULTS F01 to F04: no space, a lost sync, a rename that fails; none is tried again on the same file."""
    for operation in ("write", "fsync", "rename", "link", "unlink", "close"):
        for nth in range(1, 12):
            fs = _prepared()
            fs.fail(operation, nth=nth)
            with contextlib.suppress(StorageError):
                merge(fs)
            assert sorted(lines_of(fs, manifest_of(fs))) == EXPECTED
            assert set(globbed(fs)) == set(EXPECTED)
            fs = fs.crash(nth)
            assert sorted(lines_of(fs, merge(fs, seed=12))) == sorted(globbed(fs)) == EXPECTED


def test_a_run_that_is_merged_while_it_is_verified_is_read_again() -> None:
    fs = _prepared()
    done: list[Manifest] = []

    def while_reading(path: PurePath, size: int) -> None:
        if not done:
            done.append(merge(fs))

    verdict = verify_run(fs, RUN, on_bytes=while_reading)
    assert (verdict.problems, verdict.shards) == ((), 2)


def test_a_name_that_was_given_before_is_not_given_again() -> None:
    """Chance that repeats itself must not let a shard stand for itself."""
    fs = MemoryFs()
    run = Writing(fs, Compression.NONE)
    for number in range(40):
        run.shard(WALK, [line(number)])
    run.finish()
    merge(fs, 10 * len(line(10)))
    manifest = merge(fs)
    assert lines_of(fs, manifest) == globbed(fs) == [line(number) for number in range(40)]
