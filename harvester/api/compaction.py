"""The compaction of one resource: which runs become one, which shards do, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import PurePath

from msgspec import Struct, structs

from harvester.api.ports import Ports
from harvester.engine.fold import Making, clear_folded, install_base, make_base
from harvester.engine.foldable import Foldable, foldable, manifests_of
from harvester.errors import StorageError
from harvester.planning.delta import standing_of
from harvester.store import layout
from harvester.store.current import oldest_current
from harvester.store.manifest import Manifest, read_manifest
from harvester.store.merge import Group, groups_of, is_merging, mend, merge_run
from harvester.store.runs import RunDirectory, find_runs


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


class Compaction:
    """Of one resource. Blocking; under the lock of its source.

    Args:
        directory: ``out/source=…/resource=…``.
        target: bytes of a shard.
        keep: so many of the newest finished runs are not folded.
    """

    def __init__(self, ports: Ports, out: PurePath, source: str, directory: PurePath, target: int, keep: int) -> None:
        self._ports, self._fs, self._out = ports, ports.fs, out
        self._source, self._directory, self._target, self._keep = source, directory, target, keep
        self._name = directory.name.partition("=")[2]
        self._place = layout.state_directory(out) / "compact" / f"{source}.{self._name}"

    def run(self, *, fold: bool) -> ResourceCompaction:
        fs, ports = self._fs, self._ports
        try:
            self._clear()
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
                if groups := self._groups(run, whole):
                    read_manifest(fs, run.path)  # which must outlive a loss of power before the logs go beyond it
                    merge_run(fs, ports.rng, run.path, whole, groups, ports.clock.now())
        except BaseException:
            with suppress(StorageError):
                self._clear()
            raise
        self._clear()
        after = self._row()
        return structs.replace(
            before,
            runs_after=after.runs_before,
            shards_after=after.shards_before,
            bytes_after=after.bytes_before,
            base=base,
            why_not=plan.why_not,
        )

    def _clear(self) -> None:
        """Remove what is left of this work, or of a process that was killed at it.

        Runs may have been moved out, and nothing says that this is durable: of a run that comes back after a loss of
        power nothing may be missing.
        """
        self._fs.sync_directory(self._directory)
        self._fs.remove_tree(self._place)

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
            manifest = read_manifest(self._fs, run.path, settle=False) if run.finished else None
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
