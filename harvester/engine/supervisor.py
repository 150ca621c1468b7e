"""One worker a walk, in one task group; a failed resource never stops its siblings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import anyio

from harvester.engine.resource_run import ResourceRun
from harvester.engine.shared_sets import SharedSets
from harvester.engine.site import Outcome, Site
from harvester.engine.source import Blueprint, Source
from harvester.engine.values import values_of
from harvester.errors import (
    ConfigError,
    CredentialsRefused,
    GiveUpError,
    HarvesterError,
    Locked,
    ResourceRefused,
    StorageError,
)
from harvester.events import ResourceFinished, SourceFailed
from harvester.model import PerValue, Phase
from harvester.store import layout
from harvester.store.current import CurrentRun, begin_current, end_current, read_current
from harvester.store.manifest import read_manifest
from harvester.store.renewals import read_renewal
from harvester.store.runs import RunDirectory, find_runs, find_source_runs

T = TypeVar("T")


class Supervisor:
    """Runs the resources of all sources side by side; the governors decide who may ask."""

    def __init__(self, sources: Sequence[Source], site: Site, *, restart: bool = False) -> None:
        self._sources, self._site, self._restart = sources, site, restart

    async def run(self) -> tuple[Outcome, ...]:
        """Every resource's outcome, in no particular order. Failures are outcomes, not exceptions."""
        site = self._site
        chosen = await self._in_thread(self._choose_runs)
        outcomes: dict[str, list[Outcome]] = {source.name: [] for source in self._sources}
        async with anyio.create_task_group() as tasks:
            for source in self._sources:
                runs = chosen[source.name]
                if isinstance(runs, HarvesterError):
                    site.sink(SourceFailed(at=site.clock.now(), source=source.name, reason=str(runs)))
                    outcomes[source.name].append(Outcome(resource="", verdict="failed", reason=str(runs), error=runs))
                else:
                    tasks.start_soon(self._run_source, source, runs, outcomes[source.name])
        everything = tuple(outcome for each in outcomes.values() for outcome in each)
        if not any(outcome.verdict == "interrupted" for outcome in everything):
            # Not before the last source has ended: a harvest that is broken off is gone on with as a whole.
            notes = {source.name: source.note for source in self._sources}
            for name, each in outcomes.items():
                if all(map(_is_final, each)):
                    await self._in_thread(end_current, site.fs, site.out, notes[name])
        return everything

    async def _run_source(self, source: Source, runs: Mapping[str, str], outcomes: list[Outcome]) -> None:
        site = self._site
        mine: dict[str, Outcome] = {}
        ready = {blueprint.resource.name: anyio.Event() for blueprint in source.blueprints}
        sets = [blueprint.resource.name for blueprint in source.blueprints if blueprint.resource.relation is not None]
        source = replace(source, shared_sets=SharedSets(sets))
        async with anyio.create_task_group() as tasks:
            for blueprint in source.blueprints:
                tasks.start_soon(self._run_resource, source, blueprint, runs, mine, ready)
        outcomes.extend(mine.values())
        refused = next((o.error for o in mine.values() if isinstance(o.error, CredentialsRefused)), None)
        if refused is not None:
            site.sink(SourceFailed(at=site.clock.now(), source=source.name, reason=str(refused)))

    async def _run_resource(
        self,
        source: Source,
        blueprint: Blueprint,
        runs: Mapping[str, str],
        mine: dict[str, Outcome],
        ready: Mapping[str, anyio.Event],
    ) -> None:
        name = blueprint.resource.name
        per_value = blueprint.resource.per_value
        try:
            values: Sequence[str] | None = None
            doubt = ""
            needs = blueprint.resource.needs
            if needs is not None:
                await ready[needs].wait()
                parent = mine.get(needs)
                if parent is None:  # it broke off with an exception, which is on its way up
                    return
                if parent.verdict not in {"complete", "incomplete"}:
                    mine[name] = self._orphan(source, blueprint, runs[name], parent)
                    return
                if parent.verdict == "incomplete":
                    doubt = f"not every {parent.resource} is known: {parent.reason}"
                if per_value is not None:
                    held_in = parent.held_in or runs[needs]
                    values = await self._in_thread(self._values, source, per_value, held_in)
            mine[name] = await ResourceRun(source, blueprint, self._site, runs[name]).run(values, doubt)
        except HarvesterError as error:
            mine[name] = Outcome(resource=name, verdict="failed", reason=str(error), error=error)
            self._report(source, name, runs[name], mine[name])
        finally:
            source.shared_sets.leave(name)
            ready[name].set()

    def _orphan(self, source: Source, blueprint: Blueprint, run: str, parent: Outcome) -> Outcome:
        """The outcome of a resource whose parent was not had."""
        name = blueprint.resource.name
        if parent.verdict == "interrupted":
            outcome = Outcome(resource=name, verdict="interrupted", reason=parent.reason)
        else:
            reason = f"needs {parent.resource}, which failed"
            error = parent.error if parent.error is not None else ResourceRefused(reason)
            outcome = Outcome(resource=name, verdict="failed", reason=reason, error=error)
        self._report(source, name, run, outcome)
        return outcome

    def _report(self, source: Source, name: str, run: str, outcome: Outcome) -> None:
        self._site.sink(
            ResourceFinished(
                at=self._site.clock.now(),
                source=source.name,
                resource=name,
                run=run,
                verdict=outcome.verdict,
                reason=outcome.reason,
                records=0,
                bytes=0,
                requests=0,
                quarantined=0,
                seconds=0.0,
            )
        )

    async def _in_thread(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._site.executor, lambda: function(*args))

    # -------------------------------------------------------------- in the worker thread

    def _values(self, source: Source, per_value: PerValue, run: str) -> tuple[str, ...]:
        parent = next(b.resource for b in source.blueprints if b.resource.name == per_value.resource)
        directory = layout.run_directory(self._site.out, source.name, parent.dirname, run)
        return values_of(self._site.fs, directory, per_value)

    def _choose_runs(self) -> dict[str, dict[str, str] | HarvesterError]:
        """The run of each resource, by source: its own unfinished one, else the harvest under way, else a new one.

        A harvest that was broken off is gone on with: what finished in it, in whatever source, is not fetched again.
        One that came to its end is over, also if a resource failed in it: then only that resource goes on where it
        stood, and its siblings begin anew. It is over as well when all that is asked for has finished in it.
        """
        found: dict[str, dict[str, tuple[RunDirectory, ...]]] = {}
        failed: dict[str, HarvesterError] = {}
        for source in self._sources:
            try:
                found[source.name] = self._look(source)
            except HarvesterError as error:
                failed[source.name] = error
        current = {
            source.name: read_current(self._site.fs, self._site.out, source.note)
            for source in self._sources
            if source.name in found
        }
        if self._restart or all(
            note is None or all(_finished_in(note.run, runs) for runs in found[name].values())
            for name, note in current.items()
        ):
            current = dict.fromkeys(found)
        chosen: dict[str, dict[str, str] | HarvesterError] = dict(failed)
        for source in self._sources:
            if source.name in found:
                try:
                    chosen[source.name] = self._assign(source, found[source.name], current[source.name])
                except HarvesterError as error:
                    chosen[source.name] = error
        return chosen

    def _look(self, source: Source) -> dict[str, tuple[RunDirectory, ...]]:
        """The runs there are of each resource of *source*; with ``restart``, without the unfinished ones."""
        fs, out = self._site.fs, self._site.out
        self._check_provider(source)
        found = {}
        for blueprint in source.blueprints:
            runs = find_runs(fs, out, source.name, blueprint.resource.dirname)
            if self._restart:
                for abandoned in runs:
                    if not abandoned.finished:
                        fs.remove_tree(abandoned.path)
                runs = tuple(run for run in runs if run.finished)
            found[blueprint.resource.name] = self._with_renewal(source, blueprint, runs)
        return found

    def _with_renewal(
        self, source: Source, blueprint: Blueprint, runs: tuple[RunDirectory, ...]
    ) -> tuple[RunDirectory, ...]:
        """*runs* and the one that finished without a directory; what a dead process left of that is removed."""
        fs, out, dirname = self._site.fs, self._site.out, blueprint.resource.dirname
        renewal = read_renewal(fs, out, source.name, dirname)
        if renewal is None or any(run.finished and run.name >= renewal.manifest.run for run in runs):
            return runs
        name = renewal.manifest.run
        for left in runs:
            if left.name == name:
                fs.remove_tree(left.path)
        path = layout.run_directory(out, source.name, dirname, name)
        return (*(run for run in runs if run.name != name), RunDirectory(name, path, finished=True))

    def _assign(
        self, source: Source, found: Mapping[str, tuple[RunDirectory, ...]], current: CurrentRun | None
    ) -> dict[str, str]:
        """The run of each resource of *source*; *current*: the harvest under way, None: there is none."""
        fresh = layout.run_name(self._site.clock.now(), {run.name for runs in found.values() for run in runs})
        if current is None:
            current = CurrentRun(run=fresh, provider=source.provider.name, mode=Phase.FULL, resources=tuple(found))
            begin_current(self._site.fs, self._site.out, source.note, current)
        return {name: _run_of(runs, current.run, fresh) for name, runs in found.items()}

    def _check_provider(self, source: Source) -> None:
        """A directory of one provider's records takes no other's under the same name."""
        fs, out = self._site.fs, self._site.out
        current = read_current(fs, out, source.note)
        finished = next((run for run in find_source_runs(fs, out, source.name) if run.finished), None)
        manifest = read_manifest(fs, finished.path) if finished is not None else None
        held = manifest.provider if manifest is not None else current.provider if current is not None else None
        if held is not None and held != source.provider.name:
            raise ConfigError(
                f"{out / f'source={source.name}'} holds records of the provider {held}, not of {source.provider.name}. "
                "Nothing was changed. Give this source another name, or choose another output directory.",
                path=f"sources.{source.name}.provider",
            )


def _finished_in(run: str, runs: Sequence[RunDirectory]) -> bool:
    return any(each.name == run and each.finished for each in runs)


def _run_of(runs: Sequence[RunDirectory], current: str, fresh: str) -> str:
    """What a resource with *runs* goes on with, or begins: its unfinished run, else *current*.

    *fresh* where it has a later run than that, of another harvest: the order of runs says which version counts.
    """
    unfinished = [run.name for run in runs if not run.finished]
    if unfinished and not _finished_in(current, runs):
        return unfinished[-1]
    later = any(run.name > current for run in runs)
    return fresh if later and not _finished_in(current, runs) else current


def _is_final(outcome: Outcome) -> bool:
    """Whether running again would only meet the same end: nothing of it waits to be gone on with."""
    if outcome.error is None:
        return outcome.verdict in {"complete", "incomplete"}
    return isinstance(outcome.error, GiveUpError) and not isinstance(outcome.error, StorageError | Locked)
