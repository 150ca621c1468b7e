"""Runs that are folded into one while somebody looks at them: what is told is whole, or nothing is (FAULTS R09)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path, PurePath

import pytest
from msgspec import structs

import harvester
from harvester.api.compact import compact
from harvester.api.ports import Ports
from harvester.api.verify import ResourceCheck, verify
from harvester.api.view import ViewReport, view
from harvester.contracts import FileLock
from harvester.engine.view import layers_of
from harvester.errors import ArgumentError, StorageError
from harvester.sandbox.exchange import Sandbox
from harvester.sandbox.server import running_sandbox
from harvester.sandbox.settings import Settings
from harvester.store.files import DiskFs
from harvester.store.layout import VIEW_LOCK
from harvester.store.runs import find_runs

SOURCE = "spark_reso"


class FoldsFirst(DiskFs):
    """Here another process folds the runs, and is done with it, right before somebody else may look at them."""

    def __init__(self, out: Path) -> None:
        super().__init__(Ports().rng)
        self.out, self.folded = out, False

    def lock(self, path: PurePath) -> FileLock:
        if path.name == VIEW_LOCK and not self.folded:
            self.folded = True
            compact(self.out, fold=True, keep=1)
        return super().lock(path)


def viewed(out: Path, ports: Ports | None = None) -> tuple[list[bytes], ViewReport]:
    written: list[bytes] = []
    report = view(out, "Property", write=written.append, ports=ports)
    return sorted(b"".join(written).splitlines()), report


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running_sandbox(Settings(seed=3, records=40, time_scale=3600)) as opened:
        yield opened


@pytest.fixture
async def out(sandbox: Sandbox, tmp_path: Path) -> Path:
    """A full run, a delta and a sweep: all that the sandbox has."""
    config = harvester.parse_config(sandbox.config_toml(), overrides=[f"out={tmp_path / 'out'}"])
    section = structs.replace(config.sources[SOURCE], resources=("Property",))
    config = structs.replace(config, sources={SOURCE: section})
    for mode in ("full", "delta", "sweep"):
        if mode == "delta":
            sandbox.mutate(10, SOURCE)
        assert (await harvester.run(config, mode=mode, allow_purge=mode == "sweep")).complete
    return tmp_path / "out"


def test_a_view_looks_for_its_runs_when_nobody_can_fold_them_any_more(out: Path) -> None:
    before, _ = viewed(out)
    fs = FoldsFirst(out)
    after, report = viewed(out, Ports(fs=fs))
    assert fs.folded
    assert len(report.runs) == 2
    assert (after, report.notes) == (before, ())


def test_what_is_not_there_is_refused_before_anything_is_written(out: Path) -> None:
    nowhere = out.with_name("nowhere")
    with pytest.raises(ArgumentError, match="holds no finished run"):
        view(nowhere, "Property")
    assert not nowhere.exists()


def test_a_run_that_was_listed_and_is_gone_is_not_passed_over(out: Path) -> None:
    """The run that it became is not in the list: without it most records were missing, and nothing would say so."""
    fs = Ports().fs
    runs = find_runs(fs, out, SOURCE, "Property")
    compact(out, fold=True, keep=1)
    with pytest.raises(StorageError, match="was taken out while it was looked at"):
        layers_of(fs, runs)


async def test_a_comparison_with_the_truth_tells_no_difference_that_there_is_not(sandbox: Sandbox, out: Path) -> None:
    checked: list[ResourceCheck] = []

    def fold(check: ResourceCheck) -> None:
        checked.append(check)
        if len(checked) == 2:  # the last one is compared together with these
            compact(out, fold=True, keep=1)

    with pytest.raises(StorageError, match="Run the same command again"):
        await verify(out, against=sandbox.url, on_progress=fold)
    assert len(checked) == 2
    assert (await verify(out, against=sandbox.url)).matches
