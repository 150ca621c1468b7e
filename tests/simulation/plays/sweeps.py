"""A harvest, changes for a while, then sweeps of it, cut down again and again.

When changes have stopped, a sweep leaves the replica with the provider's keys: nothing that lives is missing from the
view, nothing that is deleted is in it, and no key was buried that lives, whatever happened to the machine or to the
rows while the sweep was made (FAULTS T10, T11, T12, R01, R05; invariants 5 and 10).
"""

from __future__ import annotations

import json
from pathlib import PurePath

from harvester.api.catalogue import providers
from harvester.engine.view import CurrentState, layers_of
from harvester.events import Event, PageFetched
from harvester.model import Resource
from harvester.store.runs import find_runs
from tests.simulation.changes import Changes
from tests.simulation.plays.crashes import attempt
from tests.simulation.truth import check_disk
from tests.simulation.world import PAGED, World

_RESOURCES = {
    "centris": ["Property"],
    "ims": ["Database", "Property"],
    "spark": ["listings"],
    "spark_reso": ["Property"],
}
_MOST = 6  # crashes of one seed; then it is left alone

Key = tuple[str, ...]


async def play(world: World) -> None:
    chance = world.faults
    provider = chance.choice(PAGED)
    async with world.serving(records=world.data.randint(40, 120)) as sandbox:
        config = world.config(provider)
        quiet = _Restless(world, provider, changing=False)
        assert await attempt(world, config, quiet, None)
        crashes = 0
        for changing in (chance.random() < 0.7, False):
            sandbox.mutate(world.data.randint(0, 12), provider)
            await world.machine.clock.sleep(world.data.uniform(60, 4 * 3600))
            watch = _Restless(world, provider, changing=changing)
            most = crashes + (_MOST if chance.random() < 0.5 else 0)
            while not await attempt(
                world, config, watch, chance if crashes < most else None, mode="sweep", allow_purge=True
            ):
                crashes += 1
                assert crashes <= most + (changing * 1), "not complete although nothing interferes any more"
                check_disk(world.machine)
                await world.machine.clock.sleep(chance.uniform(0, 30))
            check_disk(world.machine)
        resource = _RESOURCES[provider][-1]
        truth = {_key(provider, resource, line) for line in sandbox.simulator(provider).truth(resource)}
        assert _view(world, provider, resource) == truth
        world.figures["crashes"] = crashes


class _Restless(Changes):
    """A sink: rows change with every page where they are to."""

    def __init__(self, world: World, provider: str, *, changing: bool) -> None:
        self._world, self._provider = world, provider
        self.any, self.resources = changing, _RESOURCES[provider]

    def __call__(self, event: Event) -> None:
        if self.any and isinstance(event, PageFetched) and event.walk[0] not in "wcde":
            self._world.sandbox.mutate(self._world.data.randint(0, 1), self._provider)


def _view(world: World, provider: str, resource: str) -> set[Key]:
    machine = world.machine
    scratch = PurePath("/scratch")
    machine.files.make_directory(scratch)
    dirname = resource.replace("/", ".")
    layers = layers_of(machine.files, find_runs(machine.files, machine.out, provider, dirname))
    state = CurrentState(machine.files, layers, scratch)
    state.settle()
    return {_key(provider, resource, line) for line in state.lines()}


def _key(provider: str, resource: str, line: bytes) -> Key:
    row, known = json.loads(line), _declared(provider, resource)
    scope = (known.per_value.stamp,) if known.per_value is not None else ()
    return tuple(str(row[member]) for member in (*scope, *known.key))


def _declared(provider: str, resource: str) -> Resource:
    declared = next(each for each in providers() if each.name == provider)
    return next(each for each in declared.resources if each.name == resource)
