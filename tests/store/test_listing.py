"""Tables of keys larger than memory, and a listing held against them."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path, PurePath

import pytest

from harvester.errors import StorageError
from harvester.store.files import DiskFs
from harvester.store.key_table import KeyTable
from harvester.store.keys import fingerprint, identity, parts_of
from harvester.store.listing import compare_keys, listing_lines, load_listing, still_wanted
from harvester.store.manifest import KeyDigest
from harvester.store.shardfile import ShardEntry
from tests.fakes.clock import SeededRng
from tests.fakes.fs import MemoryFs

FS = MemoryFs()
Row = tuple[str, str | None]


def table(rows: Iterable[Row], *, buffered: int = 50_000) -> KeyTable:
    made = KeyTable(FS, None, buffered=buffered)
    for key, time in rows:
        name = identity((key,))
        made.put([fingerprint(name)], [name], [time])
    return made


def names(made: KeyTable) -> set[str]:
    return {parts_of(name)[0] for _, name, _ in made.rows()}


@pytest.mark.parametrize("parts", [("a",), ("", "x"), ("1:2", "3:"), ("a\nb", "é", "\ud800"), ("7:1234567",)])
def test_an_identity_tells_its_parts(parts: tuple[str, ...]) -> None:
    assert parts_of(identity(parts)) == parts


@pytest.mark.parametrize("buffered", [1, 7, 1000])
def test_a_table_holds_the_latest_version_of_each_key_wherever_its_versions_went(buffered: int) -> None:
    chance = random.Random(3)
    rows: list[Row] = [(f"{chance.randrange(300)}", f"{chance.randrange(1000):04d}") for _ in range(2000)]
    latest: dict[str, str] = {}
    for key, time in rows:
        latest[key] = max(latest.get(key, ""), time or "")
    made = table(rows, buffered=buffered)
    assert {parts_of(name)[0]: time.decode() for _, name, time in made.rows()} == latest


def test_a_table_that_was_cleared_is_empty() -> None:
    made = table([("a", None), ("b", "1")], buffered=1)
    made.clear()
    assert not list(made.rows())


def test_a_table_on_disk_goes_with_its_end_and_one_left_behind_is_not_believed(tmp_path: Path) -> None:
    fs, path = DiskFs(SeededRng(1)), PurePath(tmp_path / "held")
    with KeyTable(fs, path, buffered=1) as first:
        first.put([fingerprint(b"a")], [b"1:a"], [None])
        assert fs.exists(path)
    assert not fs.exists(path)
    (tmp_path / "held").write_bytes(b"what a dead process left")
    with KeyTable(fs, path) as second:
        assert not list(second.rows())


def test_a_table_that_cannot_be_kept_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="Free some space"):
        KeyTable(DiskFs(SeededRng(1)), PurePath(tmp_path / "no" / "such" / "directory"))


def test_a_comparison_tells_missing_differing_and_gone_as_sets_do() -> None:
    chance = random.Random(5)
    listed = {f"k{number}": f"{chance.randrange(3)}" for number in range(500) if chance.random() < 0.9}
    held = {f"k{number}": f"{chance.randrange(3)}" for number in range(500) if chance.random() < 0.9}
    listed.pop("k7", None)
    held["k7"] = "1"  # not listed, and fetched since: it is there (FAULTS T11)
    wanted, later = table([]), table([("k7", "9")])
    found = compare_keys(table(listed.items(), buffered=20), table(held.items()), later, wanted, samples=3)
    missing = listed.keys() - held.keys()
    differing = {key for key in listed.keys() & held.keys() if listed[key] != held[key]}
    gone = held.keys() - listed.keys() - {"k7"}
    assert (found.missing, found.differing, found.gone) == (len(missing), len(differing), len(gone))
    assert names(wanted) == (missing | differing) - {"k7"}
    assert found.wanted == len((missing | differing) - {"k7"})
    digest = KeyDigest()
    digest.add_all((key,) for key in listed)
    assert found.listed == digest.key_set()
    assert len(found.gone_samples) == 3
    assert {parts_of(name)[0] for name, _ in found.gone_samples} <= gone


@pytest.mark.parametrize(("theirs", "mine"), [(None, "1"), ("1", None), (None, None), ("1", "1")])
def test_a_time_that_one_side_does_not_tell_differs_from_none(theirs: str | None, mine: str | None) -> None:
    """Sweeps of Spark list keys alone; a record without a time has none to compare."""
    found = compare_keys(table([("a", theirs)]), table([("a", mine)]), table([]), table([]), samples=0)
    assert (found.missing, found.differing) == (0, 0)


def test_what_came_meanwhile_is_wanted_no_more_nor_what_a_newer_listing_does_not_have() -> None:
    """FAULTS P12."""
    left = table([])
    wanted = table([("came", None), ("gone", None), ("there", "1")])
    assert still_wanted(wanted, table([("came", None)]), left, table([("there", "1"), ("new", "1")])) == 1
    assert names(left) == {"there"}


def test_a_listing_is_read_back_as_it_was_written() -> None:
    keys: list[tuple[str, ...] | None] = [("a", "é"), ("b\n", '"'), None, ("half \ud800", "x")]
    lines = listing_lines(keys, ["2026-01-01T00:00:00Z", None, None, "t"])
    assert lines.count(b"\n") == 4
    fs = MemoryFs()
    run = PurePath("/run")
    fs.make_directory(run)
    fs.replace(run / "listed-s00-00000-3f9a1c2e.ndjson", lines)
    entry = ShardEntry(path="listed-s00-00000-3f9a1c2e.ndjson", rows=4, bytes=len(lines), sha256="")
    data = ShardEntry(path="part-s00-00000-3f9a1c2e.ndjson", rows=4, bytes=1, sha256="")
    made = table([])
    assert load_listing(fs, run, [entry, data], "db", made) == (4, 1)
    assert {parts_of(name) for _, name, _ in made.rows()} == {("db", *key) for key in keys if key is not None}
