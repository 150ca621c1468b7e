"""The session against a server that misbehaves byte by byte (FAULTS N01 to N13, H01 to H10, E03, E05, R04)."""

from __future__ import annotations

import asyncio
import gzip
import os
import resource
import socket
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from harvester.clock import SystemClock, SystemResolver
from harvester.errors import (
    BodyIncomplete,
    ConfigError,
    ConnectionFailed,
    OriginRefused,
    ProtocolError,
    RepeatError,
    TimedOut,
)
from harvester.model import Request
from harvester.wire.addresses import lookup
from harvester.wire.limits import Caps, Timeouts
from harvester.wire.origin import Origin
from harvester.wire.transport import AiohttpTransport
from tests.fakes.clock import FakeClock
from tests.fakes.raw_server import RawServer, Script, Wire, ok, once, raw_server

QUICK = Timeouts(connect=0.2, read=0.1, total=0.5, pace_seconds=0.1, pace_bytes=1000)
SMALL = Caps(header_line=8 * 1024, header_fields=64, raw=64 * 1024, decoded=256 * 1024)


class FixedResolver:
    """Gives the same addresses for every name, or raises."""

    def __init__(self, *addresses: str, error: OSError | None = None, hang: bool = False) -> None:
        self._addresses = addresses
        self._error = error
        self._hang = hang
        self.asked = 0

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        if self._hang:
            await asyncio.Event().wait()
        if self._error is not None:
            raise self._error
        return self._addresses


@asynccontextmanager
async def served(script: Script, **options: Any) -> AsyncIterator[tuple[RawServer, AiohttpTransport]]:
    settings: dict[str, Any] = {"timeouts": QUICK, "caps": SMALL, **options}
    async with (
        raw_server(script) as server,
        AiohttpTransport(Origin.parse(server.url), SystemClock(), SystemResolver(), **settings) as transport,
    ):
        yield server, transport


def get(server: RawServer, path: str = "/Property") -> Request:
    return Request(url=server.url + path)


# ------------------------------------------------------------------ what goes out


async def test_an_answer_comes_whole_with_its_headers() -> None:
    packed = gzip.compress(b'{"value":[1]}')
    async with served(once(ok(packed, "Content-Encoding: gzip", "X-A: 1", "X-A: 2"))) as (server, transport):
        response = await transport.send(get(server))
    assert (response.status, response.body) == (200, b'{"value":[1]}')
    assert response.wire_bytes == len(packed)
    assert response.headers.all("x-a") == ("1", "2")
    assert response.url == f"{server.url}/Property"


async def test_the_url_goes_out_byte_for_byte() -> None:
    """FAULTS P07: nothing is quoted, unquoted or sorted."""
    target = "/Prop%65rty('a%2Fb')?%24skiptoken=a%252Bb&x=a+b%20c&$filter=A%20eq%20'O''B'&b={|}^`&c=%zz&=;,"
    async with served(once(ok())) as (server, transport):
        await transport.send(get(server, target))
    assert server.requests[0].split(b"\r\n")[0] == f"GET {target} HTTP/1.1".encode()


