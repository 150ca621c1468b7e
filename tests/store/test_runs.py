"""Which runs exist, and sweeping up after a dead process."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from harvester.errors import Locked, StorageError
from harvester.store import layout
from harvester.store.commits import CommitLog
from harvester.store.manifest import KeyDigest, read_manifest, write_manifest
from harvester.store.runs import find_all_runs, find_runs, tidy
from tests.fakes.clock import SeededRng
from tests.fakes.fs import MemoryFs
from tests.store.harvest import OUT, RUN, commit, finish, seal

KEPT = ["_log", "_lock", "notes.txt"]


@pytest.fixture
def fs() -> MemoryFs:
    return MemoryFs()


def _litter(fs: MemoryFs) -> None:
    """What a killed process may leave: an unsealed shard, a sealed one no commit names, temporary files."""
    log = RUN / "_log" / "w00"
    fs.make_directory(log)
    for name in (
        "part-w00-00003-aaaaaaaa.ndjson.zst.part",
        "part-w00-00004-bbbbbbbb.ndjson.zst",
        "quarantine-w00-00000-cccccccc.ndjson",
        "._manifest.json.12345678.tmp",
        "_log/w00/.00000000000000000002.json.12345678.tmp",
        "_lock",
        "notes.txt",
    ):
        fs.replace(RUN / name, b"x")


def test_runs_are_found_with_their_state(fs: MemoryFs) -> None:
    later = layout.run_directory(OUT, "centris", "Property", "20260302T120000Z")
    other = layout.run_directory(OUT, "ims", "Member", "20260301T120000Z")
    finish(fs, [seal(fs, [b"{}"])])
    seal(fs, [b"{}"], run=later)
    seal(fs, [b"{}"], run=other)
    fs.make_directory(layout.state_directory(OUT))
    found = find_runs(fs, OUT, "centris", "Property")
    assert [(run.name, run.path, run.finished) for run in found] == [
        ("20260301T120000Z", RUN, True),
        ("20260302T120000Z", later, False),
    ]
    assert find_runs(fs, OUT, "centris", "Office") == ()
    assert [run.path for run in find_all_runs(fs, OUT)] == [RUN, later, other]
    assert find_all_runs(fs, PurePath("/nowhere")) == ()


def test_litter_is_removed_and_commits_shards_and_foreign_files_stay(fs: MemoryFs) -> None:
    """FAULTS F08."""
    entry = seal(fs, [b"{}"])
    commit(CommitLog(fs, RUN, "w00", SeededRng()), [entry])
    _litter(fs)
    removed = tidy(fs, RUN, {entry.path})
    assert len(removed) == 5
    assert list(fs.names(RUN)) == sorted([*KEPT, entry.path])
    assert fs.names(RUN / "_log" / "w00") == ["00000000000000000001.json"]
    assert tidy(fs, RUN, {entry.path}) == ()


def test_a_finished_run_is_never_touched(fs: MemoryFs) -> None:
    finish(fs, [seal(fs, [b"{}"])])
    _litter(fs)
    before = fs.names(RUN)
    assert tidy(fs, RUN, ()) == ()
    assert fs.names(RUN) == before


def test_a_manifest_is_refused_while_stray_data_lies_beside_it(fs: MemoryFs) -> None:
    """FAULTS F08: what a glob finds must equal the manifest."""
    entry = seal(fs, [b"{}"])
    _litter(fs)
    with pytest.raises(StorageError, match=r"is no part of this run, and 2 more"):
        finish(fs, [entry])
    assert read_manifest(fs, RUN) is None
    tidy(fs, RUN, {entry.path})
    manifest = finish(fs, [entry])
    assert read_manifest(fs, RUN) == manifest


def test_a_run_is_finished_once(fs: MemoryFs) -> None:
    """FAULTS R10: a rival's manifest is kept."""
    manifest = finish(fs, [seal(fs, [b"{}"])])
    with pytest.raises(Locked, match="another process has finished this run"):
        write_manifest(fs, RUN, manifest)


@pytest.mark.parametrize("place", [1, 100, -90, -2])
def test_a_changed_manifest_is_refused_by_name(fs: MemoryFs, place: int) -> None:
    """FAULTS F07."""
    finish(fs, [seal(fs, [b"{}"])])
    path = layout.manifest_path(RUN)
    data = bytearray(fs.read(path))
    data[place] ^= 1
    fs.replace(path, bytes(data))
    with pytest.raises(StorageError, match=r"_manifest\.json: was changed or cut"):
        read_manifest(fs, RUN)


@pytest.mark.parametrize("operation", ["write", "fsync", "link"])
def test_a_manifest_that_could_not_be_written_does_not_exist(fs: MemoryFs, operation: str) -> None:
    """FAULTS F04."""
    entry = seal(fs, [b"{}"])
    fs.fail(operation)
    with pytest.raises(StorageError):
        finish(fs, [entry])
    assert read_manifest(fs, RUN) is None
    finish(fs, [entry])


def test_the_key_digest_is_that_of_the_set() -> None:
    keys = [("1",), ("2",), ("a", "b"), ("ab", ""), ("", "ab"), ("1:a", "b")]
    forward, backward = KeyDigest(), KeyDigest()
    forward.add_all(keys)
    for key in reversed(keys):
        backward.add(key)
    assert forward.key_set() == backward.key_set()
    assert forward.number == 6
    assert len(forward.hexdigest()) == 64
    assert KeyDigest().hexdigest() == "0" * 64


def test_the_key_digest_tells_any_difference() -> None:
    def digest(*keys: tuple[str, ...]) -> str:
        made = KeyDigest()
        made.add_all(keys)
        return made.hexdigest()

    sets = [digest(), digest(("1",)), digest(("1",), ("1",)), digest(("01",)), digest(("a", "b")), digest(("ab",)),
            digest(("a",), ("b",)), digest(("1:a1:b",)), digest(("é",)), digest(("\udc80",))]  # fmt: skip
    assert len(set(sets)) == len(sets)
