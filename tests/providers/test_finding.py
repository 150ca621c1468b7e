"""Providers are found by file name; a provider of one's own costs one file, wherever it lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from harvester.errors import ConfigError
from harvester.model import Resource
from harvester.provider import Provider
from harvester.providers import load, names

TOY = Path(__file__).with_name("lakeside.py")


def test_every_file_of_the_package_is_a_provider() -> None:
    folder = Path(load.__code__.co_filename).parent
    files = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert set(names()) == files
    assert {"ims", "centris", "idx_broker", "spark", "spark_reso", "odata"} <= files


@pytest.mark.parametrize("name", names())
def test_a_declaration_holds_together(name: str) -> None:
    provider = load(name)
    assert provider.name == name
    assert {provider.full, provider.closing or provider.full} <= set(provider.pagers)
    known = {resource.name for resource in provider.resources}
    for resource in provider.resources:
        assert resource.walk is None or resource.walk in provider.pagers
        assert resource.per_value is None or resource.per_value.resource in known
    assert provider.source
    assert provider.base_url is None or provider.base_url.startswith("https://")


def test_a_provider_in_a_file_of_ones_own_is_loaded_by_its_path() -> None:
    provider = load(str(TOY))
    assert (provider.name, provider.full) == ("lakeside", "chain")
    assert load(str(TOY)) is provider


def test_a_provider_in_a_module_of_ones_own_is_loaded_by_its_dotted_name() -> None:
    assert load("tests.providers.lakeside").title == "Lakeside MLS"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("centri", "did you mean 'centris'"),
        ("sparkreso", "did you mean 'spark_reso'"),
        ("zillow", "there are centris, idx_broker"),
        ("no.such.module", "cannot be imported"),
        ("./missing.py", "cannot be loaded"),
        ("json.decoder", "declares no PROVIDER"),
        ("", "there is no provider"),
        ("..", "cannot be imported"),
    ],
)
def test_what_is_no_provider_is_told(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load(name)
    assert caught.value.path == "provider"


def test_a_file_that_fails_is_told_and_can_be_mended(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("raise RuntimeError('typo here')")
    with pytest.raises(ConfigError, match="typo here"):
        load(str(file))
    file.write_text(TOY.read_text())
    assert load(str(file)).name == "lakeside"


def test_resources_that_are_not_listed_follow_the_dictionary() -> None:
    centris: Provider = load("centris")
    assert centris.open_resources
    assert centris.describe("Media") == Resource(name="Media", key=("MediaKey",), modified="ModificationTimestamp")
    assert load("odata").describe("Property").key == ("ListingKey",)
    assert load("odata").describe("OpenHouse").key == ("OpenHouseKey",)