async def test_headers_and_body_go_out_and_nothing_the_environment_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    """FAULTS E05: proxies and .netrc of the environment are ignored."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("NETRC", os.devnull)
    async with served(once(ok()), user_agent="harvester/1") as (server, transport):
        request = Request(method="POST", url=f"{server.url}/token", headers=(("X-Key", "v"),), body=b"a=b")
        await transport.send(request)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    fields = {line.split(b":")[0].lower(): line.split(b": ")[1] for line in head.split(b"\r\n")[1:]}
    assert (fields[b"x-key"], fields[b"user-agent"], fields[b"accept-encoding"]) == (b"v", b"harvester/1", b"gzip")
    assert b"authorization" not in fields
    assert body == b"a=b"


async def test_gzip_is_not_asked_for_when_switched_off() -> None:
    async with served(once(ok()), compressed=False) as (server, transport):
        await transport.send(get(server))
    assert b"Accept-Encoding: identity" in server.requests[0]


async def test_cookies_are_neither_kept_nor_sent() -> None:
    """FAULTS E03."""

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(ok(b"[]", *(f"Set-Cookie: c{n}=v; Path=/" for n in range(20))))

    async with served(script) as (server, transport):
        await transport.send(get(server))
        await transport.send(get(server))
    assert b"cookie" not in server.requests[1].lower()


async def test_redirects_are_not_followed_here() -> None:
    """FAULTS S13, A06: a form with a secret never travels on."""
    moved = b"HTTP/1.1 307 Moved\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n"
    async with served(once(moved)) as (server, transport):
        response = await transport.send(Request(method="POST", url=f"{server.url}/token", body=b"secret"))
    assert response.status == 307
    assert len(server.requests) == 1


async def test_a_foreign_url_opens_no_socket() -> None:
    """FAULTS E01: refused by the transport itself, whoever forgot to check before."""
    async with served(once(ok())) as (server, transport):
        for url in ("http://127.0.0.2:1/", "https://evil.example/", f"{server.url}@evil.example/"):
            with pytest.raises(OriginRefused):
                await transport.send(Request(url=url))
        below = AiohttpTransport(Origin.parse(f"{server.url}/v1"), SystemClock(), SystemResolver())
        with pytest.raises(OriginRefused, match="path lies elsewhere"):
            await below.send(get(server, "/v2/Property"))
    assert server.connections == 0


@pytest.mark.parametrize("header", [("X-A", "a\r\nX-B: b"), ("X A", "v"), ("X-A", "v\x00"), ("X-A", "vé"), ("", "v")])
async def test_a_header_that_could_end_its_line_is_not_sent(header: tuple[str, str]) -> None:
    """FAULTS A04: and its value is not shown."""
    async with served(once(ok())) as (server, transport):
        with pytest.raises(ConfigError) as caught:
            await transport.send(Request(url=server.url, headers=(header,)))
    assert server.connections == 0
    assert header[1] not in str(caught.value)


# ------------------------------------------------------------------ connections


async def test_a_refused_connection_was_not_sent() -> None:
    """FAULTS N01: repeat it, and do not charge it."""
    async with served(once(ok())) as (server, transport):
        pass
    async with AiohttpTransport(Origin.parse(server.url), SystemClock(), SystemResolver(), timeouts=QUICK) as transport:
        with pytest.raises(ConnectionFailed, match=r"GET http://127\.0\.0\.1.*refused") as caught:
            await transport.send(get(server))
    assert not caught.value.sent
    assert isinstance(caught.value.__cause__, OSError)


async def test_a_reset_before_any_byte_counts_as_sent() -> None:
    """FAULTS N02."""

    async def script(wire: Wire) -> None:
        await wire.request()
        wire.reset()

    async with served(script) as (server, transport):
        with pytest.raises(ConnectionFailed) as caught:
            await transport.send(get(server))
    assert caught.value.sent
    assert len(server.requests) == 1


async def test_a_reset_in_the_body_gives_no_body() -> None:
    """FAULTS N03."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(ok(b'{"value":[]}', length=1000))
        await asyncio.sleep(0.02)
        wire.reset()

    async with served(script) as (server, transport):
        with pytest.raises(RepeatError):
            await transport.send(get(server))


async def test_a_get_on_a_dying_keep_alive_connection_is_sent_once() -> None:
    """FAULTS N04: aiohttp would silently send it again on a new connection; here it is an error of ours."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(ok())
        await wire.request()  # read, and the connection dies
        wire.reset()

    async with served(script) as (server, transport):
        await transport.send(get(server))
        with pytest.raises(ConnectionFailed) as caught:
            await transport.send(get(server))
        assert caught.value.sent
        assert len(server.requests) == 2
        assert server.connections == 1
        await transport.send(get(server))  # a new connection serves the next one
        assert server.connections == 2


async def test_a_closed_keep_alive_connection_is_not_sent_on_twice_either() -> None:
    """FAULTS N04: the same with a clean close instead of a reset."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(ok())
        await wire.request()

    async with served(script) as (server, transport):
        await transport.send(get(server))
        with pytest.raises(ConnectionFailed, match="closed the connection"):
            await transport.send(get(server))
        assert len(server.requests) == 2


