"""One worker a walk, in one task group; a failed resource never stops its siblings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import anyio

from harvester.engine.resource_run import Outcome, ResourceRun, Site
from harvester.engine.source import Blueprint, Source
from harvester.engine.values import values_of
from harvester.errors import CredentialsRefused, HarvesterError, ResourceRefused
from harvester.events import ResourceFinished, SourceFailed
from harvester.model import Phase
from harvester.store import layout
from harvester.store.current import CurrentRun, begin_current, end_current, read_current
from harvester.store.runs import find_runs


class Supervisor:
    """Runs the resources of all sources side by side; the governors decide who may ask."""

    def __init__(self, sources: Sequence[Source], site: Site, *, restart: bool = False) -> None:
        self._sources, self._site, self._restart = sources, site, restart

    async def run(self) -> tuple[Outcome, ...]:
        """Every resource's outcome, in no particular order. Failures are outcomes, not exceptions."""
        outcomes: list[Outcome] = []
        async with anyio.create_task_group() as tasks:
            for source in self._sources:
                tasks.start_soon(self._run_source, source, outcomes)
        return tuple(outcomes)

    async def _run_source(self, source: Source, outcomes: list[Outcome]) -> None:
        site = self._site
        try:
            run = await asyncio.get_running_loop().run_in_executor(site.executor, self._choose_run, source)
        except HarvesterError as error:
            site.sink(SourceFailed(at=site.clock.now(), source=source.name, reason=str(error)))
            outcomes.append(Outcome(resource="", verdict="failed", reason=str(error), error=error))
            return
        mine: dict[str, Outcome] = {}
        ready = {blueprint.resource.name: anyio.Event() for blueprint in source.blueprints}
        async with anyio.create_task_group() as tasks:
            for blueprint in source.blueprints:
                tasks.start_soon(self._run_resource, source, blueprint, run, mine, ready)
        outcomes.extend(mine.values())
        refused = next((o.error for o in mine.values() if isinstance(o.error, CredentialsRefused)), None)
        if refused is not None:
            site.sink(SourceFailed(at=site.clock.now(), source=source.name, reason=str(refused)))
        if all(outcome.verdict in {"complete", "incomplete"} for outcome in mine.values()):
            await asyncio.get_running_loop().run_in_executor(site.executor, end_current, site.fs, site.out, source.name)

    async def _run_resource(
        self,
        source: Source,
        blueprint: Blueprint,
        run: str,
        mine: dict[str, Outcome],
        ready: dict[str, anyio.Event],
    ) -> None:
        name = blueprint.resource.name
        per_value = blueprint.resource.per_value
        try:
            values: Sequence[str] | None = None
            if per_value is not None:
                await ready[per_value.resource].wait()
                parent = mine.get(per_value.resource)
                if parent is None:  # it broke off with an exception, which is on its way up
                    return
                if parent.verdict not in {"complete", "incomplete"}:
                    mine[name] = self._orphan(source, blueprint, run, parent)
                    return
                values = await asyncio.get_running_loop().run_in_executor(
                    self._site.executor, self._values, source, blueprint, run
                )
            mine[name] = await ResourceRun(source, blueprint, self._site, run).run(values)
        except HarvesterError as error:
            mine[name] = Outcome(resource=name, verdict="failed", reason=str(error), error=error)
            self._report(source, name, run, mine[name])
        finally:
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

    # -------------------------------------------------------------- in the worker thread

    def _values(self, source: Source, blueprint: Blueprint, run: str) -> tuple[str, ...]:
        per_value = blueprint.resource.per_value
        assert per_value is not None  # noqa: S101 - checked by the only caller
        parent = next(b.resource for b in source.blueprints if b.resource.name == per_value.resource)
        directory = layout.run_directory(self._site.out, source.name, parent.dirname, run)
        return values_of(self._site.fs, directory, per_value)

    def _choose_run(self, source: Source) -> str:
        """The name of the unfinished harvest to go on with, or of a new one."""
        fs, out = self._site.fs, self._site.out
        names = tuple(blueprint.resource.name for blueprint in source.blueprints)
        runs = {
            blueprint.resource.dirname: find_runs(fs, out, source.name, blueprint.resource.dirname)
            for blueprint in source.blueprints
        }
        current = read_current(fs, out, source.name)
        unfinished = sorted({run.name for found in runs.values() for run in found if not run.finished})
        if self._restart:
            for found in runs.values():
                for abandoned in found:
                    if not abandoned.finished:
                        fs.remove_tree(abandoned.path)
        else:
            for run in ([current.run] if current is not None else []) + unfinished[::-1]:
                # A harvest of which all that is asked for has finished is over, also if it had more resources.
                if not all(any(each.name == run and each.finished for each in found) for found in runs.values()):
                    return run
        taken = {run.name for found in runs.values() for run in found}
        run = layout.run_name(self._site.clock.now(), taken)
        begin_current(fs, out, source.name, CurrentRun(run=run, mode=Phase.FULL, resources=names))
        return run
