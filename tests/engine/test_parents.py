"""What the records that sets belong to tell of them, over several runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import PurePath

import pytest
from msgspec import structs

from harvester.engine.parents import changed, load_parents
from harvester.engine.state import Run
from harvester.model import Phase, Relation
from harvester.store import layout
from harvester.store.key_table import KeyTable
from harvester.store.runs import find_runs
from tests.fakes.fs import MemoryFs
from tests.store.harvest import AT, OUT, finish, seal

OLD, NEW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
MEDIA = Relation(
    parent="Property",
    parent_key=("ListingKey",),
    member="ResourceRecordKey",
    changes=("PhotosChangeTimestamp",),
    modified="ModificationTimestamp",
)


def listing(modified: str | None, photos: str) -> bytes:
    times = {} if modified is None else {"ModificationTimestamp": modified}
    return json.dumps({"ListingKey": "1", **times, "PhotosChangeTimestamp": photos}).encode()


def run(fs: MemoryFs, mode: Phase, *lines: bytes) -> Run:
    name = layout.run_name(AT + timedelta(days=len(find_runs(fs, OUT, "centris", "Property"))))
    directory: PurePath = layout.run_directory(OUT, "centris", "Property", name)
    return directory, structs.replace(finish(fs, [seal(fs, lines, run=directory)], run=directory), mode=mode)


def told(fs: MemoryFs, runs: Sequence[Run], *, buffered: int) -> str:
    """The photos' stamp that stands."""
    with KeyTable(fs, None, buffered=buffered) as parents, KeyTable(fs, None) as nothing:
        load_parents(fs, runs, MEDIA, parents)
        (parent,) = changed(parents, nothing)
    assert parent.stamps is not None
    stamp: str = json.loads(parent.stamps)["PhotosChangeTimestamp"]
    return stamp


@pytest.mark.parametrize("buffered", [1, 1000])  # compared when they are read back, and when they are put
@pytest.mark.parametrize(
    ("held", "pushed", "stands"),
    [
        (listing(NEW, "2"), listing(OLD, "1"), "2"),
        (listing(NEW, "2"), listing(OLD, "3"), "2"),
        (listing(OLD, "1"), listing(NEW, "2"), "2"),
        (listing(NEW, "2"), listing(NEW, "1"), "1"),  # the stamps are no part of the time
        (listing(NEW, "2"), listing(None, "1"), "1"),
        (listing(None, "2"), listing(OLD, "1"), "1"),
    ],
)
def test_an_older_version_that_was_pushed_does_not_hide_that_its_set_has_changed(
    held: bytes, pushed: bytes, stands: str, buffered: int
) -> None:
    """FAULTS W04: it yields as it does in the current state, so that both know the same version."""
    fs = MemoryFs()
    runs = [run(fs, Phase.DELTA, held), run(fs, Phase.PUSH, pushed)]
    assert told(fs, runs, buffered=buffered) == stands


def test_a_later_run_that_was_not_pushed_counts_whatever_its_times_say() -> None:
    """FAULTS T08."""
    fs = MemoryFs()
    runs = [run(fs, Phase.FULL, listing(NEW, "2")), run(fs, Phase.DELTA, listing(OLD, "1"))]
    assert told(fs, runs, buffered=1000) == "1"
