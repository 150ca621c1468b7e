"""The ledger on a server: one script a turn, leases, and what happens when the server is silent or forgets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import redis

from harvester.clock import SystemClock, SystemRng
from harvester.contracts import Clock
from harvester.errors import ConfigError, QuotaExhausted, StorageError, WaitError
from harvester.governor.governor import Governor
from harvester.governor.ledger import Ended, Heard, News, Opened, Paused, Released, Unknown
from harvester.governor.ledger import redis as redis_ledger
from harvester.governor.ledger.entries import Entry
from harvester.governor.ledger.reading import Journal
from harvester.governor.ledger.redis import RedisLedger, open_redis_ledger
from harvester.governor.ledger.store_reading import read_store
from harvester.governor.ledger.turn import ROWS, SCRIPT, Outcome, Turn, keys, outcome
from harvester.model import Budget, Window, WindowSignal
from tests.fakes.clock import FastClock
from tests.fakes.quota_stores import KINDS, Store, binary

TWENTY = Budget(windows=(Window(seconds=60, requests=20),), in_flight=8)


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    kind = getattr(request, "param", "redis")
    if binary(kind) is None:
        pytest.skip(f"there is no {kind}-server on this machine")
    store = Store(kind, tmp_path)
    store.start()
    yield store
    store.stop()


both = pytest.mark.parametrize("store", KINDS, indirect=True)


# ------------------------------------------------------------------ the script


class Holder:
    """A process, turn by turn."""

    def __init__(self, store: Store, name: str) -> None:
        self.name = name
        self.turns = self.acknowledged = self.seen = 0
        self.epoch = ""
        self._client = redis.Redis.from_url(store.url)

    def ask(
        self,
        *entries: Entry,
        wanted: int = 0,
        reads: bool = True,
        lease: float = 60.0,
        keep: float = 0.0,
        again: bool = False,
        deaf: bool = False,
    ) -> Outcome:
        """One turn. *again*: with the number of the last one. *deaf*: its answer does not arrive."""
        if not again:
            self.turns += 1
        turn = Turn(
            holder=self.name,
            number=self.turns,
            acknowledged=self.acknowledged,
            epoch=self.epoch,
            seen=self.seen,
            reads=reads,
            lease=lease,
            keep=keep,
            late=60.0,
            wanted=wanted,
            entries=[(0.0, entry) for entry in entries],
        )
        answer = outcome(self._client.eval(SCRIPT, 4, *keys("key"), *turn.arguments()))
        if not deaf:
            self.acknowledged, self.epoch, self.seen = self.turns, answer.epoch, answer.head
        return answer

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def one(store: Store) -> Iterator[Holder]:
    holder = Holder(store, "one")
    yield holder
    holder.close()


@pytest.fixture
def other(store: Store) -> Iterator[Holder]:
    holder = Holder(store, "other")
    yield holder
    holder.close()


def kinds(answer: Outcome) -> list[str]:
    return [row.entry.kind for row in answer.rows]


@both
def test_a_turn_whose_answer_was_lost_is_done_once(store: Store, one: Holder, other: Holder) -> None:
    assert one.ask(Entry("unheard", 7, 0.0, 100), wanted=1, deaf=True).opened
    assert one.ask(Entry("unheard", 7, 0.0, 100), wanted=1, again=True).opened
    assert kinds(other.ask()) == ["unheard", "open"]


@both
def test_a_send_is_not_written_down_when_somebody_has_written_since(store: Store, one: Holder, other: Holder) -> None:
    """FAULTS Q08: decided on an old picture, it might be one too many."""
    one.ask()
    assert other.ask(wanted=1).opened
    refused = one.ask(wanted=2)
    assert not refused.opened
    assert kinds(refused) == ["open"]
    assert one.ask(wanted=2).opened


@both
def test_what_a_process_holds_open_counts_as_sent_when_its_lease_ends(store: Store, one: Holder, other: Holder) -> None:
    """FAULTS Q08: killed, its units return to the others one period later."""
    assert one.ask(wanted=1, lease=0.0).opened
    answer = other.ask()
    (row,) = answer.rows
    assert (row.entry.kind, row.number) == ("unheard", 1)
    assert answer.now - row.entry.at < 5.0


def test_a_lease_that_is_renewed_holds(one: Holder, other: Holder) -> None:
    one.ask(wanted=1, lease=0.0)
    one.ask(lease=60.0)
    assert kinds(other.ask()) == ["open"]


def test_ones_own_lease_ends_only_for_others(one: Holder, other: Holder) -> None:
    """A process that slept for too long, and is back before anybody looked."""
    one.ask(wanted=1, lease=0.0)
    assert kinds(one.ask()) == []
    assert kinds(other.ask()) == ["open"]


@both
@pytest.mark.parametrize("forgotten", ["journal", "state", "open", "everything"])
def test_a_server_that_forgot_makes_every_window_count_as_spent(
    store: Store, one: Holder, other: Holder, forgotten: str
) -> None:
    """FAULTS Q09: emptied, or parts of it evicted."""
    one.ask(Entry("unheard", 7, 0.0, 100), wanted=1)
    names = dict(zip(("journal", "open", "leases", "state"), keys("key"), strict=True))
    store.ask("FLUSHALL") if forgotten == "everything" else store.ask("DEL", names[forgotten])
    answer = one.ask(wanted=2)
    if forgotten == "open":
        assert answer.opened  # the journal holds the entry: others go on counting it
        assert "open" in kinds(other.ask())
        return
    assert answer.lost
    assert not answer.opened
    assert kinds(answer) == ["unknown"]
    assert "unknown" in kinds(other.ask())


@both
def test_a_server_that_went_back_to_an_older_copy_is_found_out(store: Store, one: Holder, other: Holder) -> None:
    """A replica that lagged, a snapshot: the last turns of those who took them are unknown to it."""
    one.ask(wanted=1)
    other.ask()
    one.turns = one.acknowledged = 5  # taken before the crash
    answer = one.ask()
    assert answer.lost
    assert kinds(answer) == ["unheard", "unknown"]
    after = other.ask()
    assert not after.lost  # told once, by the first to notice
    assert kinds(after) == ["unheard", "unknown"]


def test_a_newcomer_after_a_loss_hides_nothing_from_those_who_know_better(
    store: Store, one: Holder, other: Holder
) -> None:
    """It begins a journal in good faith; who returns with the old one in mind tells it."""
    one.ask(wanted=1)
    store.ask("FLUSHALL")
    assert other.ask(wanted=2).opened
    assert one.ask().lost
    assert "unknown" in kinds(other.ask())


def test_old_spending_is_dropped_and_what_still_counts_is_kept(one: Holder, other: Holder) -> None:
    """Bounded memory, invariant 9."""
    for _ in range(20):
        one.ask(Entry("unheard", 7, 0.0, 100), Entry("released", 8, 0.0), Entry("pause", 0, 0.0, 0))
    one.ask(Entry("told", 0, 0.0, topic="day", text="{}"), Entry("pause", 0, 0.0, 60_000), wanted=1)
    one.ask(keep=1e-6)
    assert kinds(other.ask()) == ["told", "pause", "open"]


# ------------------------------------------------------------------ the ledger


class Machine:
    """Opens ledgers, closed at the end of the test."""

    def __init__(self, opened: AsyncExitStack) -> None:
        self.opened = opened

    async def join(self, store: Store, clock: Clock | None = None, *, share: float = 0.0) -> RedisLedger:
        return await self.opened.enter_async_context(
            open_redis_ledger(store.url, "key", clock or SystemClock(), SystemRng(), TWENTY, share=share)
        )


@pytest.fixture
async def machine() -> AsyncIterator[Machine]:
    async with AsyncExitStack() as opened:
        yield Machine(opened)


def deaf(news: Sequence[News]) -> None:
    """Reads nothing."""


async def send(ledger: RedisLedger) -> int | None:
    return await ledger.take(60.0, deaf, lambda: True)


async def send_in_the_end(ledger: RedisLedger) -> None:
    while await send(ledger) is None:
        pass


async def heard(ledger: RedisLedger) -> list[News]:
    found: list[News] = []
    await ledger.take(60.0, found.extend, lambda: False)
    return found


async def test_a_server_that_is_silent_lets_nothing_through_and_then_all_goes_on(
    store: Store, machine: Machine
) -> None:
    """Fail closed after half a second."""
    ledger = await machine.join(store)
    assert await send(ledger) is not None
    store.freeze()
    assert await send(ledger) is None
    assert "Nothing is sent until it answers" in ledger.warning
    store.thaw()
    assert await send(ledger) is not None
    assert "answers again" in ledger.warning


async def test_a_server_that_is_back_at_once_is_not_missed(store: Store, machine: Machine) -> None:
    ledger = await machine.join(store)
    assert await send(ledger) is not None
    store.kill()
    waiter = asyncio.ensure_future(send(ledger))
    await asyncio.sleep(0.05)
    store.start()
    assert await waiter is not None
    assert ledger.warning == ""


async def test_nobody_who_does_not_ask_talks_to_the_server(
    store: Store, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan, or a resource that is up to date, must not need it."""
    monkeypatch.setattr(redis_ledger, "_HEARTBEAT", 0.02)
    await machine.join(store)
    await asyncio.sleep(0.1)
    assert store.ask("DBSIZE") == b":0"


