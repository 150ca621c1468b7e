"""What every ``Fs`` promises, held against the real disk and the one in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePath

import pytest

from harvester.contracts import Fs
from harvester.errors import CannotCreate, Locked, StorageError
from harvester.store.files import DiskFs
from tests.fakes.clock import SeededRng
from tests.fakes.fs import MemoryFs


class Place:
    """A file system, a directory in it, and the means to put a symbolic link there."""

    def __init__(self, fs: Fs, root: PurePath) -> None:
        self.fs = fs
        self.root = root

    def symlink(self, target: PurePath, path: PurePath) -> None:
        if isinstance(self.fs, MemoryFs):
            self.fs.disk.symlink(str(target), str(path))
        else:
            Path(path).symlink_to(target)

    def write(self, path: PurePath, data: bytes) -> None:
        file = self.fs.create(path)
        file.write(data)
        file.sync()
        file.close()


@pytest.fixture(params=["disk", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "disk":
        yield Place(DiskFs(SeededRng()), tmp_path)
    else:
        fs = MemoryFs()
        fs.make_directory(PurePath("/place"))
        yield Place(fs, PurePath("/place"))
        assert fs.disk.open_files == 0, "a descriptor was not closed"


def test_a_created_file_holds_what_was_written(place: Place) -> None:
    path = place.root / "a"
    file = place.fs.create(path)
    file.write(b"one\n")
    file.write(b"two\n")
    file.sync()
    file.close()
    file.close()
    assert place.fs.read(path) == b"one\ntwo\n"
    assert place.fs.size(path) == 8
    with place.fs.open(path) as stream:
        assert stream.read(5) == b"one\nt"
        assert stream.read(5) == b"wo\n"
        assert stream.read(5) == b""


def test_create_refuses_an_existing_file_and_leaves_it_alone(place: Place) -> None:
    place.write(place.root / "a", b"old")
    with pytest.raises(CannotCreate, match="exists already"):
        place.fs.create(place.root / "a")
    assert place.fs.read(place.root / "a") == b"old"


def test_create_never_writes_through_a_link_planted_at_its_path(place: Place) -> None:
    """FAULTS E08."""
    place.write(place.root / "victim", b"precious")
    place.symlink(place.root / "victim", place.root / "a")
    place.symlink(place.root / "nowhere", place.root / "b")
    for name in ("a", "b"):
        with pytest.raises(CannotCreate):
            place.fs.create(place.root / name)
        assert place.fs.create_if_absent(place.root / name, b"x") is False
    assert place.fs.read(place.root / "victim") == b"precious"
    assert not place.fs.exists(place.root / "nowhere")


def test_create_if_absent_happens_once(place: Place) -> None:
    path = place.root / "1.json"
    assert place.fs.create_if_absent(path, b"first") is True
    assert place.fs.create_if_absent(path, b"second") is False
    assert place.fs.read(path) == b"first"
    assert place.fs.names(place.root) == ["1.json"], "no temporary file stays"


def test_replace_takes_the_place_of_the_old_version(place: Place) -> None:
    path = place.root / "state"
    place.fs.replace(path, b"old")
    place.fs.replace(path, b"new")
    assert place.fs.read(path) == b"new"
    assert place.fs.names(place.root) == ["state"]


def test_replace_replaces_a_planted_link_and_not_its_target(place: Place) -> None:
    """FAULTS E08."""
    place.write(place.root / "victim", b"precious")
    place.symlink(place.root / "victim", place.root / "state")
    place.fs.replace(place.root / "state", b"new")
    assert place.fs.read(place.root / "state") == b"new"
    assert place.fs.read(place.root / "victim") == b"precious"


def test_rename_moves_the_name(place: Place) -> None:
    place.write(place.root / "a.part", b"x")
    place.fs.rename(place.root / "a.part", place.root / "a")
    assert place.fs.names(place.root) == ["a"]
    with pytest.raises(StorageError, match="does not exist"):
        place.fs.rename(place.root / "a.part", place.root / "a")


def test_directories_are_made_with_their_parents_and_may_exist(place: Place) -> None:
    deep = place.root / "a" / "b" / "c"
    place.fs.make_directory(deep)
    place.fs.make_directory(deep)
    assert place.fs.exists(deep)
    place.write(place.root / "file", b"")
    with pytest.raises(CannotCreate, match="file: is a file"):
        place.fs.make_directory(place.root / "file")
    with pytest.raises(CannotCreate, match="file: is a file"):
        place.fs.make_directory(place.root / "file" / "below")


def test_an_output_directory_may_be_a_link_a_private_one_may_not(place: Place) -> None:
    """FAULTS E08: a person may link ``out`` to a bigger disk, nobody links the state directory."""
    place.fs.make_directory(place.root / "real")
    place.symlink(place.root / "real", place.root / "out")
    place.fs.make_directory(place.root / "out")
    with pytest.raises(CannotCreate, match="symbolic link"):
        place.fs.make_directory(place.root / "out", private=True)


def test_removing_what_is_not_there_is_fine(place: Place) -> None:
    place.fs.remove(place.root / "absent")
    place.fs.remove_tree(place.root / "absent")
    assert place.fs.names(place.root / "absent") == ()
    assert list(place.fs.walk(place.root / "absent")) == []
    assert not place.fs.exists(place.root / "absent")


def test_remove_tree_removes_links_and_not_what_they_point_to(place: Place) -> None:
    place.fs.make_directory(place.root / "keep")
    place.write(place.root / "keep" / "x", b"x")
    place.fs.make_directory(place.root / "tree" / "sub")
    place.write(place.root / "tree" / "sub" / "y", b"y")
    place.symlink(place.root / "keep", place.root / "tree" / "link")
    place.fs.remove_tree(place.root / "tree")
    assert place.fs.names(place.root) == ["keep"]
    assert place.fs.read(place.root / "keep" / "x") == b"x"


def test_walk_gives_regular_files_in_order(place: Place) -> None:
    for name in ("b/2", "b/1", "a", "c/d/e", "b.x"):
        path = place.root / name
        place.fs.make_directory(path.parent)
        place.write(path, b"")
    place.symlink(place.root / "a", place.root / "link")
    assert [str(path.relative_to(place.root)) for path in place.fs.walk(place.root)] == [
        "a", "b/1", "b/2", "b.x", "c/d/e",
    ]  # fmt: skip


def test_reading_what_is_not_there_names_the_path(place: Place) -> None:
    for read in (place.fs.read, place.fs.open, place.fs.size):
        with pytest.raises(StorageError, match=r"absent.*does not exist"):
            read(place.root / "absent")


def test_a_lock_excludes_others_until_it_is_released(place: Place) -> None:
    """FAULTS R09: the message names the holder; a lock file that stays behind locks nobody out."""
    path = place.root / "_lock"
    lock = place.fs.lock(path)
    with pytest.raises(Locked, match=r"process \d+"):
        place.fs.lock(path)
    lock.release()
    lock.release()
    assert place.fs.exists(path)
    place.fs.lock(path).release()


def test_a_lock_is_never_taken_through_a_link(place: Place) -> None:
    """FAULTS E08."""
    place.write(place.root / "victim", b"precious")
    place.symlink(place.root / "victim", place.root / "_lock")
    with pytest.raises(StorageError, match="symbolic link"):
        place.fs.lock(place.root / "_lock")
    assert place.fs.read(place.root / "victim") == b"precious"


def test_a_private_file_is_read_back_and_nothing_else_is(place: Place) -> None:
    """FAULTS A07: a file that others may read, a link, and what is not there."""
    place.fs.replace(place.root / "mine", b"secret", private=True)
    place.fs.replace(place.root / "everybodys", b"public")
    place.symlink(place.root / "mine", place.root / "link")
    assert place.fs.read_private(place.root / "mine") == b"secret"
    for name in ("everybodys", "link", "absent"):
        assert place.fs.read_private(place.root / name) is None, name
