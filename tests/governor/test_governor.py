"""One gate for all who use a credential: windows, pauses, fairness, and nothing leaked."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta

import pytest

from harvester.errors import QuotaExhausted
from harvester.events import Event, Waiting
from harvester.governor.governor import Governor, Ticket
from harvester.governor.refusals import HOURLY
from harvester.model import Budget, RateSignal, Window, WindowSignal
from tests.fakes.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def governor(
    clock: FakeClock,
    *windows: Window,
    in_flight: int = 8,
    margin: float = 0.0,
    reserve: float = 0.0,
    events: list[Event] | None = None,
    max_wait: float | None = None,
    spacing: float = 0.0,
) -> Governor:
    return Governor(
        Budget(windows=windows, in_flight=in_flight, margin=margin, reserve=reserve),
        clock,
        name="Lakeside",
        source="lakeside",
        sink=events.append if events is not None else None,
        max_wait=max_wait,
        spacing=spacing,
    )


MINUTE = Window(seconds=60, requests=20)
WIDE = Window(seconds=60, requests=10_000)
"""A known limit that holds nothing up: where none is known, few requests may be open."""


async def idle() -> None:
    """Until every task waits for something: more turns of the loop than any line here is long."""
    for _ in range(300):
        await asyncio.sleep(0)


async def pass_time(clock: FakeClock, seconds: float) -> None:
    """Let *seconds* pass, and everything that is due on the way happen when it is due."""
    end = clock.monotonic() + seconds
    await idle()
    while (due := clock.next_due()) is not None and clock.monotonic() + due <= end:
        clock.advance(due)
        await idle()
    clock.advance(end - clock.monotonic())
    await idle()


async def send(gate: Governor, signal: RateSignal | None = None, size: int = 100) -> None:
    """A request whose answer comes at once, as soon as it may go."""
    answer(gate, await gate.admit(), signal, size)


async def send_now(gate: Governor, signal: RateSignal | None = None, size: int = 100) -> None:
    """A request that must not have to wait."""
    assert gate.next_free() == 0.0
    await send(gate, signal, size)


def answer(gate: Governor, ticket: Ticket, signal: RateSignal | None = None, size: int = 100) -> None:
    if signal is not None:
        gate.observe(signal)
    gate.settle(ticket, size)


async def spend(gate: Governor, count: int) -> None:
    for _ in range(count):
        await send_now(gate)


def remaining(left: int, resets_in: float, seconds: float | None = 60.0, limit: int | None = None) -> RateSignal:
    return RateSignal(windows=(WindowSignal(seconds=seconds, remaining=left, resets_in=resets_in, limit=limit),))


# ------------------------------------------------------------------ windows


async def test_a_window_lets_its_limit_through_and_no_more(clock: FakeClock) -> None:
    """FAULTS Q03."""
    gate = governor(clock, MINUTE)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(50):
            tasks.create_task(send(gate))
        await idle()
        assert gate.admitted == 20
        await pass_time(clock, 59.9)
        assert gate.admitted == 20
        await pass_time(clock, 0.2)
        assert gate.admitted == 40
        await pass_time(clock, 60.0)
    assert gate.admitted == 50


async def test_all_windows_hold_at_once(clock: FakeClock) -> None:
    """FAULTS Q02."""
    gate = governor(clock, Window(seconds=1, requests=2), Window(seconds=60, requests=5))
    async with asyncio.TaskGroup() as tasks:
        for _ in range(6):
            tasks.create_task(send(gate))
        seen = []
        for _ in range(4):
            await idle()
            seen.append(gate.admitted)
            await pass_time(clock, 1.0)
        assert seen == [2, 4, 5, 5]
        await pass_time(clock, 60.0)
    assert gate.admitted == 6


async def test_a_slot_is_free_one_period_after_the_response(clock: FakeClock) -> None:
    """When in its flight the server counted a request is not known."""
    gate = governor(clock, Window(seconds=60, requests=1))
    ticket = await gate.admit()
    clock.advance(30.0)
    assert gate.next_free() == math.inf  # until it has ended
    gate.settle(ticket, 100)
    assert gate.next_free() == 60.0


async def test_a_refused_request_counts_too(clock: FakeClock) -> None:
    """Servers count what they refuse (IMS: 1050 of 1000)."""
    gate = governor(clock, Window(seconds=60, requests=1))
    await send_now(gate, RateSignal(refused=True, retry_after=0.0))
    assert gate.next_free() == 60.0


async def test_a_request_that_was_never_sent_costs_nothing(clock: FakeClock) -> None:
    gate = governor(clock, Window(seconds=60, requests=1))
    gate.release(await gate.admit())
    assert gate.next_free() == 0.0


async def test_margin_and_reserve_are_left_alone(clock: FakeClock) -> None:
    gate = governor(clock, Window(seconds=60, requests=100), margin=0.05, reserve=0.2)
    await spend(gate, 75)
    assert gate.next_free() == 60.0


async def test_bytes_pause_before_the_cap_by_the_size_of_pages_seen(clock: FakeClock) -> None:
    """FAULTS Q04."""
    gate = governor(clock, Window(seconds=3600, bytes=10_000))
    first = await gate.admit()
    assert gate.next_free() == math.inf  # nobody knows yet what a page costs
    gate.settle(first, 3_000)
    await send_now(gate, size=3_000)
    await send_now(gate, size=3_000)
    assert gate.next_free() > 3_500.0  # a fourth would make 12,000


async def test_no_more_than_in_flight_are_open(clock: FakeClock) -> None:
    """FAULTS Q05."""
    gate = governor(clock, WIDE, in_flight=3)
    tickets = [await gate.admit() for _ in range(3)]
    async with asyncio.TaskGroup() as tasks:
        fourth = tasks.create_task(gate.admit())
        await idle()
        assert not fourth.done()
        gate.settle(tickets[0], 10)
        await idle()
        assert fourth.done()


async def test_no_more_are_open_than_the_server_says(clock: FakeClock) -> None:
    """FAULTS Q05, Q06: a policy in concurrent requests, below what the budget allows."""
    gate = governor(clock, WIDE, in_flight=8)
    gate.observe(RateSignal(open_at_most=2))
    gate.settle(await gate.admit(), 1)
    tickets = [await gate.admit() for _ in range(2)]
    third = asyncio.ensure_future(gate.admit())
    await idle()
    assert not third.done()
    gate.settle(tickets[0], 1)
    await idle()
    assert third.done()


async def test_a_stalled_loop_does_not_burst_afterwards(clock: FakeClock) -> None:
    """FAULTS C03: three periods pass at once; still one window's worth goes out."""
    gate = governor(clock, MINUTE)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(80):
            tasks.create_task(send(gate))
        await idle()
        clock.advance(200.0)
        await idle()
        assert gate.admitted == 40
        await pass_time(clock, 130.0)


