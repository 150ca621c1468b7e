"""The layers above the socket, one promise at a time (FAULTS A05, E04, H13, S04, S10, S13)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime

import msgspec
import pytest

from harvester.contracts import Auth
from harvester.errors import (
    ConfigError,
    ConnectionFailed,
    CredentialsRefused,
    HarvesterError,
    OriginRefused,
    ProtocolError,
    Throttled,
    TimedOut,
    TokenRefused,
)
from harvester.events import Event, Requested
from harvester.model import Action, RateSignal, Request, Response, Verdict
from harvester.wire.authorized import Authorized
from harvester.wire.counted import Counted
from harvester.wire.errands import Errand, errand, on_errand
from harvester.wire.governed import Governed
from harvester.wire.judged import Judged
from harvester.wire.origin import Origin
from harvester.wire.redirected import Redirected
from harvester.wire.renewing import Renewing
from harvester.wire.stack import build
from tests.fakes.admission import FakeGovernor
from tests.fakes.clock import FakeClock, SeededRng
from tests.fakes.transport import ScriptedTransport, Step, answer

ASK = Request(url="https://api.example.com/v1/Property", headers=(("Accept", "application/json"),))
ORIGIN = Origin.parse("https://api.example.com/v1")
QUIET = RateSignal()


class NumberedAuth:
    """Tokens ``token-canary-1``, ``-2``, …; *lapses*: how often a token is gone when it is to be sent."""

    def __init__(self, *, renews: bool = True, lapses: int = 0) -> None:
        self.number = 1
        self.prepared = 0
        self.renewed: list[str] = []
        self._renews = renews
        self._lapses = lapses

    async def prepare(self) -> None:
        self.prepared += 1

    async def authorize(self, request: Request) -> tuple[Request, str]:
        if self._lapses:
            self._lapses -= 1
            raise TokenRefused("lapsed", mark=str(self.number), sent=False)
        header = ("Authorization", f"Bearer token-canary-{self.number}")
        return Request(url=request.url, headers=(*request.headers, header)), str(self.number)

    async def renew(self, mark: str) -> bool:
        self.renewed.append(mark)
        self.number += 1
        return self._renews

    async def close(self) -> None:
        """Nothing is under way."""


def no_signal(response: Response, now: datetime) -> RateSignal:
    return RateSignal()


def governed(script: list[Step], governor: FakeGovernor, signal: RateSignal = QUIET) -> Governed[int]:
    return Governed(ScriptedTransport(script), governor, lambda *_: signal, source="a", clock=FakeClock())


# ------------------------------------------------------------------ counted, judged


@pytest.mark.parametrize(
    ("step", "statuses"),
    [
        (answer(200), [200]),
        (answer(503), [503]),
        (ConnectionFailed("x", sent=True), [0]),
        (TimedOut("x", sent=False), []),
        (OriginRefused("x"), []),
        (ConfigError("x"), []),
        (ProtocolError("x"), [0]),
        (asyncio.CancelledError(), [0]),
    ],
)
async def test_what_went_on_the_wire_is_told_and_nothing_else(step: Step, statuses: list[int]) -> None:
    """FAULTS N02, N04: in doubt a request counts."""
    events: list[Event] = []
    counted = Counted(ScriptedTransport([step]), source="a", clock=FakeClock(), sink=events.append)
    with suppress(HarvesterError, asyncio.CancelledError):
        await counted.send(ASK)
    assert [event.status for event in events if isinstance(event, Requested)] == statuses


async def test_the_verdict_is_the_judges() -> None:
    judged = Judged(ScriptedTransport([answer(412)]), lambda _: Verdict(action=Action.THROTTLED, wait=9.0))
    assert (await judged.send(ASK)).verdict == Verdict(action=Action.THROTTLED, wait=9.0)


# ------------------------------------------------------------------ governed


async def test_every_admission_is_settled_or_released_exactly_once() -> None:
    governor = FakeGovernor()
    await governed([answer(body=b"12345")], governor).send(ASK)
    with pytest.raises(ConnectionFailed):
        await governed([ConnectionFailed("x", sent=True)], governor).send(ASK)
    with pytest.raises(ConnectionFailed):
        await governed([ConnectionFailed("x", sent=False)], governor).send(ASK)
    with pytest.raises(OriginRefused):
        await governed([OriginRefused("x")], governor).send(ASK)
    with pytest.raises(TokenRefused):
        await governed([TokenRefused("x", mark="1")], governor).send(ASK)
    assert governor.settled == [(1, 5), (2, 0), (5, 0)]
    assert governor.unanswered == [2]
    assert governor.released == [3, 4]


async def test_an_admission_is_settled_even_if_its_answer_cannot_be_read() -> None:
    governor = FakeGovernor()

    def unreadable(response: Response, now: datetime) -> RateSignal:
        raise ProtocolError("x")

    layer = Governed(ScriptedTransport([answer()]), governor, unreadable, source="a", clock=FakeClock())
    with pytest.raises(ProtocolError):
        await layer.send(ASK)
    assert governor.open == 0


async def test_a_cancelled_request_gives_its_admission_back_as_sent() -> None:
    """FAULTS R05: no slot is lost, and the server may have counted it."""
    governor = FakeGovernor()
    inner = ScriptedTransport([answer()])
    inner.hold()
    layer = Governed(inner, governor, no_signal, source="a", clock=FakeClock())
    sending = asyncio.create_task(layer.send(ASK))
    while not inner.requests:
        await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert (governor.settled, governor.unanswered) == ([(1, 0)], [1])


async def test_the_governor_hears_what_the_answer_says() -> None:
    governor = FakeGovernor()
    signal = RateSignal(retry_after=None, evidence="X-Rate-Limit")
    await governed([answer()], governor, signal).send(ASK)
    assert governor.observed == [signal]
    assert governor.open == 0


@pytest.mark.parametrize(
    ("verdict_wait", "header_wait", "told"),
    [(30.0, 10.0, 30.0), (None, 10.0, 10.0), (5.0, None, 5.0), (None, None, None)],
)
async def test_a_refusal_pauses_for_the_longest_wait_named(
    verdict_wait: float | None, header_wait: float | None, told: float | None
) -> None:
    """FAULTS S03, S04: larger of header and body; none at all is the governor's to decide."""
    governor = FakeGovernor()
    refusal = answer(429, action=Action.THROTTLED, wait=verdict_wait, reason="slow\ndown")
    with pytest.raises(Throttled, match=r"status 429: slow\\ndown") as caught:
        await governed([refusal], governor, RateSignal(retry_after=header_wait)).send(ASK)
    assert governor.observed == [RateSignal(refused=True, retry_after=told, evidence=r"slow\ndown")]
    assert caught.value.wait == (told or 0.0)
    assert governor.open == 0


