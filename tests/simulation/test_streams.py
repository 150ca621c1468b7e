"""A program that takes the pages of every provider itself, and later what changed: it lacks nothing in the end."""

from __future__ import annotations

import asyncio

import harvester
from harvester.config.schema import Config
from tests.simulation.life import Life
from tests.simulation.subjects import Subject
from tests.simulation.test_replicas import EVERY
from tests.simulation.world import World, simulate


class Taker:
    """Keeps the latest line of each key. It may end behind any page, committed or not, and begin again."""

    def __init__(self, world: World, subject: Subject, config: Config) -> None:
        self._world, self._subject, self._config = world, subject, config
        self.lines: dict[str, dict[tuple[str, ...], bytes]] = {name: {} for name in subject.resources}

    async def take(self, mode: str, *, restless: bool) -> None:
        for name in self._subject.resources:
            while not await self._take(name, mode, restless=restless):
                await asyncio.sleep(2 ** self._world.faults.uniform(0, 12))

    async def _take(self, name: str, mode: str, *, restless: bool) -> bool:
        chance = self._world.faults
        source = self._subject.source or self._subject.served
        async with harvester.open(self._config, ports=self._world.machine.ports()) as session:
            async for page in session.pages(source, name, mode=mode):
                for record in page.records:
                    self.lines[name][self._subject.key(name, record)] = record
                if restless and chance.random() < 0.1:
                    return False
                await page.commit()
                if restless and chance.random() < 0.1:
                    return False
        return True


@EVERY
def test_what_changed_comes_with_the_next_stream(subject: Subject) -> None:
    """FAULTS T01, T02, T07, T09; broken off behind any page."""

    async def play(world: World) -> None:
        options = {subject.served: dict(subject.options)}
        async with world.serving(records=world.data.randint(20, 60), options=options):
            config = subject.config(world)
            life, taker = Life(world, subject, silent=False, late=subject.overlap - 60.0), Taker(world, subject, config)
            await taker.take("full", restless=True)
            for _ in range(4):
                await asyncio.sleep(2 ** world.faults.uniform(5, 15))
                for _ in range(world.faults.randint(0, 6)):
                    life.change()
                await taker.take("auto", restless=True)
            for _ in range(2):
                await taker.take("delta" if "Database" not in subject.resources else "auto", restless=False)
            for name in subject.resources:
                truth = {subject.key(name, line): line for line in life.truth(name)}
                wrong = {key for key, line in truth.items() if taker.lines[name].get(key) != line}
                assert not wrong, f"{name} is wrong in {len(wrong)} of {len(truth)}, as {min(wrong)}"

    for seed in range(2):
        simulate(f"streams of {subject.provider}", seed, play)
