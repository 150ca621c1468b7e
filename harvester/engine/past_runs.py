"""The finished runs of one resource: what a delta or a sweep rests on, and what they spare the next one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath

from harvester.contracts import Fs
from harvester.engine.held import Held
from harvester.engine.renewing import brings_nothing, found_again
from harvester.engine.run_memory import UNSETTLED, RunMemory
from harvester.engine.source import Blueprint
from harvester.engine.state import Run
from harvester.model import Phase, Walk
from harvester.provider import SETS
from harvester.store.layout import manifest_path
from harvester.store.manifest import Manifest, read_manifest
from harvester.store.renewals import keep_renewal, read_renewal
from harvester.store.runs import RunDirectory, find_runs
from harvester.store.splits import Splits

_OVERLAPPED = 60  # runs whose records a delta may meet again


class PastRuns:
    """Reads what is finished, of the same settings as *blueprint*. Blocking.

    Args:
        out: of the harvest. *source*: its name.
        directory: of the run that asks.
        memory: of a process that asks again and again; None: this one asks once.
    """

    def __init__(
        self,
        fs: Fs,
        out: PurePath,
        source: str,
        blueprint: Blueprint,
        directory: PurePath,
        memory: RunMemory | None = None,
    ) -> None:
        self._fs, self._out, self._source = fs, out, source
        self._blueprint, self._directory = blueprint, directory
        self._name = blueprint.resource.dirname
        self._memory = memory

    def finished(self) -> list[Run]:
        """The finished runs of the resource, oldest first, from the last change of settings on.

        What runs with other settings brought lies on top of all that is older: nobody would see the records below.
        """
        found: list[Run] = []
        runs = self._runs()
        for place, run in enumerate(runs):
            manifest = read_manifest(self._fs, run.path, settle=place >= len(runs) - UNSETTLED)
            if manifest is not None and manifest.fingerprint == self._blueprint.fingerprint:
                found.append((run.path, manifest))
            elif manifest is not None:
                found.clear()
        return self._with_renewal(found)

    def basis(self) -> list[Run]:
        """Those of ``finished`` on which a delta rests. Cheap when it is asked again and again, given a memory."""
        if self._memory is None:
            return self.finished()
        key, blueprint = (self._source, self._name), self._blueprint
        found = self._memory.basis(key, self._fs, self._runs(), blueprint.fingerprint, blueprint.essential)
        return self._with_renewal(list(found))

    def _runs(self) -> list[RunDirectory]:
        return [run for run in find_runs(self._fs, self._out, self._source, self._name) if run.finished]

    def _with_renewal(self, found: list[Run]) -> list[Run]:
        """*found* and the delta that finished without a directory, if no complete one came after it."""
        # One that was pushed or is incomplete moves no watermark, and ends no renewal.
        moved = [run.run for _, run in found if run.verdict == "complete" and run.mode in {Phase.FULL, Phase.DELTA}]
        renewal = read_renewal(self._fs, self._out, self._source, self._name, max(moved, default=""))
        if renewal is not None and not renewal.held_in:
            found += [
                (self._directory.with_name(f"run={manifest.run}"), manifest)
                for manifest in (*renewal.before, renewal.manifest)
                if manifest.fingerprint == self._blueprint.fingerprint
            ]
        return found

    def held(self, runs: Sequence[Run], like: Walk) -> Held:
        """What *runs* hold, from the last full one on. *like*: any walk of the resource."""
        held = Held()
        first = max(index for index, (_, run) in enumerate(runs) if run.mode == Phase.FULL and not run.reason)
        for path, manifest in runs[first:]:
            held.load(self._fs, path, manifest, like)
        return held

    def learned(self) -> tuple[Splits, ...]:
        """What the last full run learned of the sizes of its parts; (): there was none."""
        for run in reversed(find_runs(self._fs, self._out, self._source, self._name)):
            manifest = read_manifest(self._fs, run.path) if run.finished else None
            if manifest is not None and manifest.mode == Phase.FULL:
                return manifest.splits
        return ()

    def of_this_run(self, run: str) -> tuple[Manifest, str] | None:
        """The manifest of an earlier attempt at *run* that came to its end, and which other run holds its records."""
        manifest = read_manifest(self._fs, self._directory)
        if manifest is not None:
            return manifest, ""
        renewal = read_renewal(self._fs, self._out, self._source, self._name)
        if renewal is None or renewal.manifest.run != run:
            return None
        return renewal.manifest, renewal.held_in

    def renew(self, manifest: Manifest, walks: Iterable[Walk]) -> str | None:
        """Keep *manifest* without its directory, if the run found nothing that earlier ones do not hold.

        Args:
            walks: of the run.
        Returns:
            The earlier run that holds its records, "" when there are none; None: it found something, and was not kept.
        """
        runs = self._runs()
        newest = runs[-1].name if runs else ""
        if manifest.run <= newest:
            return None
        if self._blueprint.changes is None:
            held_in = newest
            if not held_in or not found_again(read_manifest(self._fs, runs[-1].path), manifest):
                return None
        else:
            held_in, like = "", next(iter(walks), None)
            if like is None and self._blueprint.resource.relation is not None:  # no set had to be read
                like = Walk(id="m000000", resource=self._blueprint.resource, pager=SETS, phase=Phase.SETS)
            if like is None or not brings_nothing(self._fs, self._directory, manifest, self._latest(runs), like):
                return None
        before = () if held_in else self._still_telling(manifest)
        keep_renewal(self._fs, self._out, self._name, manifest, held_in=held_in, after=newest, before=before)
        self._fs.remove_tree(self._directory)
        return held_in

    def _still_telling(self, manifest: Manifest) -> list[Manifest]:
        """Of the runs without a directory, those that tell a delta what *manifest* does not."""
        runs = [*(run for _, run in self.basis()), manifest]
        flags = self._blueprint.essential(runs)
        return [
            run for run, told in zip(runs[:-1], flags, strict=False) if told and not run.shards and self._is_gone(run)
        ]

    def _is_gone(self, manifest: Manifest) -> bool:
        return not self._fs.exists(manifest_path(self._directory.with_name(f"run={manifest.run}")))

    def _latest(self, runs: Sequence[RunDirectory]) -> list[Run]:
        """The newest of *runs* with the same settings, oldest first: as many as a delta may overlap with."""
        found: list[Run] = []
        for run in reversed(runs[-_OVERLAPPED:]):
            manifest = read_manifest(self._fs, run.path, settle=False)
            if manifest is None or manifest.fingerprint != self._blueprint.fingerprint:
                break
            found.append((run.path, manifest))
        return found[::-1]
