"""The rounds of one party: resources of a source that are harvested together, again and again, in their own time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

import anyio

from harvester.api.assembly import Chosen
from harvester.api.harvest import source_failed
from harvester.api.ports import Ports
from harvester.api.probe import forget_surprises, settle
from harvester.api.turns import Turns
from harvester.config.schema import Config
from harvester.contracts import Sink
from harvester.engine.last_success import LastSuccess, last_success
from harvester.engine.site import Outcome, Site
from harvester.engine.source import Source
from harvester.engine.stopping import unless_stopped
from harvester.engine.supervisor import Supervisor
from harvester.errors import CredentialsRefused, HarvesterError, MendError, WaitError
from harvester.events import RoundFinished, RoundResult, RoundStarted, SourceFailed
from harvester.model import Phase
from harvester.planning.rhythm import Ended, Rhythm, next_in, next_sweep_try_in, spread

_LOOK_AGAIN = 60.0  # seconds between two looks at the wall clock while a sweep is awaited
_BUG = "this is a bug, please report it: "


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """What all parties of one process share."""

    config: Config
    ports: Ports
    site: Site  # its mode and executor are each round's own
    turns: Turns
    sink: Sink
    stop: anyio.Event
    rounds: int | None  # of each party, then it ends; None: without end
    recall: Callable[[str, str, LastSuccess], object]  # told once of source and resource what earlier processes left


@dataclass(kw_only=True)
class Home:
    """An open source. What stops it stops all its parties."""

    chosen: Chosen
    source: Source
    executor: Executor
    rhythm: Rhythm
    refused: HarvesterError | None = None  # why it is not asked any more


@dataclass(kw_only=True)
class Party:
    """Keeps some resources of a source current until it is stopped, or a person must mend something."""

    keeping: Keeping
    home: Home
    source: Source  # with the blueprints of this party only
    listed: dict[str, datetime] = field(default_factory=dict)  # by resource: when all its keys were seen, aware UTC
    last: tuple[Outcome, ...] = ()  # of the last round that came to its end
    unswept: Outcome | None = None  # of the last sweep, if that was not whole
    failures: int = 0  # rounds in a row that were not whole
    over: bool = False
    _no_sweep_before: float = -math.inf  # monotonic
    _recalled: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(blueprint.resource.name for blueprint in self.source.blueprints)

    def outcomes(self) -> tuple[Outcome, ...]:
        """How the last round went, and the last sweep, if no other has made up for it."""
        if self.last:
            return self.last if self.unswept is None else (*self.last, self.unswept)
        if self.home.refused is not None:
            return (source_failed(self.home.refused),)
        return (Outcome(resource="", verdict="interrupted"),)

    async def keep(self) -> None:
        """Make rounds. Failures are outcomes and events, not exceptions."""
        rng, rhythm = self.keeping.ports.rng, self.home.rhythm
        wait, number = rng.uniform(0.0, spread(rhythm)), 0
        while not await self._stopped_before(wait):
            async with self.keeping.turns.of(self.source.name, self.names) as ours:
                if not ours or self.home.refused is not None:
                    return
                number += 1
                wait = await self._round(last=number == self.keeping.rounds)
            if self.over or number == self.keeping.rounds:
                return

    async def _stopped_before(self, seconds: float) -> bool:
        """Wait for the next round, or for a sweep if that is due sooner. True: there is none."""
        clock, stop = self.keeping.ports.clock, self.keeping.stop
        due = clock.monotonic() + seconds
        while not (stop.is_set() or self.home.refused is not None):
            left = due - clock.monotonic()
            sweep = None if self.failures else self._until_sweep()
            if left <= 0 or (sweep is not None and sweep <= 0):
                return False
            # In pieces: a wall clock may jump, and siblings may hear that the credential is refused.
            piece = min(left, _LOOK_AGAIN if sweep is None else max(sweep, 1.0), _LOOK_AGAIN)
            await unless_stopped(stop, lambda piece=piece: clock.sleep(piece))  # type: ignore[misc]
        return True

    # -------------------------------------------------------------- one round

    async def _round(self, *, last: bool) -> float:
        """Make a round. Seconds until the next one."""
        keeping, name = self.keeping, self.source.name
        clock = keeping.ports.clock
        mode = "sweep" if self._until_sweep() == 0.0 else "auto"
        keeping.sink(RoundStarted(at=clock.now(), source=name, resources=self.names, mode=mode))
        began, at = clock.monotonic(), clock.now()
        outcomes = await self._harvest(mode)
        took = clock.monotonic() - began
        interrupted = any(outcome.verdict == "interrupted" for outcome in outcomes)
        if not interrupted:
            self.last = outcomes
            self._learn(mode, outcomes, at)
        wait = self._next(outcomes, took)
        ends = last or interrupted or self.over
        keeping.sink(
            RoundFinished(
                at=clock.now(),
                source=name,
                results=self._results(outcomes),
                seconds=took,
                failures=self.failures,
                next_in=None if ends else wait,
            )
        )
        return wait

    async def _harvest(self, mode: str) -> tuple[Outcome, ...]:
        keeping, home = self.keeping, self.home
        site = replace(keeping.site, mode=mode, executor=home.executor)
        try:
            settled = await settle(
                keeping.config,
                [home.chosen],
                [self.source],
                resources=self.names,
                ports=keeping.ports,
                sink=keeping.sink,
                stop=keeping.stop,
            )
            if not self._recalled:  # not sooner: the walk, which a probe may choose, is a part of the settings
                await self._recall(settled[0])
            outcomes = await Supervisor(settled, site).run()
            forget_surprises(keeping.config, [home.chosen], settled, outcomes, keeping.ports)
        except HarvesterError as error:
            return self._all_failed(str(error), error)
        except Exception as error:  # one source's trouble, whatever it is, does not end the others
            reason = f"{_BUG}{_deepest(error)}"
            keeping.sink(SourceFailed(at=keeping.ports.clock.now(), source=self.source.name, reason=reason))
            return self._all_failed(reason, None)
        return outcomes

    async def _recall(self, source: Source) -> None:
        """Find out how far the replica was true when this process began."""
        site, loop = self.keeping.site, asyncio.get_running_loop()
        for blueprint in source.blueprints:
            read = partial(last_success, site.fs, site.out, source.name, blueprint)
            found = await loop.run_in_executor(self.home.executor, read)
            if found.listed is not None:
                self.listed[blueprint.resource.name] = found.listed
            self.keeping.recall(source.name, blueprint.resource.name, found)
        self._recalled = True

    def _all_failed(self, reason: str, error: HarvesterError | None) -> tuple[Outcome, ...]:
        return tuple(Outcome(resource=name, verdict="failed", reason=reason, error=error) for name in self.names)

    def _results(self, outcomes: Sequence[Outcome]) -> tuple[RoundResult, ...]:
        """One for each resource, also where the source failed as a whole."""
        own = {outcome.resource: outcome for outcome in outcomes}
        found = [own.get(name) or own.get("") or outcomes[0] for name in self.names]
        return tuple(
            RoundResult(
                resource=name,
                mode=outcome.mode,
                verdict=outcome.verdict,
                reason=outcome.reason,
                changes=outcome.changes,
                watermark=outcome.watermark if outcome.mode != Phase.SWEEP else None,
            )
            for name, outcome in zip(self.names, found, strict=True)
        )

    def _learn(self, mode: str, outcomes: Sequence[Outcome], at: datetime) -> None:
        """Take from *outcomes* what decides how the next rounds are made."""
        for outcome in outcomes:
            if outcome.verdict == "complete" and outcome.mode in {Phase.FULL, Phase.SWEEP}:
                self.listed[outcome.resource] = at
        whole = all(outcome.verdict == "complete" for outcome in outcomes)
        self.failures = 0 if whole else self.failures + 1
        swept = [outcome for outcome in outcomes if outcome.mode == Phase.SWEEP]
        if swept:
            self.unswept = next((outcome for outcome in swept if outcome.verdict != "complete"), None)
        if (swept or mode == Phase.SWEEP) and not whole:
            clock = self.keeping.ports.clock
            self._no_sweep_before = clock.monotonic() + next_sweep_try_in(self.home.rhythm)
        for outcome in outcomes:
            if isinstance(outcome.error, CredentialsRefused):
                self.home.refused = outcome.error
        # Where others of the party can be had, they go on: what is wrong with one of them is told again each time.
        mend = all(isinstance(outcome.error, MendError) for outcome in outcomes)
        self.over = mend or self.home.refused is not None

    def _next(self, outcomes: Sequence[Outcome], took: float) -> float:
        rng, rhythm, now = self.keeping.ports.rng, self.home.rhythm, self.keeping.ports.clock.now()
        resets = [
            (outcome.error.resets_at - now).total_seconds()
            for outcome in outcomes
            if isinstance(outcome.error, WaitError) and outcome.error.resets_at is not None
        ]
        ended = Ended(
            took=took,
            whole=self.failures == 0,
            failed=all(outcome.verdict == "failed" for outcome in outcomes),
            full=any(outcome.mode == Phase.FULL for outcome in outcomes),
            resumes_in=max(resets, default=None),
        )
        wait = next_in(rhythm, ended, self.failures)
        return max(0.0, wait - rng.uniform(0.0, min(spread(rhythm), wait)))

    def _until_sweep(self) -> float | None:
        """Seconds until all keys are to be listed again; None: they are not, or nothing is there to be held to it."""
        ports = self.keeping.ports
        if ports.clock.monotonic() < self._no_sweep_before:
            return None
        asked = [each.resource.name for each in self.source.blueprints if each.changes is not None]
        if not asked or any(name not in self.listed for name in asked):
            return None
        return self.home.rhythm.until_sweep(min(self.listed[name] for name in asked), ports.clock.now())


def _deepest(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
