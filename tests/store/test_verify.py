"""Verifying finished runs, and comparing them with the truth."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.errors import StorageError
from harvester.store import layout
from harvester.store.compare import compare_lines, line_digest, line_digests
from harvester.store.documents import encode_document
from harvester.store.manifest import Manifest
from harvester.store.shards import Compression
from harvester.store.verify import RunVerdict, verify_run, verify_tree
from tests.fakes.fs import MemoryFs
from tests.store.harvest import OUT, RUN, finish, seal

LINES = [b'{"ListingKey":"%d","Remarks":"caf\xc3\xa9 \xe2\x80\xa8"}' % number for number in range(100)]


@pytest.fixture
def fs() -> MemoryFs:
    return MemoryFs()


def _problems(fs: MemoryFs, *expected: str) -> None:
    verdict = verify_run(fs, RUN)
    assert not verdict.matches
    for text in expected:
        assert any(text in problem for problem in verdict.problems), verdict.problems
    assert all(str(RUN) in problem for problem in verdict.problems)


@pytest.mark.parametrize("compression", list(Compression))
def test_an_intact_run_matches(fs: MemoryFs, compression: Compression) -> None:
    shards = [
        seal(fs, LINES, compression=compression),
        seal(fs, [b'{"reason":"no key"}'], kind="quarantine", compression=compression),
        seal(fs, [b'{"key":{}}'], kind="deleted", compression=compression),
    ]
    finish(fs, shards)
    verdict = verify_run(fs, RUN)
    assert verdict.matches, verdict.problems
    assert (verdict.verdict, verdict.shards, verdict.rows) == ("complete", 3, 102)
    assert verdict.bytes == sum(entry.bytes for entry in shards)


def test_an_unfinished_run_is_told_and_not_judged(fs: MemoryFs) -> None:
    seal(fs, LINES)
    assert verify_run(fs, RUN) == RunVerdict(path=RUN, finished=False)


def test_a_tree_is_verified_run_by_run(fs: MemoryFs) -> None:
    later = layout.run_directory(OUT, "centris", "Property", "20260302T120000Z")
    finish(fs, [seal(fs, LINES)])
    seal(fs, LINES, run=later)
    seen: list[RunVerdict] = []
    verdicts = verify_tree(fs, OUT, seen.append)
    assert [(verdict.path, verdict.finished, verdict.matches) for verdict in verdicts] == [
        (RUN, True, True),
        (later, False, False),
    ]
    assert tuple(seen) == verdicts


@pytest.mark.parametrize("compression", list(Compression))
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_any_flipped_bit_is_found_and_the_file_named(compression: Compression, place: float, flip: int) -> None:
    """FAULTS F07."""
    fs = MemoryFs()
    entry = seal(fs, LINES, compression=compression)
    finish(fs, [entry])
    data = bytearray(fs.read(RUN / entry.path))
    data[int(place * len(data))] ^= flip
    fs.replace(RUN / entry.path, bytes(data))
    _problems(fs, entry.path)


def test_a_torn_shard_is_found(fs: MemoryFs) -> None:
    """FAULTS F06."""
    entry = seal(fs, LINES)
    finish(fs, [entry])
    fs.replace(RUN / entry.path, fs.read(RUN / entry.path)[:-3])
    _problems(fs, "ends in the middle", f"has {entry.bytes - 3:,} bytes, the manifest says {entry.bytes:,}")


def test_a_missing_shard_is_found(fs: MemoryFs) -> None:
    """FAULTS F08."""
    entry = seal(fs, LINES)
    finish(fs, [entry])
    fs.remove(RUN / entry.path)
    _problems(fs, "is missing", "the manifest says 100 records, the shards hold 0")


@pytest.mark.parametrize("name", ["part-w09-00000-aaaaaaaa.ndjson.zst", "part-copy.ndjson", "x.ndjson.zst.part"])
def test_data_beside_the_manifest_is_found(fs: MemoryFs, name: str) -> None:
    """FAULTS F08: a reader's glob would take it for data."""
    finish(fs, [seal(fs, LINES)])
    fs.replace(RUN / name, b"x")
    fs.replace(RUN / "notes.txt", b"a person's own")
    _problems(fs, f"{name}: lies beside the manifest")


def test_what_no_glob_for_data_finds_is_no_problem(fs: MemoryFs) -> None:
    """FAULTS F08: a process killed while it created the manifest leaves its temporary file."""
    finish(fs, [seal(fs, LINES)])
    fs.replace(RUN / layout.temporary_name("_manifest.json", "3f9a1c2e"), b"{")
    fs.replace(RUN / "_lock", b"4711")
    assert verify_run(fs, RUN).matches


