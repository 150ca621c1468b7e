"""A server that leaves rows out of everything but its listing of keys, and a run that is to prove it has them all.

Some of its walks end early for that. In half of the worlds rows change, also while the keys are listed and what is
missing is read; in half of them the machine is cut down again and again. Never ``complete`` with a row missing that
was there from the listing on, and without interference it always comes to complete (FAULTS P12, T10, T11, R01, R05;
invariants 5 and 10).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from zlib import crc32

import msgspec

from harvester.api.catalogue import providers
from harvester.events import Event, PageFetched
from harvester.sandbox.exchange import Reply
from tests.simulation.changes import Changes
from tests.simulation.hiding import without
from tests.simulation.plays.crashes import attempt
from tests.simulation.truth import check_disk, finished, held
from tests.simulation.world import PAGED, World

_RESOURCES = {
    "centris": ["Property"],
    "ims": ["Database", "Property"],
    "spark": ["listings"],
    "spark_reso": ["Property"],
}
_MOST = 8  # crashes of one seed; then it is left alone

Key = tuple[str, ...]


async def play(world: World) -> None:
    chance = world.faults
    provider = chance.choice(PAGED)
    async with world.serving(records=world.data.randint(40, 120), gzip=False) as sandbox:
        config = world.config(provider)
        watch = _Watch(world, provider, changing=chance.random() < 0.5)
        _hide(world, provider, chance.choice((3, 7, 20, 1_000)))
        crashing = chance.random() < 0.5
        crashes = 0
        while not await attempt(world, config, watch, chance if crashing and crashes < _MOST else None, prove=True):
            crashes += 1
            assert crashing, "not complete although nothing interferes"
            assert crashes <= _MOST, "not complete although nothing interferes any more"
            check_disk(world.machine)
            await world.machine.clock.sleep(chance.uniform(0, 30))
        check_disk(world.machine)
        watch.check()
        world.figures["crashes"] = crashes
        world.trace.note(f"{provider} {len(sandbox.log.of(provider))}")


class _Watch(Changes):
    """A sink: rows change at any time, and what was there when the keys were first listed is remembered."""

    def __init__(self, world: World, provider: str, *, changing: bool) -> None:
        self._world, self._provider = world, provider
        self.any, self.resources = changing, _RESOURCES[provider]
        self._before: dict[str, set[Key]] = {}

    def __call__(self, event: Event) -> None:
        if not isinstance(event, PageFetched):
            return
        if event.walk.startswith("s") and event.resource not in self._before:
            self._before[event.resource] = self._truth(event.resource)
        # Not while the closing delta is read: it is followed by nothing that would bring the end of a long tie.
        if self.any and event.walk[0] not in "cde":
            self._world.sandbox.mutate(self._world.data.randint(0, 2), self._provider)

    def check(self) -> None:
        """Every row that was there from the listing on is held by what is complete."""
        for resource, (run, manifest) in finished(self._world.machine).items():
            assert manifest.verdict == "complete", manifest.reason
            assert manifest.sweep is not None
            assert manifest.sweep.proven
            figures = self._world.figures
            for name, figure in (("refetched", manifest.sweep.refetched), ("gone", manifest.sweep.gone)):
                figures[name] = figures.get(name, 0) + figure
            figures["rounds"] = max(figures.get("rounds", 0), manifest.sweep.rounds)
            mine = {self._key(resource, line) for line in held(self._world.machine.files, run, manifest)}
            still = self._before[resource] & self._truth(resource)
            assert still <= mine, f"{resource} is complete without {sorted(still - mine)[:3]}"

    def _truth(self, resource: str) -> set[Key]:
        return {self._key(resource, line) for line in self._world.sandbox.simulator(self._provider).truth(resource)}

    def _key(self, resource: str, line: bytes) -> Key:
        row = json.loads(line)
        declared = next(each for each in providers() if each.name == self._provider)
        known = next(each for each in declared.resources if each.name == resource)
        scope = (known.per_value.stamp,) if known.per_value is not None else ()
        return tuple(str(row[member]) for member in (*scope, *known.key))


def _hide(world: World, provider: str, share: int) -> None:
    """Leave one row in *share* out of every answer that is neither a listing of keys nor asked for by key."""
    sandbox = world.sandbox
    exchange = sandbox.exchange

    async def rigged(**asked: Any) -> Reply:
        reply = await exchange(**asked)
        target = str(asked["target"])
        if reply.status != 200 or f"/{provider}/" not in target or "select=" in target or _by_key(target):
            return reply
        body = without(reply.body, lambda row: not crc32(_name(row).encode()) % share)
        return reply if body is None else msgspec.structs.replace(reply, body=body)

    sandbox.exchange = rigged  # type: ignore[method-assign]


def _by_key(target: str) -> bool:
    path = target.partition("?")[0]
    return "('" in path or "/listings/" in path or "ListingId%20eq" in target or "MLSID%20eq" in target


def _name(row: Mapping[str, object]) -> str:
    return str(row.get("ListingKey") or row.get("ListingId") or row.get("Id") or row)