@pytest.mark.parametrize("jump", [7200.0, -7200.0, -1.7e9])
async def test_a_jump_of_the_wall_clock_changes_no_wait(clock: FakeClock, jump: float) -> None:
    """FAULTS C01: no early end of a pause, no endless one."""
    gate = governor(clock, Window(seconds=60, requests=1))
    gate.pause(30.0, "test")
    clock.jump(jump)
    assert gate.next_free() == 30.0
    clock.advance(30.0)
    await send_now(gate)
    clock.jump(-jump)
    assert gate.next_free() == 60.0


async def test_spacing_paces_a_burst(clock: FakeClock) -> None:
    gate = governor(clock, spacing=0.5)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(send(gate))
        await idle()
        assert gate.admitted == 1
        await pass_time(clock, 1.0)
        assert gate.admitted == 3
        await pass_time(clock, 0.5)


# ------------------------------------------------------------------ the server's word


async def test_the_lower_of_header_and_budget_holds(clock: FakeClock) -> None:
    """FAULTS Q06, Q07: others use the key as well."""
    gate = governor(clock, MINUTE)
    await send_now(gate, remaining(2, 45.0))
    await spend(gate, 2)
    assert gate.next_free() == pytest.approx(46.0)


async def test_a_remaining_above_the_budget_does_not_loosen_it(clock: FakeClock) -> None:
    """FAULTS Q06."""
    gate = governor(clock, Window(seconds=60, requests=3))
    for left in (400, 900, 10_000):
        await send_now(gate, remaining(left, 45.0))
    assert gate.next_free() > 0


async def test_what_is_in_flight_is_spent_before_its_answer_says_so(clock: FakeClock) -> None:
    gate = governor(clock, WIDE, in_flight=8)
    await send_now(gate, remaining(3, 45.0))
    for _ in range(3):
        await gate.admit()
    assert gate.next_free() > 0


