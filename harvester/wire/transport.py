"""The aiohttp session: one request out, one whole answer in. The only file that imports aiohttp's client."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
from collections.abc import Collection
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from harvester.contracts import Clock, Resolver
from harvester.errors import BodyIncomplete, ConfigError, HarvesterError, OriginRefused, ProtocolError, TimedOut
from harvester.model import Headers, Request, Response
from harvester.wire.addresses import lookup
from harvester.wire.body import check_framing, declared_length, open_body, too_large
from harvester.wire.failures import ConnectionDied, explain, in_full, send_once
from harvester.wire.limits import DEFAULT_CAPS, DEFAULT_TIMEOUTS, MIB, Caps, Timeouts
from harvester.wire.origin import Origin
from harvester.wire.redaction import printable, redact
from harvester.wire.tls import tls_context

# An answer with one of these paces the client: its status and headers count although its body is broken.
_PACING = (412, 429)
_THREAD_FROM = 4 * MIB  # compressed bytes; below, decompression takes less time than a thread's hand-over is worth
_FIELD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)


class AiohttpTransport:
    """Connections to one origin. An async context manager: the session lives from enter to exit.

    Cookies, redirects, proxies and ``.netrc`` of the environment are off (FAULTS E03, E05). One ``send`` is at most
    one request on the wire: aiohttp's own repeat on a dead connection is switched off (FAULTS N04). No aiohttp
    exception leaves: some hold request headers in their repr (FAULTS E04).
    """

    def __init__(
        self,
        origin: Origin,
        clock: Clock,
        resolver: Resolver,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        caps: Caps = DEFAULT_CAPS,
        connections: int = 8,
        user_agent: str = "harvester",
        compressed: bool = True,
        tls: ssl.SSLContext | None = None,
        private_hosts: Collection[str] = (),
    ) -> None:
        """*tls*: None: ``tls_context()``. *private_hosts*: names that may lead into a private network (FAULTS N13)."""
        self._origin = origin
        self._clock = clock
        self._resolver = resolver
        self._timeouts = timeouts
        self._caps = caps
        self._compressed = compressed
        self._user_agent = user_agent
        self._tls = tls
        self._private_hosts = private_hosts
        # Waiting for a slot of our own is no sign of a slow server, so it happens outside every timeout.
        self._slots = asyncio.Semaphore(connections)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        context: ssl.SSLContext | bool = True
        if self._origin.scheme == "https":
            context = self._tls or tls_context()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, ssl=context, resolver=_Addresses(self._resolver, self._private_hosts)
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={
                "User-Agent": self._user_agent,
                "Accept-Encoding": "gzip" if self._compressed else "identity",
            },
            timeout=aiohttp.ClientTimeout(total=None, connect=self._timeouts.connect, sock_read=self._timeouts.read),
            auto_decompress=False,
            trust_env=False,
            max_line_size=self._caps.header_line,
            max_field_size=self._caps.header_line,
            max_headers=self._caps.header_fields,
            middlewares=(send_once,),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(self, request: Request) -> Response:
        """Send *request* once.

        Raises:
            OriginRefused: the URL leaves the origin; nothing was sent.
            ConnectionFailed, TimedOut, BodyIncomplete: no whole answer; ``sent`` tells whether it may have counted.
            ProtocolError: the answer is beyond the caps, or in an encoding that was not asked for.
            ConfigError: no such host, no trusted certificate, or a header that no request may have.
        """
        self._origin.check(request.url)
        url = URL(request.url, encoded=True)
        if (url.scheme, (url.raw_host or "").lower(), url.port) != (
            self._origin.scheme,
            self._origin.host,
            self._origin.port,
        ):
            raise OriginRefused(f"The URL {redact(request.url)} can be read in two ways and is refused.")
        _check_headers(request)
        async with self._slots:
            began = self._clock.monotonic()
            answer, cause = await self._bounded(request, url, began)
        if isinstance(answer, HarvesterError):
            # Raised outside the handler that caught it: the aiohttp error, which holds headers, is not chained.
            raise answer from cause
        return answer

    async def _bounded(
        self, request: Request, url: URL, began: float
    ) -> tuple[Response | HarvesterError, BaseException | None]:
        what = f"{request.method} {redact(request.url)}"
        deadline = asyncio.timeout(self._timeouts.total)
        try:
            async with deadline:
                return await self._exchange(request, url, began), None
        except HarvesterError as exc:
            return in_full(what, exc), exc.__cause__
        except (aiohttp.ClientError, ConnectionDied, OSError) as exc:
            if deadline.expired():
                return TimedOut(f"{what}: not finished after {self._timeouts.total:g} s."), None
            return explain(what, exc, self._timeouts)

    async def _exchange(self, request: Request, url: URL, began: float) -> Response:
        answer = await self._opened(request, url)
        try:
            headers = Headers(answer.headers.items())
            check_framing(headers)
            status = answer.status
            try:
                raw = await self._read(answer, headers)
                body = await self._decoded(raw, status, headers)
            except (BodyIncomplete, ProtocolError, aiohttp.ClientPayloadError):
                if status not in _PACING and status < 500:
                    raise
                raw = body = b""
                answer.close()
        except BaseException:
            answer.close()  # closes the connection: what is left on it belongs to nobody (FAULTS N05, H10)
            raise
        answer.release()
        elapsed = self._clock.monotonic() - began
        return Response(
            status=status,
            headers=headers,
            body=body,
            url=request.url,
            wire_bytes=len(raw),
            elapsed=elapsed,
            framed=not body or declared_length(headers) is not None or "transfer-encoding" in headers,
        )

    async def _opened(self, request: Request, url: URL) -> aiohttp.ClientResponse:
        """The answer's status and headers. Waits while this process is out of file descriptors (FAULTS R04)."""
        if self._session is None:
            raise RuntimeError("the transport is used outside its context")
        # A head that drips in is never silent, so silence alone does not end it (FAULTS N08, N10).
        seconds = self._timeouts.connect + self._timeouts.read
        while True:
            head = asyncio.timeout(seconds)
            try:
                async with head:
                    return await self._session.request(
                        request.method,
                        url,
                        headers=request.headers,
                        data=request.body,
                        allow_redirects=False,
                    )
            except aiohttp.ClientConnectorError as exc:
                if exc.errno not in _OUT_OF_FILES:
                    raise
            except TimeoutError as exc:
                if head.expired():
                    raise TimedOut(f"no whole head of an answer within {seconds:g} s") from exc
                raise
            await self._clock.sleep(0.2)

    async def _read(self, answer: aiohttp.ClientResponse, headers: Headers) -> bytes:
        """The body as sent. Raises when it is above the cap or slower than the pace (FAULTS H09, N07)."""
        length = declared_length(headers)
        if length is not None and length > self._caps.raw:
            raise too_large(self._caps.raw)
        chunks: list[bytes] = []
        size = since_mark = 0
        mark = self._clock.monotonic()
        async for chunk in answer.content.iter_any():
            chunks.append(chunk)
            size += len(chunk)
            since_mark += len(chunk)
            if size > self._caps.raw:
                raise too_large(self._caps.raw)
            spent = self._clock.monotonic() - mark
            if spent >= self._timeouts.pace_seconds:
                if since_mark < spent * self._timeouts.pace_bytes:
                    raise TimedOut(f"the body comes too slowly ({since_mark:,} bytes in {spent:.3g} s)")
                mark, since_mark = mark + spent, 0
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def _decoded(self, raw: bytes, status: int, headers: Headers) -> bytes:
        if len(raw) < _THREAD_FROM or "content-encoding" not in headers:
            return open_body(raw, status, headers, compressed=self._compressed, cap=self._caps.decoded)
        return await asyncio.to_thread(
            open_body, raw, status, headers, compressed=self._compressed, cap=self._caps.decoded
        )


class _Addresses(AbstractResolver):
    """The ``Resolver`` port in aiohttp's shape."""

    def __init__(self, resolver: Resolver, private_hosts: Collection[str]) -> None:
        self._resolver = resolver
        self._private_hosts = private_hosts

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await lookup(self._resolver, host, port, private_hosts=self._private_hosts)
        ]

    async def close(self) -> None:
        """Nothing is held."""


def _check_headers(request: Request) -> None:
    for name, value in request.headers:
        if not _FIELD.fullmatch(name) or not (value.isascii() and value.isprintable()):
            raise ConfigError(f"The request header {printable(name)} holds characters that no header may hold.")
