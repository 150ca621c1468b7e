"""Everything that the manifest of a real run says can be counted again from its shards, and is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from harvester.engine.heads_of import heads_of
from harvester.store.documents import encode_document
from harvester.store.manifest import KeySet, Manifest
from harvester.store.verify import RunVerdict, verify_run
from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import listings, offices


async def harvested(out: Path) -> Bench:
    bench = Bench(out, {"Property": listings(95), "Office": offices(2), **agents()})
    bench.prove = True
    outcomes = await bench.run("Property", "Agent")
    assert {outcome.verdict for outcome in outcomes.values()} == {"complete"}
    return bench


def agents() -> dict[str, list[dict[str, object]]]:
    """The same keys in both offices: only together with the office they are identities."""
    return {f"Office('{number:03d}')/Agent": [{"AgentKey": f"{key}"} for key in range(8)] for number in range(2)}


def verdict(bench: Bench, resource: str = "Property") -> RunVerdict:
    return verify_run(bench.fs, bench.runs(resource)[0], heads_of=heads_of)


def change(bench: Bench, how: Callable[[Manifest], Manifest], resource: str = "Property") -> None:
    """Write a manifest that says something else, and that nobody would take for damaged."""
    run = bench.runs(resource)[0]
    (run / "_manifest.json").write_bytes(encode_document(how(bench.manifest(resource))))


@pytest.mark.parametrize("resource", ["Property", "Agent", "Office"])
async def test_a_run_is_what_its_manifest_says(out: Path, resource: str) -> None:
    bench = await harvested(out)
    assert verdict(bench, resource).matches, verdict(bench, resource).problems


async def test_keys_are_counted_and_summed_again(out: Path) -> None:
    bench = await harvested(out)
    keys = bench.manifest("Property").keys
    assert keys is not None
    change(bench, lambda manifest: msgspec.structs.replace(manifest, keys=KeySet(number=94, digest=keys.digest)))
    assert "says 94 keys, the shards hold 95" in " ".join(verdict(bench).problems)
    change(bench, lambda manifest: msgspec.structs.replace(manifest, keys=KeySet(number=95, digest="0" * 64)))
    assert "the digest of the keys differs" in " ".join(verdict(bench).problems)


async def test_the_times_of_a_shard_are_those_of_its_records(out: Path) -> None:
    bench = await harvested(out)

    def later(manifest: Manifest) -> Manifest:
        first, *others = manifest.shards
        return msgspec.structs.replace(
            manifest, shards=(msgspec.structs.replace(first, last_ts="2027-01-01T00:00:00Z"), *others)
        )

    change(bench, later)
    assert "its last record with a time has 2027-01-01T00:00:00Z, and none has" in " ".join(verdict(bench).problems)


async def test_what_a_walk_wrote_is_counted_again(out: Path) -> None:
    bench = await harvested(out)

    def other(manifest: Manifest) -> Manifest:
        walks = [msgspec.structs.replace(walk, watermark="2027", records=7) for walk in manifest.walks]
        return msgspec.structs.replace(manifest, walks=tuple(walks))

    change(bench, other)
    told = " ".join(verdict(bench).problems)
    assert "walk w00 wrote 7 records, its shards hold 95" in told
    assert "walk w00 saw records as late as 2027" in told


async def test_commits_that_name_other_shards_are_told(out: Path) -> None:
    bench = await harvested(out)
    log = bench.runs("Property")[0] / "_log" / "w00"
    commits = sorted(log.iterdir())
    commits[-1].unlink()
    assert "is in the manifest and was never committed" in " ".join(verdict(bench).problems)
    commits[0].unlink()
    assert "is missing, though later commits exist" in " ".join(verdict(bench).problems)


async def test_the_listing_is_gone_once_the_run_has_finished_and_its_digest_is_kept(out: Path) -> None:
    bench = await harvested(out)
    manifest = bench.manifest("Agent")
    assert manifest.sweep is not None
    assert (manifest.sweep.listed, manifest.sweep.listed.number) == (manifest.keys, 16)
    assert not list(bench.runs("Agent")[0].glob("listed-*"))


async def test_reading_is_told_as_it_goes(out: Path) -> None:
    bench = await harvested(out)
    read: list[int] = []
    run = bench.runs("Property")[0]
    verify_run(bench.fs, run, on_bytes=lambda path, size: read.append(size))
    assert sum(read) == sum(entry.bytes for entry in bench.manifest("Property").shards)
