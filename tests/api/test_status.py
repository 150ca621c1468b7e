"""What an output directory holds, told without sending anything."""

from __future__ import annotations

from pathlib import PurePath

from msgspec import structs

from harvester.api.ports import Ports
from harvester.api.status import status
from harvester.store import layout
from harvester.store.commits import CommitLog
from harvester.store.documents import encode_document
from harvester.store.layout import manifest_path
from harvester.store.manifest import Manifest
from tests.fakes.clock import SeededRng
from tests.fakes.fs import MemoryFs
from tests.store.harvest import OUT, RUN, commit, finish, seal


def test_a_resource_has_the_name_that_the_configuration_and_view_know_it_by() -> None:
    fs = MemoryFs()
    run = layout.run_directory(OUT, "idx", "clients.featured", "20260301T120000Z")
    held = finish(fs, [seal(fs, [b"{}"], run=run)], run=run)
    _as(fs, run, structs.replace(held, source="idx", resource="clients/featured"))
    (row,) = status(OUT, ports=Ports(fs=fs)).resources
    assert (row.source, row.resource, row.records) == ("idx", "clients/featured", 1)


def test_an_unfinished_run_hides_nothing_of_the_finished_one_before_it() -> None:
    fs = MemoryFs()
    held = structs.replace(finish(fs, [seal(fs, [b"{}"])]), watermark="2026-03-01T11:59:59Z")
    _as(fs, RUN, held)
    later = layout.run_directory(OUT, "centris", "Property", "20260302T120000Z")
    commit(CommitLog(fs, later, "w00", SeededRng()), [seal(fs, [b"{}", b"[]"], run=later)], records=2)
    (row,) = status(OUT, ports=Ports(fs=fs)).resources
    assert (row.finished_run, row.watermark, row.records) == (held.run, held.watermark, 1)
    assert (row.unfinished_run, row.committed, row.walks_open) == ("20260302T120000Z", 2, 1)


def _as(fs: MemoryFs, run: PurePath, manifest: Manifest) -> None:
    fs.replace(manifest_path(run), encode_document(manifest))
