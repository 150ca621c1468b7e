"""``resources = "all"``: what the metadata names is harvested, with its keys, and nothing is left out unsaid."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

import harvester
from harvester.api.discovery import discover
from harvester.api.plan import plan
from harvester.api.ports import Ports
from harvester.decode.csdl_xml import read_csdl_xml
from harvester.errors import ArgumentError, ConfigError, CredentialsRefused, ProtocolError
from harvester.events import Event, RunFinished, Warned
from harvester.sandbox.exchange import Sandbox
from harvester.sandbox.faults import parse_rules
from harvester.sandbox.server import running_sandbox
from harvester.sandbox.settings import Settings
from harvester.store.models import KeptModel, keep


def everything(sandbox: Sandbox, tmp_path: Path, source: str, *more: str) -> harvester.Config:
    overrides = [f"out={tmp_path / 'out'}", f"sources.{source}.resources=all", *more]
    return harvester.parse_config(sandbox.config_toml(), overrides=overrides)


def meet(sandbox: Sandbox, fault: str, provider: str = "spark_reso", **match: object) -> None:
    rule = {"match": {"provider": provider, "path": "$metadata", **match}, "fault": fault, "times": 50}
    sandbox.faults.replace(parse_rules(json.dumps([rule]).encode()))


async def test_every_entity_set_is_harvested_with_the_key_of_the_metadata(sandbox: Sandbox, tmp_path: Path) -> None:
    config = everything(sandbox, tmp_path, "spark_reso")
    report = await harvester.run(config, sources=["spark_reso"])
    assert report.exit_status == 0
    assert {row.resource for row in report.resources} == set(sandbox.simulator("spark_reso").resources())
    manifests = {
        json.loads(path.read_bytes())["resource"]: json.loads(path.read_bytes())
        for path in (tmp_path / "out").glob("source=spark_reso/resource=*/run=*/_manifest.json")
    }
    assert all(manifest["keys"]["number"] == manifest["records"] for manifest in manifests.values())


async def test_a_server_without_a_contract_is_harvested_by_its_metadata_alone(tmp_path: Path) -> None:
    """No resource is named anywhere but in ``$metadata``."""
    async with running_sandbox(Settings(seed=5, records=60, options={"odata_server": {}})) as sandbox:
        report = await harvester.run(everything(sandbox, tmp_path, "odata-plain"), sources=["odata-plain"])
        assert {row.resource for row in report.resources} == {"Property", "Member", "Office"}
        assert report.complete


async def test_the_request_for_the_metadata_is_counted(sandbox: Sandbox, tmp_path: Path) -> None:
    report = await harvester.run(everything(sandbox, tmp_path, "spark_reso"), sources=["spark_reso"])
    entries = [entry for entry in sandbox.log if entry.provider == "spark_reso"]
    assert sum("$metadata" in entry.path for entry in entries) == 1
    assert report.totals.requests == len(entries)


async def test_what_a_credential_may_not_have_fails_by_name_or_is_excluded(sandbox: Sandbox, tmp_path: Path) -> None:
    report = await harvester.run(everything(sandbox, tmp_path, "centris"), sources=["centris"])
    assert [row.resource for row in report.resources if row.verdict == "failed"] == ["Association"]
    assert report.exit_status != 0
    config = everything(sandbox, tmp_path, "centris", "sources.centris.exclude=Association")
    report = await harvester.run(config, sources=["centris"])
    assert report.complete


async def test_a_table_stays_in_force_beside_all(sandbox: Sandbox, tmp_path: Path) -> None:
    table = 'sources.spark_reso.resource=[{ name = "Office", select = ["OfficeKey"] }]'
    found = await discover(everything(sandbox, tmp_path, "spark_reso", table), ["spark_reso"], ports=Ports())
    tables = {each.name: each for each in found.config.sources["spark_reso"].wanted}
    assert tables["Office"].select == ("OfficeKey",)
    assert tables["Office"].key == ("OfficeKey",)
    assert tables["Media"].key == ("MediaKey",)
    assert tables["Media"].modified == "ModificationTimestamp"


async def test_translations_are_expanded_only_where_the_metadata_has_them(sandbox: Sandbox, tmp_path: Path) -> None:
    config = everything(
        sandbox, tmp_path, "centris", "sources.centris.exclude=Association", "sources.centris.translations=true"
    )
    report = await harvester.run(config, sources=["centris"])
    assert report.complete
    asked = {entry.path for entry in sandbox.log if "Translations" in entry.path}
    assert {path.split("?")[0].rpartition("/")[2] for path in asked} == {"Property", "Member"}


async def test_nothing_is_asked_where_no_source_says_all(sandbox: Sandbox, config: harvester.Config) -> None:
    found = await discover(config, ports=Ports())
    assert found.config is config
    assert not sandbox.log


@pytest.mark.parametrize("source", ["ims", "idx_broker", "spark"])
async def test_a_provider_that_does_not_tell_what_it_has_says_so(sandbox: Sandbox, tmp_path: Path, source: str) -> None:
    with pytest.raises(ConfigError, match=f"sources.{source}.resources: .*name them. It has"):
        await harvester.run(everything(sandbox, tmp_path, source), sources=[source])
    assert not sandbox.log


# ------------------------------------------------------------------ metadata that cannot be read


@pytest.mark.parametrize("fault", ["xml:bomb", "xml:xxe", "xml:deep", "xml:torn", "maint:200", "404"])
async def test_a_harvest_goes_on_from_the_last_good_metadata(sandbox: Sandbox, tmp_path: Path, fault: str) -> None:
    """FAULTS M01, M02."""
    config = everything(sandbox, tmp_path, "spark_reso")
    first = await harvester.run(config, sources=["spark_reso"])
    meet(sandbox, fault)
    events: list[Event] = []
    second = await harvester.run(config, sources=["spark_reso"], sink=events.append)
    assert second.complete
    assert {row.resource for row in second.resources} == {row.resource for row in first.resources}
    warnings = [event.message for event in events if isinstance(event, Warned)]
    assert any(message.startswith("the data model of ") for message in warnings)


async def test_without_a_good_one_nothing_is_begun(sandbox: Sandbox, tmp_path: Path) -> None:
    meet(sandbox, "xml:bomb")
    with pytest.raises(ProtocolError, match="document type"):
        await harvester.run(everything(sandbox, tmp_path, "spark_reso"), sources=["spark_reso"])
    assert not list((tmp_path / "out").glob("source=*"))


async def test_a_damaged_or_foreign_copy_is_not_gone_by(sandbox: Sandbox, tmp_path: Path) -> None:
    config = everything(sandbox, tmp_path, "spark_reso")
    await discover(config, ["spark_reso"], ports=Ports())
    meet(sandbox, "xml:torn")
    elsewhere = everything(
        sandbox, tmp_path, "spark_reso", f"sources.spark_reso.base_url={sandbox.url}/spark_reso/Version/2/Reso/OData"
    )
    with pytest.raises(ProtocolError):
        await discover(elsewhere, ["spark_reso"], ports=Ports())
    kept = tmp_path / "out" / "_harvester" / "metadata" / "spark_reso.json"
    kept.write_bytes(kept.read_bytes().replace(b"ListingKey", b"ListingKez", 1))
    with pytest.raises(ProtocolError):
        await discover(config, ["spark_reso"], ports=Ports())


async def test_a_refused_credential_is_not_hidden_by_the_last_good_metadata(sandbox: Sandbox, tmp_path: Path) -> None:
    await discover(everything(sandbox, tmp_path, "spark_reso"), ["spark_reso"], ports=Ports())
    config = everything(sandbox, tmp_path, "spark_reso", "sources.spark_reso.token=wrong")
    with pytest.raises(CredentialsRefused):
        await discover(config, ["spark_reso"], ports=Ports())


async def test_offline_a_plan_goes_by_what_is_kept(sandbox: Sandbox, tmp_path: Path) -> None:
    config = everything(sandbox, tmp_path, "spark_reso")
    with pytest.raises(ArgumentError, match="no data model of spark_reso is kept"):
        await plan(config, sources=["spark_reso"], offline=True)
    await discover(config, ["spark_reso"], ports=Ports())
    asked = len(sandbox.log)
    planned = await plan(config, sources=["spark_reso"], offline=True)
    assert len(planned.sources[0].resources) == 7
    assert len(sandbox.log) == asked


async def test_a_run_without_a_resource_that_was_refused_never_ends_with_0(sandbox: Sandbox, tmp_path: Path) -> None:
    """Neither in its report nor in the event that programs read."""
    document = (
        '<Schema Namespace="S"><EntityType Name="T"><Key><PropertyRef Name="OfficeKey"/></Key></EntityType>'
        '<EntityContainer Name="C"><EntitySet Name="Office" EntityType="S.T"/><EntitySet Name="../x" EntityType="S.T"/>'
        "</EntityContainer></Schema>"
    )
    config = everything(sandbox, tmp_path, "spark_reso")
    base_url = config.sources["spark_reso"].base_url
    kept = KeptModel(base_url=f"{base_url}/", fetched=datetime.now(UTC), model=read_csdl_xml(document.encode()))
    keep(Ports().fs, tmp_path / "out", "spark_reso", kept)
    meet(sandbox, "404")
    events: list[Event] = []
    report = await harvester.run(config, sources=["spark_reso"], sink=events.append)
    assert [(row.resource, row.verdict) for row in report.resources] == [("../x", "failed"), ("Office", "complete")]
    ends = [event.exit_status for event in events if isinstance(event, RunFinished)]
    assert (report.exit_status, ends) == (1, [1])


async def test_names_that_must_not_become_paths_fail_by_name(sandbox: Sandbox, tmp_path: Path) -> None:
    """FAULTS M03: beside them ``Property`` is harvested; nothing lies outside the output directory."""
    meet(sandbox, "name:sets")
    report = await harvester.run(everything(sandbox, tmp_path, "spark_reso"), sources=["spark_reso"])
    rows = {row.resource: row for row in report.resources}
    refused = {name for name, row in rows.items() if "exclude" in row.reason}
    assert refused == {"../../x", "/etc/x", "CON", "nul.txt", "a\u202eb", "x" * 300, "Property"}
    assert report.exit_status == 1
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    assert {path.name for path in (tmp_path / "out" / "source=spark_reso").iterdir()} <= {
        "resource=PROPERTY",
        "resource=Good_one",
    }
