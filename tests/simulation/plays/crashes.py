"""A harvest that is cut down again and again: by a loss of power inside a system call, or at any await.

In half of the worlds the server fails as well, in some rows change meanwhile.
Started again on what survived, until it has finished: nothing is lost, nothing is doubled, the manifest equals the
shards (FAULTS F05, F06, F08, R01, R05, T09; invariants 2, 3, 5 and 10).
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

from harvester.config.schema import Config
from harvester.errors import HarvesterError
from harvester.report.tally import Report
from tests.fakes.fs import PowerLoss
from tests.simulation import rules
from tests.simulation.changes import Changes
from tests.simulation.outcome import Witness
from tests.simulation.truth import check_complete, check_disk
from tests.simulation.world import PROVIDERS, World

_MOST = 12  # crashes of one seed; then it is left alone


async def play(world: World) -> None:
    chance = world.faults
    provider = chance.choice(PROVIDERS)
    async with world.serving(records=world.data.randint(40, 90)) as sandbox:
        config = world.config(provider)
        changes = Changes(world, provider)
        drawn = rules.draw(chance, provider) if chance.random() < 0.5 else []
        sandbox.faults.replace(drawn)
        world.trace.note(f"{provider} {[rule.fault for rule in drawn]}")
        crashes = 0
        while not await attempt(world, config, changes, None if crashes >= _MOST else chance):
            crashes += 1
            if crashes == _MOST:
                sandbox.faults.replace([])
            check_disk(world.machine)
            await world.machine.clock.sleep(chance.uniform(0, 30))
        check_disk(world.machine)
        check_complete(world.machine, sandbox.simulator(provider), changed=changes.any)
        assert not world.machine.fs.disk.open_files, "files were left open"
        world.figures["crashes"] = crashes


async def attempt(
    world: World, config: Config, changes: Changes | Witness, chance: Random | None, **options: Any
) -> bool:
    """One process. True: it finished everything.

    Args:
        chance: decides when it ends; None: it may run to its end.
        options: of ``harvester.run``.
    """
    machine = world.machine
    kind = "none" if chance is None else chance.choice(("power", "cancel", "cancel", "moment"))
    harvest = asyncio.ensure_future(world.harvest(config, sink=changes, resources=changes.resources, **options))
    if chance is not None and kind == "power":
        machine.fs.disk.power = round(2 ** chance.uniform(0, 10))
        await asyncio.wait([harvest])
    elif chance is not None and kind == "moment":
        await asyncio.wait([harvest], timeout=2 ** chance.uniform(-8, 2))
    elif chance is not None:
        world.loop.after_steps(round(2 ** chance.uniform(0, 11)), harvest.cancel)
    if not harvest.done() and kind == "moment":
        machine.fs.disk.power = 0  # the plug is pulled: whatever the dying process does reaches nothing
        harvest.cancel()
    await asyncio.wait([harvest])
    world.trace.note(f"ended, {kind}")
    off = machine.fs.disk.power is not None and machine.fs.disk.power <= 0
    machine.fs.disk.power = None
    if off:
        machine.crash()
        _failure(harvest)
        return False
    error = _failure(harvest)
    if error is not None and kind == "none":
        raise error
    return not harvest.cancelled() and error is None and harvest.result().complete


def _failure(harvest: asyncio.Future[Report]) -> BaseException | None:
    """What ended the process. Only a lost machine may end it with anything but an error of ours."""
    if harvest.cancelled():
        return None
    error = harvest.exception()
    assert error is None or _is_expected(error), repr(error)
    return error


def _is_expected(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_expected(each) for each in error.exceptions)
    return isinstance(error, PowerLoss | HarvesterError | asyncio.CancelledError)
