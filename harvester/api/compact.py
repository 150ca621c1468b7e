"""Fewer and larger files in an output directory, which say the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePath
from typing import Any

from msgspec import Struct

from harvester.api.compaction import Compaction, ResourceCompaction
from harvester.api.locks import lock_source
from harvester.api.ports import Ports
from harvester.config.typed import quantity
from harvester.contracts import Fs
from harvester.errors import ArgumentError, ConfigError
from harvester.store import layout
from harvester.store.prepare import prepare_output
from harvester.store.runs import find_all_runs

TARGET = 128 << 20  # bytes of a shard


class CompactReport(Struct, frozen=True, kw_only=True):
    """Sorted by source and resource."""

    out: str
    dry_run: bool
    resources: tuple[ResourceCompaction, ...]


def compact(
    out: Path | PurePath | str,
    source: str | None = None,
    resource: str | None = None,
    *,
    fold: bool = False,
    keep: int = 0,
    target: int | str = TARGET,
    dry_run: bool = False,
    held: bool = False,
    on_progress: Callable[[ResourceCompaction], None] = lambda done: None,
    ports: Ports | None = None,
) -> CompactReport:
    """Merge the small shards of every finished run; with *fold*, also make one run of a full one and what follows it.

    Blocking. Bounded memory. May be stopped at any time: what is on disk stays right, and the next call goes on.

    Args:
        source, resource: restrict it; None: all there are.
        fold: earlier versions of records and tombstones are given up; what ``view`` tells stays the same.
        keep: with *fold*, so many of the newest finished runs of each resource stay as they are.
        target: bytes of a shard, as a number or as text: ``256MiB``.
        dry_run: change nothing, only tell.
        held: the caller holds the lock of *source*, which must be named.
    Raises:
        ArgumentError: there is nothing of that name.
        Locked: a harvest of the source, or a view, is under way.
        StorageError: a shard is damaged, or something cannot be written.
    """
    ports = ports or Ports()
    root = PurePath(out)
    chosen = _chosen(ports.fs, root, source, resource)
    size = _check(fold=fold, keep=keep, target=target)
    done: list[ResourceCompaction] = []
    if not dry_run:
        prepare_output(ports.fs, root)
    for name, directories in chosen.items():
        with _locked(ports.fs, root, name, held=held, dry_run=dry_run):
            for directory in directories:
                work = Compaction(ports, root, name, directory, size, keep)
                row = work.foresee(fold=fold) if dry_run else work.run(fold=fold)
                done.append(row)
                on_progress(row)
    return CompactReport(out=str(root), dry_run=dry_run, resources=tuple(done))


async def compact_in_turn(
    out: Path | PurePath | str,
    source: str | None = None,
    resource: str | None = None,
    *,
    dry_run: bool = False,
    ports: Ports | None = None,
    **options: Any,
) -> CompactReport:
    """``compact`` that waits for the moments in which a listener writes what came.

    Only the waiting lets others run. In a thread beside a loop the work could outlive its lock: cancelled, it would go
    on without it.
    """
    ports = ports or Ports()
    root = PurePath(out)
    found: list[ResourceCompaction] = []
    names = _chosen(ports.fs, root, source, resource)
    _check(**options)
    if not dry_run:
        prepare_output(ports.fs, root)
    for name in names:
        lock = None if dry_run else await lock_source(ports.fs, root, name, ports.clock)
        try:
            found += compact(root, name, resource, dry_run=dry_run, held=True, ports=ports, **options).resources
        finally:
            if lock is not None:
                lock.release()
    return CompactReport(out=str(root), dry_run=dry_run, resources=tuple(found))


def _check(*, fold: bool = False, keep: int = 0, target: int | str = TARGET, **_others: object) -> int:
    """Raises ArgumentError for what cannot be wanted. The target in bytes."""
    if keep < 0 or (keep and not fold):
        raise ArgumentError("keep is a number of runs, 0 or more, that are not folded; it needs fold")
    return _size(target)


def _size(target: int | str) -> int:
    try:
        size = int(quantity(target, "bytes", "target")) if isinstance(target, str) else target
    except ConfigError as error:
        raise ArgumentError(str(error)) from error
    if size < 1:
        raise ArgumentError("target is a number of bytes, 1 or more")
    return size


def _chosen(fs: Fs, out: PurePath, source: str | None, resource: str | None) -> dict[str, list[PurePath]]:
    """The directories of the resources, by source."""
    found: dict[str, list[PurePath]] = {}
    for directory in dict.fromkeys(run.path.parent for run in find_all_runs(fs, out)):
        found.setdefault(directory.parent.name.partition("=")[2], []).append(directory)
    if not found:
        raise ArgumentError(f"{out} holds no harvest; name the directory that `harvester run` writes to")
    if source is not None:
        if source not in found:
            raise ArgumentError(f"{out} holds nothing of {source!a}; there is {', '.join(found)}")
        found = {source: found[source]}
    if resource is not None:
        wanted = f"resource={resource.replace('/', '.')}"
        mine = {name: [each for each in there if each.name == wanted] for name, there in found.items()}
        found = {name: there for name, there in mine.items() if there}
        if not found:
            raise ArgumentError(f"{out} holds nothing of {resource!a}")
    return found


@contextmanager
def _locked(fs: Fs, out: PurePath, source: str, *, held: bool, dry_run: bool) -> Iterator[None]:
    """Nobody harvests the source or reads its state within the block."""
    with ExitStack() as locks:
        if not dry_run:
            state = layout.state_directory(out)
            if not held:
                locks.callback(fs.lock(state / f"{source}.lock").release)
            locks.callback(fs.lock(state / layout.VIEW_LOCK).release)
        yield
