"""All layers together, with the real governor, over a script or a socket (FAULTS E04, Q12, S13)."""

from __future__ import annotations

import asyncio
import gzip
import traceback
from datetime import datetime

import msgspec
import pytest

from harvester.auth.client_credentials import ClientCredentials
from harvester.clock import SystemResolver
from harvester.contracts import Auth, Clock, Transport
from harvester.errors import HarvesterError
from harvester.events import Event, Repeated, Requested
from harvester.governor.governor import Governor
from harvester.model import Action, Budget, RateSignal, Request, Response, Verdict, Window
from harvester.wire.limits import Timeouts
from harvester.wire.origin import Origin
from harvester.wire.patience import Patience
from harvester.wire.stack import build, build_for_tokens
from harvester.wire.transport import AiohttpTransport
from tests.fakes.clock import JumpingClock, SeededRng
from tests.fakes.credential import FakeCredential
from tests.fakes.raw_server import Wire, ok, raw_server
from tests.fakes.transport import ScriptedTransport, answer

CANARY = "canary0123456789"
TOKEN = b'{"access_token":"canary0123456789.token","token_type":"Bearer","expires_in":3600}'


def judge(response: Response) -> Verdict:
    actions = {200: Action.USE, 401: Action.RENEW, 403: Action.REFUSED, 429: Action.THROTTLED, 503: Action.FAULT}
    text = response.body.decode("utf-8", "replace")
    return Verdict(action=actions.get(response.status, Action.SKIP), reason=text if response.status != 200 else "")


def signals(response: Response, now: datetime) -> RateSignal:
    wait = response.headers.get("retry-after")
    return RateSignal(retry_after=float(wait)) if wait else RateSignal()


def built(
    transport: Transport, auth: Auth, governor: Governor, clock: Clock, events: list[Event], origin: str
) -> Transport:
    return build(
        transport,
        source="a",
        origin=Origin.parse(origin),
        judge=judge,
        signals=signals,
        auth=auth,
        governor=governor,
        clock=clock,
        rng=SeededRng(),
        sink=events.append,
        patience=Patience(attempts=2, first=0.01, refusals=2),
    )


async def test_each_request_on_the_wire_was_admitted_by_itself() -> None:
    """Token, refusal, fault, redirect hop, replay after renewal: seven requests, seven admissions, one slot."""
    clock = JumpingClock()
    events: list[Event] = []
    budget = Budget(windows=(Window(seconds=1000, requests=100),), in_flight=1)
    governor = Governor(budget, clock, name="a", source="a")
    tokens = ScriptedTransport([answer(body=TOKEN)])
    data = ScriptedTransport(
        [
            answer(429, headers=[("Retry-After", "30")]),
            answer(503),
            answer(302, headers=[("Location", "/v1/Moved")]),
            answer(401),
            answer(302, headers=[("Location", "/v1/Moved")]),
            answer(200),
        ]
    )
    scheme = ClientCredentials(token_url="https://api.example.com/token", counts_against_quota=True)
    token_way = build_for_tokens(
        tokens, source="a", signals=signals, governor=governor, clock=clock, sink=events.append
    )
    auth = scheme.bind(FakeCredential(client_id="i", client_secret="s"), token_way, clock)
    way = built(data, auth, governor, clock, events, "https://api.example.com/v1")
    response = await asyncio.wait_for(way.send(Request(url="https://api.example.com/v1/Property")), 5)
    assert response.status == 200
    sent = len(tokens.requests) + len(data.requests)
    assert governor.admitted == sent == len([event for event in events if isinstance(event, Requested)])
    assert clock.monotonic() >= 30


async def test_a_foreign_link_is_neither_admitted_nor_told() -> None:
    """FAULTS E01: charged to nobody."""
    clock = JumpingClock()
    events: list[Event] = []
    governor = Governor(Budget(windows=(Window(seconds=10, requests=1),)), clock, name="a", source="a")
    origin = Origin.parse("https://api.example.com")
    async with AiohttpTransport(origin, clock, SystemResolver()) as transport:
        way = built(transport, _fixed(), governor, clock, events, origin.url)
        for _ in range(3):
            with pytest.raises(HarvesterError):
                await way.send(Request(url="https://evil.example/"))
    assert events == []
    assert clock.slept == []


def _fixed() -> Auth:
    from harvester.auth.bearer import Bearer

    return Bearer().bind(FakeCredential(token=CANARY), ScriptedTransport([answer()]), JumpingClock())


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 503 X\r\nContent-Length: 37\r\n\r\nyou sent Bearer canary0123456789.token",
        b"HTTP/1.1 401 X\r\nContent-Length: 22\r\n\r\ncanary0123456789.token",
        b"HTTP/1.1 403 X\r\nContent-Length: 16\r\n\r\ncanary0123456789",
        b"HTTP/1.1 404 X\r\nContent-Length: 12\r\n\r\ncanary012345",
        b"HTTP/1.1 429 X\r\nRetry-After: 0\r\nContent-Length: 16\r\n\r\ncanary0123456789",
        b"HTTP/1.1 302 X\r\nLocation: https://evil.example/?access_token=canary0123456789\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbroken canary0123456789\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"canary0123456789" * 10_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: canary0123456789\r\nContent-Length: 2\r\n\r\n[]",
        ok(gzip.compress(b"canary0123456789")[:-3], "Content-Encoding: gzip"),
        ok(b"[", length=10),
        b"",
    ],
)
async def test_no_failure_shows_the_credential(data: bytes) -> None:
    """FAULTS E04: not in messages, reprs, causes, tracebacks or events, whatever the server echoes."""

    async def script(wire: Wire) -> None:
        head = await wire.request()
        await wire.send(ok(TOKEN) if head.startswith(b"POST") else data)

    events: list[Event] = []
    clock = JumpingClock()
    governor = Governor(Budget(), clock, name="a", source="a")
    shown: list[str] = []
    async with raw_server(script) as server:
        origin = Origin.parse(server.url)
        quick = Timeouts(connect=0.2, read=0.2)
        async with AiohttpTransport(origin, clock, SystemResolver(), timeouts=quick) as transport:
            way = build_for_tokens(
                transport, source="a", signals=signals, governor=None, clock=clock, sink=events.append
            )
            credential = FakeCredential(client_id="id", client_secret=CANARY)
            auth = ClientCredentials(token_url=f"{server.url}/token").bind(credential, way, clock)
            request = Request(url=f"{server.url}/Property?sig={CANARY}")
            try:
                await built(transport, auth, governor, clock, events, server.url).send(request)
            except HarvesterError as exc:
                shown += [str(exc), repr(exc), "".join(traceback.format_exception(exc))]
                cause: BaseException | None = exc
                while cause is not None:
                    shown += [str(cause), repr(cause), repr(vars(cause))]
                    cause = cause.__cause__ or cause.__context__
            shown += [repr(auth), repr(vars(auth)), repr(request)]
    assert any("Property" in text or "refus" in text for text in shown)
    shown.append(msgspec.json.encode(events).decode())
    shown.append(repr(events))
    for text in shown:
        assert "canary" not in text.replace("sig=***", "")
    assert all(
        event.status in (0, 200, 302, 401, 403, 404, 429, 503) for event in events if isinstance(event, Requested)
    )
    assert all(event.source == "a" for event in events if isinstance(event, Repeated))