async def test_a_server_that_stays_silent_ends_the_run_resumable(store: Store, machine: Machine) -> None:
    clock = FastClock(factor=60)
    ledger = await machine.join(store, clock)
    assert await send(ledger) is not None
    store.kill()
    began = clock.monotonic()
    with pytest.raises(WaitError, match="has been silent") as caught:
        await send_in_the_end(ledger)
    assert caught.value.exit_status == 75
    assert clock.monotonic() - began >= 30.0


async def test_a_server_that_never_was_there_ends_the_run_resumable(store: Store, machine: Machine) -> None:
    store.kill()
    ledger = await machine.join(store, FastClock(factor=60))
    with pytest.raises(WaitError, match="has been silent"):
        await send_in_the_end(ledger)


async def test_a_waiter_cancelled_with_its_turn_on_the_way_leaves_nothing_open(store: Store, machine: Machine) -> None:
    """FAULTS R05: the server may do it later; then it is taken back."""
    ledger, other = await machine.join(store), await machine.join(store)
    await heard(ledger)
    store.freeze()
    waiter = asyncio.ensure_future(send(ledger))
    await asyncio.sleep(0.05)
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    store.thaw()
    await asyncio.sleep(0.3)
    news = await heard(other)
    released = {item.number for item in news if isinstance(item, Released)}
    assert [item for item in news if isinstance(item, Opened) and item.number not in released] == []
    assert store.ask("HLEN", keys("key")[1]) == b":0"


