"""One token for all, renewed in time (FAULTS A01 to A06, R05)."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import parse_qs

import pytest

from harvester.auth.client_credentials import ClientCredentials
from harvester.contracts import Auth
from harvester.errors import (
    ConfigError,
    ConnectionFailed,
    CredentialsRefused,
    HarvesterError,
    ProtocolError,
    QuotaExhausted,
    ServerFault,
    TimedOut,
    TokenRefused,
    WaitError,
)
from harvester.model import Request, Response
from tests.fakes.clock import FakeClock, JumpingClock
from tests.fakes.credential import FakeCredential
from tests.fakes.transport import ScriptedTransport, Step, answer

ASK = Request(url="https://api.example.com/v1/Property")
SCHEME = ClientCredentials(token_url="https://id.example.com/token")


def token(value: str = "t", expires_in: object = 1000, **members: object) -> Response:
    return answer(body=json.dumps({"access_token": value, "expires_in": expires_in, **members}).encode())


class Bench:
    """Tokens ``t1``, ``t2``, … of 1000 s, unless a script says otherwise."""

    def __init__(self, *script: Step, scheme: ClientCredentials = SCHEME, clock: FakeClock | None = None) -> None:
        self.clock = clock or JumpingClock()
        self.issued = 0
        self.endpoint = ScriptedTransport([*script, self._issue])
        self.auth: Auth = scheme.bind(
            FakeCredential(client_id="the id", client_secret="canary&=%"), self.endpoint, self.clock
        )

    def _issue(self, request: Request) -> Response:
        self.issued += 1
        return token(f"t{self.issued}")

    async def use(self) -> str:
        """What goes on a request now: the token's text."""
        await self.auth.prepare()
        request, _ = await self.auth.authorize(ASK)
        return dict(request.headers)["Authorization"].removeprefix("Bearer ")

    async def failure(self) -> HarvesterError:
        with pytest.raises(HarvesterError) as caught:
            await self.auth.prepare()
        return caught.value

    @property
    def asked(self) -> int:
        return len(self.endpoint.requests)


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


# ------------------------------------------------------------------ the request


async def test_the_form_holds_id_secret_grant_and_scope() -> None:
    """IMS contract, section 2: all four fields; values are encoded, whatever they hold."""
    bench = Bench(scheme=ClientCredentials(token_url="https://id.example.com/token", scope="api"))
    assert await bench.use() == "t1"
    request = bench.endpoint.requests[0]
    assert (request.method, request.url) == ("POST", "https://id.example.com/token")
    assert ("Content-Type", "application/x-www-form-urlencoded") in request.headers
    assert parse_qs((request.body or b"").decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["the id"],
        "client_secret": ["canary&=%"],
        "scope": ["api"],
    }
    assert "canary" not in repr(request)


async def test_the_configuration_overrides_url_and_scope() -> None:
    endpoint = ScriptedTransport([token()])
    credential = FakeCredential(client_id="i", client_secret="s", token_url="https://other.example/t", scope="mine")
    assert SCHEME.token_endpoint(credential) == "https://other.example/t"
    await SCHEME.bind(credential, endpoint, FakeClock()).prepare()
    assert endpoint.requests[0].url == "https://other.example/t"
    assert b"scope=mine" in (endpoint.requests[0].body or b"")


@pytest.mark.parametrize(
    ("missing", "secrets"), [("client_id", {"client_secret": "s"}), ("client_secret", {"client_id": "i"})]
)
def test_a_missing_secret_is_named(missing: str, secrets: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=missing):
        SCHEME.bind(FakeCredential(**secrets), ScriptedTransport([token()]), FakeClock())


def test_a_missing_token_url_is_named() -> None:
    with pytest.raises(ConfigError, match="token_url"):
        ClientCredentials().token_endpoint(FakeCredential())


# ------------------------------------------------------------------ when it is renewed


async def test_a_token_is_used_until_nine_tenths_of_its_life() -> None:
    bench = Bench()
    assert await bench.use() == "t1"
    bench.clock.advance(899)
    assert await bench.use() == "t1"
    bench.clock.advance(2)
    assert await bench.use() == "t2"
    assert bench.asked == 2


