"""What is repeated, how often and after how long (FAULTS S01 to S12, Q10, Q12)."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from harvester.decode.verdicts import HTML_PAGE
from harvester.errors import (
    BodyIncomplete,
    ConnectionFailed,
    CredentialsRefused,
    CursorExpired,
    HarvesterError,
    OriginRefused,
    PageTooLarge,
    ProtocolError,
    QuotaExhausted,
    RepeatError,
    ResourceRefused,
    ServerFault,
    Throttled,
    TimedOut,
    WaitError,
)
from harvester.events import Event, Repeated
from harvester.model import Action, Request, Response
from harvester.wire.breaker import Breaker
from harvester.wire.patience import Patience
from harvester.wire.retry_budget import RetryBudget
from harvester.wire.retrying import Retrying
from tests.fakes.clock import FakeClock, JumpingClock, SeededRng
from tests.fakes.transport import ScriptedTransport, Step, answer

ASK = Request(url="https://api.example.com/v1/Property?$skiptoken=x&access_token=CANARY")


class Bench:
    """A Retrying layer over a script, with a clock whose sleeps end at once.

    *met*: whether the source has answered in this run before the script begins.
    """

    def __init__(
        self,
        *script: Step,
        patience: Patience = Patience(),  # noqa: B008
        threshold: int = 5,
        met: bool = True,
    ) -> None:
        self.clock = JumpingClock()
        self.events: list[Event] = []
        self.inner = ScriptedTransport([answer(), *script] if met else script)
        self._met = met
        self.layer = Retrying(
            self.inner,
            source="a",
            clock=self.clock,
            rng=SeededRng(1),
            sink=self.events.append,
            patience=patience,
            breaker=Breaker(self.clock, threshold=threshold),
        )

    async def send(self) -> Response:
        if self._met:
            self._met = False
            await self.layer.send(ASK)
            self.inner.requests.clear()
        return await self.layer.send(ASK)

    async def failure(self) -> HarvesterError:
        with pytest.raises(HarvesterError) as caught:
            await self.send()
        return caught.value


@pytest.mark.parametrize(
    "failure",
    [
        ConnectionFailed("x"),
        TimedOut("x"),
        BodyIncomplete("x"),
        answer(503, action=Action.FAULT),
        answer(521, action=Action.FAULT),
        answer(503, action=Action.OUTAGE),
    ],
)
async def test_a_passing_failure_is_repeated_and_told(failure: Step) -> None:
    """FAULTS N01 to N08, H01 to H06, S01, S02, S07."""
    bench = Bench(failure, answer())
    assert (await bench.send()).status == 200
    assert len(bench.inner.requests) == 2
    told = [event for event in bench.events if isinstance(event, Repeated)]
    assert [event.attempt for event in told] == [1]
    assert told[0].seconds == bench.clock.slept[0]


async def test_waits_grow_with_full_jitter_up_to_a_cap() -> None:
    """FAULTS S01: drawn between nothing and 0.5 s, 1 s, 2 s … 30 s."""
    bench = Bench(answer(500, action=Action.FAULT), patience=Patience(attempts=10), threshold=99)
    await bench.failure()
    caps = [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert len(bench.clock.slept) == len(caps)
    assert all(0 <= slept <= cap for slept, cap in zip(bench.clock.slept, caps, strict=True))
    assert max(bench.clock.slept) > 4
    assert len(set(bench.clock.slept)) == len(caps)


async def test_maintenance_is_asked_about_seldom() -> None:
    """FAULTS S07: half a minute to five minutes between tries."""
    bench = Bench(answer(503, action=Action.OUTAGE), patience=Patience(attempts=5, outlast=1e9), threshold=99)
    await bench.failure()
    assert all(30 <= slept <= 300 for slept in bench.clock.slept)
    assert bench.clock.slept[-1] > 60


async def test_attempts_are_bounded_and_the_last_error_says_so() -> None:
    """FAULTS S01: the class and the fields of the failure stay."""
    bench = Bench(answer(500, action=Action.FAULT), threshold=99)
    error = await bench.failure()
    assert isinstance(error, ServerFault)
    assert error.status == 500
    assert "Tried 8 times" in str(error)
    assert "saved" in str(error)
    assert len(bench.inner.requests) == 8


async def test_a_wait_the_server_names_is_kept() -> None:
    """FAULTS S04: Retry-After on a 503."""
    bench = Bench(answer(503, action=Action.FAULT, wait=120.0), answer())
    await bench.send()
    assert bench.clock.slept == [120.0]


async def test_a_wait_beyond_patience_ends_the_run_resumable() -> None:
    """FAULTS S04: 400 days are not slept through."""
    error = await Bench(answer(503, action=Action.FAULT, wait=400 * 86400.0)).failure()
    assert isinstance(error, WaitError)
    assert error.resets_at is not None
    assert error.resets_at.year == 2027


async def test_a_quota_refusal_is_repeated_without_a_wait_of_its_own_and_uncharged() -> None:
    """FAULTS S03: the governor holds the next admission; seven refusals and seven faults are not fourteen attempts."""
    refusals = [Throttled("x", wait=60.0)] * 7
    bench = Bench(*refusals, *[answer(500, action=Action.FAULT)] * 4, answer())
    await bench.send()
    assert len(bench.clock.slept) == 4
    assert bench.clock.slept[0] <= 0.5


async def test_endless_quota_refusals_end_the_run_resumable() -> None:
    """FAULTS S03: bounded; run again later."""
    bench = Bench(Throttled("x"))
    assert isinstance(await bench.failure(), QuotaExhausted)
    assert len(bench.inner.requests) == 20


async def test_refusals_count_only_while_nobody_gets_through() -> None:
    """A sibling that is answered is progress: the quota moves, this request is merely unlucky."""
    refused = 0

    class Contended:
        async def send(self, request: Request) -> Response:
            nonlocal refused
            if request is ASK and refused < 50:
                refused += 1
                await bench.layer.send(Request(url=ASK.url))
                raise Throttled("x")
            return answer()

    bench = Bench(answer())
    bench.layer._inner = Contended()
    assert (await bench.layer.send(ASK)).status == 200
    assert refused == 50


@pytest.mark.parametrize(
    ("action", "status", "error", "advice"),
    [
        (
            Action.SKIP,
            403,
            ResourceRefused,
            " The account may not be entitled to it: ask the provider, or leave it out of sources.a.resources.",
        ),
        (Action.SKIP, 404, ResourceRefused, " Check the name of the resource and sources.a.base_url."),
        (Action.SKIP, 400, ResourceRefused, ""),
        (Action.GONE, 404, ResourceRefused, ""),
        (Action.SHRINK, 413, PageTooLarge, ""),
        (Action.EXPIRED, 410, CursorExpired, ""),
        (Action.BROKEN, 200, ProtocolError, ""),
    ],
)
async def test_what_cannot_be_repeated_is_told_at_once(
    action: Action, status: int, error: type[HarvesterError], advice: str
) -> None:
    """FAULTS S08, S09, S11, S12: one request; method, URL without secrets, status, request id, reason, advice."""
    step = answer(status, headers=[("X-Request-Id", "r-\x1b7")], action=action, reason="no\nway", page_size=25)
    bench = Bench(step)
    raised = await bench.failure()
    assert type(raised) is error
    assert len(bench.inner.requests) == 1
    assert str(raised) == (
        "GET https://api.example.com/v1/Property?$skiptoken=x&access_token=***: "
        f"status {status} (request id r-\\x1b7): no\\nway.{advice}"
    )
    if isinstance(raised, PageTooLarge):
        assert raised.page_size == 25


async def test_html_in_place_of_data_is_named() -> None:
    """FAULTS S07, H12: the body itself is not shown."""
    error = await Bench(answer(200, b" <!DOCTYPE html><p>CANARY", action=Action.BROKEN)).failure()
    assert str(error).count("HTML page") == 1
    assert "CANARY" not in str(error)
    told = await Bench(answer(200, b"<html>", action=Action.BROKEN, reason=HTML_PAGE)).failure()
    assert str(told).count("HTML page") == 1


@pytest.mark.parametrize(
    "error", [CredentialsRefused("x"), OriginRefused("x"), QuotaExhausted("x"), ProtocolError("x")]
)
async def test_errors_that_are_not_ours_to_repeat_pass(error: HarvesterError) -> None:
    bench = Bench(error)
    assert await bench.failure() is error
    assert len(bench.inner.requests) == 1


async def test_an_outage_of_ten_minutes_is_outlasted_by_probes() -> None:
    """FAULTS S01, Q10: eight callers, one probe a minute at most, and everyone gets an answer in the end."""
    clock = FakeClock()
    calls: list[float] = []

    def step(request: Request) -> Response:
        calls.append(clock.monotonic())
        return answer(503, action=Action.FAULT) if len(calls) > 1 and clock.monotonic() < 600 else answer()

    layer = Retrying(
        ScriptedTransport([step]),
        source="a",
        clock=clock,
        rng=SeededRng(3),
        sink=lambda _: None,
    )
    await layer.send(ASK)
    senders = [asyncio.create_task(layer.send(Request(url=ASK.url))) for _ in range(8)]
    while not all(sender.done() for sender in senders):
        for _ in range(50):
            await asyncio.sleep(0)
        clock.advance(clock.next_due() or 0)
    assert all(sender.result().status == 200 for sender in senders)
    during = [at for at in calls if at < 600]
    assert len(during) < 40
    probes = [at for at in during if at > 60]
    assert all(later - earlier >= 30 for earlier, later in pairwise(probes))
    assert clock.monotonic() < 700


async def test_patience_ends_an_outage_without_end() -> None:
    """FAULTS S01: bounded by time where attempts are not charged."""
    bench = Bench(answer(503, action=Action.FAULT))
    assert isinstance(await bench.failure(), RepeatError)
    assert 900 <= bench.clock.monotonic() <= 1100


async def test_waits_for_quota_do_not_use_up_patience() -> None:
    """A request that stood an hour in the governor's queue has not failed for an hour."""
    clock = JumpingClock()
    steps: list[Step] = [answer(500, action=Action.FAULT), answer(500, action=Action.FAULT), answer()]

    class SlowQueue(ScriptedTransport):
        async def send(self, request: Request) -> Response:
            await clock.sleep(3600)
            return await super().send(request)

    layer = Retrying(SlowQueue(steps), source="a", clock=clock, rng=SeededRng(), sink=lambda _: None)
    assert (await layer.send(ASK)).status == 200


