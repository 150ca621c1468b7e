"""Encoded names of Spark RESO in the words of its metadata (contract, section 9)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import harvester
from harvester.api.metadata import metadata
from harvester.api.ports import Ports
from harvester.api.verify import verify
from harvester.api.view import view
from harvester.sandbox.exchange import Sandbox
from harvester.sandbox.server import running_sandbox
from harvester.sandbox.settings import Settings
from harvester.store.names import keep_names


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Its truth has readable names, and full walks may expand."""
    options = {"spark_reso": {"readable": True, "expand_in_full": True}}
    async with running_sandbox(Settings(seed=5, records=120, time_scale=3600, options=options)) as running:
        yield running


def configured(sandbox: Sandbox, out: Path, *overrides: str) -> harvester.Config:
    more = [f"sources.spark_reso.{each}" for each in overrides]
    return harvester.parse_config(sandbox.config_toml(), overrides=[f"out={out}", *more])


def told(config: harvester.Config, resource: str) -> list[dict[str, Any]]:
    lines: list[bytes] = []
    assert view(config.out, resource, write=lines.append).whole
    return [json.loads(line) for line in b"".join(lines).split(b"\n")[:-1]]


async def test_a_harvest_has_the_words_of_the_metadata(sandbox: Sandbox, tmp_path: Path) -> None:
    config = configured(sandbox, tmp_path / "out", "resources=Media,Property", "readable_names=true")
    assert (await harvester.run(config, sources=["spark_reso"])).complete
    assert (await verify(config.out, against=sandbox.url)).matches
    assert {row["MediaCategory"] for row in told(config, "Media")} == {"Photo", "Branded Virtual Tour"}
    sandbox.mutate(60, "spark_reso")
    for mode in ("delta", "sweep"):
        assert (await harvester.run(config, sources=["spark_reso"], mode=mode, allow_purge=True)).complete
    assert (await verify(config.out, against=sandbox.url)).matches


async def test_custom_fields_keep_their_values_and_get_their_names(sandbox: Sandbox, tmp_path: Path) -> None:
    table = 'resource=[{ name = "Property", expand = "CustomFields", walk = "chain_with_expand" }]'
    config = configured(sandbox, tmp_path / "out", table, "readable_names=true", 'names={ b__WWVz = "Yes" }')
    assert (await harvester.run(config, sources=["spark_reso"])).complete
    drift = (await metadata(config, "spark_reso", resources=["Property"], check=True)).drift
    assert drift is not None
    checked = {each.name: each for each in drift.resources[0].fields if each.name.startswith("CustomFields")}
    assert checked["CustomFields.Example"].fill_rate == 1.0
    assert not [each for each in checked.values() if each.drift]
    fields = {json.dumps(row["CustomFields"]) for row in told(config, "Property")}
    assert fields == {json.dumps([{"Example": "Yes", "Main_Builder's Model": "Craftsman"}])}


async def test_without_the_option_everything_passes_as_it_came(sandbox: Sandbox, tmp_path: Path) -> None:
    config = configured(sandbox, tmp_path / "out", "resources=Media")
    assert (await harvester.run(config, sources=["spark_reso"])).complete
    assert "b__cGhvdG8-" in {row["MediaCategory"] for row in told(config, "Media")}
    assert not [entry for entry in sandbox.log if "$metadata" in entry.path]
    config = configured(sandbox, tmp_path / "out", "resources=Media", "readable_names=true")
    report = await harvester.run(config, sources=["spark_reso"])  # other settings: everything again
    assert report.complete
    assert "b__cGhvdG8-" not in {row["MediaCategory"] for row in told(config, "Media")}


def test_the_first_word_that_was_told_of_a_name_counts(tmp_path: Path) -> None:
    """Else the same records would be other ones after the metadata has been edited."""
    fs = Ports().fs
    assert keep_names(fs, tmp_path, "s", {"b__A": "one"}) == {"b__A": "one"}
    assert keep_names(fs, tmp_path, "s", {"b__A": "two", "b__B": "new"}) == {"b__A": "one", "b__B": "new"}
    next(tmp_path.rglob("s.json")).write_bytes(b"damaged")
    assert keep_names(fs, tmp_path, "s", {"b__A": "two"}) == {"b__A": "two"}