async def test_an_idle_token_ends_although_its_life_has_not() -> None:
    """IMS contract, section 2: 150 minutes without use, or ten hours."""
    scheme = ClientCredentials(token_url="https://id.example.com/token", idle_seconds=100)
    bench = Bench(scheme=scheme)
    for _ in range(10):
        assert await bench.use() == "t1"
        bench.clock.advance(80)
    bench.clock.advance(11)
    assert await bench.use() == "t2"


async def test_a_fixed_bound_counts_from_issue() -> None:
    """IMS contract, section 2: option ``ttl_mode``."""
    scheme = ClientCredentials(token_url="https://id.example.com/token", idle_seconds=100, ttl_mode="fixed")
    bench = Bench(scheme=scheme)
    for expected in ("t1", "t1", "t2"):
        assert await bench.use() == expected
        bench.clock.advance(50)


async def test_life_is_counted_by_a_clock_that_cannot_jump() -> None:
    """FAULTS C01."""
    bench = Bench()
    await bench.use()
    bench.clock.jump(-1e6)
    assert await bench.use() == "t1"
    bench.clock.jump(2e6)
    assert await bench.use() == "t1"


async def test_a_token_that_lapsed_before_sending_is_not_sent() -> None:
    bench = Bench()
    await bench.auth.prepare()
    bench.clock.advance(1001)
    with pytest.raises(TokenRefused) as caught:
        await bench.auth.authorize(ASK)
    assert not caught.value.sent
    assert bench.asked == 1


# ------------------------------------------------------------------ single flight


async def test_two_hundred_callers_cause_one_token_request() -> None:
    """FAULTS A01."""
    bench = Bench(clock=FakeClock())
    bench.endpoint.hold()
    callers = [asyncio.create_task(bench.use()) for _ in range(200)]
    await settled()
    bench.endpoint.let_go()
    assert set(await asyncio.gather(*callers)) == {"t1"}
    assert bench.asked == 1


async def test_late_refusals_of_an_old_token_cause_no_second_renewal() -> None:
    """FAULTS A05: two hundred 401s for one token, half of them after the renewal."""
    bench = Bench()
    await bench.auth.prepare()
    marks = [(await bench.auth.authorize(ASK))[1] for _ in range(200)]
    assert all(await asyncio.gather(*(bench.auth.renew(mark) for mark in marks[:100])))
    assert await bench.use() == "t2"
    assert all([await bench.auth.renew(mark) for mark in marks[100:]])
    assert await bench.use() == "t2"
    assert bench.asked == 2


async def test_a_cancelled_caller_does_not_end_the_renewal_others_wait_for() -> None:
    """FAULTS R05: also when it is the one that began it."""
    bench = Bench(clock=FakeClock())
    bench.endpoint.hold()
    first, second = asyncio.create_task(bench.use()), asyncio.create_task(bench.use())
    await settled()
    first.cancel()
    await settled()
    assert first.cancelled()
    bench.endpoint.let_go()
    assert await second == "t1"
    assert bench.asked == 1


async def test_a_renewal_nobody_waits_for_goes_on_and_the_next_caller_has_its_token() -> None:
    """FAULTS R05: callers that are cancelled one after another cause one token request."""
    bench = Bench(clock=FakeClock())
    bench.endpoint.hold()
    for _ in range(5):
        caller = asyncio.create_task(bench.use())
        await settled()
        caller.cancel()
        await settled()
        assert caller.cancelled()
    bench.endpoint.let_go()
    await settled()
    assert await bench.use() == "t1"
    assert bench.asked == 1


async def test_a_renewal_that_fails_while_nobody_waits_is_told_to_the_next_caller() -> None:
    """FAULTS A03, R05: and the client is not locked out."""
    bench = Bench(answer(400, body=b'{"error":"invalid_client"}'), clock=FakeClock())
    bench.endpoint.hold()
    caller = asyncio.create_task(bench.use())
    await settled()
    caller.cancel()
    bench.endpoint.let_go()
    await settled()
    assert isinstance(await bench.failure(), CredentialsRefused)
    assert bench.asked == 1


async def test_a_renewal_nobody_waits_for_is_ended_with_the_credential() -> None:
    """FAULTS R05: no poisoned single flight, no task left behind."""
    bench = Bench(clock=FakeClock())
    bench.endpoint.hold()
    callers = [asyncio.create_task(bench.use()) for _ in range(3)]
    await settled()
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    await bench.auth.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    bench.endpoint.let_go()
    assert (await bench.use()).startswith("t")


