"""A harvest by offset that is cut down again and again while rows come and go: nothing behind a cursor is lost.

Cancelled at any await or without power inside a system call, started again on what survived, until it has finished
(FAULTS P09, T09, R01, R05; invariants 2, 3, 5 and 10).
"""

from __future__ import annotations

import asyncio

import msgspec

from harvester.config.schema import BudgetConfig, Config
from harvester.errors import HarvesterError
from harvester.model import Window
from harvester.sandbox.odata_server_data import KEYS
from tests.fakes.fs import PowerLoss
from tests.simulation.truth import check_disk, finished, held
from tests.simulation.world import World

_MOST = 8  # crashes of one seed; then it is left alone
_RESOURCE, _PER_MEMBER = "Member", 5


async def play(world: World) -> None:
    chance = world.faults
    size = world.data.choice((20, 50))
    cap = world.data.choice((size, size // 2))
    server = f"links-offset,cap-{cap},churn-{world.data.choice((3, 5))}"
    options = {"odata_server": {"servers": [server]}}
    async with world.serving(records=400 * _PER_MEMBER, options=options) as sandbox:
        simulator = sandbox.simulator("odata_server")
        before = _keys(simulator.truth(_RESOURCE))
        config = world.config(
            f"odata-{server.replace(',', '_')}",
            page_size=size,
            resources=[_RESOURCE],
            walk="offset",
            budget=BudgetConfig(in_flight=8, windows=(Window(seconds=1, requests=1000),)),
        )
        crashes = 0
        while not await _attempt(world, config, whole=crashes >= _MOST):
            crashes += 1
            check_disk(world.machine)
            await world.machine.clock.sleep(chance.uniform(0, 30))
        check_disk(world.machine)
        run, manifest = finished(world.machine)[_RESOURCE]
        assert manifest.verdict == "complete", manifest.reason
        missing = (before & _keys(simulator.truth(_RESOURCE))) - _keys(held(world.machine.files, run, manifest))
        assert not missing, f"{len(missing)} rows that lived throughout are missing, as {min(missing)}"
        world.figures["crashes"] = crashes
        world.figures["by_offset"] = sum(walk.pager == "offset" for walk in manifest.walks)


async def _attempt(world: World, config: Config, *, whole: bool) -> bool:
    """One process. True: it finished. *whole*: nothing ends it."""
    machine, chance = world.machine, world.faults
    harvest = asyncio.ensure_future(world.harvest(config))
    if not whole and chance.random() < 0.5:
        machine.fs.disk.power = round(2 ** chance.uniform(4, 10))
    elif not whole:
        world.loop.after_steps(round(2 ** chance.uniform(5, 11)), harvest.cancel)
    await asyncio.wait([harvest])
    off = machine.fs.disk.power is not None and machine.fs.disk.power <= 0
    machine.fs.disk.power = None
    if off:
        machine.crash()
    if harvest.cancelled():
        return False
    error = harvest.exception()
    assert error is None or _is_expected(error), repr(error)
    return error is None and not off and harvest.result().complete


def _is_expected(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_expected(each) for each in error.exceptions)
    return isinstance(error, PowerLoss | HarvesterError | asyncio.CancelledError)


def _keys(lines: object) -> set[str]:
    decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
    return {bytes(decode(line)[KEYS[_RESOURCE]]).decode() for line in lines}  # type: ignore[attr-defined]
