"""Fewer and larger files in an output directory, which say the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePath
from typing import Any

from msgspec import Struct, structs

from harvester.api.locks import lock_source
from harvester.api.ports import Ports
from harvester.config.typed import quantity
from harvester.contracts import Fs
from harvester.engine.fold import Making, clear_folded, install_base, make_base
from harvester.engine.foldable import Foldable, foldable, manifests_of
from harvester.errors import ArgumentError, ConfigError, StorageError
from harvester.planning.delta import standing_of
from harvester.store import layout
from harvester.store.current import oldest_current
from harvester.store.manifest import Manifest, read_manifest
from harvester.store.merge import Group, groups_of, is_merging, mend, merge_run
from harvester.store.prepare import prepare_output
from harvester.store.runs import RunDirectory, find_all_runs, find_runs

TARGET = 128 << 20  # bytes of a shard


class ResourceCompaction(Struct, frozen=True, kw_only=True):
    """What was done, or with ``dry_run`` would be done, about one resource. Sizes are bytes on disk."""

    source: str
    resource: str
    runs_before: int  # finished ones
    runs_after: int
    shards_before: int
    shards_after: int
    bytes_before: int
    bytes_after: int | None  # None: nobody knows before it is done
    base: str = ""  # the run that earlier ones were folded into; "": none was made
    why_not: str = ""  # why no more runs were folded; "" when nothing is in the way, or none were to be

    @property
    def changed(self) -> bool:
        return (self.runs_before, self.shards_before) != (self.runs_after, self.shards_after)


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
                work = _Work(ports, root, name, directory, size, keep)
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


class _Work:
    """One resource."""

    def __init__(self, ports: Ports, out: PurePath, source: str, directory: PurePath, target: int, keep: int) -> None:
        self._ports, self._fs, self._out = ports, ports.fs, out
        self._source, self._directory, self._target, self._keep = source, directory, target, keep
        self._name = directory.name.partition("=")[2]
        self._place = layout.state_directory(out) / "compact" / f"{source}.{self._name}"

    def run(self, *, fold: bool) -> ResourceCompaction:
        fs, ports = self._fs, self._ports
        try:
            # Of a process that was killed: it may have moved runs out, and nothing says that this is durable.
            fs.sync_directory(self._directory)
            fs.remove_tree(self._place)
            before = self._row()
            clear_folded(fs, self._look().leftover, self._place)
            base, plan = "", Foldable()
            while fold:
                plan = self._look()
                if len(plan.runs) > 1:
                    base = self._fold(plan)
                else:
                    clear_folded(fs, plan.below, self._place)
                if not plan.more:
                    break
            for run, manifest in self._finished():
                whole = mend(fs, run.path, manifest)
                merge_run(fs, ports.rng, run.path, whole, self._groups(run, whole), ports.clock.now())
        finally:
            fs.remove_tree(self._place)
        after = self._row()
        return structs.replace(
            before,
            runs_after=after.runs_before,
            shards_after=after.shards_before,
            bytes_after=after.bytes_before,
            base=base,
            why_not=plan.why_not,
        )

    def foresee(self, *, fold: bool) -> ResourceCompaction:
        """What ``run`` would do first; sizes are not known before it is done."""
        row = self._row()
        plan = self._look()
        gone = {run.name for run in plan.leftover}
        base = ""
        if fold:
            gone |= {run.name for run in plan.below}
            if len(plan.runs) > 1:
                gone |= {run.name for run in plan.runs}
                base = plan.name
        runs = shards = 0
        size = -1 if base or gone else 0
        for run, manifest in self._finished():
            if run.name in gone:
                continue
            runs += 1
            groups = () if is_merging(self._fs, run.path, manifest) else self._groups(run, manifest)
            shards += len(manifest.shards) - sum(len(group.shards) - 1 for group in groups)
            size = -1 if groups or size < 0 else size + manifest.bytes
        if base:
            runs, shards = runs + 1, shards + 1
        return structs.replace(
            row,
            runs_after=runs,
            shards_after=shards,
            bytes_after=None if size < 0 else size,
            base=base,
            why_not=plan.why_not if fold else "",
        )

    # -------------------------------------------------------------- the runs

    def _look(self) -> Foldable:
        limits = [oldest_current(self._fs, self._out, self._source), *self._related()]
        before = min(filter(None, limits), default="")
        return foldable(self._fs, self._directory, keep=self._keep, before=before)

    def _related(self) -> Iterator[str]:
        """Behind which run records that are sets of this resource's are not as new as it is.

        They are brought up to date from the runs behind that one: folded with those before it, all sets would be.
        """
        fs, prefix = self._fs, "resource="
        for name in filter(lambda name: name.startswith(prefix), fs.names(self._directory.parent)):
            for run in reversed(find_runs(fs, self._out, self._source, name.removeprefix(prefix))):
                manifest = read_manifest(fs, run.path) if run.finished else None
                if manifest is None:
                    continue
                if manifest.relation is None or manifest.relation.parent.replace("/", ".") != self._name:
                    break
                if manifest.verdict == "complete" and manifest.parent_run:
                    yield f"{manifest.parent_run}!"  # sorts right behind it
                    break

    def _finished(self) -> Iterator[tuple[RunDirectory, Manifest]]:
        """One after another: together the manifests may be large."""
        for run in find_runs(self._fs, self._out, self._source, self._name):
            manifest = read_manifest(self._fs, run.path) if run.finished else None
            if manifest is not None:
                yield run, manifest

    def _groups(self, run: RunDirectory, manifest: Manifest) -> Sequence[Group]:
        return groups_of(self._fs, run.path, manifest, self._target)

    def _row(self) -> ResourceCompaction:
        name, runs, shards, size = self._name, 0, 0, 0
        for _, manifest in self._finished():
            name = manifest.resource
            runs += 1
            shards += len(manifest.shards)
            size += manifest.bytes
        return ResourceCompaction(
            source=self._source,
            resource=name,
            runs_before=runs,
            runs_after=runs,
            shards_before=shards,
            shards_after=shards,
            bytes_before=size,
            bytes_after=size,
        )

    def _fold(self, plan: Foldable) -> str:
        """Make the base of *plan*, put it in the place of its runs, and take these out."""
        fs, ports = self._fs, self._ports
        runs = manifests_of(fs, plan.runs)
        standing = standing_of([manifest for _, manifest in runs])
        if standing is None:  # the plan begins with a complete full run
            raise StorageError(f"{self._directory}: has changed while it was looked at. Run the same command again.")
        scratch, attic = self._place / "keys", self._place / "folded"
        staging = self._place / self._directory.parent.name / self._directory.name / f"run={plan.name}"
        fs.make_directory(scratch, private=True)
        making = Making(name=plan.name, at=ports.clock.now(), target=self._target)
        make_base(fs, ports.rng, runs, dict(standing.watermarks), making, staging, scratch)
        install_base(fs, staging, self._directory)
        clear_folded(fs, (*plan.below, *plan.runs), attic)
        return plan.name