async def test_waits_for_the_retry_budget_do_not_use_up_patience() -> None:
    """FAULTS Q10: a burst of failures elsewhere is no reason to give this request up."""
    bench = Bench(*[answer(500, action=Action.FAULT)] * 5, answer(), patience=Patience(outlast=20), threshold=99)
    for _ in range(100):
        bench.layer._budget.withdraw()
    assert (await bench.send()).status == 200
    assert sum(bench.clock.slept) > 20


# ------------------------------------------------------------------ a source that has never answered


@pytest.mark.parametrize(
    "failure",
    [
        ConnectionFailed("No connection."),
        BodyIncomplete("It is not valid HTTP."),
        answer(200, b"<html>", action=Action.OUTAGE),
        answer(200, b"", action=Action.FAULT),
        answer(502, action=Action.FAULT),
    ],
)
async def test_an_address_that_never_answered_is_not_taken_for_an_outage(failure: Step) -> None:
    """FAULTS N01, S01, S07: a wrong base URL fails within 20 seconds, and the message names the key."""
    bench = Bench(failure, met=False)
    error = await bench.failure()
    assert isinstance(error, RepeatError)
    assert "Check sources.a.base_url" in str(error)
    assert len(bench.inner.requests) == 4
    assert bench.clock.monotonic() <= 20


