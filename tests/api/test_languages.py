"""Centris in every language: inside each record, or each record once a language (Centris contract, section 8)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import harvester
from harvester.api.compact import compact
from harvester.api.ports import Ports
from harvester.api.verify import VerifyReport, verify
from harvester.api.view import view
from harvester.errors import ConfigError
from harvester.sandbox.exchange import Sandbox
from harvester.sandbox.server import running_sandbox
from harvester.sandbox.settings import Settings
from harvester.store.manifest import Manifest, read_manifest
from harvester.store.runs import find_runs


def told(config: harvester.Config, resource: str) -> list[dict[str, Any]]:
    lines: list[bytes] = []
    assert view(config.out, resource, write=lines.append).whole
    return [json.loads(line) for line in b"".join(lines).split(b"\n")[:-1]]


def manifests(config: harvester.Config, resource: str) -> list[Manifest]:
    fs = Ports().fs
    runs = find_runs(fs, Path(config.out), "centris", resource)
    return [manifest for run in runs if (manifest := read_manifest(fs, run.path)) is not None]


def settings(truth: str) -> Settings:
    return Settings(seed=5, records=120, time_scale=3600, options={"centris": {"truth": truth}})


def configured(sandbox: Sandbox, out: Path, *overrides: str) -> harvester.Config:
    more = [f"sources.centris.{each}" for each in ("resources=Property,Member,Office", *overrides)]
    return harvester.parse_config(sandbox.config_toml(), overrides=[f"out={out}", *more])


@pytest.fixture
async def bilingual() -> AsyncIterator[Sandbox]:
    """Its truth is every record in both languages."""
    async with running_sandbox(settings("both")) as running:
        yield running


async def checked(config: harvester.Config, sandbox: Sandbox) -> VerifyReport:
    report = await verify(config.out, against=sandbox.url)
    assert [run for run in report.runs if run.missing] == []
    return report


async def test_each_record_comes_once_in_each_language(bilingual: Sandbox, tmp_path: Path) -> None:
    config = configured(bilingual, tmp_path / "out", "translations=accept-language")
    assert (await harvester.run(config, sources=["centris"])).complete
    assert (await checked(config, bilingual)).matches
    rows = told(config, "Member")
    assert {row["_locale"] for row in rows} == {"en", "fr"}
    by_key: dict[str, dict[str, Any]] = {}
    for row in rows:
        by_key.setdefault(row["MemberKey"], {})[row["_locale"]] = row["MemberIntroduction"]
    assert all(set(texts) == {"en", "fr"} for texts in by_key.values())
    assert any(texts["en"] != texts["fr"] for texts in by_key.values())
    (manifest,) = manifests(config, "Member")
    assert (manifest.languages, manifest.translated, manifest.records) == (("en", "fr"), False, len(rows))
    assert {walk.value for walk in manifest.walks} == {"en", "fr"}
    assert manifest.keys is not None
    assert manifest.keys.number == len(rows)


async def test_deltas_sweeps_and_bases_keep_each_language_true(bilingual: Sandbox, tmp_path: Path) -> None:
    config = configured(bilingual, tmp_path / "out", "translations=accept-language")
    assert (await harvester.run(config, sources=["centris"])).complete
    bilingual.mutate(60, "centris")
    assert (await harvester.run(config, sources=["centris"], mode="delta")).complete
    await checked(config, bilingual)
    assert (await harvester.run(config, sources=["centris"], mode="sweep", allow_purge=True)).complete
    assert (await checked(config, bilingual)).matches
    before = sorted(map(json.dumps, told(config, "Property")))
    compact(config.out, fold=True)
    assert sorted(map(json.dumps, told(config, "Property"))) == before
    assert len(manifests(config, "Property")) == 1
    bilingual.mutate(20, "centris")
    assert (await harvester.run(config, sources=["centris"], mode="delta")).complete
    await checked(config, bilingual)
    assert manifests(config, "Property")[-1].languages == ("en", "fr")


@pytest.mark.parametrize(
    ("truth", "overrides", "languages", "translated"),
    [
        ("en", ("translations=none",), ("en",), False),
        ("fr", ("language=fr",), ("fr",), False),
        ("expand", ("translations=expand", 'resource=[{ name = "Office", expand = "" }]'), ("en",), True),
    ],
)
async def test_the_manifest_says_which_languages_there_are(
    tmp_path: Path, truth: str, overrides: tuple[str, ...], languages: tuple[str, ...], translated: bool
) -> None:
    async with running_sandbox(settings(truth)) as sandbox:
        config = configured(sandbox, tmp_path / "out", *overrides)
        assert (await harvester.run(config, sources=["centris"])).complete
        assert (await checked(config, sandbox)).matches
        (manifest,) = manifests(config, "Property")
        assert (manifest.languages, manifest.translated) == (languages, translated)
        assert manifests(config, "Office")[0].translated is False


async def test_other_languages_are_other_settings(bilingual: Sandbox, tmp_path: Path) -> None:
    config = configured(bilingual, tmp_path / "out", "translations=accept-language")
    assert (await harvester.run(config, sources=["centris"])).complete
    config = configured(bilingual, tmp_path / "out", "translations=accept-language", "languages=fr")
    assert (await harvester.run(config, sources=["centris"])).complete
    assert [each.mode for each in manifests(config, "Office")] == ["full", "full"]
    assert {row["_locale"] for row in told(config, "Office")} == {"fr"}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("translations=expand", "language=fr"), "two ways"),
        (("translations=accept-language", "language=fr"), "two ways"),
        (("languages=fr",), 'needs translations = "accept-language"'),
        (("translations=accept-language", "languages=fr,fr"), "no language, or there twice"),
        (("translations=accept-language", 'languages=["fr\\r\\nX: y"]'), "no language"),
    ],
)
async def test_exactly_one_way_to_languages_is_taken(
    bilingual: Sandbox, tmp_path: Path, overrides: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        await harvester.run(configured(bilingual, tmp_path / "out", *overrides), sources=["centris"])