# ------------------------------------------------------------------ authorized, renewing


def chain(script: list[Step], auth: Auth, governor: FakeGovernor | None = None) -> tuple[Renewing, ScriptedTransport]:
    inner = ScriptedTransport(script)
    layer = Governed(
        Authorized(inner, auth, source="a"), governor or FakeGovernor(), no_signal, source="a", clock=FakeClock()
    )
    return Renewing(layer, auth, source="a"), inner


async def test_a_refused_token_is_renewed_once_and_its_request_admitted_again() -> None:
    """FAULTS S10, A05: one refresh, one replay; both requests passed the governor."""
    auth, governor = NumberedAuth(), FakeGovernor()
    layer, inner = chain([answer(401, action=Action.RENEW), answer()], auth, governor)
    assert (await layer.send(ASK)).status == 200
    assert auth.renewed == ["1"]
    assert [dict(request.headers)["Authorization"] for request in inner.requests] == [
        "Bearer token-canary-1",
        "Bearer token-canary-2",
    ]
    assert len(governor.settled) == 2


async def test_a_second_refusal_is_final() -> None:
    """FAULTS S10: no third request, no second renewal, and the error says what to do."""
    auth = NumberedAuth()
    layer, inner = chain([answer(401, action=Action.RENEW, reason="expired")], auth)
    with pytest.raises(
        CredentialsRefused, match=r"refuses the credential \(status 401: expired\)\..*Check the cred"
    ) as caught:
        await layer.send(ASK)
    assert str(caught.value).count("401") == 1
    assert len(inner.requests) == 2
    assert auth.renewed == ["1"]


