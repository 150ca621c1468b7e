"""Numbered commits: one owner a number, nothing believed that is damaged or missing."""

from __future__ import annotations

import errno
from pathlib import PurePath

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.errors import Locked, StorageError
from harvester.store.commits import CommitLog, walks
from harvester.store.documents import encode_document
from tests.fakes.clock import SeededRng
from tests.fakes.fs import MemoryFs
from tests.store.harvest import RUN, WALK, commit, seal

FIRST = RUN / "_log" / "w00" / "00000000000000000001.json"
SECOND = FIRST.with_name("00000000000000000002.json")


@pytest.fixture
def fs() -> MemoryFs:
    return MemoryFs()


def _log(fs: MemoryFs, seed: int = 0) -> CommitLog:
    return CommitLog(fs, RUN, "w00", SeededRng(seed))


def test_commits_come_back_in_order_and_are_continued(fs: MemoryFs) -> None:
    log = _log(fs)
    assert log.load() == ()
    first = commit(log, [seal(fs, [b"{}"])], records=1)
    second = commit(log, records=1)
    again = _log(fs, 1)
    assert again.load() == (first, second)
    third = commit(again, records=1, done=True)
    assert [one.number for one in _log(fs).load()] == [1, 2, 3]
    assert third.cursor == ()
    assert _log(fs).load()[-1] == third
    assert walks(fs, RUN) == ("w00",)
    assert walks(fs, PurePath("/out/none")) == ()


def test_the_file_is_json_with_the_names_that_later_runs_rely_on(fs: MemoryFs) -> None:
    made = commit(_log(fs), [seal(fs, [b"{}"])])
    document = msgspec.json.decode(fs.read(FIRST))
    assert document["commit_id"] == made.commit_id
    assert document["add"][0].keys() == {"path", "rows", "bytes", "sha256", "first_ts", "last_ts"}
    assert document["cursor"][0]["url"] == "Property?$skip=10"
    assert document["watermark"] == "2026-02-28T23:59:59.1234567Z", "text, never rounded (FAULTS T03)"
    assert fs.read(FIRST).endswith(b"}\n")


def test_a_run_that_was_overtaken_cannot_commit(fs: MemoryFs) -> None:
    """FAULTS R10: it slept, another run went on, and its late commit must not replace the newer one."""
    sleeper, rival = _log(fs, 1), _log(fs, 2)
    commit(sleeper)
    rival.load()
    newer = commit(rival, records=5)
    with pytest.raises(Locked, match="another run has taken over walk w00"):
        commit(sleeper, records=2)
    assert _log(fs).load()[-1] == newer
    with pytest.raises(StorageError, match="taken over"):
        commit(sleeper, records=2)
    assert len(_log(fs).load()) == 2


class _LosesAnswers(MemoryFs):
    """Creates the file, then says it was there: a lower layer repeated a write whose answer was lost."""

    def create_if_absent(self, path: PurePath, data: bytes) -> bool:
        super().create_if_absent(path, data)
        return False


def test_the_echo_of_our_own_commit_is_a_success() -> None:
    """FAULTS R10: compare the commit id before giving up."""
    fs = _LosesAnswers()
    made = commit(_log(fs))
    assert _log(fs).load() == (made,)


@pytest.mark.parametrize("operation", ["open", "write", "fsync", "close", "link", "mkdir"])
def test_after_a_failed_append_nothing_more_is_appended(fs: MemoryFs, operation: str) -> None:
    """FAULTS F04: the commit may or may not be there; the next run looks."""
    log = _log(fs)
    if operation != "mkdir":
        commit(log)
    fs.fail(operation, error=errno.EIO)
    with pytest.raises(StorageError, match="input/output error"):
        commit(log)
    with pytest.raises(StorageError, match="input/output error"):
        commit(log)
    again = _log(fs)
    before = again.load()
    assert commit(again).number == len(before) + 1


