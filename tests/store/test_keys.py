"""Which keys and versions a run holds."""

from __future__ import annotations

import errno
import gc
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path, PurePath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.errors import StorageError
from harvester.store.files import DiskFs
from harvester.store.keys import Novelty, SeenKeys, fingerprint, identity
from tests.fakes.clock import SeededRng
from tests.fakes.fs import MemoryFs

NEW, VERSION, HELD = Novelty.NEW_KEY, Novelty.NEW_VERSION, Novelty.HELD

Key = tuple[str, ...]

keys = st.tuples(st.sampled_from(["1", "2", "01", "é", "a:b"]), st.sampled_from(["", "x"]))
times = st.sampled_from(["t1", "t2", "t3"])
pages = st.lists(st.lists(st.tuples(keys, times), max_size=8), max_size=6)


def admit(seen: SeenKeys, keys: Sequence[Key], versions: Sequence[str], scope: str = "") -> list[Novelty] | None:
    names = [identity((scope, *key)) if scope else identity(key) for key in keys]
    marks = [sha256(version.encode()).digest()[:8] for version in versions]
    return seen.admit(names, [fingerprint(name) for name in names], marks, scope)


class Held:
    """What ``SeenKeys`` must tell, by a dictionary."""

    def __init__(self) -> None:
        self._held: dict[Key, set[str]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def admit(self, keys: Sequence[Key], versions: Sequence[str], scope: str = "") -> list[Novelty] | None:
        told = []
        for key, version in zip(keys, versions, strict=True):
            held = self._held.get((scope, *key))
            told.append(NEW if held is None else HELD if version in held else VERSION)
            self._held.setdefault((scope, *key), set()).add(version)
        return None if all(one is NEW for one in told) else told


@given(pages)
def test_it_tells_the_same_as_sets_would(pages: list[list[tuple[Key, str]]]) -> None:
    """FAULTS P10, P11: within a page and over pages, in any order of versions."""
    held = Held()
    with SeenKeys(MemoryFs(), None) as seen:
        for page in pages:
            ids, versions = [key for key, _ in page], [version for _, version in page]
            assert admit(seen, ids, versions) == held.admit(ids, versions)
            assert seen.number == len(held)


numbers = st.integers(0, 40).map(str)
runs = st.builds(range, st.integers(0, 40), st.integers(0, 60), st.integers(1, 3)).map(
    lambda run: [f"{n}" for n in run]
)
mixed_pages = st.lists(
    st.tuples(st.one_of(runs, st.lists(numbers, max_size=12)), times, st.sampled_from(["", "a", "ab", "b"])),
    max_size=12,
)


@settings(max_examples=400)
@given(mixed_pages, st.integers(1, 4))
def test_pages_in_order_and_out_of_order_may_follow_each_other(
    pages: list[tuple[list[str], str, str]], ordered_from: int
) -> None:
    """A walk begun again, several walks in turn, a closing delta: whatever was kept without an index is found."""
    held = Held()
    with SeenKeys(MemoryFs(), None, ordered_from=ordered_from) as seen:
        for texts, version, scope in pages:
            ids, versions = [(text,) for text in texts], [version] * len(texts)
            assert admit(seen, ids, versions, scope) == held.admit(ids, versions, scope)
            assert seen.number == len(held)


def test_two_scopes_in_turn_are_each_in_order() -> None:
    """IMS: one walk a database, several at a time."""
    with SeenKeys(MemoryFs(), None, ordered_from=1) as seen:
        for start in range(100, 200, 10):
            for scope in ("b", "a"):
                ids = [(str(number),) for number in range(start, start + 10)]
                assert admit(seen, ids, ["t"] * 10, scope) is None
        for scope in ("a", "b"):
            assert admit(seen, [("99",), ("105",), ("199",), ("200",)], ["t", "t", "u", "t"], scope) == [
                NEW, HELD, VERSION, NEW]  # fmt: skip
        assert seen.number == 204


def test_a_new_version_is_written_and_a_held_one_is_not() -> None:
    assert [(one.is_new_key, one.is_new_version) for one in (NEW, VERSION, HELD)] == [
        (True, True),
        (False, True),
        (False, False),
    ]


def test_pages_of_every_size_up_to_the_largest(tmp_path: Path) -> None:
    with SeenKeys(DiskFs(SeededRng()), tmp_path / "seen.sqlite") as seen:
        assert admit(seen, [], []) is None
        ids = [(str(number),) for number in range(30_000)]
        times = [str(number % 7) for number in range(30_000)]
        assert admit(seen, ids, times) is None
        assert admit(seen, ids[500:], times[500:]) == [HELD] * 29_500
        assert admit(seen, ids[::-1], ["new"] * 30_000) == [VERSION] * 30_000
        assert admit(seen, ids, ["new"] * 30_000) == [HELD] * 30_000
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
    assert admit(seen, [("1",)], ["t"]) is None
    assert path.exists()
    seen.close()
    seen.close()
    assert list(tmp_path.iterdir()) == []
    with SeenKeys(fs, path) as again:
        assert admit(again, [("1",)], ["t"]) is None
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
            admit(seen, [(f"{number:026d}",) for number in range(start, start + 1000)], ["t"] * 1000)
        assert path.stat().st_size < 50_000 * 40