async def test_a_late_answer_gives_nothing_back(clock: FakeClock) -> None:
    gate = governor(clock)
    first, second = await gate.admit(), await gate.admit()
    answer(gate, second, remaining(0, 45.0))
    answer(gate, first, remaining(1, 45.0))
    assert gate.next_free() == pytest.approx(46.0)


async def test_after_a_reset_one_probe_goes_and_a_full_window_opens_the_gate(clock: FakeClock) -> None:
    """FAULTS Q01: a fixed window is used to its edge although our own log still holds the old sends."""
    gate = governor(clock, MINUTE, in_flight=30)
    clock.advance(40.0)
    for left in range(19, -1, -1):
        await send_now(gate, remaining(left, 20.0))
    assert gate.next_free() == pytest.approx(21.0)
    clock.advance(21.0)
    probe = await gate.admit()
    assert gate.next_free() == math.inf  # one probe
    answer(gate, probe, remaining(19, 59.0))
    # Whether the 19 are before or after the probe itself is not known; the last one waits for our own log.
    await spend(gate, 18)
    assert 0 < gate.next_free() < 59.0


async def test_an_answer_from_before_the_reset_is_not_somebody_elses_spending(clock: FakeClock) -> None:
    """FAULTS Q07: two requests cross the Reset together, and the older one's answer comes last."""
    gate = governor(clock, MINUTE, in_flight=8)
    for left in range(19, 1, -1):
        await send_now(gate, remaining(left, 40.0))
    clock.advance(39.5)
    before, after = await gate.admit(), await gate.admit()
    clock.advance(1.0)
    answer(gate, after, remaining(19, 60.0))
    answer(gate, before, remaining(1, 0.0))
    await spend(gate, 17)


async def test_after_a_reset_of_a_sliding_window_only_what_came_back_is_used(clock: FakeClock) -> None:
    gate = governor(clock, Window(seconds=60, requests=3), in_flight=30)
    await send_now(gate, remaining(2, 60.0))
    clock.advance(30.0)
    await send_now(gate, remaining(1, 30.0))
    await send_now(gate, remaining(0, 30.0))
    clock.advance(31.0)
    await send_now(gate, remaining(0, 29.0))  # the first slot came back, and is used
    assert gate.next_free() == pytest.approx(29.0)


async def test_a_probe_that_hears_nothing_leaves_our_own_log_in_charge(clock: FakeClock) -> None:
    """Fields may vanish from one answer to the next; that must not let requests through one after another."""
    gate = governor(clock, MINUTE)
    clock.advance(100.0)
    for left in range(19, -1, -1):
        await send_now(gate, remaining(left, 5.0))
    clock.advance(6.0)
    await send_now(gate)
    assert gate.next_free() == pytest.approx(54.0)
    clock.advance(54.0)
    await spend(gate, 19)
    assert gate.next_free() > 0


async def test_a_window_the_budget_does_not_know_is_added_from_a_refusal(clock: FakeClock) -> None:
    """Centris section 6: the headers tell the day, the 429 tells the minute."""
    gate = governor(clock)
    await spend(gate, 20)
    refusal = RateSignal(
        refused=True,
        retry_after=41.0,
        windows=(WindowSignal(seconds=60, limit=20, remaining=0, resets_in=41.0),),
    )
    await send_now(gate, refusal)
    assert gate.next_free() >= 41.0
    clock.advance(62.0)
    await spend(gate, 20)
    assert 58.0 < gate.next_free() <= 60.0


async def test_what_was_sent_before_a_window_was_known_counts_in_it(clock: FakeClock) -> None:
    """After the pause only the oldest slots have come back, not all of the newly known window."""
    gate = governor(clock)
    await spend(gate, 5)
    clock.advance(30.0)
    await spend(gate, 15)
    await send_now(
        gate,
        RateSignal(
            refused=True, retry_after=31.0, windows=(WindowSignal(seconds=60, limit=20, remaining=0, resets_in=31.0),)
        ),
    )
    clock.advance(33.0)
    await spend(gate, 4)  # 15 and the refused one are younger than a minute
    assert gate.next_free() == pytest.approx(27.0)


