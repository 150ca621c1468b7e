"""Who goes next: urgent, then deltas, then backfill; lanes by weight; nobody starves and nothing leaks."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from harvester.governor.governor import Governor
from harvester.governor.line import Line, Priority
from harvester.model import Budget, Window
from tests.fakes.clock import FakeClock
from tests.fakes.loop import LoopClock, run


async def idle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


def one_a_second(clock: FakeClock) -> Governor:
    return Governor(
        Budget(windows=(Window(seconds=1, requests=1),), in_flight=8), clock, name="Lakeside", source="lakeside"
    )


async def test_who_ranks_higher_goes_first_also_when_another_already_watches_the_clock() -> None:
    """A backfill, asleep until the next slot, is overtaken by a delta, and both by a cursor that would die."""
    clock = FakeClock()
    gate = one_a_second(clock)
    gate.settle(await gate.admit(), 1)
    order: list[str] = []

    async def send(name: str, priority: Priority) -> None:
        gate.settle(await gate.admit(priority), 1)
        order.append(name)

    async with asyncio.TaskGroup() as tasks:
        for name, priority in (
            ("full", Priority.BACKFILL),
            ("sweep", Priority.SWEEP),
            ("delta", Priority.DELTA),
            ("dying", Priority.URGENT),
        ):
            tasks.create_task(send(name, priority))
            await idle()
        for _ in range(4):
            clock.advance(1.0)
            await idle()
    assert order == ["dying", "delta", "sweep", "full"]


@pytest.mark.parametrize("cancelled", [0, 1, 2])
async def test_a_waiter_that_gives_up_holds_nobody_up(cancelled: int) -> None:
    """FAULTS R05: the first, one that was overtaken, one that was not asked yet."""
    clock = FakeClock()
    gate = one_a_second(clock)
    gate.settle(await gate.admit(), 1)
    waiters = []
    for priority in (Priority.DELTA, Priority.URGENT, Priority.BACKFILL):
        waiters.append(asyncio.create_task(gate.admit(priority)))
        await idle()
    waiters.pop(cancelled).cancel()
    for _ in range(4):
        clock.advance(1.0)
        await idle()
        for waiter in waiters:
            if waiter.done():
                gate.settle(waiter.result(), 1)
    assert all(waiter.done() for waiter in waiters)


def test_sixty_four_walks_get_the_same() -> None:
    """1,000 grants, answers in any order: most to least at most 1.2."""
    grants: Counter[int] = Counter()

    async def main() -> None:
        clock = LoopClock()
        gate = Governor(
            Budget(windows=(Window(seconds=60, requests=200),), in_flight=16), clock, name="Lakeside", source="lakeside"
        )

        async def walk(number: int) -> None:
            while grants.total() < 1_000:
                ticket = await gate.admit(lane=f"w{number}")
                grants[number] += 1
                await clock.sleep(0.1 + number % 7 / 10)
                gate.settle(ticket, 1)

        async with asyncio.TaskGroup() as tasks:
            for number in range(64):
                tasks.create_task(walk(number))

    run(main())
    assert len(grants) == 64
    assert max(grants.values()) <= 1.2 * min(grants.values())


def served(arrivals: list[tuple[Priority, str, float]], grants: int) -> list[str]:
    """Lanes in the order of their grants, when each that is served comes again at once."""
    line = Line(lambda: 0.0)
    places = {line.enter(priority, lane, weight): (priority, lane, weight) for priority, lane, weight in arrivals}
    order = []
    for _ in range(grants):
        line.step_back()
        (place,) = (each for each in places if line.is_first(each))
        line.granted(place)
        given = places.pop(place)
        order.append(given[1])
        places[line.enter(*given)] = given
        line.leave(place)
    return order


def test_lanes_share_by_weight_however_many_walks_each_has() -> None:
    heavy = [(Priority.BACKFILL, "Property", 3.0)] * 2
    light = [(Priority.BACKFILL, "Member", 1.0)] * 8
    counts = Counter(served([*light, *heavy], 400))
    assert counts["Property"] == pytest.approx(300, abs=8)


def test_a_backfill_beside_deltas_without_end_is_not_starved() -> None:
    order = served([(Priority.BACKFILL, "full", 1.0), *[(Priority.DELTA, "delta", 1.0)] * 3], 200)
    assert 15 <= order.count("full") <= 25


async def test_who_waits_until_its_cursor_would_die_goes_before_those_that_rank_higher() -> None:
    """It becomes urgent while everybody sleeps: ranks are looked at when a slot comes free."""
    clock = FakeClock()
    gate = one_a_second(clock)
    gate.settle(await gate.admit(), 1)
    order: list[str] = []

    async def send(name: str, priority: Priority, urgent_at: float) -> None:
        gate.settle(await gate.admit(priority, lane=name, urgent_at=urgent_at), 1)
        order.append(name)

    began = clock.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number in range(3):
            tasks.create_task(send(f"delta {number}", Priority.DELTA, began + 1e9))
        tasks.create_task(send("chain", Priority.BACKFILL, began + 1.5))
        for _ in range(4):
            await idle()
            clock.advance(1.0)
            await idle()
    assert order == ["delta 0", "chain", "delta 1", "delta 2"]