async def test_a_scheme_that_cannot_renew_is_refused_at_once() -> None:
    layer, inner = chain([answer(401, action=Action.RENEW)], NumberedAuth(renews=False))
    with pytest.raises(CredentialsRefused):
        await layer.send(ASK)
    assert len(inner.requests) == 1


async def test_a_refused_credential_is_not_renewed() -> None:
    """FAULTS S10, S11: the verdict says that no renewal can help."""
    auth = NumberedAuth()
    layer, inner = chain([answer(403, action=Action.REFUSED, reason="key revoked")], auth)
    with pytest.raises(CredentialsRefused, match="key revoked"):
        await layer.send(ASK)
    assert (len(inner.requests), auth.renewed) == (1, [])


async def test_a_token_that_lapsed_in_the_queue_is_replaced_before_anything_is_sent() -> None:
    """A long pause outlives a token; its request is released, not charged, and asked for again."""
    auth, governor = NumberedAuth(lapses=1), FakeGovernor()
    layer, inner = chain([answer()], auth, governor)
    await layer.send(ASK)
    assert (auth.prepared, auth.renewed) == (2, [])
    assert (governor.released, len(inner.requests)) == ([1], 1)


async def test_tokens_that_always_lapse_end_the_attempt() -> None:
    """FAULTS A04: bounded, whatever lives the endpoint hands out."""
    layer, inner = chain([answer()], NumberedAuth(lapses=99))
    with pytest.raises(ConnectionFailed, match="lapsed 3 times") as caught:
        await layer.send(ASK)
    assert not caught.value.sent
    assert inner.requests == []


async def test_a_wrong_token_url_is_named_by_the_whole_path_of_its_key() -> None:
    class NoEndpoint(NumberedAuth):
        async def prepare(self) -> None:
            raise ConfigError("no token endpoint answers there", path="token_url")

    layer, _ = chain([answer()], NoEndpoint())
    with pytest.raises(ConfigError) as caught:
        await layer.send(ASK)
    assert str(caught.value) == "sources.a.token_url: no token endpoint answers there"


async def test_nobody_waits_for_a_token_while_holding_an_admission() -> None:
    """With one slot, a token request through the same governor finishes: it is made before admission."""
    governor = FakeGovernor(in_flight=1)

    class TokenThroughGovernor(NumberedAuth):
        async def prepare(self) -> None:
            governor.settle(await governor.admit(), 0)

        async def renew(self, mark: str) -> bool:
            await self.prepare()
            return await super().renew(mark)

    layer, _ = chain([answer(401, action=Action.RENEW), answer()], TokenThroughGovernor(), governor)
    assert (await asyncio.wait_for(layer.send(ASK), 1)).status == 200


@pytest.mark.parametrize("echo", ["bad Bearer token-canary-1 given", "token-canary-1", "bad token-ca"])
async def test_an_echoed_credential_is_not_shown(echo: str) -> None:
    """FAULTS E04: whole or cut, in an error or in a verdict that travels on."""
    layer, _ = chain([answer(401, action=Action.RENEW, reason=echo)], NumberedAuth(renews=False))
    with pytest.raises(CredentialsRefused) as caught:
        await layer.send(ASK)
    assert "token-ca" not in str(caught.value)
    layer, _ = chain([answer(400, action=Action.SKIP, reason=echo + "\x1b[0m")], NumberedAuth())
    reason = (await layer.send(ASK)).verdict.reason
    assert "token-ca" not in reason
    assert reason.isprintable()


# ------------------------------------------------------------------ redirected


def moved(location: str, status: int = 302) -> Response:
    return answer(status, headers=[("Location", location)], action=Action.BROKEN)