async def test_where_others_use_the_key_our_own_old_slots_prove_nothing(clock: FakeClock) -> None:
    """FAULTS Q07: one of our slots comes back before the Reset, but the server has said that all are taken."""
    gate = governor(clock, Window(seconds=60, requests=3))
    await send_now(gate)
    clock.advance(50.0)
    await send_now(gate, remaining(0, 60.0))
    assert gate.next_free() == pytest.approx(61.0)


async def test_a_told_limit_does_not_rise_again_by_word_alone(clock: FakeClock) -> None:
    """FAULTS Q06: nothing shows that the window has started again."""
    gate = governor(clock, MINUTE)
    for limit in (5, 20):
        await send_now(gate, RateSignal(windows=(WindowSignal(seconds=60, limit=limit),)))
    await spend(gate, 3)
    assert gate.next_free() == 60.0


@pytest.mark.parametrize(
    "window",
    [
        WindowSignal(seconds=60.0, remaining=0, resets_in=math.nan),
        WindowSignal(seconds=60.0, remaining=0, resets_in=-1e9),
        WindowSignal(seconds=60.0, remaining=0, resets_in=1e12),
        WindowSignal(seconds=60.0, limit=0),
        WindowSignal(seconds=60.0, limit=-7),
        WindowSignal(seconds=0.0, limit=1),
        WindowSignal(seconds=math.inf, limit=1),
        WindowSignal(seconds=60.0, used=-3),
        WindowSignal(seconds=60.0, remaining=-3, resets_in=5.0),
    ],
)
async def test_absurd_figures_never_make_it_wait_for_longer_than_the_window(
    clock: FakeClock, window: WindowSignal
) -> None:
    """FAULTS Q06: no reader gives such figures; the gate does not rely on it."""
    gate = governor(clock, MINUTE)
    await send_now(gate, RateSignal(windows=(window,)))
    assert 0.0 <= gate.next_free() <= 61.0


async def test_a_told_limit_lower_than_the_budget_wins(clock: FakeClock) -> None:
    """FAULTS Q06: the limit was lowered."""
    gate = governor(clock, MINUTE)
    await send_now(gate, RateSignal(windows=(WindowSignal(seconds=60, limit=5),)))
    await spend(gate, 4)
    assert gate.next_free() == 60.0


async def test_a_used_count_is_adopted_when_it_is_higher_than_ours(clock: FakeClock) -> None:
    """FAULTS Q07; IDX Broker section 3: the header jumps because other programs share the key."""
    gate = governor(clock, Window(seconds=3600, requests=250), margin=0.05)
    await send_now(gate, RateSignal(windows=(WindowSignal(name=HOURLY, used=236),)))
    usage = gate.usage()
    assert usage is not None
    assert (usage.used, usage.limit) == (236, 237)
    await send_now(
        gate, RateSignal(windows=(WindowSignal(name=HOURLY, used=12),))
    )  # late, or lower: nothing comes back
    assert gate.next_free() == 3600.0


async def test_the_day_of_a_header_is_kept_to(clock: FakeClock) -> None:
    """Centris section 6: if Remaining reaches 0, sleep until Reset."""
    gate = governor(clock, MINUTE)
    await send_now(gate, remaining(1, 7_000.0, seconds=86_400.0))
    await send_now(gate, remaining(0, 7_000.0, seconds=86_400.0))
    assert gate.next_free() == pytest.approx(7_001.0)


# ------------------------------------------------------------------ pauses


async def test_retry_after_holds_every_sharer_of_a_budget(clock: FakeClock) -> None:
    """One 429 pauses the siblings too, so they do not each earn a 429 of their own (FAULTS Q12, S03)."""
    gate = governor(clock)
    gate.observe(RateSignal(retry_after=30.0))
    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(send(gate))
        await pass_time(clock, 29.9)
        assert gate.admitted == 0
        await pass_time(clock, 0.1)
    assert gate.admitted == 3


async def test_a_pause_that_begins_while_others_sleep_holds_them_too(clock: FakeClock) -> None:
    """FAULTS Q12: they sleep towards a window's edge and wake inside the pause."""
    gate = governor(clock, Window(seconds=60, requests=1))
    late = await gate.admit()
    gate.settle(late, 1)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(send(gate))
        await pass_time(clock, 50.0)
        gate.observe(RateSignal(retry_after=100.0))
        await pass_time(clock, 99.0)
        assert gate.admitted == 1
        await pass_time(clock, 1.0)
        assert gate.admitted == 2
        await pass_time(clock, 60.0)