# ------------------------------------------------------------------ an endpoint in trouble


@pytest.mark.parametrize("failure", [answer(503), answer(500), answer(429), ConnectionFailed("x"), answer(408)])
async def test_a_failing_endpoint_is_asked_again_with_waits(failure: Step) -> None:
    """FAULTS A02."""
    bench = Bench(failure, failure, failure)
    assert await bench.use() == "t1"
    assert bench.clock.slept == [1, 2, 4]


async def test_a_wait_the_endpoint_names_is_kept() -> None:
    """FAULTS A02."""
    bench = Bench(answer(429, wait=41.0))
    await bench.use()
    assert bench.clock.slept == [41.0]


async def test_data_requests_wait_together_without_a_stampede() -> None:
    """FAULTS A02: fifty callers, one of them asking at a time."""
    bench = Bench(answer(503), answer(503))
    assert set(await asyncio.gather(*(bench.use() for _ in range(50)))) == {"t1"}
    assert bench.asked == 3


async def test_the_old_token_serves_while_the_endpoint_fails() -> None:
    """FAULTS A02: nobody waits, and the endpoint is asked again only after a while."""
    bench = Bench(token("old"), *[answer(503)] * 2)
    assert await bench.use() == "old"
    bench.clock.advance(910)
    for _ in range(20):
        assert await bench.use() == "old"
    assert (bench.asked, bench.clock.slept) == (2, [])
    bench.clock.advance(31)
    assert await bench.use() == "old"
    assert bench.asked == 3
    bench.clock.advance(31)
    assert await bench.use() == "t1"


async def test_others_go_on_with_the_old_token_while_one_renews_it() -> None:
    """FAULTS A01, A02."""
    bench = Bench(token("old"), clock=FakeClock())
    assert await bench.use() == "old"
    bench.clock.advance(950)
    bench.endpoint.hold()
    renewing = asyncio.create_task(bench.use())
    await settled()
    assert await bench.use() == "old"
    bench.endpoint.let_go()
    assert await renewing == "t1"
    assert bench.asked == 2


async def test_an_endpoint_that_stays_down_ends_the_run_resumable() -> None:
    """FAULTS A02: minutes, not for ever."""
    bench = Bench()
    await bench.use()
    bench.clock.advance(1001)
    bench.endpoint._script = [answer(503)]
    error = await bench.failure()
    assert isinstance(error, WaitError)
    assert error.resets_at is not None
    assert "saved" in str(error)
    assert "token_url" not in str(error)
    assert bench.asked == 1 + 10
    assert 120 < bench.clock.monotonic() - 1001 < 600


@pytest.mark.parametrize(
    ("failure", "tries"), [(answer(503), 4), (ConnectionFailed("No connection."), 4), (TimedOut("Nothing came."), 2)]
)
async def test_an_endpoint_that_never_gave_a_token_fails_in_seconds_and_names_its_url(
    failure: Step, tries: int
) -> None:
    """FAULTS A02, N01: a wrong token_url is not taken for an outage; whoever asks again tries once."""
    bench = Bench()
    bench.endpoint._script = [failure]
    error = await bench.failure()
    assert isinstance(error, WaitError)
    assert "check token_url" in str(error)
    assert bench.asked == tries
    assert bench.clock.monotonic() <= 20
    await bench.failure()
    assert bench.asked == tries + 1


async def test_a_wait_of_hours_is_not_slept_through() -> None:
    bench = Bench(answer(429, wait=86400.0))
    assert isinstance(await bench.failure(), WaitError)
    assert bench.clock.slept == []


async def test_an_empty_quota_passes_through() -> None:
    error = QuotaExhausted("x")
    assert await Bench(error).failure() is error


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'{"error":"Invalid credentials"}'),
        (400, b'{"error":"invalid_client"}'),
        (401, b""),
        (403, b"<html>"),
        (400, b'{"error":"you sent canary&=%"}'),
        (400, b'{"error":"a\\u001b[2Jb"}'),
        (400, b'{"error":{"code":401}}'),
    ],
)
async def test_refused_credentials_are_asked_about_once_ever(status: int, body: bytes) -> None:
    """FAULTS A03: no lock-out, however many walks come by; E04: no echo of the secret."""
    bench = Bench(answer(status, body))
    first = await bench.failure()
    assert isinstance(first, CredentialsRefused)
    assert "client_secret" in str(first)
    assert "canary" not in str(first)
    assert str(first).isprintable()
    for _ in range(5):
        assert isinstance(await bench.failure(), CredentialsRefused)
    assert bench.asked == 1