@pytest.mark.parametrize(
    "line",
    [
        b"", b"[1]", b"{}{}", b'{"a":NaN}', b'{"a":01}', b'{"a":"\xff"}', b'{"\xc3":1}', b'{"a":"\t"}',
        b"\xef\xbb\xbf{}",
        b'{"a":"\\ud800"}', b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", b"null", b'{"a":1',
    ],
)  # fmt: skip
def test_a_line_that_is_no_strict_json_object_is_found(fs: MemoryFs, line: bytes) -> None:
    finish(fs, [seal(fs, [b"{}", line, b"{}"])])
    _problems(fs, "line 2 is not one JSON object in UTF-8")


@pytest.mark.parametrize("field", ["records", "bytes", "quarantined", "tombstones"])
def test_totals_that_are_not_the_sums_are_found(fs: MemoryFs, field: str) -> None:
    manifest = finish(fs, [seal(fs, LINES)])
    changed = msgspec.structs.replace(manifest, **{field: getattr(manifest, field) + 1})
    fs.replace(layout.manifest_path(RUN), encode_document(changed))
    _problems(fs, f"{field}, the shards hold")


def test_a_row_count_that_is_wrong_is_found(fs: MemoryFs) -> None:
    entry = seal(fs, LINES)
    finish(fs, [msgspec.structs.replace(entry, rows=99)])
    _problems(fs, "has 100 rows, the manifest says 99")


def test_a_run_under_another_name_is_found(fs: MemoryFs) -> None:
    moved = layout.run_directory(OUT, "ims", "Property", "20260301T120000Z")
    manifest = finish(fs, [seal(fs, LINES)])
    seal(fs, LINES, run=moved)
    fs.replace(layout.manifest_path(moved), encode_document(manifest))
    assert "the manifest is that of source=centris" in verify_run(fs, moved).problems[0]


def test_a_manifest_that_names_files_elsewhere_reads_none_of_them(fs: MemoryFs) -> None:
    """FAULTS M03: a hand-made manifest is no way out of the run directory."""
    entry = seal(fs, LINES)
    fs.replace(OUT / "secret.ndjson", b"{}\n")
    finish(fs, [msgspec.structs.replace(entry, path="../../../secret.ndjson"), entry])
    _problems(fs, "secret.ndjson: is missing")


def test_a_damaged_manifest_is_a_problem_and_no_exception(fs: MemoryFs) -> None:
    """FAULTS F07."""
    finish(fs, [seal(fs, LINES)])
    fs.replace(layout.manifest_path(RUN), b"{}")
    _problems(fs, "_manifest.json: was changed or cut")


lines = st.lists(st.sampled_from([b'{"a":%d}' % number for number in range(6)]), max_size=20)


@given(lines, lines)
def test_comparing_tells_what_multisets_would(held: list[bytes], truth: list[bytes]) -> None:
    fs = MemoryFs()
    half = len(held) // 2
    finish(fs, [seal(fs, held[:half], token="aaaaaaaa"), seal(fs, held[half:], token="bbbbbbbb")])
    told = compare_lines(fs, [RUN], (line + b"\n" for line in truth))
    extra, missing = Counter(held) - Counter(truth), Counter(truth) - Counter(held)
    assert (told.extra, told.missing) == (extra.total(), missing.total())
    assert told.equal == (Counter(held) & Counter(truth)).total()
    assert told.matches == (Counter(held) == Counter(truth))
    assert not Counter(told.missing_samples) - missing
    assert len(told.missing_samples) == min(5, missing.total())
    assert not Counter(told.extra_samples) - extra
    assert len(told.extra_samples) == min(5, extra.total())


def test_only_records_are_compared_over_all_given_runs(fs: MemoryFs) -> None:
    later = layout.run_directory(OUT, "centris", "Property", "20260302T120000Z")
    finish(fs, [seal(fs, LINES[:60]), seal(fs, [b'{"reason":""}'], kind="quarantine")])
    finish(fs, [seal(fs, LINES[60:], run=later)], run=later)
    assert compare_lines(fs, [RUN, later], reversed(LINES)).matches
    assert list(line_digests(fs, later)) == [(line_digest(line), line) for line in LINES[60:]]


def test_an_unfinished_run_is_not_compared(fs: MemoryFs) -> None:
    seal(fs, LINES)
    with pytest.raises(StorageError, match="has not finished"):
        compare_lines(fs, [RUN], LINES)


def test_more_lines_than_stated_are_an_error_and_no_endless_search(fs: MemoryFs) -> None:
    entry = seal(fs, LINES)
    finish(fs, [msgspec.structs.replace(entry, rows=10)])
    with pytest.raises(StorageError, match="more lines than its manifest says"):
        compare_lines(fs, [RUN], LINES)


def test_verdicts_can_be_written_as_json() -> None:
    verdict = RunVerdict(path=PurePath("/out"), finished=True, problems=("x",))
    assert msgspec.json.decode(msgspec.json.encode(verdict, enc_hook=str))["problems"] == ["x"]
    assert Manifest.__struct_config__.frozen