async def test_after_a_pause_one_probe_then_a_ramp(clock: FakeClock) -> None:
    """FAULTS Q12: wake-ups are spread, not all at once."""
    gate = governor(clock, WIDE, in_flight=8)
    await send_now(gate, RateSignal(refused=True, retry_after=10.0))
    open_tickets: list[Ticket] = []

    async def take() -> None:
        open_tickets.append(await gate.admit())

    async with asyncio.TaskGroup() as tasks:
        for _ in range(7):
            tasks.create_task(take())
        await pass_time(clock, 10.0)
        assert len(open_tickets) == 1
        gate.settle(open_tickets[0], 1)
        await idle()
        assert len(open_tickets) == 2  # a tenth of the concurrency, for a second
        await pass_time(clock, 1.0)
        assert len(open_tickets) == 3
        gate.settle(open_tickets[1], 1)
        gate.settle(open_tickets[2], 1)
        await idle()
        assert len(open_tickets) == 7


async def test_a_shorter_pause_does_not_end_a_longer_one(clock: FakeClock) -> None:
    gate = governor(clock)
    gate.pause(60.0, "long")
    gate.pause(1.0, "short")
    gate.pause(-5.0, "absurd")
    assert gate.next_free() == 60.0


async def test_refusals_of_requests_sent_together_are_one_incident(clock: FakeClock) -> None:
    """FAULTS S03: eight answers of one burst do not make a back-off of 256 s."""
    gate = governor(clock, WIDE, in_flight=8)
    tickets = [await gate.admit() for _ in range(8)]
    for ticket in tickets:
        gate.observe(RateSignal(refused=True))
        gate.settle(ticket, 1)
    assert gate.next_free() == 1.0


async def test_refusals_in_a_row_silence_it_for_longer_each_time(clock: FakeClock) -> None:
    """FAULTS S03."""
    gate = governor(clock)
    waits = []
    for _ in range(3):
        await send_now(gate, RateSignal(refused=True))
        waits.append(gate.next_free())
        clock.advance(waits[-1])
    assert waits == [1.0, 2.0, 4.0]
    await send_now(gate)
    await send_now(gate, RateSignal(refused=True))
    assert gate.next_free() == 1.0


@pytest.mark.parametrize("days", [2.5, 400.0, 4_000.0])
async def test_a_silence_of_more_than_a_day_ends_the_run_with_its_reason(clock: FakeClock, days: float) -> None:
    """FAULTS S04: it is neither slept through, nor cut to a day and asked again."""
    gate = governor(clock)
    gate.observe(RateSignal(refused=True, retry_after=days * 86_400.0, evidence="429, wait 400 d"))
    for _ in range(2):
        with pytest.raises(
            QuotaExhausted, match="429, wait 400 d; the server asks that nothing be sent before"
        ) as told:
            await gate.admit()
        clock.advance(86_400.0)
    resets_at = told.value.resets_at
    assert resets_at is not None
    assert resets_at - clock.now() == timedelta(days=min(days, 400.0) - 2)
    assert gate.admitted == 0


async def test_a_silence_of_a_day_is_waited_for(clock: FakeClock) -> None:
    gate = governor(clock)
    gate.observe(RateSignal(refused=True, retry_after=86_400.0))
    waiting = asyncio.ensure_future(gate.admit())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    clock.advance(86_400.0)
    await waiting


HOUR = Window(seconds=3600, requests=250)
REFUSED_BY_THE_HOUR = RateSignal(refused=True, windows=(WindowSignal(name=HOURLY, used=250),))


async def test_idx_waits_for_the_next_clock_hour_then_probes_with_one() -> None:
    """FAULTS S08; IDX Broker section 3."""
    clock = FakeClock(datetime(2026, 3, 1, 12, 50, 0, tzinfo=UTC))
    gate = governor(clock, HOUR)
    await spend(gate, 40)
    await send_now(gate, REFUSED_BY_THE_HOUR)
    assert gate.next_free() == pytest.approx(10 * 60 + 60, abs=1.1)
    clock.advance(gate.next_free())
    probe = await gate.admit()
    assert gate.next_free() == math.inf
    answer(gate, probe, RateSignal(windows=(WindowSignal(name=HOURLY, used=1),)))
    assert gate.next_free() == 0.0  # it was a clock hour: the server has forgotten the old ones, so do we
    usage = gate.usage()
    assert usage is not None
    assert usage.used <= 2


