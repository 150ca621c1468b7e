"""The lines of finished runs against a stream that tells the truth, as multisets, in little memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import PurePath

from msgspec import Struct

from harvester.contracts import Fs
from harvester.errors import StorageError
from harvester.store.layout import ShardKind, data_kind
from harvester.store.lines import read_lines
from harvester.store.manifest import read_manifest

DIGEST_SIZE = 12  # bytes; among 10^8 lines the chance that any two are taken for one is 10^-13
_SAMPLES = 5
_EMPTY = bytes(DIGEST_SIZE)
_GONE = b"\xff" * DIGEST_SIZE


class Difference(Struct, frozen=True, kw_only=True):
    """What the runs and the truth do not share. A line that is held twice but true once is extra once."""

    missing: int  # true, not held
    extra: int  # held, not true
    equal: int
    missing_samples: tuple[bytes, ...] = ()  # up to five whole lines
    extra_samples: tuple[bytes, ...] = ()

    @property
    def matches(self) -> bool:
        return not self.missing and not self.extra


def line_digests(fs: Fs, run_dir: PurePath) -> Iterator[tuple[bytes, bytes]]:
    """The digest of each record line of a finished run, and the line, in the order of the manifest.

    Raises:
        StorageError: the run has not finished, or a shard is damaged.
    """
    manifest = read_manifest(fs, run_dir)
    if manifest is None:
        raise StorageError(f"{run_dir}: has not finished; run the same command again before comparing it.")
    for entry in manifest.shards:
        if data_kind(entry.path) == ShardKind.PART:
            for line in read_lines(fs, run_dir / entry.path):
                yield line_digest(line), line


def line_digest(line: bytes) -> bytes:
    """What lines are told apart by: ``DIGEST_SIZE`` bytes of BLAKE2b."""
    return blake2b(line, digest_size=DIGEST_SIZE).digest()


def compare_lines(fs: Fs, run_dirs: Sequence[PurePath], truth: Iterable[bytes]) -> Difference:
    """Compare the record lines of finished runs with *truth*.

    Args:
        truth: lines in any order, read once; a line feed at their end does not count.
    Memory: 16 bytes for each line held, and the samples.

    Raises:
        StorageError: a run has not finished or is damaged; verify it first.
    """

    rows = {run_dir: _records(fs, run_dir) for run_dir in run_dirs}

    def lines() -> Iterator[bytes]:
        for run_dir in run_dirs:
            for number, (_, line) in enumerate(line_digests(fs, run_dir)):
                if number == rows[run_dir]:
                    raise StorageError(f"{run_dir}: holds more lines than its manifest says. Verify it.")
                yield line

    return compare(lines, sum(rows.values()), truth)


def compare(held_lines: Callable[[], Iterable[bytes]], number: int, truth: Iterable[bytes]) -> Difference:
    """Compare lines with *truth*, as ``compare_lines`` does.

    Args:
        held_lines: tells them, without line feeds; it is called again where there are surplus ones to show.
        number: how many they are at most.
    """
    held = _Multiset(number)
    lines = 0
    for line in held_lines():
        if not held.add(line_digest(line)):
            raise StorageError(f"there are more lines than the {number:,} that were announced. Verify the runs.")
        lines += 1
    equal = missing = 0
    missing_samples: list[bytes] = []
    for line in truth:
        line = line.removesuffix(b"\n")
        if held.remove(line_digest(line)):
            equal += 1
        else:
            missing += 1
            if len(missing_samples) < _SAMPLES:
                missing_samples.append(line)
    extra = lines - equal
    return Difference(
        missing=missing,
        extra=extra,
        equal=equal,
        missing_samples=tuple(missing_samples),
        extra_samples=tuple(_left(held_lines, held, min(extra, _SAMPLES))),
    )


def _records(fs: Fs, run_dir: PurePath) -> int:
    manifest = read_manifest(fs, run_dir)
    return 0 if manifest is None else sum(e.rows for e in manifest.shards if data_kind(e.path) == ShardKind.PART)


def _left(lines: Callable[[], Iterable[bytes]], held: _Multiset, most: int) -> Iterator[bytes]:
    """The first *most* lines still in *held*, found by reading them once more."""
    return islice((line for line in lines() if held.remove(line_digest(line))), most) if most else iter(())


class _Multiset:
    """Digests in one flat table with open addressing: a set of bytes objects would take five times the memory.

    Filled first, emptied afterwards. The two digests that mark a slot, all zeros and all ones, do not occur.
    """

    def __init__(self, capacity: int) -> None:
        self._slots = capacity * 4 // 3 + 8  # three quarters full: 16 bytes a digest, some 3 probes to find one
        self._table = bytearray(self._slots * DIGEST_SIZE)
        self._room = capacity

    def add(self, digest: bytes) -> bool:
        """False: there is no room for more than the capacity."""
        if not self._room:
            return False
        self._room -= 1
        place = self._probe(digest, _EMPTY)
        self._table[place : place + DIGEST_SIZE] = digest
        return True

    def remove(self, digest: bytes) -> bool:
        """Take one out; False: none was in."""
        place = self._probe(digest, digest)
        if place < 0:
            return False
        self._table[place : place + DIGEST_SIZE] = _GONE
        return True

    def _probe(self, digest: bytes, wanted: bytes) -> int:
        """Where *wanted* stands on the way of *digest*, which ends at the first empty slot; -1: nowhere."""
        table = self._table
        place = int.from_bytes(digest[:8], "big") % self._slots * DIGEST_SIZE
        while (found := table[place : place + DIGEST_SIZE]) != wanted:
            if found == _EMPTY:
                return -1
            place += DIGEST_SIZE
            if place == len(table):
                place = 0
        return place
