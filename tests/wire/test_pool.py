"""Several credentials behind one transport: who sends a request, and what becomes of one whose credential is lost."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime

import pytest

from harvester.auth.client_credentials import ClientCredentials
from harvester.errors import CredentialsRefused, CursorExpired, QuotaExhausted, ServerFault
from harvester.events import CredentialLost, Event
from harvester.model import Headers, Request, Response
from harvester.wire.errands import Errand, errand, on_errand
from harvester.wire.governed import Outrun
from harvester.wire.pool import Member, Pool
from harvester.wire.renewing import Renewing
from tests.fakes.clock import FakeClock
from tests.fakes.credential import FakeCredential
from tests.fakes.transport import ScriptedTransport, answer

ASK = Request(url="https://api.example.com/v1/Property")


class Credential:
    """One stack: admits when told, and answers at once."""

    def __init__(self, *, free: float = 0.0) -> None:
        self.free = free
        self.sent = 0
        self.error: Exception | None = None  # instead of an answer
        self.before: Exception | None = None  # before it is admitted
        self.given_up = 0
        self._admitting = asyncio.Event()
        if not free:
            self._admitting.set()

    def admit(self) -> None:
        self._admitting.set()

    def next_free(self) -> float:
        return self.free

    async def send(self, request: Request) -> Response:
        if self.before is not None:
            raise self.before
        try:
            await self._admitting.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        claim = errand().claim
        if claim is not None and not claim():
            raise Outrun
        self.sent += 1
        if self.error is not None:
            raise self.error
        return Response(status=200, headers=Headers(), body=b"{}", url=request.url)


class Bench:
    def __init__(self, **credentials: Credential) -> None:
        self.credentials = credentials
        self.clock = FakeClock()
        self.events: list[Event] = []
        members = [Member(name=name, stack=each, next_free=each.next_free) for name, each in credentials.items()]
        self.pool = Pool(members, source="lakeside", clock=self.clock, sink=self.events.append)

    async def send(self, *, walk: str = "w00", via: str | None = None) -> Response:
        with on_errand(Errand(walk=walk, via=via)):
            return await self.pool.send(ASK)

    @property
    def shares(self) -> dict[str, int]:
        return {name: each.sent for name, each in self.credentials.items()}


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_walk_stays_with_a_credential_that_is_free() -> None:
    bench = Bench(first=Credential(), second=Credential())
    answers = [await bench.send() for _ in range(5)]
    assert {answer.via for answer in answers} == {"first"}
    assert bench.shares == {"first": 5, "second": 0}


async def test_a_new_walk_goes_to_the_credential_that_has_done_least() -> None:
    bench = Bench(first=Credential(), second=Credential())
    assert [(await bench.send(walk=f"w{number:02d}")).via for number in range(4)] == ["first", "second"] * 2


async def test_a_question_that_was_put_to_one_of_them_does_not_decide_where_the_walk_goes() -> None:
    bench = Bench(first=Credential(), second=Credential())
    await bench.send(via="first")
    await bench.send(via="second")
    assert (await bench.send()).via == "first"


async def test_a_walk_goes_by_the_credential_that_is_admitted_first() -> None:
    """Both are asked when neither is free; the one that comes second leaves its line and sends nothing."""
    bench = Bench(first=Credential(free=30.0), second=Credential(free=40.0))
    task = asyncio.ensure_future(bench.send())
    await settle()
    bench.credentials["second"].admit()
    assert (await task).via == "second"
    assert bench.shares == {"first": 0, "second": 1}
    assert bench.credentials["first"].given_up == 1


async def test_two_that_are_admitted_at_once_send_one_request() -> None:
    bench = Bench(first=Credential(free=30.0), second=Credential(free=30.0))
    task = asyncio.ensure_future(bench.send())
    await settle()
    bench.credentials["first"].admit()
    bench.credentials["second"].admit()
    await task
    assert sum(bench.shares.values()) == 1


async def test_a_free_credential_whose_ledger_does_not_answer_is_not_waited_for() -> None:
    bench = Bench(first=Credential(), second=Credential())
    bench.credentials["first"]._admitting.clear()
    task = asyncio.ensure_future(bench.send())
    await settle()
    assert bench.shares == {"first": 0, "second": 0}
    bench.clock.advance(0.1)
    assert (await task).via == "second"


async def test_a_link_goes_by_the_credential_that_was_told_it_however_long_that_takes() -> None:
    bench = Bench(first=Credential(), second=Credential(free=3600.0))
    task = asyncio.ensure_future(bench.send(via="second"))
    await settle()
    assert not task.done()
    bench.credentials["second"].admit()
    assert (await task).via == "second"
    assert bench.shares == {"first": 0, "second": 1}


async def test_what_a_refused_credential_was_to_send_is_sent_by_another() -> None:
    """FAULTS S10, A03: it is told once, and the refused one is not tried again."""
    bench = Bench(first=Credential(), second=Credential())
    bench.credentials["first"].error = CredentialsRefused("no")
    assert [(await bench.send()).via for _ in range(3)] == ["second"] * 3
    assert bench.credentials["first"].sent == 1
    (lost,) = bench.events
    assert isinstance(lost, CredentialLost)
    assert (lost.credential, lost.left) == ("first", ("second",))


@pytest.mark.parametrize("via", ["first", "gone", ""])
async def test_a_link_of_a_credential_that_is_lost_begins_anew(via: str) -> None:
    """Refused, configured no more, or of a run that had one credential only: nobody else may follow it."""
    bench = Bench(first=Credential(), second=Credential())
    bench.credentials["first"].error = CredentialsRefused("no")
    with pytest.raises(CursorExpired, match="lakeside"):
        await bench.send(via=via)
    assert bench.credentials["second"].sent == 0


async def test_when_all_are_refused_the_run_is_told_so_and_nothing_more_is_sent() -> None:
    bench = Bench(first=Credential(), second=Credential())
    for each in bench.credentials.values():
        each.error = CredentialsRefused("no")
    for _ in range(2):
        with pytest.raises(CredentialsRefused, match="all 2 credentials are refused"):
            await bench.send()
    assert bench.shares == {"first": 1, "second": 1}


async def test_a_failure_that_is_the_servers_is_passed_on() -> None:
    bench = Bench(first=Credential(), second=Credential())
    bench.credentials["first"].error = ServerFault("500")
    with pytest.raises(ServerFault):
        await bench.send()
    assert bench.shares == {"first": 1, "second": 0}


async def test_a_credential_that_gets_no_token_leaves_its_work_to_the_others() -> None:
    """FAULTS A02: what fails before a request is admitted is not the request's failure while another can send it."""
    bench = Bench(first=Credential(free=10.0), second=Credential(free=20.0))
    bench.credentials["first"].before = ServerFault("the token endpoint is down")
    task = asyncio.ensure_future(bench.send())
    await settle()
    bench.credentials["second"].admit()
    assert (await task).via == "second"
    assert not bench.events


