"""Takes what providers post over HTTP: bounded in size, time and number before anybody looks at it (FAULTS W03)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from msgspec import Struct

from harvester.errors import ConfigError
from harvester.model import Headers
from harvester.wire.status_server import Told

_JSON = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)


class Post(Struct, frozen=True, kw_only=True):
    """A post that was read whole. Holds no secret but what its headers hold."""

    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class Reply(Struct, frozen=True, kw_only=True):
    """What the sender is told."""

    status: int
    message: str = ""  # plain words; nothing of the post is repeated in it
    retry_after: int | None = None  # seconds


@dataclass(frozen=True, kw_only=True)
class Caps:
    """What nobody may exceed."""

    body_bytes: int = 1 << 20
    seconds: float = 10.0  # to send a head, and again to send the body
    connections: int = 512  # at a time; more are cut off
    idle_seconds: float = 30.0  # that a connection may stay open between two posts
    grace_seconds: float = 5.0  # for posts under way when it ends


Take = Callable[[Post], Awaitable[Reply]]


@asynccontextmanager
async def receiving(
    host: str, port: int, take: Take, pages: Mapping[str, Callable[[], Told]], caps: Caps, *, path: str
) -> AsyncIterator[tuple[str, int]]:
    """Listen until the block ends; then posts under way are answered and no others accepted.

    Args:
        take: answers a post; whatever it raises is a 500.
        pages: what GET is answered with, by path; called on the loop, must not block.
        path: the configuration key that names the address.
    Yields:
        Host and port as they are; port 0: any free one.
    Raises:
        ConfigError: the address cannot be listened at.
    """
    server = web.Server(
        _handler(take, pages, caps),
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=min(caps.idle_seconds, caps.seconds),
        lingering_time=0.5,
    )

    def connect() -> RequestHandler | _CutOff:
        return server() if len(server.connections) < caps.connections else _CutOff()

    try:
        listener = await asyncio.get_running_loop().create_server(connect, host, port, backlog=1024)
    except OSError as error:
        raise ConfigError(f"cannot listen at {host}:{port} ({error.strerror or error})", path=path) from error
    try:
        yield host, listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        server.pre_shutdown()
        with anyio.CancelScope(shield=True):
            await server.shutdown(caps.grace_seconds)
            await listener.wait_closed()


class _CutOff(asyncio.Protocol):
    """The end of a connection that is one too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.abort()


def _handler(
    take: Take, pages: Mapping[str, Callable[[], Told]], caps: Caps
) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        page = pages.get(request.path)
        if page is not None and request.method in {"GET", "HEAD"}:
            told = page()
            return web.Response(
                status=told.status, body=told.body, headers={"Content-Type": told.type, "Cache-Control": "no-store"}
            )
        body: bytes | Reply = _refused(request, caps) or await _read(request, caps)
        if isinstance(body, Reply):
            return _response(body, last=True)
        headers = Headers((name, value) for name, value in request.headers.items())
        return _response(await take(Post(path=request.path, headers=headers, body=body)))

    return handle


def _refused(request: web.BaseRequest, caps: Caps) -> Reply | None:
    """Why the body is not even read; None: it is."""
    if request.method != "POST":
        return Reply(status=405, message="notices are posted")
    if not _JSON.fullmatch(request.headers.get("Content-Type", "application/json")):
        return Reply(status=415, message="notices are JSON")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        return Reply(status=415, message="notices are not compressed")
    if (request.content_length or 0) > caps.body_bytes:
        return _too_large(caps)
    return None


async def _read(request: web.BaseRequest, caps: Caps) -> bytes | Reply:
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(caps.seconds):
            while chunk := await request.content.readany():
                chunks.append(chunk)
                size += len(chunk)
                if size > caps.body_bytes:
                    return _too_large(caps)
    except TimeoutError:
        return Reply(status=408, message="the body came too slowly")
    return b"".join(chunks)


def _too_large(caps: Caps) -> Reply:
    return Reply(status=413, message=f"at most {caps.body_bytes:,} bytes are read")


def _response(reply: Reply, *, last: bool = False) -> web.Response:
    """*last*: the connection is of no further use."""
    headers = {"Server": "harvester"}
    if reply.retry_after is not None:
        headers["Retry-After"] = str(reply.retry_after)
    if reply.status == 405:
        headers["Allow"] = "POST"
    response = web.Response(status=reply.status, text=f"{reply.message}\n" if reply.message else "", headers=headers)
    if last:
        response.force_close()
    return response