async def test_silence_ends_at_the_read_timeout_and_the_connection_is_dropped() -> None:
    """FAULTS N05: a peer that vanished."""
    dropped = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.until_closed()
        dropped.set()

    async with served(script) as (server, transport):
        with pytest.raises(TimedOut, match=r"nothing came for 0\.1 s"):
            await transport.send(get(server))
        await asyncio.wait_for(dropped.wait(), 1)


async def test_a_connection_that_never_opens_ends_at_the_connect_timeout() -> None:
    """FAULTS N06: a full backlog drops our SYN."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fill = [socket.socket() for _ in range(4)]
        try:
            for other in fill:
                other.setblocking(False)
                other.connect_ex(("127.0.0.1", port))
            origin = Origin.parse(f"http://127.0.0.1:{port}")
            async with AiohttpTransport(origin, SystemClock(), SystemResolver(), timeouts=QUICK) as transport:
                with pytest.raises(TimedOut, match=r"no connection within 0\.2 s") as caught:
                    await transport.send(Request(url=origin.url))
            assert not caught.value.sent
        finally:
            for other in fill:
                other.close()


async def test_waiting_for_a_slot_of_our_own_is_not_a_slow_server() -> None:
    """Twelve requests share one connection; none of them times out for standing in the queue."""

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await asyncio.sleep(0.02)
            await wire.send(ok())

    async with served(script, connections=1) as (server, transport):
        await asyncio.gather(*(transport.send(get(server)) for _ in range(12)))
        assert server.connections == 1


async def test_running_out_of_files_waits_for_a_free_one() -> None:
    """FAULTS R04: local back-pressure, not a fault of the server."""
    clock = FakeClock()
    hogs: list[socket.socket] = []
    async with (
        raw_server(once(ok())) as server,
        AiohttpTransport(Origin.parse(server.url), clock, SystemResolver()) as transport,
    ):
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
        try:
            with suppress(OSError):
                while True:
                    hogs.append(socket.socket())
            sending = asyncio.create_task(transport.send(get(server)))
            while not clock.slept:
                await asyncio.sleep(0)
            assert not sending.done()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
            for hog in hogs:
                hog.close()
        clock.advance(1)
        assert (await sending).status == 200


# ------------------------------------------------------------------ slow, endless, malformed


async def test_a_dripping_body_ends_by_the_pace_rule() -> None:
    """FAULTS N07: each byte keeps the read timeout away."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(ok(b"[", length=10_000))
        while True:
            await wire.send(b" ")
            await asyncio.sleep(0.02)

    async with served(script) as (server, transport):
        with pytest.raises(TimedOut, match="too slowly"):
            await transport.send(get(server))


async def test_the_total_deadline_ends_what_keeps_the_pace() -> None:
    """FAULTS N07: fast enough for the pace rule, endless all the same."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(ok(b"[", "Connection: close", length=1_000_000_000))
        while True:
            await wire.send(b" " * 100)
            await asyncio.sleep(0.02)

    caps = Caps(raw=1 << 40)
    async with served(script, caps=caps, timeouts=Timeouts(total=0.2, read=0.1, pace_seconds=0.1)) as (
        server,
        transport,
    ):
        with pytest.raises(TimedOut, match=r"not finished after 0\.2 s"):
            await transport.send(get(server))


async def test_a_dripping_head_ends_at_its_deadline() -> None:
    """FAULTS N08."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            await wire.send(b"x")
            await asyncio.sleep(0.02)

    async with served(script, timeouts=Timeouts(connect=0.1, read=0.1)) as (server, transport):
        with pytest.raises(TimedOut, match="head"):
            await transport.send(get(server))


async def test_a_flood_of_interim_answers_ends_at_the_deadline_of_the_head() -> None:
    """FAULTS N10."""

    async def script(wire: Wire) -> None:
        await wire.request()
        while True:
            await wire.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 10)
            await asyncio.sleep(0.001)

    async with served(script, timeouts=Timeouts(connect=0.1, read=0.1)) as (server, transport):
        with pytest.raises(TimedOut, match="head"):
            await transport.send(get(server))