async def test_an_echoed_secret_is_not_shown_even_when_it_is_plain() -> None:
    """FAULTS E04."""
    endpoint = ScriptedTransport([answer(400, b'{"error":"wrong: canary"}')])
    auth = SCHEME.bind(FakeCredential(client_id="i", client_secret="canary"), endpoint, FakeClock())
    with pytest.raises(CredentialsRefused) as caught:
        await auth.prepare()
    assert "canary" not in str(caught.value)


async def test_the_reason_of_a_refusal_is_shown_when_it_is_plain() -> None:
    assert "Invalid credentials" in str(await Bench(answer(400, b'{"error":"Invalid credentials"}')).failure())


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_of_the_secret_is_refused(status: int) -> None:
    """FAULTS A06."""
    bench = Bench(answer(status, headers=[("Location", "https://evil.example/")]))
    error = await bench.failure()
    assert isinstance(error, ProtocolError)
    assert "token_url" in str(error)
    assert bench.asked == 1


async def test_a_wrong_url_is_a_matter_of_configuration() -> None:
    assert isinstance(await Bench(answer(404)).failure(), ConfigError)


# ------------------------------------------------------------------ odd answers


@pytest.mark.parametrize("expires_in", [0, -5, None, "soon", "-1", True, [], {}, "", "1e3"])
async def test_a_life_that_makes_no_sense_is_an_hour(expires_in: object) -> None:
    """FAULTS A04: no loop of renewals."""
    bench = Bench(token("odd", expires_in))
    assert await bench.use() == "odd"
    bench.clock.advance(3000)
    assert await bench.use() == "odd"
    bench.clock.advance(300)
    assert await bench.use() == "t1"


@pytest.mark.parametrize(
    ("expires_in", "life"), [("600", 600), (600.5, 600.5), (10 * 365 * 86400, 86400), (1e300, 86400), (0.001, 1)]
)
async def test_a_life_is_read_and_bounded(expires_in: object, life: float) -> None:
    """FAULTS A04: digits in a string, ten years, an instant."""
    bench = Bench(token("odd", expires_in))
    assert await bench.use() == "odd"
    bench.clock.advance(life * 0.85)
    assert await bench.use() == "odd"
    bench.clock.advance(life * 0.1)
    assert await bench.use() == "t1"


@pytest.mark.parametrize(
    "body",
    [
        b'{"access_token":"a\\r\\nX-Evil: 1","expires_in":1}',
        b'{"access_token":"a b"}',
        b'{"access_token":"\\u00e9"}',
        b'{"access_token":""}',
        b'{"access_token":7}',
        b'{"access_token":null}',
        b"{}",
        b"[]",
        b"",
        b"<html>login</html>",
        b"\xff\xfe",
        b'{"access_token":"' + b"a" * 65536 + b'"}',
        b'{"access_token":"canary","token_type":"mac"}',
        b'{"access_token":"canary","token_type":7}',
    ],
)
async def test_an_unusable_token_is_refused_once(body: bytes) -> None:
    """FAULTS A04: nothing of it is shown, nothing is asked again."""
    bench = Bench(answer(body=body))
    for _ in range(3):
        error = await bench.failure()
        assert isinstance(error, ProtocolError)
        assert "canary" not in str(error)
    assert bench.asked == 1


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER"])
async def test_the_type_is_bearer_in_any_case(kind: str) -> None:
    assert await Bench(token("ok", token_type=kind)).use() == "ok"


async def test_nothing_shows_the_secret_or_the_token() -> None:
    """FAULTS E04."""
    bench = Bench(token("canary-token"))
    await bench.use()
    assert "canary" not in repr(bench.auth) + repr(vars(bench.auth)) + repr(SCHEME)
    assert isinstance(await Bench(answer(500), ServerFault("x")).use(), str)
