"""The client reads every fixture as the contract says: judged, opened, its keys found, its limits understood."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import Raw

from harvester.decode.heads import HeadReader
from harvester.errors import ProtocolError
from harvester.model import Action, Resource
from tests.contracts.fixture_files import (
    PROVIDERS,
    ROOT,
    Fixture,
    declared,
    fixtures,
    is_resource,
    provider_for,
    resource_of,
)

ALL = tuple(fixtures())
NOW = datetime(2024, 3, 26, 15, 30, tzinfo=UTC)

# Bodies that no envelope may open, whatever their status says.
UNREADABLE = {"idx_broker/errors/xml_by_preference", "idx_broker/errors/php_warning", "spark/errors/not_spark"}


def labels(chosen: list[Fixture]) -> list[str]:
    return [fixture.label for fixture in chosen]


PAGES = [fixture for fixture in ALL if is_resource(fixture)]
ERRORS = [fixture for fixture in ALL if fixture.folder == "errors" and fixture.told is not None]
TOLD = [fixture for fixture in ALL if fixture.told is not None and fixture.folder not in {"token", "$metadata"}]


def test_every_provider_has_fixtures() -> None:
    assert PROVIDERS == ("centris", "idx_broker", "ims", "spark", "spark_reso")


@pytest.mark.parametrize(
    "folder",
    [path for path in sorted(ROOT.glob("*/*")) if path.is_dir()],
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_every_folder_says_where_its_shapes_are_from(folder: Path) -> None:
    text = (folder / "SOURCE.md").read_text(encoding="utf-8")
    assert "contract, section" in text
    assert "Written by hand" in text
    assert any(path.suffix != ".md" for path in folder.iterdir()), "a source without a fixture"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.json")), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_json_file_is_strict_json(path: Path) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    json.loads(path.read_bytes().decode("utf-8"), parse_constant=refuse)


def test_no_fixture_holds_anything_but_invented_values() -> None:
    """Hosts are those of the contracts or reserved for examples; addresses of people are reserved ones."""
    known = {"datadistributionqc.centris.ca", "api.idxbroker.com", "replication.sparkapi.com", "docs.oasis-open.org"}
    for path in (each for each in ROOT.rglob("*") if each.is_file()):
        text = path.read_text(encoding="utf-8").replace("\\/", "/")
        for host in re.findall(r"https?://([^/\"'\s?<]+)", text):
            assert host in known or re.search(r"(^|\.)example\.(com|net|org)$", host), f"{path}: {host}"
        for host in re.findall(r"[\w.]+@([\w.-]+)", text):
            assert host.endswith(".example.com"), f"{path}: {host}"


@pytest.mark.parametrize("fixture", PAGES, ids=labels(PAGES))
def test_the_envelope_opens_every_page_of_a_resource(fixture: Fixture) -> None:
    """``empty`` and ``nothing`` hold no record; every other page does, each one JSON object, and none is put aside."""
    provider = provider_for(fixture)
    judged = fixture.judged(provider)
    assert judged.verdict.action.value == fixture.means
    resource = resource_of(provider, fixture.folder)
    if fixture.stem == "scalar" and resource.key:
        with pytest.raises(ProtocolError):
            fixture.opened(provider, resource)
        return
    page = fixture.opened(provider, resource)
    none = fixture.stem.startswith(("empty", "nothing")) or fixture.stem == "count"
    assert bool(page.records) is not none
    assert page.rejected == ()
    assert page.size == len(fixture.body)
    for record in page.records:
        assert isinstance(json.loads(bytes(record)), dict)


@pytest.mark.parametrize("fixture", PAGES, ids=labels(PAGES))
def test_the_head_of_every_record_is_found(fixture: Fixture) -> None:
    """Keys are read past nested members of the same name, and as text: leading zeros and 26 digits survive.

    FAULTS P14: ``missing_key`` holds records without one, and every one of them is told with a reason.
    """
    provider = provider_for(fixture)
    resource = resource_of(provider, fixture.folder)
    if fixture.stem == "scalar" and resource.key:
        pytest.skip("refused")
    heads = [HeadReader(resource).read(record) for record in fixture.opened(provider, resource).records]
    if fixture.stem == "missing_key":
        assert heads
        assert all(head.key is None and head.problem for head in heads)
        return
    assert all(head.key is not None and len(head.key) == len(resource.key) for head in heads)
    assert not any("decoy" in part for head in heads for part in head.key or ())
    if resource.key:
        keys = [head.key for head in heads]
        assert len(set(keys)) == len(keys), "keys that differ by a zero are different keys"


@pytest.mark.parametrize("fixture", PAGES, ids=labels(PAGES))
def test_values_reach_the_page_byte_for_byte(fixture: Fixture) -> None:
    """FAULTS D06: every number and every escape of a record is a piece of the body.

    Except for the blanks between the tokens of a pretty-printed page, which go (FAULTS D01).
    """
    provider = provider_for(fixture)
    resource = resource_of(provider, fixture.folder)
    if (fixture.stem == "scalar" and resource.key) or resource.private:
        pytest.skip("refused, or changed on purpose")
    body = _without_blanks(fixture.body) if b"\n" in fixture.body else fixture.body
    for record in fixture.opened(provider, resource).records:
        mine = _without_stamp(record)
        assert (_without_blanks(mine) if body is not fixture.body else mine) in body


@pytest.mark.parametrize("fixture", TOLD, ids=labels(TOLD))
def test_status_headers_and_body_mean_what_the_contract_says(fixture: Fixture) -> None:
    verdict = provider_for(fixture).judge(fixture.response())
    assert verdict.action.value == fixture.means
    assert verdict.reason or verdict.action in {Action.USE, Action.EMPTY, Action.RENEW}


@pytest.mark.parametrize("fixture", TOLD, ids=labels(TOLD))
def test_only_a_throttled_answer_reads_as_a_refusal(fixture: Fixture) -> None:
    signal = declared(fixture.provider).signals(fixture.response(), NOW)
    assert signal.refused is (fixture.means == "throttled")


@pytest.mark.parametrize("label", sorted(UNREADABLE))
def test_what_is_no_answer_of_the_provider_is_not_opened(label: str) -> None:
    fixture = next(each for each in ALL if each.label == label)
    provider = declared(fixture.provider)
    with pytest.raises(ProtocolError):
        fixture.opened(provider, provider.resources[0])


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "centris"])
def test_every_default_resource_has_a_fixture(provider: str) -> None:
    folders = {fixture.folder for fixture in fixtures(provider)}
    missing = {resource.dirname for resource in declared(provider).resources if resource.default} - folders
    assert not missing


def test_keys_of_other_accounts_are_dropped_from_partner_clients() -> None:
    """FAULTS E04."""
    fixture = next(each for each in ALL if each.label == "idx_broker/partners.clients/list")
    provider = declared("idx_broker")
    page = fixture.opened(provider, resource_of(provider, fixture.folder))
    assert b"not-a-real" in fixture.body
    assert not any(b"not-a-real" in bytes(record) or b"api_key" in bytes(record) for record in page.records)


def test_links_and_totals_come_out_as_the_provider_wrote_them() -> None:
    """FAULTS P07: percent signs, dollars and pluses of a link are not touched."""
    centris = "https://datadistributionqc.centris.ca/v1/odata/Property"
    expected = {
        "centris/Property/first": (
            f"{centris}?$select=ListingKey%2CListPrice&$filter=StandardStatus%20eq%20%27Active%27&$count=true&$skip=4",
            133,
        ),
        "centris/Property/last": (None, 133),
        "centris/Property/topped": (None, None),
        "spark/listings/first": ("eyJrIjoiMDIifQ==", None),
        "spark/listings/last": (None, None),
        "spark/listings/paged": (None, 78),
        "spark_reso/Property/first": (
            "https://replication.sparkapi.com/Reso/OData/Property?$top=1000&$skiptoken=abc%2Bdef%3D",
            4210,
        ),
        "spark_reso/Property/last": (None, None),
        "ims/Property/first": (None, None),
        "idx_broker/clients.featured/keyed": (None, None),
    }
    found = {}
    for fixture in ALL:
        if fixture.label in expected:
            provider = declared(fixture.provider)
            page = fixture.opened(provider, resource_of(provider, fixture.folder))
            found[fixture.label] = (page.next_link, page.count)
    assert found == expected


def test_the_paged_form_of_idx_broker_gives_link_and_total() -> None:
    pages = {}
    for fixture in fixtures("idx_broker"):
        if fixture.folder == "clients.featured" and fixture.stem.startswith("paged"):
            provider = provider_for(fixture)
            pages[fixture.stem] = fixture.opened(provider, resource_of(provider, fixture.folder))
    assert {stem: (page.next_link, page.count) for stem, page in pages.items()} == {
        "paged_first": ("https://api.idxbroker.com/clients/featured?offset=2&limit=2", 3),
        "paged_last": (None, 3),
        "paged_keyed": (None, 1),
        "paged_text_total": (None, 1),
    }


@pytest.mark.parametrize("provider", ["centris", "spark_reso"])
def test_metadata_names_the_key_of_every_declared_resource(provider: str) -> None:
    text = (ROOT / provider / "$metadata" / "metadata.xml").read_text(encoding="utf-8")
    for name in ("Property", "Member", "Office"):
        resource: Resource = resource_of(declared(provider), name)
        assert f'<EntitySet Name="{name}"' in text
        assert f'<PropertyRef Name="{resource.key[0]}" />' in text


def _without_stamp(record: Raw) -> bytes:
    """The record as it came, without the members that are put in front of it."""
    text = bytes(record)
    text = re.sub(rb'^\{"_key":"(?:[^"\\]|\\.)*",?', b"", text)
    text = re.sub(rb'^\{"_masked":\[[^\]]*\],?', b"", text)
    return re.sub(rb'^\{"value":(.*)\}$', rb"\1", text)


def _without_blanks(text: bytes) -> bytes:
    return re.sub(rb'("(?:[^"\\]|\\.)*")|\s+', lambda found: found[1] or b"", text)
