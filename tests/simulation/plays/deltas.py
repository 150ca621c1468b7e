"""A full harvest, and deltas while rows change, with crashes in between: nothing that the provider stamps is missed.

Rows come late by less than the provider's margin, in ties longer than a page, with seven digits, go and come back,
and one is dated years ahead. The server may cut its pages, the machine's clock may be wrong, and be set forward and
back; local times without a zone go back by an hour. Once nothing changes any more, two deltas make the current state
hold every row as it is (FAULTS T01, T02, T03, T05, T06, T07, T09, T12, C02; invariants 2, 5 and 10). Rows that went
may still be in it: only a sweep finds them.
"""

from __future__ import annotations

import asyncio

from harvester.api.catalogue import providers
from harvester.api.view import view
from harvester.config.schema import Config
from harvester.events import Event, PageFetched
from harvester.sandbox.faults import Match, Rule
from harvester.sandbox.records import Row
from harvester.sandbox.shelves import Shelf
from harvester.sandbox.stamps import SECOND, instant_at, stamp
from tests.simulation.changes import Changes
from tests.simulation.plays.crashes import attempt
from tests.simulation.truth import check_disk
from tests.simulation.world import PROVIDERS, World

_RESOURCES = {
    "centris": ["Property"],
    "ims": ["Database", "Property"],
    "spark": ["listings"],
    "spark_reso": ["Property"],
    "idx_broker": ["clients/featured"],
}
_SLACK = 60.0  # seconds between a change and the end of the margin: the clock of a server is not its database's
_WALKS: dict[str, tuple[str | None, ...]] = {"centris": (None, "windows"), "ims": (None, "windows", "ranges")}
_CRASHES = 4  # of one delta; then it is left alone


async def play(world: World) -> None:
    chance = world.faults
    provider = PROVIDERS[world.seed % len(PROVIDERS)]
    async with world.serving(records=world.data.randint(60, 140)) as sandbox:
        walk = chance.choice(_WALKS.get(provider, (None,)))
        config = world.config(provider, **({} if walk is None else {"walk": walk}))
        unrest = Unrest(world, provider)
        if chance.random() < 0.3:
            world.machine.clock.jump(chance.choice((-7_200.0, -600.0, 600.0, 7_200.0)))
        if provider != "idx_broker" and chance.random() < 0.4:
            sandbox.faults.replace([Rule(fault="short:0.6", match=Match(provider=provider), p=0.3, times=1_000)])
        await _harvest(world, config, unrest, "full")
        for _ in range(chance.randint(2, 5)):
            await asyncio.sleep(2 ** chance.uniform(0, 14))
            if chance.random() < 0.3:
                world.machine.clock.jump(chance.choice((-3_600.0, -90.0, 90.0, 3_600.0)))
            if provider == "ims" and not sandbox.clock.skew and chance.random() < 0.2:
                sandbox.clock.skew = -3_600.0  # the night the clocks go back: its times have no zone
            for _ in range(chance.randint(0, 6)):
                unrest.change()
            if chance.random() < 0.7:
                await _harvest(world, config, unrest, chance.choice(("auto", "delta")))
            else:  # broken off, and gone on with some time later
                await attempt(world, config, unrest, chance, mode="delta")
        unrest.any = False
        for _ in range(3):  # the first may end what was begun before
            await asyncio.sleep(2 ** chance.uniform(0, 12))
            await _harvest(world, config, unrest, "auto")
        check_disk(world.machine)
        unrest.check()


async def _harvest(world: World, config: Config, unrest: Unrest, mode: str) -> None:
    crashes, restless = 0, unrest.any
    while not await attempt(world, config, unrest, None if crashes >= _CRASHES else world.faults, mode=mode):
        crashes += 1
        assert crashes <= _CRASHES, "not complete although nothing interferes"
        unrest.any = restless and crashes < _CRASHES  # a tie that keeps moving is told as that
        await asyncio.sleep(2 ** world.faults.uniform(0, 10))
    unrest.any = restless
    world.figures["crashes"] = world.figures.get("crashes", 0) + crashes


class Unrest(Changes):
    """A sink: rows change between deltas, and at any page of one."""

    def __init__(self, world: World, provider: str) -> None:
        self._world, self._provider = world, provider
        self.any, self.resources = True, _RESOURCES[provider]
        self._odd: set[str] = set()  # keys of rows that were dated in the future: what they become may look older
        overlap = next(each.overlap for each in providers() if each.name == provider)
        if provider == "ims":
            overlap -= 3_600.0  # kept for the night the clocks go back
        self._margin = 0.0 if provider == "idx_broker" else overlap - _SLACK

    def __call__(self, event: Event) -> None:
        if self.any and isinstance(event, PageFetched) and self._world.data.random() < 0.2:
            self.change()

    def change(self) -> None:
        """Change some rows, in one of the ways in which rows change."""
        chance, sandbox = self._world.data, self._world.sandbox
        late = -chance.uniform(0, self._margin) if chance.random() < 0.5 else 0.0
        with sandbox.clock.shifted(late):
            shelves = sandbox.simulator(self._provider).shelves(self.resources[-1])
            how = chance.choice(("some", "tie", "digits", "gone", "future")) if shelves else "some"
            if how == "some":
                sandbox.mutate(chance.randint(1, 9), self._provider)
                return
            shelf = max(shelves, key=lambda each: len(each.table)) if how == "tie" else chance.choice(shelves)
            rows = list(shelf.table)
            instant = instant_at(sandbox.clock.now())
            match how:
                case "tie":
                    self._stamp(shelf, chance.sample(rows, min(len(rows), chance.choice((2, 15, 60)))), instant, 0)
                case "digits":
                    for row in chance.sample(rows, min(len(rows), 4)):
                        self._stamp(shelf, [row], instant + chance.randrange(10) * 100, 7)
                case "gone" if len(rows) > 5:
                    row = shelf.table.remove(chance.choice(rows).key)
                    if chance.random() < 0.5:
                        self._stamp(shelf, [row], instant, 0)  # it comes back
                case _:
                    row = chance.choice(rows)
                    self._odd.add(row.key)
                    ahead = chance.choice((3_600, 10 * 365 * 86_400))
                    self._stamp(shelf, [row], instant + ahead * SECOND, 0)

    def _stamp(self, shelf: Shelf, rows: list[Row], instant: int, digits: int) -> None:
        unit = 10 ** (9 - digits)
        for row in rows:
            zone = "Z" if (row.modified or "Z")[-1] in "Zz" else ""
            text = stamp(instant, digits, zone=zone)
            shelf.put_time(row, text, instant - instant % unit, mark=f"changed {self._world.data.randrange(10**6)}")

    def check(self) -> None:
        """The current state holds every row of the provider, as it is."""
        machine, simulator = self._world.machine, self._world.sandbox.simulator(self._provider)
        for resource in self.resources:
            held: list[bytes] = []
            view(machine.out, resource, write=held.append, ports=machine.ports())
            shelf = next(iter(simulator.shelves(resource)), None)
            truth = [row for row in simulator.truth(resource) if shelf is None or shelf.key_of(row) not in self._odd]
            missing = set(truth) - set(b"".join(held).split(b"\n"))
            assert not missing, f"{resource} lacks {len(missing)} of {len(truth)}, as {min(missing)[:300]!r}"