async def test_the_quota_is_exhausted_when_it_is_for_all_and_the_soonest_end_is_told() -> None:
    bench = Bench(first=Credential(free=math.inf), second=Credential(free=math.inf))
    for hour, each in zip((18, 15), bench.credentials.values(), strict=True):
        each.before = QuotaExhausted("spent", resets_at=datetime(2026, 3, 1, hour, tzinfo=UTC))
    with pytest.raises(QuotaExhausted) as caught:
        await bench.send()
    assert caught.value.resets_at == datetime(2026, 3, 1, 15, tzinfo=UTC)


async def test_a_request_that_is_given_up_leaves_every_line() -> None:
    bench = Bench(first=Credential(free=30.0), second=Credential(free=30.0))
    task = asyncio.ensure_future(bench.send())
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [each.given_up for each in bench.credentials.values()] == [1, 1]


async def test_a_credential_that_is_outrun_while_it_gets_its_token_gets_it_all_the_same() -> None:
    """FAULTS A01: one token request, however many requests leave its line meanwhile; none of them waits for it."""
    busy, idle, clock = Credential(free=30.0), Credential(), FakeClock()
    endpoint = ScriptedTransport([answer(body=b'{"access_token":"t","expires_in":3600}')])
    endpoint.hold()
    scheme = ClientCredentials(token_url="https://id.example.com/token")
    auth = scheme.bind(FakeCredential(client_id="i", client_secret="s"), endpoint, clock)
    members = [
        Member(name="busy", stack=busy, next_free=busy.next_free),
        Member(name="idle", stack=Renewing(idle, auth, source="lakeside"), next_free=idle.next_free),
    ]
    pool = Pool(members, source="lakeside", clock=clock, sink=lambda _event: None)
    busy.admit()
    for _ in range(5):
        task = asyncio.ensure_future(pool.send(ASK))
        await settle()
        clock.advance(0.1)
        assert (await task).via == "busy"
    endpoint.let_go()
    await settle()
    assert (await pool.send(ASK)).via == "idle"
    assert len(endpoint.requests) == 1