async def test_a_redirect_within_the_origin_is_followed_hop_by_hop() -> None:
    """FAULTS S13: each hop is a request of its own to the layer below."""
    inner = ScriptedTransport([moved("/v1/a?x=%2B"), moved("b", 307), answer(url="https://api.example.com/v1/b")])
    response = await Redirected(inner, ORIGIN).send(ASK)
    assert [request.url for request in inner.requests[1:]] == [
        "https://api.example.com/v1/a?x=%2B",
        "https://api.example.com/v1/b",
    ]
    assert inner.requests[2].headers == ASK.headers
    assert response.url == "https://api.example.com/v1/b"


@pytest.mark.parametrize("via", ["second", ""])
async def test_the_place_a_redirect_names_is_asked_for_by_the_credential_that_was_told_it(via: str) -> None:
    """FAULTS S13. A source with one credential has nothing to name."""
    asked: list[str | None] = []

    def redirect(_request: Request) -> Response:
        asked.append(errand().via)
        return msgspec.structs.replace(moved("/v1/a"), via=via)

    def found(_request: Request) -> Response:
        asked.append(errand().via)
        return answer()

    with on_errand(Errand(walk="w00")):
        await Redirected(ScriptedTransport([redirect, found]), ORIGIN).send(ASK)
        assert errand() == Errand(walk="w00")
    assert asked == [None, via or None]


@pytest.mark.parametrize(
    "location", ["https://evil.example/v1", "http://api.example.com/v1/", "//evil.example", "/login"]
)
async def test_a_redirect_out_of_the_origin_is_refused(location: str) -> None:
    """FAULTS S13: other host, downgrade, outside the base path."""
    inner = ScriptedTransport([moved(location)])
    with pytest.raises(OriginRefused):
        await Redirected(inner, ORIGIN).send(ASK)
    assert len(inner.requests) == 1


async def test_redirects_in_a_circle_and_into_nowhere_are_protocol_errors() -> None:
    """FAULTS S13."""
    inner = ScriptedTransport([moved("/v1/a")])
    with pytest.raises(ProtocolError, match="more than 3"):
        await Redirected(inner, ORIGIN).send(ASK)
    assert len(inner.requests) == 4
    with pytest.raises(ProtocolError, match="without a place"):
        await Redirected(ScriptedTransport([answer(301)]), ORIGIN).send(ASK)


async def test_only_a_get_is_redirected() -> None:
    """FAULTS A06, S13."""
    inner = ScriptedTransport([moved("/v1/a", 307)])
    assert (await Redirected(inner, ORIGIN).send(Request(url=ASK.url, method="POST", body=b"s"))).status == 307
    assert len(inner.requests) == 1


@pytest.mark.parametrize("action", [Action.RENEW, Action.REFUSED])
async def test_the_governor_hears_what_a_refusal_of_the_credential_says_of_the_quota(action: Action) -> None:
    """A 401 with rate headers tells what is left like any other answer."""
    governor = FakeGovernor()
    signal = RateSignal(evidence="X-Rate-Limit")
    stack = build(
        ScriptedTransport([answer(401)]),
        source="a",
        origin=ORIGIN,
        judge=lambda response: Verdict(action=action),
        signals=lambda response, now: signal,
        auth=NumberedAuth(renews=False),
        governor=governor,
        clock=FakeClock(),
        rng=SeededRng(),
        sink=lambda event: None,
    )
    with pytest.raises(CredentialsRefused):
        await stack.send(ASK)
    assert governor.observed == [signal]
    assert governor.open == 0


async def test_a_refused_credential_is_not_sent_again_by_anyone() -> None:
    """FAULTS A03: every walk of a source shares the key; each of them trying it gets the account locked."""
    inner = ScriptedTransport([answer(401)])
    stack = build(
        inner,
        source="a",
        origin=ORIGIN,
        judge=lambda response: Verdict(action=Action.REFUSED, reason="no such key"),
        signals=no_signal,
        auth=NumberedAuth(),
        governor=FakeGovernor(),
        clock=FakeClock(),
        rng=SeededRng(),
        sink=lambda event: None,
    )
    for _ in range(3):
        with pytest.raises(CredentialsRefused, match="no such key"):
            await stack.send(ASK)
    assert len(inner.requests) == 1
