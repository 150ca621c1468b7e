"""The current state over all runs: the latest version of each key, minus what is proven gone."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path, PurePath

import duckdb
import pytest
from msgspec import structs

from harvester.api.ports import Ports
from harvester.api.view import ViewReport, view
from harvester.contracts import Fs
from harvester.engine.view import instant_of
from harvester.errors import ArgumentError, Locked, StorageError
from harvester.model import Resource, Walk
from harvester.store import layout
from harvester.store.commits import CommitLog, Tally
from harvester.store.documents import encode_document, read_document
from harvester.store.files import DiskFs
from harvester.store.manifest import KeyDigest, Manifest, write_manifest
from harvester.store.shardfile import ShardEntry, ShardFile
from harvester.store.shards import Compression
from tests.fakes.clock import SeededRng
from tests.fakes.fs import MemoryFs
from tests.store.harvest import AT, OUT

PROPERTY = Resource(name="Property", key=("ListingKey",), modified="ModificationTimestamp")


def record(key: str, version: str = "2026-01-01T00:00:00Z", **more: object) -> bytes:
    return json.dumps({"ListingKey": key, "ModificationTimestamp": version, **more}).encode()


def gone(key: str) -> bytes:
    return json.dumps({"key": {"ListingKey": key}, "deleted": True, "evidence": "sweep", "at": "x"}).encode()


class Harvested:
    """Finished runs made by hand, one a day, and the view of them."""

    def __init__(self, fs: Fs, out: PurePath = OUT) -> None:
        self.fs, self.out, self.rng, self.days = fs, out, SeededRng(7), 0

    def run(
        self,
        *shards: Sequence[bytes],
        mode: str = "full",
        verdict: str = "complete",
        gone: Sequence[bytes] = (),
        resource: Resource = PROPERTY,
        values: Sequence[str | None] = (),
        source: str = "centris",
    ) -> str:
        """One run of a walk a shard. *values*: of each walk, for resources that are walked by value."""
        at = AT + timedelta(days=self.days)
        self.days += 1
        name = layout.run_name(at)
        directory = layout.run_directory(self.out, source, resource.dirname, name)
        self.fs.make_directory(directory)
        entries: list[ShardEntry] = []
        pieces = [("part", lines) for lines in shards] + ([("deleted", gone)] if gone else [])
        for number, (kind, lines) in enumerate(pieces):
            walk = Walk(
                id=f"w{number:02d}",
                resource=resource,
                pager="chain",
                value=values[number] if number < len(values) else None,
            )
            shard_name = layout.shard_name(kind, walk.id, 0, self.rng.hex(8), Compression.ZSTD)
            shard = ShardFile(self.fs, directory, shard_name, Compression.ZSTD)
            shard.write([line + b"\n" for line in lines], len(lines), None, None)
            entries.append(shard.seal())
            CommitLog(self.fs, directory, walk.id, self.rng).append(
                walk=walk, at=at + timedelta(seconds=number), fingerprint="f", add=entries[-1:], cursor=(), done=True,
                tally=Tally(records=len(lines)),
            )  # fmt: skip
        write_manifest(
            self.fs,
            directory,
            Manifest(
                run=name, source=source, provider="centris", resource=resource.name, fingerprint="f", mode=mode,
                verdict=verdict, reason="" if verdict == "complete" else "cut", records=sum(map(len, shards)),
                bytes=1, requests=1, started=at, finished=at, keys=KeyDigest().key_set(), shards=tuple(entries),
            ),
        )  # fmt: skip
        return name

    def view(self, resource: str = "Property", **more: object) -> tuple[list[bytes], ViewReport]:
        taken = bytearray()
        ports = Ports(fs=self.fs, rng=self.rng, environment={})
        report = view(self.out, resource, write=taken.extend, ports=ports, **more)  # type: ignore[arg-type]
        assert report.records == taken.count(b"\n")
        return bytes(taken).splitlines(), report


@pytest.fixture
def harvested() -> Harvested:
    return Harvested(MemoryFs())


# ------------------------------------------------------------------ which version


def test_one_full_run_is_the_current_state_byte_for_byte(harvested: Harvested) -> None:
    lines = [b'{"ListingKey":"1","Price":123412.00,"x":"\\u00e9"}', record("2")]
    harvested.run(lines[:1], lines[1:])
    held, report = harvested.view()
    assert held == lines
    assert report.whole


def test_a_later_run_counts_whatever_its_timestamps_say(harvested: Harvested) -> None:
    """FAULTS T08."""
    harvested.run([record("1", "2026-02-01T00:00:00Z", n=1), record("2")])
    harvested.run([record("1", "2026-01-01T00:00:00Z", n=2)], mode="delta")
    held, report = harvested.view()
    assert held == [record("2"), record("1", "2026-01-01T00:00:00Z", n=2)]
    assert report.superseded == 1


@pytest.mark.parametrize("newest_first", [True, False])
def test_inside_a_run_the_highest_version_counts_in_either_order(harvested: Harvested, newest_first: bool) -> None:
    """FAULTS P11, T03: digits beyond the sixth, and another zone."""
    older = record("1", "2026-01-01T00:00:00.1234567Z", n=1)
    newer = record("1", "2026-01-01T02:00:00.1234568+02:00", n=2)
    harvested.run([newer], [older]) if newest_first else harvested.run([older], [newer])
    assert harvested.view()[0] == [newer]


def test_a_new_full_run_is_a_new_ground(harvested: Harvested) -> None:
    """What it does not hold was not there any more."""
    harvested.run([record("1"), record("2")])
    second = harvested.run([record("2", n=2)])
    held, report = harvested.view()
    assert held == [record("2", n=2)]
    assert report.runs == (second,)


def test_a_full_run_with_a_gap_is_no_ground_but_what_it_brings_counts(harvested: Harvested) -> None:
    first = harvested.run([record("1"), record("2")])
    second = harvested.run([record("2", n=2)], verdict="incomplete")
    held, report = harvested.view()
    assert held == [record("1"), record("2", n=2)]
    assert report.runs == (first, second)
    assert not report.whole


def test_without_a_complete_full_run_it_is_said(harvested: Harvested) -> None:
    harvested.run([record("1")], verdict="incomplete")
    assert harvested.view()[1].notes[0].startswith("no full run of it is complete")


# ------------------------------------------------------------------ what is gone


def test_a_tombstone_ends_a_key_until_a_later_run_brings_it_again(harvested: Harvested) -> None:
    """FAULTS T12."""
    harvested.run([record("1"), record("2")])
    harvested.run(mode="sweep", gone=[gone("1")])
    held, report = harvested.view()
    assert (held, report.tombstones) == ([record("2")], 1)
    harvested.run([record("1", n=2)], mode="delta")
    held, report = harvested.view()
    assert (held, report.tombstones) == ([record("2"), record("1", n=2)], 0)


def test_what_a_run_brings_counts_before_what_it_found_gone(harvested: Harvested) -> None:
    harvested.run([record("1")])
    harvested.run([record("1", n=2)], mode="sweep", gone=[gone("1")])
    assert harvested.view()[0] == [record("1", n=2)]


def test_a_tombstone_without_a_key_is_an_error_not_a_key_that_stays(harvested: Harvested) -> None:
    harvested.run([record("1")])
    harvested.run(mode="sweep", gone=[b'{"deleted":true}'])
    with pytest.raises(StorageError, match="line 1 has no key"):
        harvested.view()


# ------------------------------------------------------------------ keys


def test_the_same_key_of_two_databases_is_two_keys(harvested: Harvested) -> None:
    """IMS contract, section 3."""
    harvested.run([record("1", db="a")], [record("1", db="b")], values=("a", "b"))
    harvested.run([record("1", db="b", n=2)], mode="delta", values=("b",))
    assert harvested.view()[0] == [record("1", db="a"), record("1", db="b", n=2)]


def test_records_without_identity_stay_as_many_as_they_are(harvested: Harvested) -> None:
    plain = Resource(name="system")
    harvested.run([b'{"a":1}', b'{"a":1}', b'{"a":2}'], resource=plain)
    held, report = harvested.view("system")
    assert held == [b'{"a":1}', b'{"a":1}', b'{"a":2}']
    assert report.whole
    harvested.run([b'{"a":3}'], resource=plain, mode="delta")
    held, report = harvested.view("system")
    assert held[-1] == b'{"a":3}'
    assert "no identity" in report.notes[0]


def test_a_key_below_another_member_is_ended_by_its_whole_name(harvested: Harvested) -> None:
    deep = Resource(name="deep", key=("Fields.Id",), modified="Fields.At")
    harvested.run([b'{"Fields":{"Id":"1"}}', b'{"Fields":{"Id":2}}'], resource=deep)
    harvested.run(mode="sweep", gone=[b'{"key":{"Fields.Id":"2"},"deleted":true}'], resource=deep)
    assert harvested.view("deep")[0] == [b'{"Fields":{"Id":"1"}}']


def test_several_sources_must_be_told_apart(harvested: Harvested) -> None:
    harvested.run([record("1")])
    harvested.run([record("2")], source="north")
    with pytest.raises(ArgumentError, match="name one of centris, north with --source"):
        harvested.view()
    assert harvested.view(source="north")[0] == [record("2")]
    with pytest.raises(ArgumentError, match="no finished run of 'Member'; there is Property"):
        harvested.view("Member")


def test_what_there_is_is_told_as_the_provider_names_it(harvested: Harvested) -> None:
    harvested.run([record("1")], resource=structs.replace(PROPERTY, name="clients/featured"))
    with pytest.raises(ArgumentError, match=r"no finished run of 'Nosuch'; there is clients/featured$"):
        harvested.view("Nosuch")


# ------------------------------------------------------------------ damage and bounds


def test_a_shard_that_was_written_anew_is_refused_though_it_can_be_read(harvested: Harvested) -> None:
    """FAULTS F07: as many lines, a whole frame, and not what was sealed."""
    run = harvested.run([record("1"), record("2")])
    directory = layout.run_directory(OUT, "centris", "Property", run)
    name = next(each for each in harvested.fs.names(directory) if each.startswith("part-"))
    harvested.fs.remove(directory / name)
    shard = ShardFile(harvested.fs, directory, name, Compression.ZSTD)
    shard.write([record("1") + b"\n", record("3") + b"\n"], 2, None, None)
    shard.seal()
    with pytest.raises(StorageError, match="has other content than when it was sealed"):
        harvested.view()


def test_what_this_release_does_not_understand_is_refused(harvested: Harvested) -> None:
    """A kind of shard that may take records away must not be passed over."""
    name = harvested.run([record("1")])
    directory = layout.run_directory(OUT, "centris", "Property", name)
    harvested.fs.replace(directory / "prices-w00-00000-abc.ndjson", b"{}\n")
    told = read_document(harvested.fs, directory / "_manifest.json", Manifest, frozenset({1}))
    extra = structs.replace(told.shards[0], path="prices-w00-00000-abc.ndjson")
    harvested.fs.replace(
        directory / "_manifest.json", encode_document(structs.replace(told, shards=(*told.shards, extra)))
    )
    with pytest.raises(StorageError, match="does not know what 'prices' shards mean"):
        harvested.view()


def test_a_damaged_shard_gives_no_line(harvested: Harvested) -> None:
    """FAULTS F06, F07: keys are read before the first line is written."""
    name = harvested.run([record(str(number)) for number in range(3_000)])
    directory = layout.run_directory(OUT, "centris", "Property", name)
    shard = next(each for each in harvested.fs.names(directory) if each.startswith("part-"))
    whole = harvested.fs.read(directory / shard)
    harvested.fs.replace(directory / shard, whole[:-20] + bytes(20))
    taken: list[bytes] = []
    with pytest.raises(StorageError):
        view(OUT, "Property", write=taken.append, ports=Ports(fs=harvested.fs, rng=harvested.rng, environment={}))
    assert taken == []


def test_one_view_at_a_time_and_nothing_is_left_behind(harvested: Harvested) -> None:
    harvested.run([record("1")])
    state = layout.state_directory(OUT)
    harvested.fs.make_directory(state / "view")
    harvested.fs.replace(state / "view" / "keys-00", b"of one that was killed")
    assert harvested.view()[0] == [record("1")]
    assert "view" not in harvested.fs.names(state)
    held = harvested.fs.lock(state / "view.lock")
    with pytest.raises(Locked):
        harvested.view()
    held.release()


@pytest.mark.parametrize("seed", range(20))
def test_the_view_equals_a_replay_of_the_runs(seed: int) -> None:
    """Seeded: fulls, deltas and sweeps in any order, against a dictionary that does the same."""
    chance, harvested, truth = random.Random(seed), Harvested(MemoryFs()), dict[str, bytes]()
    for number in range(8):
        keys = [str(key) for key in range(60) if chance.random() < 0.5]
        brought = {key: record(key, f"2026-01-{chance.randrange(1, 28):02d}T00:00:00Z", n=number) for key in keys}
        older = [record(key, "2025-01-01T00:00:00Z", n=-number) for key in keys[::5]]
        lines = [*brought.values(), *older]
        chance.shuffle(lines)
        half = len(lines) // 2
        if number == 0 or chance.random() < 0.2:
            harvested.run(lines[:half], lines[half:])
            truth = brought
        else:
            lost = [key for key in map(str, range(60)) if key not in brought and chance.random() < 0.3]
            harvested.run(lines[:half], lines[half:], mode="sweep", gone=[gone(key) for key in lost])
            truth = {key: value for key, value in truth.items() if key not in lost} | brought
    assert sorted(harvested.view()[0]) == sorted(truth.values())


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z"),
        ("2026-01-01T00:00:00.45Z", "2026-01-01T00:00:00.5Z"),
        ("2026-01-01T00:00:00.1234567Z", "2026-01-01T00:00:00.12345671Z"),
        ("2026-01-01T00:00:00+01:00", "2026-01-01T00:00:00Z"),
        ("2026-01-01 00:00:00", "2026-01-01T00:00:01"),
        (None, "0001-01-01T00:00:00Z"),
        ("rubbish", "0001-01-01T00:00:00Z"),
        ("2026-01-01T24:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_instants_are_compared_to_the_last_digit(earlier: str | None, later: str | None) -> None:
    """FAULTS T03, T04."""
    assert instant_of(earlier) < instant_of(later)


# ------------------------------------------------------------------ files


@pytest.fixture
def on_disk(tmp_path: Path) -> Harvested:
    harvested = Harvested(DiskFs(SeededRng(3)), PurePath(tmp_path / "out"))
    harvested.run(
        [
            record("0012", "2026-01-01T00:00:00.1234567Z", Price=1.5, Pets=["Cats"], Empty=None, Day="2026-01-01"),
            record("6f9619ff-8b86-d011-B42D-00c04fc964ff", Price=7, Deep={"a": {"When": "2026-01-01T00:00:00Z"}}),
        ]
    )
    return harvested


def test_ndjson_parquet_and_duckdb_hold_the_same_records(on_disk: Harvested, tmp_path: Path) -> None:
    ports = Ports(fs=on_disk.fs, rng=on_disk.rng, environment={})
    for suffix in ("ndjson", "parquet", "duckdb"):
        report = view(on_disk.out, "Property", to=tmp_path / f"it's.{suffix}", ports=ports)
        assert report.records == 2
    assert (tmp_path / "it's.ndjson").read_bytes().splitlines() == on_disk.view()[0]
    with duckdb.connect(str(tmp_path / "it's.duckdb")) as connection:
        for table in ("Property", f"'{str(tmp_path / 'it').replace(chr(39), chr(39) * 2)}''s.parquet'"):
            asked = connection.execute(f"SELECT * FROM {table} ORDER BY ListingKey")  # noqa: S608
            names = [column[0] for column in asked.description or ()]
            first, second = (dict(zip(names, row, strict=True)) for row in asked.fetchall())
            # Texts stay texts: keys with zeros in front, seven digits, capitals in what looks like a UUID.
            assert first["ListingKey"] == "0012"
            assert first["ModificationTimestamp"] == "2026-01-01T00:00:00.1234567Z"
            assert first["Day"] == "2026-01-01"
            assert (first["Price"], first["Pets"], first["Empty"]) == (1.5, ["Cats"], None)
            assert second["ListingKey"] == "6f9619ff-8b86-d011-B42D-00c04fc964ff"
            assert second["Deep"] == {"a": {"When": "2026-01-01T00:00:00Z"}}
    assert {path.name for path in tmp_path.iterdir()} == {"out", "it's.ndjson", "it's.parquet", "it's.duckdb"}


def test_a_duckdb_file_takes_the_tables_of_many_resources_and_newer_ones(on_disk: Harvested, tmp_path: Path) -> None:
    ports = Ports(fs=on_disk.fs, rng=on_disk.rng, environment={})
    on_disk.run([b'{"id":1}'], resource=Resource(name="clients/featured"))
    for resource in ("Property", "clients/featured", "Property"):
        view(on_disk.out, resource, to=tmp_path / "all.duckdb", ports=ports)
    with duckdb.connect(str(tmp_path / "all.duckdb")) as connection:
        assert connection.execute('SELECT count(*) FROM "clients/featured"').fetchall() == [(1,)]
        assert connection.execute("SELECT count(*) FROM Property").fetchall() == [(2,)]


@pytest.mark.parametrize(
    ("name", "message"),
    [("a.csv", "ends in .ndjson"), ("there.ndjson", "exists"), ("nowhere/a.ndjson", "no directory")],
)
def test_a_file_that_cannot_be_written_is_told_first(
    on_disk: Harvested, tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "there.ndjson").touch()
    ports = Ports(fs=on_disk.fs, rng=on_disk.rng, environment={})
    with pytest.raises(ArgumentError, match=message):
        view(on_disk.out, "Property", to=tmp_path / name, ports=ports)


def test_a_table_of_nothing_is_refused(on_disk: Harvested, tmp_path: Path) -> None:
    on_disk.run([])
    ports = Ports(fs=on_disk.fs, rng=on_disk.rng, environment={})
    with pytest.raises(ArgumentError, match="no record now"):
        view(on_disk.out, "Property", to=tmp_path / "a.parquet", ports=ports)
    assert view(on_disk.out, "Property", to=tmp_path / "a.ndjson", ports=ports).records == 0
