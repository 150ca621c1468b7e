"""Worlds in which ``sync`` runs for hours: what the tests of it share."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from harvester.api.sync import SyncReport, pulse_of, sync
from harvester.api.view import view
from harvester.config.schema import Config
from harvester.events import Event, RoundFinished, RoundStarted
from harvester.report.pulse import Health, Pulse, ResourceHealth
from harvester.store.runs import find_all_runs
from tests.simulation.world import World

HOUR = 3_600.0


class Keeper:
    """One process that keeps the sources of a world current, and what it told."""

    def __init__(self, world: World, config: Config) -> None:
        self.world, self.config = world, config
        self.events: list[Event] = []  # rounds only
        self.pulse: Pulse
        self.stop: Any = None

    async def keep(self, **options: Any) -> SyncReport:
        """``harvester.sync`` on the machine, every event in the trace."""
        ports = options.pop("ports", None) or self.world.machine.ports()
        self.pulse = pulse_of(ports)
        return await sync(self.config, sink=self._take, ports=ports, pulse=self.pulse, **options)

    def _take(self, event: Event) -> None:
        self.world.trace.event(event)
        if isinstance(event, RoundStarted | RoundFinished):
            self.events.append(event)

    @property
    def rounds(self) -> list[RoundFinished]:
        return [event for event in self.events if isinstance(event, RoundFinished)]

    def modes(self, resource: str) -> list[str]:
        """What was done to *resource*, in this order."""
        return [result.mode for event in self.rounds for result in event.results if result.resource == resource]

    def starts(self, source: str, resource: str) -> list[float]:
        """When the rounds of *resource* began, in seconds since the machine's noon."""
        began = self.world.machine.clock
        return [
            (event.at - began.now()).total_seconds() + self.world.loop.time()
            for event in self.events
            if isinstance(event, RoundStarted) and event.source == source and resource in event.resources
        ]


def keeping(world: World, provider: str, *, others: Sequence[str] = (), **changes: Any) -> Keeper:
    """A configuration of *provider*, and of *others* as the sandbox writes them. *changes*: of the whole."""
    source = changes.pop("source", {})
    config = world.config(provider, **source)
    for other in others:
        config.sources[other] = world.config(other, resources=("Property",)).sources[other]
    changes.setdefault("every", 300.0)
    return Keeper(world, msgspec.structs.replace(config, **changes))


@asynccontextmanager
async def changing(world: World, seconds: float, change: Callable[[], object]) -> AsyncIterator[None]:
    """*change* is called every so many *seconds* within the block."""

    async def again() -> None:
        while True:
            await asyncio.sleep(seconds)
            change()

    task = asyncio.ensure_future(again())
    try:
        yield
    finally:
        task.cancel()


def resource_of(health: Health, source: str, resource: str) -> ResourceHealth:
    return next(
        each
        for owner in health.sources
        if owner.source == source
        for each in owner.resources
        if each.resource == resource
    )


def check_view(world: World, provider: str, resources: Sequence[str]) -> None:
    """The current state is the provider's, record for record."""
    machine, simulator = world.machine, world.sandbox.simulator(provider)
    for resource in resources:
        held: list[bytes] = []
        view(machine.out, resource, source=provider, write=held.append, ports=machine.ports())
        mine, truth = Counter(b"".join(held).splitlines()), Counter(simulator.truth(resource))
        assert mine == truth, (
            f"{resource}: {sum((truth - mine).values())} missing, {sum((mine - truth).values())} extra"
        )


def runs_of(world: World, resource: str) -> list[str]:
    """Names of the runs of *resource* on disk."""
    return [
        run.name
        for run in find_all_runs(world.machine.files, world.machine.out)
        if run.path.parent.name == f"resource={resource}"
    ]
