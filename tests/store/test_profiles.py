"""A kept profile is used while it is fresh, whole and of the same settings; otherwise the server is asked again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import PurePath

import pytest
from msgspec import Struct

from harvester.errors import ConfigError
from harvester.store.layout import profile_file
from harvester.store.profiles import ProfileFile
from tests.fakes.fs import MemoryFs

OUT = PurePath("out")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WEEK = 7 * 86_400.0


class Found(Struct, frozen=True):
    cap: int


class FoundLater(Struct, frozen=True):
    cap: int
    more: str


def file(fs: MemoryFs, binding: str = "settings") -> ProfileFile:
    return ProfileFile(fs, OUT, "north", "Property", binding=binding)


@pytest.fixture
def fs() -> MemoryFs:
    made = MemoryFs()
    made.make_directory(OUT)
    file(made).keep(Found(100), NOW)
    return made


def test_it_is_read_back_with_its_time_until_it_is_too_old(fs: MemoryFs) -> None:
    assert file(fs).read(Found, NOW + timedelta(days=6, hours=23), WEEK) == (Found(100), NOW)
    assert file(fs).read(Found, NOW + timedelta(days=7), WEEK) is None


def test_one_from_the_future_is_none(fs: MemoryFs) -> None:
    """FAULTS C01: after the clock has jumped back it would last for ever."""
    assert file(fs).read(Found, NOW - timedelta(seconds=1), WEEK) is None


def test_other_settings_have_a_profile_of_their_own(fs: MemoryFs) -> None:
    assert file(fs, "with a filter").read(Found, NOW, WEEK) is None


def test_what_is_damaged_or_of_another_form_is_no_profile_and_no_error(fs: MemoryFs) -> None:
    assert file(fs).read(FoundLater, NOW, WEEK) is None
    path = profile_file(OUT, "north", "Property")
    whole = fs.read(path)
    for data in (b"", whole[:-3], whole.replace(b"100", b"900"), b"{}"):
        fs.replace(path, data)
        assert file(fs).read(Found, NOW, WEEK) is None
    file(fs).keep(Found(200), NOW)
    assert file(fs).read(Found, NOW, WEEK) == (Found(200), NOW)


def test_it_can_be_forgotten(fs: MemoryFs) -> None:
    file(fs).forget()
    file(fs).forget()
    assert file(fs).read(Found, NOW, WEEK) is None


def test_no_name_leads_out_of_the_directory() -> None:
    """FAULTS M03."""
    with pytest.raises(ConfigError):
        profile_file(OUT, "north", "../../etc")
    with pytest.raises(ConfigError):
        profile_file(OUT, "../north", "Property")
