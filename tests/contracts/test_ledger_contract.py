"""What every ledger promises: numbers, turns, and, where it is shared, the same news for everyone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from harvester.clock import SystemClock, SystemRng
from harvester.governor.governor import Governor
from harvester.governor.ledger import (
    Ended,
    Heard,
    Ledger,
    MemoryLedger,
    News,
    Opened,
    Paused,
    Released,
    SqliteLedger,
)
from harvester.governor.ledger.redis import open_redis_ledger
from harvester.model import Budget, Window, WindowSignal
from tests.fakes.quota_stores import KINDS, Store, binary

SHARED = ("sqlite", *KINDS)
MINUTE = Budget(windows=(Window(seconds=60, requests=20),), in_flight=8)


class World:
    """Processes that share one journal of a kind, all in this one."""

    def __init__(self, kind: str, directory: Path, opened: AsyncExitStack) -> None:
        self._kind = kind
        self._directory = directory
        self._opened = opened
        self._clock = SystemClock()
        self._store: Store | None = None
        if kind in KINDS:
            if binary(kind) is None:
                pytest.skip(f"there is no {kind}-server on this machine")
            self._store = Store(kind, directory)
            opened.callback(self._store.stop)
            self._store.start()

    async def join(self, credential: str = "key") -> Ledger:
        """One more process."""
        return await self._opened.enter_async_context(self._ledger(credential))

    @asynccontextmanager
    async def _ledger(self, credential: str) -> AsyncIterator[Ledger]:
        if self._store is not None:
            async with open_redis_ledger(self._store.url, credential, self._clock, SystemRng(), MINUTE) as shared:
                yield shared
        else:
            path = self._directory / "quota.db"
            ledger = MemoryLedger() if self._kind == "memory" else SqliteLedger(path, credential, self._clock)
            yield ledger
            ledger.close()

    def govern(self, ledger: Ledger) -> Governor:
        return Governor(MINUTE, self._clock, name="Lakeside", source="lakeside", ledger=ledger, max_wait=1.0)


@pytest.fixture
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as opened:
        yield World(request.param, tmp_path, opened)


every = pytest.mark.parametrize("world", ["memory", *SHARED], indirect=True)
shared = pytest.mark.parametrize("world", SHARED, indirect=True)


async def send(ledger: Ledger) -> int:
    """Open one request; the news is read by nobody."""
    number = await ledger.take(60.0, lambda news: None, lambda: True)
    assert number is not None
    return number


async def news(ledger: Ledger) -> list[News]:
    """What *ledger* has heard since it was asked last."""
    found: list[News] = []

    def read(items: Sequence[News]) -> None:
        found.extend(items)

    assert await ledger.take(60.0, read, lambda: False) is None
    return found


async def news_of(ledger: Ledger, count: int) -> list[News]:
    """The next *count* news, which may take a moment to arrive."""
    found: list[News] = []
    async with asyncio.timeout(5):
        while len(found) < count:
            found += await news(ledger)
            await asyncio.sleep(0.005)
    return found


@every
async def test_sends_have_numbers_of_their_own_and_a_no_is_respected(world: World) -> None:
    ledger = await world.join()
    numbers = [await send(ledger) for _ in range(3)]
    assert len(set(numbers)) == 3
    assert await ledger.take(60.0, lambda news: None, lambda: False) is None


@every
async def test_nothing_of_ones_own_is_news(world: World) -> None:
    ledger = await world.join()
    first, second = await send(ledger), await send(ledger)
    ledger.end(first, 10, heard=True)
    ledger.release(second)
    ledger.pause(5.0, "429")
    ledger.hear(WindowSignal(seconds=60.0, limit=20))
    assert await news(ledger) == []
    await asyncio.sleep(0.02)
    assert await news(ledger) == []


@shared
async def test_a_waiter_that_is_cancelled_has_written_nothing(world: World) -> None:
    """FAULTS R05."""
    ledger, other = await world.join(), await world.join()
    await send(ledger)
    waiter = asyncio.ensure_future(ledger.take(60.0, lambda news: None, lambda: True))
    await asyncio.sleep(0)
    waiter.cancel()
    (outcome,) = await asyncio.gather(waiter, return_exceptions=True)
    await asyncio.sleep(0.05)
    found = await news(other)
    opened = {item.number for item in found if isinstance(item, Opened)}
    released = {item.number for item in found if isinstance(item, Released)}
    had_its_turn = isinstance(outcome, int)
    assert len(opened - released) == 1 + had_its_turn


@every
async def test_closing_twice_does_nothing(world: World) -> None:
    ledger = await world.join()
    ledger.close()
    ledger.close()


@shared
async def test_others_hear_of_a_send_and_of_its_end(world: World) -> None:
    """FAULTS Q08."""
    one, other = await world.join(), await world.join()
    assert await news(other) == []
    number = await send(one)
    (opened,) = await news_of(other, 1)
    assert isinstance(opened, Opened)
    assert opened.number == number
    assert 0.0 <= opened.age < 1.0
    one.end(number, 1234, heard=True)
    (ended,) = await news_of(other, 1)
    assert isinstance(ended, Ended)
    assert (ended.number, ended.size, ended.heard) == (number, 1234, True)
    assert 0.0 <= ended.age < 1.0


@shared
async def test_others_hear_that_a_request_never_went_out(world: World) -> None:
    one, other = await world.join(), await world.join()
    number = await send(one)
    await news_of(other, 1)
    one.release(number)
    assert await news_of(other, 1) == [Released(number)]


@shared
async def test_others_hear_of_pauses_and_of_figures_together_with_the_answer(world: World) -> None:
    """FAULTS Q12. Reason and name come from a server: any text must pass."""
    one, other = await world.join(), await world.join()
    number = await send(one)
    await news_of(other, 1)
    figure = WindowSignal(name='a|b"\n', seconds=60.0, limit=20, remaining=3, resets_in=30.0)
    one.hear(figure)
    one.end(number, 1, heard=True)
    one.pause(30.0, "wait | please\n429 …")
    heard, ended, paused = await news_of(other, 3)
    assert isinstance(heard, Heard)
    assert heard.signal.remaining == 3
    assert heard.signal.name == figure.name
    assert heard.signal.resets_in == pytest.approx(30.0, abs=1.0)
    assert isinstance(ended, Ended)
    assert isinstance(paused, Paused)
    assert paused.reason == "wait | please\n429 …"
    assert paused.seconds == pytest.approx(30.0, abs=1.0)


@shared
async def test_a_newer_figure_takes_the_place_of_an_older_one(world: World) -> None:
    one = await world.join()
    for remaining in (9, 8, 7):
        number = await send(one)
        one.hear(WindowSignal(seconds=60.0, limit=20, remaining=remaining, resets_in=30.0))
        one.end(number, 1, heard=True)
    await asyncio.sleep(0.05)
    found = await news(await world.join())
    assert [item.signal.remaining for item in found if isinstance(item, Heard)] == [7]


@shared
async def test_who_comes_later_hears_what_still_counts(world: World) -> None:
    """FAULTS Q09."""
    one = await world.join()
    first, second, third = [await send(one) for _ in range(3)]
    one.end(first, 5, heard=False)
    one.release(second)
    await asyncio.sleep(0.05)
    found = await news(await world.join())
    assert [item.number for item in found if isinstance(item, Opened)] == [third]
    assert [item.number for item in found if isinstance(item, Ended)] == [first]


@shared
async def test_credentials_know_nothing_of_each_other(world: World) -> None:
    one, other = await world.join("one"), await world.join("other")
    await send(one)
    assert await news(other) == []


@shared
async def test_many_who_ask_at_once_together_hold_the_limit(world: World) -> None:
    """FAULTS Q08: each decides on the whole picture, with nobody else in between."""
    gates = [world.govern(await world.join()) for _ in range(4)]
    admitted = 0

    async def lane(gate: Governor) -> None:
        nonlocal admitted
        while True:
            ticket = await gate.admit()
            admitted += 1
            await asyncio.sleep(0.001)
            gate.settle(ticket, 100)

    lanes = [asyncio.ensure_future(lane(gate)) for gate in gates for _ in range(4)]
    await asyncio.wait(lanes, timeout=5)
    for each in lanes:
        each.cancel()
    await asyncio.gather(*lanes, return_exceptions=True)
    assert admitted == 20
