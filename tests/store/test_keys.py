"""Which keys and versions a run holds."""

from __future__ import annotations

import errno
import gc
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.errors import StorageError
from harvester.store.files import DiskFs
from harvester.store.keys import Novelty, SeenKeys, identity
from tests.fakes.clock import SeededRng
from tests.fakes.fs import MemoryFs

NEW, VERSION, HELD = Novelty.NEW_KEY, Novelty.NEW_VERSION, Novelty.HELD

keys = st.tuples(st.sampled_from(["1", "2", "01", "é", "a:b"]), st.sampled_from(["", "x"]))
pages = st.lists(st.lists(st.tuples(keys, st.sampled_from(["t1", "t2", "t3"])), max_size=8), max_size=6)


@given(pages)
def test_it_tells_the_same_as_sets_would(pages: list[list[tuple[tuple[str, str], str]]]) -> None:
    """FAULTS P10, P11: within a page and over pages, in any order of versions."""
    held: dict[tuple[str, str], set[str]] = {}
    with SeenKeys(MemoryFs(), None) as seen:
        for page in pages:
            expected = []
            for key, version in page:
                versions = held.get(key)
                expected.append(NEW if versions is None else HELD if version in versions else VERSION)
                held.setdefault(key, set()).add(version)
            told = seen.admit([key for key, _ in page], [version for _, version in page])
            assert told == (None if all(one is NEW for one in expected) else expected)
            assert seen.number == len(held)


def test_a_new_version_is_written_and_a_held_one_is_not() -> None:
    assert [(one.is_new_key, one.is_new_version) for one in (NEW, VERSION, HELD)] == [
        (True, True),
        (False, True),
        (False, False),
    ]


def test_pages_of_every_size_up_to_the_largest(tmp_path: Path) -> None:
    with SeenKeys(DiskFs(SeededRng()), tmp_path / "seen.sqlite") as seen:
        assert seen.admit([], []) is None
        ids = [(str(number),) for number in range(30_000)]
        times = [str(number % 7) for number in range(30_000)]
        assert seen.admit(ids, times) is None
        assert seen.admit(ids[500:], times[500:]) == [HELD] * 29_500
        assert seen.admit(ids[::-1], ["new"] * 30_000) == [VERSION] * 30_000
        assert seen.admit(ids, ["new"] * 30_000) == [HELD] * 30_000
        assert seen.number == 30_000


def test_parts_are_never_run_together() -> None:
    parts = [("a", "b"), ("ab",), ("ab", ""), ("", "ab"), ("1:a",), ("1:a1:b",), ("\udc80",), ()]
    assert len({identity(one) for one in parts}) == len(parts)


def test_the_file_is_never_trusted_and_never_left(tmp_path: Path) -> None:
    """After a crash the shards tell what is held, not this file."""
    path = tmp_path / "seen.sqlite"
    path.write_bytes(b"not a database, or one from before the crash")
    fs = DiskFs(SeededRng())
    seen = SeenKeys(fs, path)
    assert seen.admit([("1",)], ["t"]) is None
    assert path.exists()
    seen.close()
    seen.close()
    assert list(tmp_path.iterdir()) == []
    with SeenKeys(fs, path) as again:
        assert again.admit([("1",)], ["t"]) is None
    gc.collect()  # an unclosed connection would warn here, and warnings are errors


def test_a_file_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot keep the keys seen: unable to open"):
        SeenKeys(DiskFs(SeededRng()), tmp_path / "absent" / "seen.sqlite")
    fs = MemoryFs()
    fs.fail("unlink", error=errno.EACCES)
    with pytest.raises(StorageError, match="permission denied"):
        SeenKeys(fs, PurePath("/seen.sqlite"))


def test_memory_stays_bounded(tmp_path: Path) -> None:
    """The set lives on disk; the cache is the only part that stays in memory (measured: 22 MB for 1,000,000)."""
    path = tmp_path / "seen.sqlite"
    with SeenKeys(DiskFs(SeededRng()), path) as seen:
        for start in range(0, 50_000, 1000):
            seen.admit([(f"{number:026d}",) for number in range(start, start + 1000)], ["t"] * 1000)
        assert path.stat().st_size < 50_000 * 40
