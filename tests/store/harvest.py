"""A small finished or unfinished run on disk, for the store's tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePath

from harvester.contracts import Fs
from harvester.model import PageRequest, Resource, Walk
from harvester.store import layout
from harvester.store.commits import Commit, CommitLog, Tally
from harvester.store.manifest import KeyDigest, Manifest, WalkEvidence, write_manifest
from harvester.store.shardfile import ShardEntry, ShardFile
from harvester.store.shards import Compression

OUT = PurePath("/out")
RUN = layout.run_directory(OUT, "centris", "Property", "20260301T120000Z")
TOKEN = "3f9a1c2e"
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
WALK = Walk(id="w00", resource=Resource(name="Property", key=("ListingKey",)), pager="keyset")


def seal(
    fs: Fs,
    lines: Sequence[bytes],
    *,
    run: PurePath = RUN,
    kind: str = "part",
    token: str = TOKEN,
    compression: Compression = Compression.ZSTD,
) -> ShardEntry:
    """One durable shard of *lines*, each without its line feed."""
    fs.make_directory(run)
    shard = ShardFile(fs, run, layout.shard_name(kind, "w00", 0, token, compression), compression)
    shard.write([line + b"\n" for line in lines], len(lines), None, None)
    return shard.seal()


def commit(log: CommitLog, add: Sequence[ShardEntry] = (), *, records: int = 0, done: bool = False) -> Commit:
    """The next commit of the walk."""
    return log.append(
        walk=WALK,
        at=AT,
        fingerprint="f1",
        add=add,
        cursor=() if done else (PageRequest(url="Property?$skip=10", state='{"a":1}'),),
        done=done,
        tally=Tally(records=records, requests=1),
        last_key=("k",),
        watermark="2026-02-28T23:59:59.1234567Z",
    )


def finish(fs: Fs, shards: Sequence[ShardEntry], *, run: PurePath = RUN) -> Manifest:
    """Write the manifest that agrees with *shards*."""

    def rows(kind: str) -> int:
        return sum(entry.rows for entry in shards if layout.data_kind(entry.path) == kind)

    manifest = Manifest(
        run=run.name.removeprefix("run="),
        source="centris",
        provider="centris",
        resource="Property",
        fingerprint="f1",
        mode="full",
        verdict="complete",
        records=rows("part"),
        bytes=sum(entry.bytes for entry in shards),
        requests=3,
        started=AT,
        finished=AT,
        keys=KeyDigest().key_set(),
        quarantined=rows("quarantine"),
        tombstones=rows("deleted"),
        walks=(WalkEvidence(id="w00", phase="full", pager="keyset", requests=3, records=rows("part"), duplicates=0),),
        shards=tuple(shards),
    )
    write_manifest(fs, run, manifest)
    return manifest