async def test_idx_refused_a_second_time_waits_the_whole_hour_from_the_first() -> None:
    """FAULTS S08."""
    clock = FakeClock(datetime(2026, 3, 1, 12, 50, 0, tzinfo=UTC))
    gate = governor(clock, HOUR)
    await send_now(gate, REFUSED_BY_THE_HOUR)
    clock.advance(gate.next_free())
    assert clock.monotonic() == pytest.approx(660.0, abs=1.1)
    await send_now(gate, REFUSED_BY_THE_HOUR)
    assert clock.monotonic() + gate.next_free() == pytest.approx(3600.0, abs=1.1)


# ------------------------------------------------------------------ not waiting for ever


async def test_a_wait_beyond_what_the_caller_allows_is_an_error_that_says_when_to_come_back(clock: FakeClock) -> None:
    gate = governor(clock, HOUR, max_wait=600.0)
    await spend(gate, 250)
    with pytest.raises(QuotaExhausted, match=r"Lakeside: window 250 per 3600 s is full.*13:00:00 UTC") as caught:
        await gate.admit()
    assert caught.value.resets_at == datetime(2026, 3, 1, 13, 0, 0, tzinfo=UTC)
    assert caught.value.exit_status == 75


async def test_a_pause_beyond_what_the_caller_allows_ends_every_waiter(clock: FakeClock) -> None:
    """FAULTS S04: above the maximum the run stops resumable."""
    gate = governor(clock, max_wait=600.0)
    async with asyncio.TaskGroup() as tasks:
        open_one = await gate.admit()
        gate.observe(RateSignal(refused=True, retry_after=100.0))
        waiters = [tasks.create_task(_outcome(gate.admit())) for _ in range(3)]
        await idle()
        assert not any(waiter.done() for waiter in waiters)
        gate.observe(RateSignal(refused=True, retry_after=3600.0))
        gate.settle(open_one, 1)
        await idle()
    assert [waiter.result() for waiter in waiters] == ["QuotaExhausted"] * 3


async def test_a_wait_beyond_the_deadline_need_not_be_waited_for(clock: FakeClock) -> None:
    """FAULTS S04: the run ends now, and says when there is quota again."""
    gate = Governor(
        Budget(windows=(Window(seconds=60, requests=1),)), clock, name="Lakeside", source="lakeside", ends_in=100.0
    )
    await send_now(gate)
    clock.advance(60.0)
    await send_now(gate)  # 40 s are left, and the next slot is 60 s away
    with pytest.raises(QuotaExhausted, match=r"in 60 s, and the deadline is in 40 s.*12:02:00 UTC") as caught:
        await gate.admit()
    assert caught.value.resets_at == datetime(2026, 3, 1, 12, 2, 0, tzinfo=UTC)


async def _outcome(admission: Awaitable[object]) -> str:
    try:
        await admission
    except QuotaExhausted as exc:
        return type(exc).__name__
    return "admitted"


# ------------------------------------------------------------------ waiting in line


async def test_waiters_are_served_in_the_order_they_came(clock: FakeClock) -> None:
    gate = governor(clock, Window(seconds=60, requests=3))
    await spend(gate, 3)
    order: list[int] = []

    async def walk(number: int) -> None:
        for _ in range(2):
            await send(gate)
            order.append(number)

    async with asyncio.TaskGroup() as tasks:
        for number in range(6):
            tasks.create_task(walk(number))
        await pass_time(clock, 240.0)
    assert order == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]


async def test_nobody_who_comes_later_passes_those_who_wait(clock: FakeClock) -> None:
    """A slot that came back while the first in line has not run yet is not anybody else's."""
    gate = governor(clock, Window(seconds=60, requests=1))
    ticket = gate.admit_now()
    assert ticket is not None
    first = asyncio.create_task(gate.admit())
    await idle()
    gate.release(ticket)
    assert gate.next_free() == 0.0
    assert gate.admit_now() is None
    gate.release(await first)
    assert gate.admit_now() is not None


async def test_however_many_wait_only_one_watches_the_clock(clock: FakeClock) -> None:
    """FAULTS Q12: no herd wakes when a slot comes back."""
    gate = governor(clock, Window(seconds=60, requests=1))
    async with asyncio.TaskGroup() as tasks:
        for _ in range(50):
            tasks.create_task(send(gate))
        await idle()
        assert len(clock.slept) == 1
        await pass_time(clock, 60.0)
        assert gate.admitted == 2
        assert len(clock.slept) <= 3
        await pass_time(clock, 50 * 60.0)


