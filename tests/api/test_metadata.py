"""Records on disk held against a data model in a file: which run counts, the lists of RESO, damage."""

from __future__ import annotations

import json
from pathlib import PurePath

import pytest

import harvester
from harvester.api.metadata import MetadataReport, metadata
from harvester.api.ports import Ports
from harvester.errors import ArgumentError, ProtocolError, StorageError
from harvester.store import layout
from tests.fakes.clock import FakeClock
from tests.fakes.fs import MemoryFs
from tests.store.harvest import OUT, RUN, finish, seal

CONFIG = harvester.parse_config('out = "/out"\n[sources.centris]\nclient_id = "a"\nclient_secret = "b"\n')
FILE = PurePath("/model.xml")
MODEL = b"""<Schema Namespace="S"><EntityType Name="P"><Key><PropertyRef Name="ListingKey"/></Key>
<Property Name="ListingKey"/><Property Name="Pets" Type="Collection(Edm.String)">
<Annotation Term="RESO.OData.Metadata.LookupName" String="Pets"/></Property></EntityType>
<EntityType Name="L"><Key><PropertyRef Name="LookupKey"/></Key><Property Name="LookupKey"/></EntityType>
<EntityContainer Name="C"><EntitySet Name="Property" EntityType="S.P"/><EntitySet Name="Lookup" EntityType="S.L"/>
</EntityContainer></Schema>"""
LATER = layout.run_directory(OUT, "centris", "Property", "20260302T120000Z")


@pytest.fixture
def fs() -> MemoryFs:
    fs = MemoryFs()
    fs.replace(FILE, MODEL)
    return fs


async def check(fs: MemoryFs, **more: object) -> MetadataReport:
    ports = Ports(fs=fs, clock=FakeClock(), environment={})
    return await metadata(CONFIG, "centris", check=True, file=FILE, ports=ports, **more)  # type: ignore[arg-type]


def line(key: str, *pets: str) -> bytes:
    return json.dumps({"ListingKey": key, "Pets": pets}).encode()


def lookup(name: str, value: str, **more: str) -> bytes:
    return json.dumps({"LookupKey": f"{name}{value}", "LookupName": name, "LookupValue": value, **more}).encode()


async def test_values_are_held_against_the_harvested_lookup_resource(fs: MemoryFs) -> None:
    """RESO Data Dictionary 2.0: fields name a list, the resource ``Lookup`` has its values."""
    finish(fs, [seal(fs, [line("1", "Cats"), line("2", "Cats", "Emu"), line("3", "cats_old"), line("4", "Chats")])])
    run = layout.run_directory(OUT, "centris", "Lookup", "20260301T120000Z")
    told = [
        lookup("Pets", "Cats", LegacyODataValue="cats_old", StandardLookupValue="Chats"),
        lookup("Roof", "Emu"),
        b"[]",
        b'{"LookupName":7}',
    ]
    finish(fs, [seal(fs, told, run=run)], run=run)
    drift = (await check(fs, resources=("Property",))).drift
    assert drift is not None
    pets = next(field for field in drift.resources[0].fields if field.name == "Pets")
    assert [(each.value, each.records) for each in pets.strange] == [("Emu", 1)]


async def test_without_the_lookup_resource_no_value_is_outside(fs: MemoryFs) -> None:
    finish(fs, [seal(fs, [line("1", "Emu")])])
    drift = (await check(fs)).drift
    assert drift is not None
    assert drift.drifts == 0


async def test_the_newest_finished_run_with_records_is_looked_at(fs: MemoryFs) -> None:
    """A delta may have found nothing, and an unfinished run claims nothing yet."""
    finish(fs, [seal(fs, [line("1")])])
    fs.make_directory(LATER)
    finish(fs, [], run=LATER)
    seal(fs, [line("1"), line("2")], run=layout.run_directory(OUT, "centris", "Property", "20260303T120000Z"))
    drift = (await check(fs)).drift
    assert drift is not None
    assert [(each.run, each.records) for each in drift.resources] == [("20260301T120000Z", 1)]


async def test_only_records_are_looked_at_no_quarantine_and_no_tombstones(fs: MemoryFs) -> None:
    shards = [
        seal(fs, [line("1")]),
        seal(fs, [b'{"reason":"x"}'], kind="quarantine", token="aaaaaaaa"),
        seal(fs, [b'{"key":{},"deleted":true}'], kind="deleted", token="bbbbbbbb"),
    ]
    finish(fs, shards)
    drift = (await check(fs)).drift
    assert drift is not None
    assert (drift.resources[0].records, drift.drifts) == (1, 0)


async def test_a_damaged_shard_is_an_error_not_a_shorter_check(fs: MemoryFs) -> None:
    """FAULTS F06, F07."""
    shard = seal(fs, [line(str(number)) for number in range(2_000)])
    finish(fs, [shard])
    whole = fs.read(RUN / shard.path)
    fs.replace(RUN / shard.path, whole[: len(whole) // 2])
    with pytest.raises(StorageError, match="middle of its zstd frame"):
        await check(fs)


async def test_a_resource_that_was_never_harvested_is_said(fs: MemoryFs) -> None:
    finish(fs, [seal(fs, [line("1")])])
    drift = (await check(fs, resources=("Lookup",))).drift
    assert drift is not None
    assert drift.resources == ()
    assert [each.resource for each in drift.unchecked] == ["Lookup"]


async def test_nothing_to_check_is_said(fs: MemoryFs) -> None:
    with pytest.raises(ArgumentError, match="no finished run of centris"):
        await check(fs)


async def test_a_file_that_is_no_data_model_is_refused(fs: MemoryFs) -> None:
    fs.replace(FILE, b"<!DOCTYPE x><Edmx/>")
    with pytest.raises(ProtocolError, match="document type"):
        await check(fs)
