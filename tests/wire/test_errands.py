"""What a request is for reaches the governor, through every layer, and only from the task that said it."""

from __future__ import annotations

import asyncio

from harvester.governor.line import Priority
from harvester.model import RateSignal, Request
from harvester.wire.errands import Errand, errand, on_errand
from harvester.wire.governed import Governed
from tests.fakes.admission import FakeGovernor
from tests.fakes.clock import FakeClock
from tests.fakes.transport import ScriptedTransport, answer


async def test_the_governor_is_told_what_each_task_sends_for() -> None:
    governor = FakeGovernor()
    layer = Governed(
        ScriptedTransport([answer()]),
        governor,
        lambda _response, _now: RateSignal(),
        source="lakeside",
        clock=FakeClock(),
    )

    async def send(lane: str) -> None:
        with on_errand(Errand(priority=Priority.DELTA, lane=lane, weight=2.0, urgent_at=7.0)):
            await asyncio.sleep(0)
            await layer.send(Request(url="https://lakeside.example/"))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(send("Property"))
        tasks.create_task(send("Member"))
    await layer.send(Request(url="https://lakeside.example/"))
    assert [each.lane for each in governor.errands] == ["Property", "Member", ""]
    assert governor.errands[0] == Errand(priority=Priority.DELTA, lane="Property", weight=2.0, urgent_at=7.0)
    assert governor.errands[2] == Errand() == errand()


async def test_an_admission_that_has_grown_old_is_given_back_and_asked_for_anew() -> None:
    """FAULTS C03: a program that stood still must not send by a picture of then."""
    governor = FakeGovernor()
    governor.stale = 2
    transport = ScriptedTransport([answer()])
    layer = Governed(transport, governor, lambda _response, _now: RateSignal(), source="lakeside", clock=FakeClock())
    await layer.send(Request(url="https://lakeside.example/"))
    assert governor.released == [1, 2]
    assert [number for number, _ in governor.settled] == [3]
    assert len(transport.requests) == 1