async def test_a_cancelled_waiter_leaks_nothing(clock: FakeClock) -> None:
    """FAULTS R05: wherever in the line it stood."""
    gate = governor(clock, Window(seconds=60, requests=1), in_flight=1)
    held = await gate.admit()
    waiters = [asyncio.create_task(gate.admit()) for _ in range(5)]
    await idle()
    for waiter in (waiters[0], waiters[3]):
        waiter.cancel()
    await idle()
    gate.settle(held, 1)
    await pass_time(clock, 60.0)
    assert [waiter.done() for waiter in waiters] == [True, True, False, True, False]
    gate.settle(waiters[1].result(), 1)
    await pass_time(clock, 60.0)
    gate.settle(waiters[2].result(), 1)
    await pass_time(clock, 60.0)
    gate.settle(waiters[4].result(), 1)
    assert gate.admitted == 4
    assert gate.next_free() == 60.0


async def test_a_waiter_cancelled_as_its_slot_comes_back_leaves_it_to_the_next(clock: FakeClock) -> None:
    """FAULTS R05."""
    gate = governor(clock, Window(seconds=60, requests=1))
    await send_now(gate)
    first, second = asyncio.create_task(gate.admit()), asyncio.create_task(gate.admit())
    await idle()
    clock.advance(60.0)  # its timer has ended; it has not run yet
    first.cancel()
    await idle()
    assert first.cancelled()
    assert second.done()
    gate.release(second.result())
    assert gate.next_free() == 0.0


async def test_a_ticket_settled_twice_counts_once(clock: FakeClock) -> None:
    gate = governor(clock, MINUTE)
    ticket = await gate.admit()
    gate.settle(ticket, 1)
    gate.settle(ticket, 1)
    gate.release(ticket)
    usage = gate.usage()
    assert usage is not None
    assert usage.used == 1


# ------------------------------------------------------------------ what is told


async def test_a_wait_is_told_once_and_in_words(clock: FakeClock) -> None:
    events: list[Event] = []
    gate = governor(clock, MINUTE, events=events)
    open_one = await gate.admit()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(38):
            tasks.create_task(send(gate))
        await pass_time(clock, 10.0)
        gate.settle(open_one, 1)  # wakes the first in line for nothing
        await pass_time(clock, 60.0)
    (waiting,) = events
    assert isinstance(waiting, Waiting)
    assert waiting.reason == "window 20 per 60 s is full"
    assert waiting.seconds == 60.0
    assert waiting.until == datetime(2026, 3, 1, 12, 1, 0, tzinfo=UTC)


async def test_a_wait_that_becomes_longer_is_told_again_with_its_new_reason(clock: FakeClock) -> None:
    events: list[Event] = []
    gate = governor(clock, MINUTE, events=events)
    await spend(gate, 20)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(send(gate))
        await idle()
        gate.observe(RateSignal(refused=True, retry_after=300.0, evidence="429, wait 300 s"))
        await pass_time(clock, 300.0)
    assert [event.reason for event in events if isinstance(event, Waiting)] == [
        "window 20 per 60 s is full",
        "429, wait 300 s",
    ]


async def test_short_waits_are_not_worth_telling(clock: FakeClock) -> None:
    events: list[Event] = []
    gate = governor(clock, Window(seconds=0.5, requests=1), events=events)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(send(gate))
        await pass_time(clock, 2.0)
    assert events == []


async def test_usage_is_that_of_the_tightest_window(clock: FakeClock) -> None:
    gate = governor(clock, Window(seconds=60, requests=20), Window(seconds=3600, requests=30))
    assert governor(clock).usage() is None
    await spend(gate, 15)
    usage = gate.usage()
    assert usage is not None
    assert (usage.used, usage.limit, usage.seconds, usage.source) == (15, 20, 60.0, "lakeside")
    clock.advance(60.0)
    usage = gate.usage()
    assert usage is not None
    assert (usage.used, usage.limit, usage.seconds) == (15, 30, 3600.0)


async def test_a_credential_without_any_window_is_limited_by_concurrency_alone(clock: FakeClock) -> None:
    gate = governor(clock, in_flight=4)
    await spend(gate, 1_000)
    assert gate.next_free() == 0.0
