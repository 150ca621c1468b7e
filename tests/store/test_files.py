"""The real disk's own, and what a failing disk does to it."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path, PurePath

import pytest

from harvester.errors import CannotCreate, Locked, StorageError
from harvester.store.files import DiskFs
from tests.fakes.clock import SeededRng
from tests.fakes.fs import MemoryFs

ROOT = PurePath("/out")


@pytest.fixture
def disk() -> DiskFs:
    return DiskFs(SeededRng())


@pytest.fixture
def fs() -> MemoryFs:
    fs = MemoryFs()
    fs.make_directory(ROOT)
    return fs


def test_a_short_write_is_continued_and_its_error_told(fs: MemoryFs) -> None:
    """FAULTS F01: a full disk takes half a row first."""
    file = fs.create(ROOT / "a")
    fs.disk.space = 7
    with pytest.raises(StorageError, match=r"/out/a: cannot write: no space left\. Free some space"):
        file.write(b"0123456789")
    fs.disk.space = None
    with pytest.raises(StorageError, match="an earlier write or sync"):
        file.write(b"more")
    with pytest.raises(StorageError, match="an earlier write or sync"):
        file.sync()
    file.close()


def test_a_write_error_names_file_and_cause(fs: MemoryFs) -> None:
    """FAULTS F02."""
    file = fs.create(ROOT / "a")
    fs.fail("write", error=errno.EIO)
    with pytest.raises(StorageError, match="/out/a: cannot write: input/output error"):
        file.write(b"x")
    file.close()


def test_fsync_is_never_retried_on_the_same_file(fs: MemoryFs) -> None:
    """FAULTS F03: the second fsync would succeed without the lost pages."""
    file = fs.create(ROOT / "a")
    file.write(b"x")
    fs.fail("fsync", error=errno.EIO)
    with pytest.raises(StorageError, match="cannot make durable: input/output error"):
        file.sync()
    calls = fs.disk.calls["fsync"]
    with pytest.raises(StorageError, match="an earlier write or sync"):
        file.sync()
    assert fs.disk.calls["fsync"] == calls
    file.close()


@pytest.mark.parametrize("operation", ["open", "write", "fsync", "close", "rename"])
def test_a_failed_replace_keeps_the_old_version_and_no_litter(fs: MemoryFs, operation: str) -> None:
    """FAULTS F04."""
    fs.replace(ROOT / "state", b"old")
    fs.fail(operation, error=errno.EIO)
    with pytest.raises(StorageError, match="input/output error"):
        fs.replace(ROOT / "state", b"new")
    assert fs.read(ROOT / "state") == b"old"
    assert fs.names(ROOT) == ["state"]
    assert fs.crash().read(ROOT / "state") == b"old"


@pytest.mark.parametrize("operation", ["open", "write", "fsync", "close", "link"])
def test_a_failed_create_if_absent_creates_nothing(fs: MemoryFs, operation: str) -> None:
    """FAULTS F04."""
    fs.fail(operation, error=errno.ENOSPC)
    with pytest.raises(StorageError, match="no space left"):
        fs.create_if_absent(ROOT / "1.json", b"{}")
    assert fs.names(ROOT) == []
    assert fs.disk.open_files == 0


@pytest.mark.parametrize("seed", range(8))
def test_what_is_acknowledged_survives_a_loss_of_power(fs: MemoryFs, seed: int) -> None:
    """FAULTS F05: files, names and the directories above them."""
    fs.make_directory(ROOT / "a" / "b")
    fs.create_if_absent(ROOT / "a" / "b" / "1.json", b"one")
    fs.replace(ROOT / "state", b"old")
    fs.replace(ROOT / "state", b"new")
    file = fs.create(ROOT / "a" / "shard.part")
    file.write(b"rows\n")
    file.sync()
    file.close()
    fs.rename(ROOT / "a" / "shard.part", ROOT / "a" / "shard")
    after = fs.crash(seed)
    assert after.read(ROOT / "a" / "b" / "1.json") == b"one"
    assert after.read(ROOT / "state") == b"new"
    assert after.read(ROOT / "a" / "shard") == b"rows\n"
    assert after.names(ROOT / "a") == ["b", "shard"]


def test_the_disk_in_memory_does_forget() -> None:
    """The crash tests above can fail: without a sync, something is lost under some seed."""
    fs = MemoryFs()
    file = fs.create(PurePath("/a"))
    file.write(b"0123456789")
    file.close()
    found = {
        fs.crash(seed).read(PurePath("/a")) if fs.crash(seed).exists(PurePath("/a")) else None for seed in range(60)
    }
    assert None in found
    assert b"" in found
    assert any(data and data.endswith(b"\0") for data in found)


def test_a_file_system_without_fsync_warns_once(fs: MemoryFs) -> None:
    """FAULTS F10."""
    fs.fail("fsync", error=errno.ENOTSUP, times=None)
    fs.replace(ROOT / "a", b"1")
    fs.replace(ROOT / "b", b"2")
    assert fs.read(ROOT / "b") == b"2"
    assert len(fs.warnings) == 1
    assert "cannot sync" in fs.warnings[0]


def test_a_file_system_without_hard_links_is_named(fs: MemoryFs) -> None:
    """FAULTS F10."""
    fs.fail("link", error=errno.EPERM)
    with pytest.raises(CannotCreate, match="refuses hard links"):
        fs.create_if_absent(ROOT / "1.json", b"{}")
    assert fs.names(ROOT) == []


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "read-only file system"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.ENAMETOOLONG, "the name is too long"),
        (errno.EMFILE, "too many open files"),
        (errno.EOWNERDEAD, os.strerror(errno.EOWNERDEAD)),
    ],
)
def test_every_cause_is_told_in_words(fs: MemoryFs, error: int, cause: str) -> None:
    """FAULTS F09."""
    fs.fail("open", error=error, path="/out/a")
    with pytest.raises(CannotCreate, match=f"/out/a: cannot create: .*{cause}"):
        fs.create(ROOT / "a")


def test_an_unreadable_directory_is_no_absence(fs: MemoryFs) -> None:
    """A run that could not be seen must not be started a second time."""
    for operation in ("lstat", "listdir"):
        fs.fail(operation, error=errno.EACCES)
    with pytest.raises(StorageError, match="permission denied"):
        fs.exists(ROOT / "a")
    with pytest.raises(StorageError, match="permission denied"):
        fs.names(ROOT)


def test_a_failing_disk_is_told_while_reading(fs: MemoryFs) -> None:
    fs.replace(ROOT / "a", b"x")
    fs.fail("read", error=errno.EIO)
    with pytest.raises(StorageError, match="/out/a: cannot read: input/output error"):
        fs.read(ROOT / "a")
    assert fs.disk.open_files == 0


def test_state_is_closed_to_others(disk: DiskFs, tmp_path: Path) -> None:
    """FAULTS E08: also when it was there before, with a wider mode."""
    made, found = tmp_path / "made", tmp_path / "found"
    found.mkdir(mode=0o755)
    for path in (made, found):
        disk.make_directory(path, private=True)
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    disk.lock(made / "_lock").release()
    assert stat.S_IMODE((made / "_lock").stat().st_mode) == 0o600


def test_state_of_another_user_is_refused(fs: MemoryFs) -> None:
    """FAULTS E08."""
    fs.make_directory(ROOT / "_harvester")
    node = fs.disk.node("/out/_harvester")
    node.owner = 0  # type: ignore[union-attr]
    with pytest.raises(CannotCreate, match="belongs to another user"):
        fs.make_directory(ROOT / "_harvester", private=True)


_HOLDER = """
import sys, pathlib
from harvester.clock import SystemRng
from harvester.store.files import DiskFs
lock = DiskFs(SystemRng()).lock(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_ends_with_its_process(disk: DiskFs, tmp_path: Path) -> None:
    """FAULTS R09: after SIGKILL the lock file stays and locks nobody out, whoever has that process id now."""
    path = tmp_path / "_lock"
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Locked, match=rf"process {holder.pid}\b"):
            disk.lock(path)
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
    assert path.read_text() == f"{holder.pid}\n"
    path.write_text(f"{os.getppid()}\n")  # the id of a living process
    lock = disk.lock(path)
    assert path.read_text() == f"{os.getpid()}\n"
    lock.release()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_lock_file_removed_or_replaced_while_opening_is_not_trusted(fs: MemoryFs, replaced: bool) -> None:
    """Locking a file that no longer has the name would let two processes in."""
    opened = fs.disk.open

    def open_then_lose(path: str, flags: int, mode: int = 0o666, /) -> int:
        fd = opened(path, flags, mode)
        fs.disk.open = opened  # type: ignore[method-assign]
        fs.disk.unlink(path)
        if replaced:
            fs.disk.close(opened(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        return fd

    fs.disk.open = open_then_lose  # type: ignore[method-assign]
    lock = fs.lock(ROOT / "_lock")
    with pytest.raises(Locked):
        fs.lock(ROOT / "_lock")
    lock.release()
    assert fs.disk.open_files == 0


def test_a_file_in_the_place_of_a_directory_is_the_one_that_is_named(disk: DiskFs, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for wanted in ("file", "file/below/deep"):
        with pytest.raises(CannotCreate, match=r"/file: is a file\. Move it away or choose another directory\.$"):
            disk.make_directory(tmp_path / wanted)
    assert disk.names(tmp_path / "file") == ()


def test_errors_name_the_file_that_was_asked_for_and_not_a_temporary_one(disk: DiskFs, tmp_path: Path) -> None:
    with pytest.raises(CannotCreate, match=r"/absent/x\.toml: cannot create: its directory does not exist\. Create /"):
        disk.replace(tmp_path / "absent" / "x.toml", b"")


def test_reading_endangers_nothing_and_does_not_speak_of_commits(disk: DiskFs, tmp_path: Path) -> None:
    with pytest.raises(StorageError) as failed:
        disk.read(tmp_path / "absent")
    assert "committed" not in str(failed.value)
