"""The runs of a resource: which exist, which have finished, and what a dead process left in one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import PurePath

from msgspec import Struct

from harvester.contracts import Fs
from harvester.store.layout import LOG, data_kind, is_temporary, manifest_path, resource_directory


class RunDirectory(Struct, frozen=True):
    """A run on disk."""

    name: str  # 20260301T120000Z
    path: PurePath
    finished: bool  # it has a manifest


def find_runs(fs: Fs, out: PurePath, source: str, resource_dirname: str) -> tuple[RunDirectory, ...]:
    """The runs of one resource, oldest first; empty when there is none."""
    return runs_in(fs, resource_directory(out, source, resource_dirname))


def find_all_runs(fs: Fs, out: PurePath) -> tuple[RunDirectory, ...]:
    """The runs of every source and resource below *out*, sorted by path."""
    return tuple(
        run
        for source in _partitions(fs, out, "source=")
        for resource in _partitions(fs, source, "resource=")
        for run in _runs_in(fs, resource)
    )


def find_source_runs(fs: Fs, out: PurePath, source: str) -> Iterator[RunDirectory]:
    """The runs of every resource of *source*, whatever is configured now."""
    for resource in _partitions(fs, out / f"source={source}", "resource="):
        yield from _runs_in(fs, resource)


def tidy(fs: Fs, run_dir: PurePath, keep: Collection[str]) -> tuple[str, ...]:
    """Remove what a dead process left in an unfinished run: unsealed, temporary and uncommitted files (FAULTS F08).

    A finished run is never touched. Files that are none of ours stay. Call it with the run's lock held, before the
    first write and again before the manifest.

    Args:
        keep: paths relative to the run directory of all shards that commits name.
    Returns:
        What was removed, relative to the run directory.
    """
    if fs.exists(manifest_path(run_dir)):
        return ()
    left = [
        name for name in fs.names(run_dir) if name not in keep and (is_temporary(name) or data_kind(name) is not None)
    ]
    left += [str(path.relative_to(run_dir)) for path in fs.walk(run_dir / LOG) if is_temporary(path.name)]
    for name in left:
        fs.remove(run_dir / name)
    return tuple(left)


def runs_in(fs: Fs, resource: PurePath) -> tuple[RunDirectory, ...]:
    """The runs in the directory of a *resource*, oldest first; empty when there is none."""
    return tuple(_runs_in(fs, resource))


def _runs_in(fs: Fs, resource: PurePath) -> Iterator[RunDirectory]:
    for path in _partitions(fs, resource, "run="):
        yield RunDirectory(path.name.removeprefix("run="), path, fs.exists(manifest_path(path)))


def _partitions(fs: Fs, directory: PurePath, prefix: str) -> list[PurePath]:
    return [directory / name for name in fs.names(directory) if name.startswith(prefix)]
