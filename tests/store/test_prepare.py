"""The output directory is tried before the first request."""

from __future__ import annotations

import errno
from pathlib import Path, PurePath

import pytest

from harvester.errors import CannotCreate
from harvester.store.files import DiskFs
from harvester.store.prepare import prepare_output
from tests.fakes.clock import SeededRng
from tests.fakes.fs import MemoryFs

OUT = PurePath("/data/out")


def test_it_makes_the_directories_and_leaves_nothing_else(tmp_path: Path) -> None:
    fs = DiskFs(SeededRng())
    out = tmp_path / "deep" / "out"
    for _ in range(2):
        prepare_output(fs, out)
        assert fs.names(out) == ["_harvester"]
        assert fs.names(out / "_harvester") == []
        assert (out / "_harvester").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("operation", "error", "cause"),
    [
        ("mkdir", errno.EROFS, "read-only file system"),
        ("mkdir", errno.EACCES, "permission denied"),
        ("open", errno.EACCES, "permission denied"),
        ("open", errno.EROFS, "read-only file system"),
        ("write", errno.ENOSPC, "no space left"),
        ("write", errno.EDQUOT, "quota"),
        ("link", errno.EPERM, "hard links"),
        ("fsync", errno.EIO, "input/output error"),
        ("unlink", errno.EACCES, "permission denied"),
    ],
)
def test_whatever_a_run_will_need_is_tried_first(operation: str, error: int, cause: str) -> None:
    """FAULTS F09."""
    fs = MemoryFs()
    fs.fail(operation, error=error, path="/data", times=None)
    with pytest.raises(CannotCreate, match=cause) as failed:
        prepare_output(fs, OUT)
    assert "/data" in str(failed.value)
    assert failed.value.exit_status == 73


def test_a_read_only_state_directory_is_found(tmp_path: Path) -> None:
    """FAULTS F09."""
    fs = MemoryFs()
    fs.fail("open", error=errno.EACCES, path="/_harvester/", times=None)
    with pytest.raises(CannotCreate, match=r"_harvester.*permission denied"):
        prepare_output(fs, OUT)


def test_a_file_or_a_link_in_the_place_of_a_directory_is_refused(tmp_path: Path) -> None:
    """FAULTS E08."""
    fs = DiskFs(SeededRng())
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotCreate, match="file: is a file"):
        prepare_output(fs, tmp_path / "file")
    out = tmp_path / "out"
    out.mkdir()
    (out / "_harvester").symlink_to(tmp_path)
    with pytest.raises(CannotCreate, match="symbolic link"):
        prepare_output(fs, out)


def test_a_probe_left_by_a_killed_run_is_no_obstacle() -> None:
    fs = MemoryFs()
    prepare_output(fs, OUT)
    fs.replace(OUT / ".writable", b"")
    prepare_output(fs, OUT)
    assert fs.names(OUT) == ["_harvester"]