@pytest.mark.parametrize(
    "head",
    [
        b"X: " + b"x" * 1_000_000 + b"\r\n",
        b"".join(b"X-%d: y\r\n" % n for n in range(10_000)),
        b"X" * 1_000_000 + b": y\r\n",
    ],
    ids=["one header of 1 MB", "ten thousand headers", "name of 1 MB"],
)
async def test_an_oversized_head_is_a_protocol_error(head: bytes) -> None:
    """FAULTS N09: bounded, and not repeated."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: 2\r\n\r\n[]")
        await wire.until_closed()

    async with served(script) as (server, transport):
        with pytest.raises(ProtocolError, match="head of the answer"):
            await transport.send(get(server))


@pytest.mark.parametrize(
    "data",
    [
        ok(b'{"value":[]}', length=100),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1,2]\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1,",
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"value":[1',
        ok(gzip.compress(b'{"value":[]}')[:-3], "Content-Encoding: gzip"),
    ],
    ids=["H01 short of its length", "H02 no last chunk", "H02 cut chunk", "H03 no length, cut", "H04 cut gzip"],
)
async def test_a_cut_body_is_refused(data: bytes) -> None:
    """FAULTS H01 to H04: retryable, and no byte is used."""
    async with served(once(data)) as (server, transport):
        with pytest.raises(BodyIncomplete, match=r"^GET http"):
            await transport.send(get(server))


@pytest.mark.parametrize(
    "body", [b'Content-Length: 99\r\n\r\n{"err', b"Content-Encoding: br\r\nContent-Length: 1\r\n\r\n?"]
)
@pytest.mark.parametrize("status", [429, 503])
async def test_a_refusal_counts_although_its_body_cannot_be_read(status: int, body: bytes) -> None:
    """The pause it asks for stands in the head, which is whole (FAULTS S05, H07)."""
    data = b"HTTP/1.1 %d X\r\nRetry-After: 7\r\n%b" % (status, body)
    async with served(once(data)) as (server, transport):
        response = await transport.send(get(server))
    assert (response.status, response.body, response.headers["retry-after"]) == (status, b"", "7")


@pytest.mark.parametrize(
    "fields",
    [
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 2\r\nContent-Length: 2\r\n",
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: +2\r\n",
    ],
)
async def test_an_ambiguous_answer_is_refused_and_its_connection_dropped(fields: str) -> None:
    """FAULTS H10: what follows on that connection could be read as the next answer."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(f"HTTP/1.1 200 OK\r\n{fields}\r\n[]".encode())
        await wire.until_closed()

    async with served(script) as (server, transport):
        for expected in (1, 2):
            with pytest.raises(RepeatError):
                await transport.send(get(server))
            assert server.connections == expected


async def test_bytes_behind_the_answer_cost_the_connection() -> None:
    """FAULTS H10, H11: left-over bytes are never taken for the next answer."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(ok(b"[1]") + ok(b"[666]"))
        await wire.until_closed()

    async with served(script) as (server, transport):
        for _ in range(2):
            with suppress(RepeatError):
                assert (await transport.send(get(server))).body == b"[1]"
        assert server.connections == 2


async def test_a_body_announced_above_the_cap_is_given_up_at_once() -> None:
    """FAULTS H09: none of it is awaited."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(f"HTTP/1.1 200 OK\r\nContent-Length: {1 << 30}\r\n\r\n".encode())
        await wire.until_closed()

    async with served(script) as (server, transport):
        with pytest.raises(ProtocolError, match="larger"):
            await transport.send(get(server))


async def test_a_body_that_grows_above_the_cap_is_given_up_there() -> None:
    """FAULTS H09: the rest is not read."""
    sent = 0

    async def script(wire: Wire) -> None:
        nonlocal sent
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            await wire.send(b" " * 65536)
            sent += 65536

    async with served(script) as (server, transport):
        with pytest.raises(ProtocolError, match="larger"):
            await transport.send(get(server))
    assert sent < 64 << 20


