"""What does it take to compact a year of deltas on top of 1,000,000 records?

    python -m benchmarks.bench_compact [RECORDS DELTAS]

Writes a full run of many small shards, and so many deltas of three changes each, then runs ``harvester compact``, and
``harvester compact --fold``, as processes of their own and prints their time and their peak memory, of which the bar is
300 MB. The answers are checked: what ``harvester view`` tells, as a digest of its lines, is the same three times.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path, PurePath

from benchmarks.measure import Run, machine, run_once
from harvester.clock import SystemRng
from harvester.model import Phase, Resource, Walk
from harvester.store import layout
from harvester.store.commits import CommitLog, Tally
from harvester.store.files import DiskFs
from harvester.store.keys import fingerprint, identity
from harvester.store.manifest import KeyDigest, Manifest, WalkEvidence, write_manifest
from harvester.store.shardfile import ShardEntry, ShardFile

_PROPERTY = Resource(name="Property", key=("ListingKey",), modified="ModificationTimestamp")
_SHARD = 2_000  # records
_CHANGES = 3  # of a delta
_START = datetime(2026, 1, 1, tzinfo=UTC)


def _line(number: int, version: int) -> bytes:
    filler = sha256(b"%d" % number).hexdigest() * 6
    return (
        b'{"ListingKey":"%026d","ModificationTimestamp":"2026-01-01T00:00:%02dZ","ListPrice":%d.00,"Remarks":"%b"}\n'
        % (number, version % 60, 100_000 + version, filler.encode())
    )


class _Writer:
    """Runs, one after another, in a directory of their own."""

    def __init__(self, out: Path) -> None:
        self._out, self._rng = out, SystemRng()
        self._fs = DiskFs(self._rng)
        self._runs = 0

    def run(self, mode: Phase, shards: Iterator[Sequence[bytes]], keys: Iterator[int]) -> None:
        at = _START + timedelta(minutes=5 * self._runs)
        self._runs += 1
        directory = layout.run_directory(PurePath(self._out), "made", "Property", layout.run_name(at))
        self._fs.make_directory(directory)
        walk = Walk(id="w00" if mode is Phase.FULL else "n00", resource=_PROPERTY, pager="chain", phase=mode)
        log = CommitLog(self._fs, directory, walk.id, self._rng)
        entries: list[ShardEntry] = []
        for number, lines in enumerate(shards):
            name = layout.shard_name("part", walk.id, number, self._rng.hex(8), layout.Compression.ZSTD)
            shard = ShardFile(self._fs, directory, name, layout.Compression.ZSTD)
            shard.write(lines, len(lines), None, None)
            entries.append(shard.seal())
            log.append(
                walk=walk, at=at + timedelta(milliseconds=number), fingerprint="f", add=entries[-1:], cursor=(),
                done=True, tally=Tally(),
            )  # fmt: skip
        rows = sum(entry.rows for entry in entries)
        digest = KeyDigest()
        for key in keys:
            digest.add_prints([fingerprint(identity((f"{key:026d}",)))])
        walks = (
            WalkEvidence(
                id=walk.id, phase=mode, pager="chain", requests=1, records=rows, duplicates=0,
                anchor=at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            ),
        )  # fmt: skip
        write_manifest(
            self._fs,
            directory,
            Manifest(
                run=layout.run_name(at), source="made", provider="odata", resource="Property", fingerprint="f",
                mode=mode, verdict="complete", records=rows, bytes=sum(entry.bytes for entry in entries), requests=1,
                started=at, finished=at, keys=digest.key_set(), key=_PROPERTY.key, modified=_PROPERTY.modified,
                walks=walks, shards=tuple(entries),
            ),
        )  # fmt: skip


def write(out: Path, records: int, deltas: int) -> None:
    """The full run, and the deltas on top of it."""
    writer = _Writer(out)
    starts = range(0, records, _SHARD)
    pages = ([_line(key, 0) for key in range(start, min(start + _SHARD, records))] for start in starts)
    writer.run(Phase.FULL, pages, iter(range(records)))
    for delta in range(deltas):
        keys = [(delta * 7919 + number * 104_729) % records for number in range(_CHANGES)]
        writer.run(Phase.DELTA, iter([[_line(key, delta + 1) for key in keys]]), iter(keys))


def digest_of_view(out: Path) -> str:
    """Of the lines of the current state, whatever their order."""
    total = 0
    command = (sys.executable, "-m", "harvester", "view", "Property", "--out", str(out))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        for line in process.stdout or ():
            total += int.from_bytes(sha256(line).digest()[:16], "big")
    return f"{total:x}"


def compact(out: Path, *options: str) -> Run:
    return run_once((sys.executable, "-m", "harvester", "compact", "--out", str(out), *options))


def main() -> None:
    records, deltas = (int(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) > 2 else (1_000_000, 1_000)
    print(f"{records:,} records, {deltas:,} deltas; {machine()}")
    with tempfile.TemporaryDirectory() as room:
        out = Path(room, "out")
        write(out, records, deltas)
        before = digest_of_view(out)
        for options in ((), ("--fold",)):
            took = compact(out, *options)
            files = sum(1 for _ in out.glob("source=*/**/part-*"))
            runs = sum(1 for _ in out.glob("source=*/resource=*/run=*"))
            name = " ".join(("compact", *options))
            print(
                f"{name:16} {took.wall:7.1f} s, {took.cpu:7.1f} s CPU, {took.peak_mib:6.0f} MiB; "
                f"{runs:,} runs, {files:,} shards"
            )
            if digest_of_view(out) != before:
                raise RuntimeError(f"{name} changed what view tells")


if __name__ == "__main__":
    main()
