"""How fast are finished runs read back, for drift and for the current state, and does memory grow with them?

Runs of 200 fields a record are made by hand: a full one, and a delta of every tenth record with as many tombstones.
``python -m benchmarks.bench_read_back 20000 200000`` sets the sizes.
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePath

from benchmarks.measure import machine, run_once, spread
from harvester.clock import SystemRng
from harvester.model import Resource, Walk
from harvester.store import layout
from harvester.store.commits import CommitLog, Tally
from harvester.store.files import DiskFs
from harvester.store.manifest import KeyDigest, Manifest, write_manifest
from harvester.store.shardfile import ShardEntry, ShardFile
from harvester.store.shards import Compression

_FIELDS = 200
_TIMES = 3
_AT = datetime(2026, 3, 1, tzinfo=UTC)
_LISTING = Resource(name="Property", key=("ListingKey",), modified="ModificationTimestamp")


def record(number: int, version: int) -> bytes:
    """A listing whose fields are mostly short, often null, and differ from record to record."""
    values = {
        f"Field{place:03d}": (None, "Yes", number % 97, ["Cats", "Dogs"], f"text {number * place % 5000}")[place % 5]
        for place in range(_FIELDS - 2)
    }
    key = {"ListingKey": f"{number:026d}", "ModificationTimestamp": f"2026-01-0{version}T00:00:00.1234567Z"}
    return json.dumps(key | values).encode()


def model() -> str:
    """The data model that all records keep to."""
    kinds = ("Edm.String", "Edm.String", "Edm.Int64", "Collection(Edm.String)", "Edm.String")
    fields = "".join(f'<Property Name="Field{n:03d}" Type="{kinds[n % 5]}"/>' for n in range(_FIELDS - 2))
    return (
        '<Schema Namespace="S"><EntityType Name="P"><Key><PropertyRef Name="ListingKey"/></Key>'
        '<Property Name="ListingKey"/><Property Name="ModificationTimestamp" Type="Edm.DateTimeOffset"/>'
        f'{fields}</EntityType><EntityContainer Name="C"><EntitySet Name="Property" EntityType="S.P"/>'
        "</EntityContainer></Schema>"
    )


def make_run(out: PurePath, day: int, mode: str, numbers: range, *, gone: range = range(0)) -> int:
    """One finished run. Returns the bytes of its records."""
    fs, rng, at = DiskFs(SystemRng()), SystemRng(), _AT + timedelta(days=day)
    directory = layout.run_directory(out, "north", "Property", layout.run_name(at))
    fs.make_directory(directory)
    size = 0
    entries: list[ShardEntry] = []
    for kind, wanted in (("part", numbers), ("deleted", gone)):
        if not wanted:
            continue
        walk = Walk(id=f"w{len(entries):02d}", resource=_LISTING, pager="chain")
        name = layout.shard_name(kind, walk.id, 0, rng.hex(8), Compression.ZSTD)
        shard = ShardFile(fs, directory, name, Compression.ZSTD)
        for number in wanted:
            line = record(number, day + 1) if kind == "part" else b'{"key":{"ListingKey":"%026d"}}' % number
            size += len(line) if kind == "part" else 0
            shard.write([line + b"\n"], 1, None, None)
        entries.append(shard.seal())
        CommitLog(fs, directory, walk.id, rng).append(
            walk=walk, at=at, fingerprint="f", add=entries[-1:], cursor=(), done=True, tally=Tally(records=len(wanted))
        )
    write_manifest(
        fs,
        directory,
        Manifest(
            run=directory.name.removeprefix("run="), source="north", provider="odata", resource="Property",
            fingerprint="f", mode=mode, verdict="complete", records=len(numbers), bytes=1, requests=1, started=at,
            finished=at, keys=KeyDigest().key_set(), tombstones=len(gone), shards=tuple(entries),
        ),
    )  # fmt: skip
    return size


def main() -> None:
    sizes = [int(size) for size in sys.argv[1:]] or [20_000, 100_000]
    print(machine())
    for size in sizes:
        with tempfile.TemporaryDirectory() as directory:
            place = Path(directory)
            (place / "model.xml").write_text(model())
            (place / "c.toml").write_text(
                f'out = "{place / "out"}"\n[sources.north]\nprovider = "odata"\n'
                'base_url = "https://api.north.example"\ntoken = "t"\n'
            )
            read = make_run(place / "out", 0, "full", range(size))
            command = [sys.executable, "-m", "harvester"]
            check = [*command, "metadata", "north", "-c", str(place / "c.toml"), "--check", "--file"]
            runs = [run_once([*check, str(place / "model.xml")]) for _ in range(_TIMES)]  # fails where anything differs
            _tell(f"drift of {size:,} records", size, read, [run.wall for run in runs], max(r.peak_mib for r in runs))
            make_run(place / "out", 1, "delta", range(0, size, 10), gone=range(5, size, 10))
            target = place / "now.ndjson"
            seconds, peak = [], 0.0
            for _ in range(_TIMES):
                target.unlink(missing_ok=True)
                run = run_once([*command, "view", "Property", "--out", str(place / "out"), "--to", str(target)])
                seconds.append(run.wall)
                peak = max(peak, run.peak_mib)
            with target.open("rb") as lines:
                held = sum(1 for _ in lines)
            if held != size - size // 10:
                raise RuntimeError(f"the view holds {held:,} records")
            _tell(f"view of {size:,} records", size, read, seconds, peak)


def _tell(what: str, records: int, size: int, seconds: list[float], peak: float) -> None:
    rates = spread([records / each for each in seconds])
    print(f"{what}: {rates} records/s, {spread([size / each / 1e6 for each in seconds])} MB/s, {peak:.0f} MiB at most")


if __name__ == "__main__":
    main()