async def test_a_big_compressed_body_is_opened_beside_the_loop() -> None:
    """FAULTS R07: decompression above a few MiB runs in a thread."""

    class Counting(ThreadPoolExecutor):
        jobs = 0

        def submit(self, *args: Any, **kwargs: Any) -> Any:
            self.jobs += 1
            return super().submit(*args, **kwargs)

    executor = Counting(1)
    asyncio.get_running_loop().set_default_executor(executor)
    body = b'{"value":"' + os.urandom(5 << 20).hex().encode() + b'"}'
    big = once(ok(gzip.compress(body, 1), "Content-Encoding: gzip"))
    async with served(big, caps=Caps(), timeouts=Timeouts()) as (server, transport):
        assert (await transport.send(get(server))).body == body
    assert executor.jobs == 1


# ------------------------------------------------------------------ names


def named(resolver: FixedResolver, port: int = 9, **options: Any) -> AiohttpTransport:
    origin = Origin.parse(f"https://api.example.com:{port}")
    return AiohttpTransport(origin, SystemClock(), resolver, timeouts=QUICK, **options)


async def test_an_unknown_name_is_a_matter_of_configuration() -> None:
    """FAULTS N12: NXDOMAIN is told at once and not repeated."""
    async with named(FixedResolver(error=socket.gaierror(socket.EAI_NONAME, "x"))) as transport:
        with pytest.raises(ConfigError, match=r"no host named api\.example\.com"):
            await transport.send(Request(url="https://api.example.com:9/"))


async def test_a_failing_resolver_may_be_asked_again() -> None:
    """FAULTS N12: SERVFAIL passes."""
    async with named(FixedResolver(error=socket.gaierror(socket.EAI_AGAIN, "x"))) as transport:
        with pytest.raises(ConnectionFailed, match="could not be looked up") as caught:
            await transport.send(Request(url="https://api.example.com:9/"))
    assert not caught.value.sent


async def test_a_hanging_resolver_ends_at_the_connect_timeout() -> None:
    """FAULTS N11: and closing the transport does not wait for it."""
    async with named(FixedResolver(hang=True)) as transport:
        with pytest.raises(TimedOut, match="no connection within"):
            await transport.send(Request(url="https://api.example.com:9/"))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "::1",
        "fe80::1",
        "fd00::1",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "100.64.0.1",
        "::ffff:100.64.0.1",
    ],
)
async def test_a_public_name_must_not_lead_into_a_private_network(address: str) -> None:
    """FAULTS N13: DNS rebinding."""
    async with named(FixedResolver(address)) as transport:
        with pytest.raises(ConfigError, match="private network"):
            await transport.send(Request(url="https://api.example.com:9/"))


async def test_private_addresses_are_dropped_among_public_ones_and_allowed_by_name() -> None:
    """FAULTS N13: the allow-list names the host."""
    found = ("10.0.0.1", "93.184.216.34", "::ffff:93.184.216.34")
    assert await lookup(FixedResolver(*found), "a.example", 1) == list(found[1:])
    assert await lookup(FixedResolver(*found), "a.example", 1, private_hosts={"a.example"}) == found


async def test_localhost_may_lead_home() -> None:
    async with raw_server(once(ok())) as server:
        origin = Origin.parse(f"http://localhost:{server.port}")
        async with AiohttpTransport(origin, SystemClock(), FixedResolver("127.0.0.1")) as transport:
            assert (await transport.send(Request(url=origin.url))).status == 200


async def test_no_aiohttp_error_hides_in_the_chain() -> None:
    """FAULTS E04: aiohttp's errors hold the request's headers in their repr."""
    async with served(once(b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n")) as (server, transport):
        with pytest.raises(RepeatError) as caught:
            await transport.send(get(server))
    error: BaseException | None = caught.value
    while error is not None:
        assert not type(error).__module__.startswith("aiohttp")
        error = error.__cause__ or error.__context__