async def test_nothing_goes_into_a_pause_that_began_while_the_turn_was_on_its_way(
    store: Store, machine: Machine
) -> None:
    """FAULTS Q12."""
    ledger = await machine.join(store)
    answers = iter((True, False))
    assert await ledger.take(60.0, deaf, lambda: next(answers)) is None
    await asyncio.sleep(0.05)
    assert store.ask("HLEN", keys("key")[1]) == b":0"


async def test_with_a_share_each_process_goes_on_alone_within_it(store: Store, machine: Machine) -> None:
    """Opt-in: a quarter of 20 for each, and what was sent before counts too."""
    ledger = await machine.join(store, share=0.25)
    first = await send(ledger)
    assert first is not None
    ledger.end(first, 10, heard=False)
    await heard(ledger)
    store.kill()
    alone = [number for number in [await send(ledger) for _ in range(6)] if number is not None]
    assert len(alone) == 4
    assert "its own share" in ledger.warning
    ledger.end(alone[0], 10, heard=False)
    store.start()
    while "answers again" not in ledger.warning:
        await heard(ledger)
    news = await heard(await machine.join(store))
    assert {item.number for item in news if isinstance(item, Ended)} == {first, alone[0]}
    assert {item.number for item in news if isinstance(item, Opened)} == set(alone[1:])


async def test_what_was_sent_alone_is_on_record_later_also_when_the_store_kept_nothing(
    tmp_path: Path, machine: Machine
) -> None:
    """The turn that was on its way when the store went silent is refused when it returns; its send went out."""
    if binary("redis") is None:
        pytest.skip("there is no redis-server on this machine")
    store = Store("redis", tmp_path, lasting=False)
    machine.opened.callback(store.stop)
    store.start()
    ledger = await machine.join(store, share=0.25)
    await heard(ledger)
    store.kill()
    alone = {await send(ledger), await send(ledger)}
    assert None not in alone
    store.start()
    while "answers again" not in ledger.warning and "lost" not in ledger.warning:
        await heard(ledger)
    await asyncio.sleep(0.1)
    news = await heard(await machine.join(store))
    assert {item.number for item in news if isinstance(item, Opened)} == alone


async def test_a_server_that_kept_nothing_costs_one_window(store: Store, machine: Machine) -> None:
    """FAULTS Q09: killed without a file of its own. What was spent is unknown, so all of it counts as spent."""
    ledger = await machine.join(store)
    gate = Governor(TWENTY, SystemClock(), name="Lakeside", source="lakeside", ledger=ledger, max_wait=5.0)
    gate.settle(await gate.admit(), 10)
    store.ask("FLUSHALL")
    with pytest.raises(QuotaExhausted):
        await gate.admit()


