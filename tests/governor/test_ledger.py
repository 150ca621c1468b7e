"""The ledger: what was spent outlives the process and is known to the others, and nothing is sent off the record."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from harvester.errors import QuotaExhausted, StorageError, WaitError
from harvester.events import Event, Warned
from harvester.governor.governor import Governor
from harvester.governor.ledger import SqliteLedger
from harvester.governor.ledger.holders import Holder, has_ended, this_process
from harvester.governor.refusals import HOURLY
from harvester.model import Budget, RateSignal, Window, WindowSignal
from tests.fakes.clock import FakeClock, JumpingClock

HUNDRED = Window(seconds=3600, requests=100)


class Machine:
    """Processes that come and go, on one clock and one ledger file."""

    def __init__(self, path: Path, clock: FakeClock) -> None:
        self.path = path
        self.clock = clock
        self.alive: set[int] = set()
        self.events: list[Event] = []
        self._ledgers: dict[int, SqliteLedger] = {}

    def start(self, process: int, *windows: Window, credential: str = "key", max_wait: float | None = 0.0) -> Governor:
        """A process with a governor of its own."""
        self.alive.add(process)
        ledger = SqliteLedger(
            self.path,
            credential,
            self.clock,
            holder=Holder("here", process),
            ended=lambda holder: holder.process not in self.alive,
        )
        self._ledgers[process] = ledger
        return Governor(
            Budget(windows=windows, in_flight=8),
            self.clock,
            name="Lakeside",
            source="lakeside",
            ledger=ledger,
            sink=self.events.append,
            max_wait=max_wait,
        )

    def end(self, process: int) -> None:
        """It closes its ledger and exits."""
        self._ledgers.pop(process).close()
        self.alive.discard(process)

    def kill(self, process: int) -> None:
        """Nothing is written any more; the kernel closes its files."""
        ledger = self._ledgers.pop(process)
        assert ledger._db is not None
        ledger._db.close()
        ledger._db = None
        self.alive.discard(process)

    def shut_down(self) -> None:
        for process in list(self._ledgers):
            self.end(process)


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
def machine(tmp_path: Path, clock: JumpingClock) -> Iterator[Machine]:
    machine = Machine(tmp_path / "quota.db", clock)
    yield machine
    machine.shut_down()


async def spend(gate: Governor, count: int) -> None:
    for _ in range(count):
        gate.settle(await gate.admit(), 100)


async def left(gate: Governor, at_most: int = 1_000) -> int:
    """How many requests go through before one would have to wait."""
    for number in range(at_most):
        try:
            gate.settle(await gate.admit(), 100)
        except QuotaExhausted:
            return number
    return at_most


# ------------------------------------------------------------------ restarts


async def test_a_restart_at_ninety_per_cent_uses_the_rest_and_no_more(machine: Machine, clock: FakeClock) -> None:
    """FAULTS Q09."""
    await spend(machine.start(1, HUNDRED), 90)
    machine.kill(1)
    clock.advance(5.0)
    again = machine.start(2, HUNDRED)
    assert await left(again) == 10
    clock.advance(3595.0)
    assert await left(again) == 90  # the last ten were sent 5 s later


async def test_a_request_is_on_record_before_it_can_be_sent(machine: Machine, clock: FakeClock) -> None:
    """FAULTS R01, Q09: killed with requests on their way, which the server counts."""
    gate = machine.start(1, HUNDRED)
    for _ in range(6):
        await gate.admit()
    machine.kill(1)
    clock.advance(30.0)
    assert await left(machine.start(2, HUNDRED)) == 94


async def test_requests_of_a_killed_process_come_back_a_period_after_they_could_last_have_counted(
    machine: Machine, clock: FakeClock
) -> None:
    gate = machine.start(1, HUNDRED)
    for _ in range(6):
        await gate.admit()
    machine.kill(1)
    clock.advance(1800.0)
    again = machine.start(2, HUNDRED)
    assert await left(again) == 94
    clock.advance(1800.0 + 59.0)
    assert await left(again, 3) <= 94
    clock.advance(1.0)
    assert await left(again) >= 6


async def test_a_pause_outlives_the_process(machine: Machine, clock: FakeClock) -> None:
    gate = machine.start(1, HUNDRED, max_wait=None)
    ticket = await gate.admit()
    gate.observe(RateSignal(refused=True, retry_after=600.0, evidence="429, wait 600 s"))
    gate.settle(ticket, 100)
    machine.kill(1)
    clock.advance(100.0)
    again = machine.start(2, HUNDRED, max_wait=10.0)
    with pytest.raises(QuotaExhausted, match=r"429, wait 600 s; the next request may go in 500 s"):
        await again.admit()


async def test_what_the_server_told_outlives_the_process(machine: Machine, clock: FakeClock) -> None:
    """A day with nothing left is not found out again by four requests in flight."""
    gate = machine.start(1)
    ticket = await gate.admit()
    gate.observe(RateSignal(windows=(WindowSignal(seconds=86_400.0, remaining=2, resets_in=5_000.0),)))
    gate.settle(ticket, 100)
    machine.kill(1)
    clock.advance(100.0)
    assert await left(machine.start(2), 10) == 2


async def test_a_learned_limit_outlives_the_process(machine: Machine, clock: FakeClock) -> None:
    gate = machine.start(1)
    ticket = await gate.admit()
    gate.observe(
        RateSignal(
            refused=True,
            retry_after=41.0,
            windows=(WindowSignal(seconds=60.0, limit=20, remaining=0, resets_in=41.0),),
        )
    )
    gate.settle(ticket, 100)
    machine.end(1)
    clock.advance(7_200.0)
    assert await left(machine.start(2), 50) == 20


async def test_the_requests_of_other_programs_outlive_the_process(machine: Machine, clock: FakeClock) -> None:
    """FAULTS Q07, Q09; IDX Broker section 3: a count above our own is adopted, and not forgotten by a restart."""
    gate = machine.start(1, HUNDRED)
    ticket = await gate.admit()
    gate.observe(RateSignal(windows=(WindowSignal(name=HOURLY, used=97),)))
    gate.settle(ticket, 100)
    machine.kill(1)
    clock.advance(1_800.0)
    again = machine.start(2, HUNDRED)
    assert await left(again) == 3
    clock.advance(1_801.0)
    assert await left(again) == 97


async def test_a_window_without_a_name_or_length_is_one_window_in_every_process(
    machine: Machine, clock: FakeClock
) -> None:
    """``X-RateLimit-*`` without a length: known by its limit."""
    shown = WindowSignal(limit=500, remaining=3, resets_in=50.0)
    for process in (1, 2, 3):
        gate = machine.start(process)
        ticket = await gate.admit()
        gate.observe(RateSignal(windows=(shown,)))
        gate.settle(ticket, 100)
        machine.end(process)
    gate = machine.start(4)
    assert await left(gate, 10) == 3
    assert len(gate._account.gates) == 1


async def test_old_spending_is_dropped_from_the_file(machine: Machine, clock: FakeClock) -> None:
    """FAULTS: bounded disk, invariant 9."""
    await spend(machine.start(1, HUNDRED), 100)
    machine.end(1)
    clock.advance(2 * 86_400.0)
    await spend(machine.start(2, HUNDRED), 1)
    with closing(sqlite3.connect(machine.path)) as db:
        assert db.execute("SELECT count(*) FROM entries").fetchone() == (1,)


# ------------------------------------------------------------------ several processes


async def test_the_sum_of_all_processes_holds_the_limit(machine: Machine, clock: FakeClock) -> None:
    """FAULTS Q08."""
    gates = [machine.start(process, HUNDRED) for process in range(4)]
    for number in range(100):
        await spend(gates[number % 4], 1)
    assert [await left(gate) for gate in gates] == [0, 0, 0, 0]
    clock.advance(3_600.0)
    assert await left(gates[2]) == 100


async def test_open_requests_of_others_hold_their_place_until_they_settle(machine: Machine, clock: FakeClock) -> None:
    """FAULTS Q08."""
    one, other = machine.start(1, Window(seconds=60, requests=2)), machine.start(2, Window(seconds=60, requests=2))
    first, second = await one.admit(), await one.admit()
    await _nothing_goes(other)
    one.release(first)
    third = await other.admit()
    other.settle(third, 1)
    one.settle(second, 1)
    with pytest.raises(QuotaExhausted):
        await other.admit()


async def _nothing_goes(gate: Governor) -> None:
    """A waiter looks again and again, and finds no room; or it is told at once how long there will be none."""
    waiter = asyncio.ensure_future(gate.admit())
    for _ in range(20):
        await asyncio.sleep(0)
    waiter.cancel()
    (outcome,) = await asyncio.gather(waiter, return_exceptions=True)
    assert isinstance(outcome, QuotaExhausted | asyncio.CancelledError)


async def test_a_killed_holders_place_returns(machine: Machine, clock: FakeClock) -> None:
    """FAULTS Q08: its request counts as sent when its end is noticed, then the window moves on."""
    short = Window(seconds=5, requests=2)
    one, other = machine.start(1, short), machine.start(2, short, max_wait=None)
    await one.admit()
    await one.admit()
    await _nothing_goes(other)
    machine.kill(1)
    before = clock.monotonic()
    await other.admit()
    assert 5.0 <= clock.monotonic() - before <= 7.0


async def test_an_open_request_of_a_process_nobody_can_ask_is_given_up_in_the_end(
    machine: Machine, clock: FakeClock
) -> None:
    """A container that vanished: its host cannot be asked, and its place must not be lost for ever."""
    one = machine.start(1, Window(seconds=60, requests=1))
    await one.admit()
    other = machine.start(2, Window(seconds=60, requests=1), max_wait=None)
    await other.admit()
    assert 600.0 <= clock.monotonic() <= 665.0


async def test_a_pause_holds_every_process(machine: Machine, clock: FakeClock) -> None:
    """FAULTS Q12."""
    one, other = machine.start(1), machine.start(2, max_wait=None)
    await spend(other, 1)
    one.pause(30.0, "429")
    await other.admit()
    assert clock.monotonic() == pytest.approx(30.0, abs=0.1)


async def test_after_a_pause_all_processes_together_send_one_probe(machine: Machine, clock: FakeClock) -> None:
    """FAULTS Q12."""
    one, other = machine.start(1), machine.start(2)
    await spend(other, 1)
    await spend(one, 1)
    one.pause(30.0, "429")
    await _nothing_goes(other)
    clock.advance(31.0)
    probe = await other.admit()
    await _nothing_goes(one)
    other.settle(probe, 1)
    await one.admit()


async def test_what_one_process_hears_holds_the_others(machine: Machine, clock: FakeClock) -> None:
    one, other = machine.start(1), machine.start(2)
    await spend(other, 1)
    ticket = await one.admit()
    one.observe(RateSignal(windows=(WindowSignal(seconds=86_400.0, remaining=3, resets_in=5_000.0),)))
    one.settle(ticket, 1)
    assert await left(other, 10) == 3


async def test_credentials_in_one_file_know_nothing_of_each_other(machine: Machine, clock: FakeClock) -> None:
    await spend(machine.start(1, HUNDRED, credential="one"), 100)
    assert await left(machine.start(2, HUNDRED, credential="other")) == 100


# ------------------------------------------------------------------ clocks


@pytest.mark.parametrize("jump", [-7_200.0, -1.7e9])
async def test_entries_from_the_future_cost_one_window_at_most(machine: Machine, clock: FakeClock, jump: float) -> None:
    """FAULTS C02: the clock was set back before the restart."""
    await spend(machine.start(1, HUNDRED), 100)
    machine.kill(1)
    clock.jump(jump)
    again = machine.start(2, HUNDRED)
    assert await left(again) == 0
    clock.advance(3_600.0)
    assert await left(again) == 100


async def test_clamped_entries_stay_clamped_over_another_restart(machine: Machine, clock: FakeClock) -> None:
    """FAULTS C02: restarting often must not push the wait ahead of itself."""
    await spend(machine.start(1, HUNDRED), 100)
    machine.kill(1)
    clock.jump(-7_200.0)
    assert await left(machine.start(2, HUNDRED)) == 0
    machine.kill(2)
    clock.advance(3_600.0)
    assert await left(machine.start(3, HUNDRED)) == 100


async def test_a_pause_from_the_future_is_no_longer_than_it_was(machine: Machine, clock: FakeClock) -> None:
    """FAULTS C02."""
    machine.start(1).pause(600.0, "429")
    machine.kill(1)
    clock.jump(-1.7e9)
    again = machine.start(2, max_wait=None)
    await again.admit()
    assert clock.monotonic() == pytest.approx(600.0, abs=0.1)


async def test_a_jump_back_does_not_make_what_the_others_send_count_for_longer(
    machine: Machine, clock: FakeClock
) -> None:
    """FAULTS C01: while both run."""
    one, other = machine.start(1, HUNDRED), machine.start(2, HUNDRED)
    await spend(other, 1)
    await spend(one, 99)
    clock.jump(-7_200.0)
    assert await left(other) == 0
    clock.advance(3_600.0)
    assert await left(other) == 100


async def test_a_jump_forward_does_not_age_what_the_others_send(machine: Machine, clock: FakeClock) -> None:
    """FAULTS C01: two hours on the wall are no two hours in the window."""
    one, other = machine.start(1, HUNDRED), machine.start(2, HUNDRED)
    await spend(other, 1)
    await spend(one, 99)
    clock.jump(7_200.0)
    assert await left(other) == 0


# ------------------------------------------------------------------ when the file does not serve


async def test_a_damaged_file_is_left_alone_and_every_window_counts_as_spent(
    machine: Machine, clock: FakeClock
) -> None:
    machine.path.write_bytes(b"not a database, and never was " * 100)
    gate = machine.start(1, HUNDRED)
    assert await left(gate) == 0
    (warning,) = [event for event in machine.events if isinstance(event, Warned)]
    assert "quota.1.db" in warning.message
    assert "counts as spent" in warning.message
    assert machine.path.read_bytes().startswith(b"not a database")
    clock.advance(1_800.0)
    other = machine.start(2, HUNDRED)  # finds the same replacement, and how old it is
    assert await left(other) == 0
    clock.advance(1_800.0)
    assert await left(other) == 100


async def test_a_file_damaged_inside_is_noticed(machine: Machine, clock: FakeClock) -> None:
    """FAULTS F07."""
    await spend(machine.start(1, HUNDRED), 100)
    machine.end(1)
    data = bytearray(machine.path.read_bytes())
    data[4096 : len(data)] = b"\xff" * (len(data) - 4096)
    machine.path.write_bytes(bytes(data))
    assert await left(machine.start(2, HUNDRED)) == 0


async def test_a_place_where_no_file_can_be_made_is_an_error_before_the_first_request(
    tmp_path: Path, clock: FakeClock
) -> None:
    """FAULTS F09."""
    with pytest.raises(StorageError, match="quota ledger"):
        SqliteLedger(tmp_path / "absent" / "quota.db", "key", clock)


async def test_a_ledger_that_stops_working_lets_nothing_through(machine: Machine, clock: FakeClock) -> None:
    """Fail closed: what cannot be written down may not be sent (FAULTS F01)."""
    gate = machine.start(1)
    ticket = await gate.admit()
    with closing(sqlite3.connect(machine.path)) as db:
        db.execute("DROP TABLE entries")
    gate.settle(ticket, 1)  # the answer is here and can be used
    with pytest.raises(StorageError, match="nothing more is sent"):
        await gate.admit()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


async def test_a_lock_that_is_never_given_back_ends_the_run_resumable(machine: Machine, clock: FakeClock) -> None:
    gate = machine.start(1)
    machine._ledgers[1]._db.execute("PRAGMA busy_timeout=0")  # type: ignore[union-attr]
    with locked(machine.path), pytest.raises(WaitError, match="locked by another process") as caught:
        await gate.admit()
    assert caught.value.exit_status == 75
    assert clock.monotonic() >= 30.0


async def test_a_waiter_cancelled_before_its_turn_has_written_nothing(machine: Machine, clock: FakeClock) -> None:
    """FAULTS R05."""
    gate = machine.start(1, Window(seconds=60, requests=1))
    with locked(machine.path):
        waiter = asyncio.ensure_future(gate.admit())
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
    assert gate.admitted == 0
    await gate.admit()


async def test_an_end_that_meets_a_lock_is_written_with_the_next_turn(machine: Machine, clock: FakeClock) -> None:
    gate = machine.start(1, HUNDRED)
    ticket = await gate.admit()
    with locked(machine.path):
        gate.settle(ticket, 1)
    await spend(gate, 1)
    other = machine.start(2, HUNDRED)
    assert other.next_free() == 0.0
    assert await left(other) == 98


def test_a_file_that_another_process_is_just_making_is_waited_for(tmp_path: Path) -> None:
    """FAULTS Q08: several start at once. The switch to a write-ahead log fails at once while another one writes."""
    path = tmp_path / "quota.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as db:
        db.execute("CREATE TABLE other (id INTEGER)")
        db.execute("BEGIN IMMEDIATE")
        soon = threading.Timer(0.2, db.execute, ["COMMIT"])
        soon.start()
        SqliteLedger(path, "key", FakeClock()).close()
        soon.join()


# ------------------------------------------------------------------ who lives


def test_this_process_lives_and_an_unknown_host_might() -> None:
    mine = this_process()
    assert not has_ended(mine)
    assert not has_ended(Holder("elsewhere", 2**22 - 1))


async def test_a_process_that_has_ended_is_known_to_have_ended() -> None:
    """FAULTS Q08: asked of the kernel, on the same host."""
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    holder = Holder(this_process().host, child.pid)
    await child.wait()
    assert has_ended(holder)


async def test_an_answer_told_and_ended_counts_once_after_a_restart(machine: Machine, clock: FakeClock) -> None:
    """FAULTS Q09: what it left counts its own request already."""
    gate = machine.start(1, HUNDRED)
    for number in range(10):
        ticket = await gate.admit()
        gate.observe(
            RateSignal(windows=(WindowSignal(seconds=3600, limit=100, remaining=99 - number, resets_in=3000),))
        )
        gate.settle(ticket, 100)
    machine.kill(1)
    clock.advance(5.0)
    assert await left(machine.start(2, HUNDRED)) == 90


async def test_a_ticket_is_good_for_seconds_only(machine: Machine, clock: FakeClock) -> None:
    """FAULTS C03: after a stall others may have taken the process for dead, and its request for sent long ago."""
    gate = machine.start(1, HUNDRED)
    ticket = await gate.admit()
    assert gate.usable(ticket)
    clock.advance(6.0)
    assert not gate.usable(ticket)
    gate.release(ticket)
    assert await left(gate) == 100


async def test_a_stall_while_the_ledger_is_asked_is_no_leave_to_send(
    machine: Machine, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAULTS C03."""
    gate = machine.start(1, HUNDRED)
    take, stalls = SqliteLedger.take, [0.0, 30.0]

    async def slow(*asked: Any) -> int | None:
        number = await take(*asked)
        clock.advance(stalls.pop())
        return number

    monkeypatch.setattr(SqliteLedger, "take", slow)
    assert gate.usable(await gate.admit())
    assert not stalls, "it was asked again"
    monkeypatch.undo()
    assert await left(gate) == 99