def test_a_failed_sync_of_the_log_directory_is_no_success(fs: MemoryFs) -> None:
    """FAULTS F04: the name is there now, but might not be after a loss of power."""
    log = _log(fs)
    commit(log)
    fs.fail("fsync", nth=1, path="/w00", error=errno.EIO)
    with pytest.raises(StorageError):
        commit(log)


@pytest.mark.parametrize("place", [0, 10, -2, -40, -100])
def test_a_changed_commit_is_refused_by_name(fs: MemoryFs, place: int) -> None:
    """FAULTS F07."""
    commit(_log(fs))
    data = bytearray(fs.read(FIRST))
    data[place] ^= 1
    fs.replace(FIRST, bytes(data))
    with pytest.raises(StorageError, match=r"00000000000000000001\.json: was changed or cut"):
        _log(fs).load()


@given(st.integers(0, 400))
@settings(max_examples=30)
def test_a_torn_commit_is_refused(size: int) -> None:
    """FAULTS F06: cut, or with a tail of zeros."""
    fs = MemoryFs()
    commit(_log(fs))
    data = fs.read(FIRST)
    for torn in (data[:size], data[:size] + bytes(len(data) - size)):
        fs.replace(FIRST, torn)
        with pytest.raises(StorageError, match="was changed or cut"):
            _log(fs).load()


def test_a_gap_in_the_numbers_is_refused(fs: MemoryFs) -> None:
    """FAULTS F08."""
    log = _log(fs)
    for _ in range(3):
        commit(log)
    fs.remove(SECOND)
    with pytest.raises(StorageError, match=r"00000000000000000002\.json: is missing"):
        _log(fs).load()


def test_a_commit_of_another_walk_is_refused(fs: MemoryFs) -> None:
    """FAULTS F08."""
    commit(_log(fs))
    other = RUN / "_log" / "w01"
    fs.make_directory(other)
    fs.replace(other / FIRST.name, fs.read(FIRST))
    with pytest.raises(StorageError, match="is commit 1 of walk w00; it was moved here"):
        CommitLog(fs, RUN, "w01", SeededRng()).load()


def test_a_commit_never_claims_rows_that_are_not_there(fs: MemoryFs) -> None:
    """FAULTS F08: a shard that is missing or has another size."""
    entry = seal(fs, [b'{"a":1}'])
    commit(_log(fs), [entry])
    whole = fs.read(RUN / entry.path)
    fs.replace(RUN / entry.path, whole[:-1])
    with pytest.raises(StorageError, match=rf"{entry.path}: has {entry.bytes - 1} bytes"):
        _log(fs).load()
    fs.remove(RUN / entry.path)
    with pytest.raises(StorageError, match=rf"{entry.path}: is missing"):
        _log(fs).load()


def test_temporary_files_and_foreign_names_are_no_commits(fs: MemoryFs) -> None:
    """FAULTS F08."""
    made = commit(_log(fs))
    for name in (".00000000000000000002.json.3f9a1c2e.tmp", "notes.txt", "2.json"):
        fs.replace(FIRST.with_name(name), b"?")
    assert _log(fs).load() == (made,)


class _Newer(msgspec.Struct):
    format: int
    shape: str = "unknown to us"


def test_another_format_is_refused_and_not_guessed(fs: MemoryFs) -> None:
    """FAULTS R11."""
    fs.make_directory(FIRST.parent)
    fs.replace(FIRST, encode_document(_Newer(format=3)))
    with pytest.raises(StorageError, match="has format 3; this release reads 1, 2"):
        _log(fs).load()


def test_members_of_a_newer_release_are_skipped(fs: MemoryFs) -> None:
    """FAULTS R11: the same format may gain members."""
    made = commit(_log(fs))
    known = msgspec.structs.fields(type(made))
    newer = msgspec.defstruct("Newer", [*(f.name for f in known), "added"], kw_only=True)
    values = {f.name: getattr(made, f.name) for f in known}
    fs.replace(FIRST, encode_document(newer(**values, added=[1, 2])))
    assert _log(fs).load() == (made,)
    assert made.walk == WALK