async def test_a_long_journal_is_read_whole_before_anything_is_sent(store: Store, machine: Machine) -> None:
    first = Holder(store, "one")
    for start in range(0, 2 * ROWS + 1, 500):
        first.ask(*(Entry("unheard", number, 0.0, 1) for number in range(start + 1, start + 501)), reads=False)
    first.close()
    seen: list[News] = []
    ledger = await machine.join(store)
    assert await ledger.take(60.0, seen.extend, lambda: True) is not None
    assert len(seen) == 2 * ROWS + 500
    assert len(await heard(await machine.join(store))) == 2 * ROWS + 501


async def test_a_wrong_password_is_told_at_once_and_not_shown(tmp_path: Path, machine: Machine) -> None:
    """FAULTS E04."""
    if binary("redis") is None:
        pytest.skip("there is no redis-server on this machine")
    locked = Store("redis", tmp_path, password="right")
    locked.start()
    machine.opened.callback(locked.stop)
    assert await send(await machine.join(locked)) is not None
    for credential in ("", ":canary@"):
        url = f"redis://{credential}127.0.0.1:{locked.port}"
        async with open_redis_ledger(url, "key", SystemClock(), SystemRng(), TWENTY) as ledger:
            with pytest.raises(ConfigError, match=r"^quota: ") as caught:
                await send(ledger)
        assert caught.value.exit_status == 78
        assert "canary" not in str(caught.value)


async def test_a_store_that_holds_something_else_under_our_names_is_no_journal(store: Store, machine: Machine) -> None:
    store.ask("SET", keys("key")[0], "something")
    store.ask("HSET", keys("key")[3], "epoch", "1")
    ledger = await machine.join(store)
    with pytest.raises(StorageError, match="does not work as a journal"):
        await send(ledger)


async def test_trouble_of_the_one_who_decides_reaches_it_and_every_later_one(store: Store, machine: Machine) -> None:
    """Nobody waits for ever."""
    ledger = await machine.join(store)

    def fails() -> bool:
        raise RuntimeError("a mistake")

    for _ in range(2):
        with pytest.raises(RuntimeError, match="a mistake"):
            await ledger.take(60.0, deaf, fails)


async def test_a_process_that_leaves_gives_its_lease_back_and_writes_what_is_left(store: Store) -> None:
    async with open_redis_ledger(store.url, "key", SystemClock(), SystemRng(), TWENTY) as ledger:
        number = await send(ledger)
        assert number is not None
        ledger.end(number, 10, heard=False)
    later = Holder(store, "later")
    assert kinds(later.ask()) == ["unheard"]
    later.close()


async def test_a_lease_is_renewed_while_a_request_takes_its_time(
    store: Store, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow page is no dead process."""
    monkeypatch.setattr(redis_ledger, "_LEASE", 0.2)
    monkeypatch.setattr(redis_ledger, "_HEARTBEAT", 0.05)
    ledger, other = await machine.join(store), await machine.join(store)
    number = await send(ledger)
    await asyncio.sleep(0.5)
    assert [type(item) for item in await heard(other)] == [Opened]
    assert number is not None


async def test_a_reader_sees_what_is_spent_open_paused_and_told_and_changes_nothing(
    store: Store, machine: Machine
) -> None:
    ledger = await machine.join(store)
    done, under_way = await send(ledger), await send(ledger)
    assert done is not None
    ledger.hear(WindowSignal(seconds=60.0, limit=20, remaining=18, resets_in=30.0))
    ledger.end(done, 1234, heard=True)
    ledger.pause(60.0, "429")
    await asyncio.sleep(0.05)
    before = store.ask("DEBUG", "DIGEST")
    journal = await asyncio.to_thread(read_store, store.url, "key")
    assert [type(item) for item in journal.news] == [Opened, Ended, Heard, Paused]
    assert journal.news[0] == Opened(under_way or 0, journal.news[0].age)  # type: ignore[union-attr]
    (told,) = journal.told
    assert (told.signal.remaining, told.signal.resets_in) == (18, 30.0)
    assert 0.0 <= told.age < 5.0
    assert store.ask("DEBUG", "DIGEST") == before


def test_a_reader_of_an_empty_store_sees_nothing_and_of_a_silent_one_says_so(store: Store) -> None:
    assert read_store(store.url, "key") == Journal()
    store.kill()
    with pytest.raises(StorageError, match="cannot be read"):
        read_store(store.url, "key")


async def test_what_is_unknown_is_told_with_its_age(store: Store, machine: Machine) -> None:
    ledger = await machine.join(store)
    assert await send(ledger) is not None
    store.ask("FLUSHALL")
    (unknown,) = [item for item in await heard(ledger) if isinstance(item, Unknown)]
    assert 0.0 <= unknown.age < 5.0
    assert "has lost what it knew" in ledger.warning