async def test_a_page_of_another_protocol_names_the_base_url_too() -> None:
    """FAULTS H12: nothing to repeat; once the source has answered, the URL is known to be right."""
    page = answer(200, b"hello", action=Action.BROKEN)
    assert "Check sources.a.base_url" in str(await Bench(page, met=False).failure())
    assert "base_url" not in str(await Bench(page).failure())


async def test_all_requests_to_an_address_that_never_answered_end_together() -> None:
    """Forty callers, more than breaker and retry budget let pass: still 20 seconds; who comes later tries once."""
    clock = FakeClock()
    inner = ScriptedTransport([ConnectionFailed("No connection.")])
    layer = Retrying(inner, source="a", clock=clock, rng=SeededRng(3), sink=lambda _: None)
    senders = [asyncio.create_task(layer.send(Request(url=ASK.url))) for _ in range(40)]
    while not all(sender.done() for sender in senders):
        await settled()
        clock.advance(clock.next_due() or 0)
    assert all(isinstance(sender.exception(), ConnectionFailed) for sender in senders)
    assert clock.monotonic() <= 20
    inner.requests.clear()
    with pytest.raises(ConnectionFailed, match="Tried 1 time;"):
        await layer.send(ASK)
    assert len(inner.requests) == 1


async def test_a_connection_that_hangs_is_tried_twice_before_the_first_answer() -> None:
    """FAULTS N06: each try has waited for a timeout already."""
    bench = Bench(TimedOut("No connection within 20 s."), met=False)
    assert "Check sources.a.base_url" in str(await bench.failure())
    assert len(bench.inner.requests) == 2


