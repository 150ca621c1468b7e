"""Names become paths, and no name leaves the output root."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.errors import ArgumentError, ConfigError
from harvester.store import layout
from harvester.store.layout import Compression

OUT = PurePosixPath("/data/out")


def test_paths_are_those_that_readers_of_a_harvest_rely_on() -> None:
    run = layout.run_directory(OUT, "centris", "Property", "20260301T120000Z")
    assert str(run) == "/data/out/source=centris/resource=Property/run=20260301T120000Z"
    assert str(layout.log_directory(run, "w03")) == f"{run}/_log/w03"
    assert str(layout.manifest_path(run)) == f"{run}/_manifest.json"
    assert str(layout.state_directory(OUT)) == "/data/out/_harvester"
    assert layout.shard_name("part", "w03", 0, "3f9a1c2e", Compression.ZSTD) == "part-w03-00000-3f9a1c2e.ndjson.zst"
    assert layout.shard_name("deleted", "w1", 7, "3f9a1c2e", Compression.NONE) == "deleted-w1-00007-3f9a1c2e.ndjson"


@pytest.mark.parametrize(
    "name", ["Property", "clients.featured", "mls_search-2", "_private", "0012", "console", "a" * 128]
)
def test_names_of_the_field_are_taken_as_they_are(name: str) -> None:
    assert layout.resource_directory(OUT, "s", name).name == f"resource={name}"


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "../../x", "......x", "a..b", ".hidden", "ends.", "/etc/x", "a/b", "a\\b", "CON", "nul", "com1",
        "Lpt9.txt", "NUL\0", "a\0b", "a" * 300, "a b", "a\n", "\u202egnp.exe", "Propriété", "a=b", "50%", "*",
        "~", "-rf",
    ],
)  # fmt: skip
def test_names_that_could_leave_or_confuse_are_refused(name: str) -> None:
    """FAULTS M03."""
    with pytest.raises(ConfigError, match="cannot be a resource name") as refused:
        layout.resource_directory(OUT, "s", name)
    assert refused.value.path == "sources.s.resources"
    assert str(refused.value).isprintable()
    with pytest.raises(ConfigError, match="cannot be a source name"):
        layout.resource_directory(OUT, name, "Property")


@given(st.text(max_size=200), st.text(max_size=200))
def test_no_name_leaves_the_output_root(source: str, resource: str) -> None:
    """FAULTS M03."""
    try:
        path = layout.resource_directory(OUT, source, resource)
    except ConfigError:
        return
    assert path.parent.parent == OUT
    assert ".." not in path.parts
    assert len(path.name.encode()) <= 255


@pytest.mark.parametrize("names", [("Property", "property"), ("a.b", "a.b"), ("STRASSE", "straße")])
def test_names_that_would_share_a_directory_are_refused(names: tuple[str, str]) -> None:
    """FAULTS M03: case twins are one directory on many disks."""
    with pytest.raises(ConfigError, match=r"sources\.s\.resources: .* would share a directory"):
        layout.check_distinct(names, "sources.s.resources")
    layout.check_distinct(("Property", "Member"), "sources.s.resources")


def test_runs_are_named_in_utc_and_sort_by_time() -> None:
    at = datetime(2026, 3, 1, 7, 0, tzinfo=timezone(timedelta(hours=-5)))
    first = layout.run_name(at)
    second = layout.run_name(at, taken={first})
    later = layout.run_name(datetime(2026, 3, 1, 12, 0, 1, tzinfo=UTC))
    assert first == "20260301T120000Z"
    assert second == "20260301T120000Z-2"
    assert first < second < later
    for run in (first, second):
        layout.run_directory(OUT, "s", "r", run)


def test_a_run_sorts_behind_those_before_it_also_when_the_clock_was_set_back() -> None:
    """FAULTS C02: of two versions of a record the one of the later run counts."""
    taken: list[str] = []
    for hour in (12, 12, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 13):
        taken.append(layout.run_name(datetime(2026, 3, 1, hour, tzinfo=UTC), taken))
    assert taken == sorted(set(taken))
    assert taken[-1] == "20260301T130000Z"
    assert "20260301T120001Z" in taken
    assert layout.run_name(datetime(2026, 3, 1, tzinfo=UTC), ["zzz"]) == "20260301T000000Z"


def test_ids_of_our_own_making_are_checked_too() -> None:
    """They come back from files."""
    for run in ("", "..", "20260301T120000Z/x", "latest"):
        with pytest.raises(ArgumentError):
            layout.run_directory(OUT, "s", "r", run)
    for walk in ("", "..", "a/b", "W", "w" * 65):
        with pytest.raises(ArgumentError):
            layout.log_directory(OUT, walk)
    with pytest.raises(ArgumentError):
        layout.shard_name("part", "w0", 0, "../..", Compression.NONE)


def test_data_and_litter_are_told_apart() -> None:
    assert layout.data_kind("part-w03-00000-3f9a1c2e.ndjson.zst") == "part"
    assert layout.data_kind("deleted-00001-x.ndjson") == "deleted"
    assert layout.data_kind("_manifest.json") is None
    assert layout.is_temporary("part-w03-00000-3f9a1c2e.ndjson.zst.part")
    assert layout.is_temporary(layout.temporary_name("1.json", "3f9a1c2e"))
    assert not layout.is_temporary("README.tmp")