async def test_one_answer_to_anyone_makes_later_failures_an_outage() -> None:
    """The address is right then, and an outage is borne for a quarter of an hour."""
    bench = Bench(answer(), ConnectionFailed("No connection."), met=False)
    await bench.send()
    error = await bench.failure()
    assert "base_url" not in str(error)
    assert bench.clock.monotonic() > 900


async def test_a_wait_named_by_a_server_that_never_answered_is_kept() -> None:
    """FAULTS S04: who says when to come back is at home."""
    bench = Bench(answer(503, action=Action.FAULT, wait=120.0), answer(), met=False)
    assert (await bench.send()).status == 200
    assert bench.clock.slept == [120.0]


# ------------------------------------------------------------------ breaker and budget by themselves


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_breaker_lets_one_probe_pass_and_its_success_lets_all() -> None:
    """FAULTS S01."""
    clock = FakeClock()
    breaker = Breaker(clock, threshold=2, pause=5)
    breaker.failed(probe=False)
    assert not await breaker.enter()
    breaker.failed(probe=False)
    entered: list[bool] = []

    async def caller() -> None:
        entered.append(await breaker.enter())

    callers = [asyncio.create_task(caller()) for _ in range(5)]
    await settled()
    assert entered == []
    clock.advance(5)
    await settled()
    assert entered == [True]
    breaker.succeeded()
    await asyncio.gather(*callers)
    assert entered == [True, False, False, False, False]


async def test_a_failed_probe_waits_twice_as_long() -> None:
    clock = FakeClock()
    breaker = Breaker(clock, threshold=1, pause=5, longest=8)
    breaker.failed(probe=False)
    for pause in (5, 8, 8):
        entering = asyncio.create_task(breaker.enter())
        await settled()
        clock.advance(pause - 0.1)
        await settled()
        assert not entering.done()
        clock.advance(0.1)
        assert await entering
        breaker.failed(probe=True)


async def test_a_cancelled_probe_hands_over() -> None:
    """FAULTS R05: the breaker does not stay half open for ever."""
    clock = FakeClock()
    breaker = Breaker(clock, threshold=1, pause=5)
    breaker.failed(probe=False)
    clock.advance(5)
    assert await breaker.enter()
    next_one = asyncio.create_task(breaker.enter())
    await settled()
    assert not next_one.done()
    breaker.abandoned(probe=True)
    assert await next_one


def test_repeats_beyond_a_tenth_of_the_traffic_are_spread_out() -> None:
    """FAULTS Q10: ten at once, then one a second and one for each ten first tries."""
    clock = FakeClock()
    budget = RetryBudget(clock)
    assert [budget.withdraw() for _ in range(12)] == [0.0] * 10 + [1.0, 2.0]
    clock.advance(2)
    assert budget.withdraw() == 1.0
    for _ in range(25):
        budget.deposit()
    assert budget.withdraw() == 0.0


def test_no_repeat_waits_for_the_budget_longer_than_half_a_minute() -> None:
    """FAULTS Q10: a hundred failures at once leave no debt for those that fail later."""
    clock = FakeClock()
    budget = RetryBudget(clock)
    assert max(budget.withdraw() for _ in range(100)) == 30.0
    clock.advance(30)
    assert budget.withdraw() == 1.0


def test_the_budget_does_not_grow_without_end() -> None:
    """FAULTS C03: hours of success are no licence for a storm."""
    clock = FakeClock()
    budget = RetryBudget(clock)
    clock.advance(1e6)
    assert [budget.withdraw() for _ in range(11)][-1] == 1.0
