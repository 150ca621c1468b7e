"""The sandbox on loopback: providers by path prefix on one port, their identity providers on a second.

``serve`` is what the command runs; ``running_sandbox`` is the same for tests and embedding.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

from aiohttp import web
from multidict import CIMultiDict

from harvester.contracts import Clock
from harvester.sandbox.control import Control
from harvester.sandbox.exchange import Cut, Reply, Sandbox
from harvester.sandbox.settings import Settings
from harvester.sandbox.webhooks import Pushes, Sender

_STEP = 0.1  # seconds between two rounds of background changes
_RESET = struct.pack("ii", 1, 0)  # linger on, for no time: closing sends RST

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _handler(sandbox: Sandbox, *, identity: bool) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        reply = await sandbox.exchange(
            method=request.method,
            origin=f"{request.scheme}://{request.host}",
            target=request.raw_path,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
            identity=identity,
        )
        headers: CIMultiDict[str] = CIMultiDict(reply.headers)
        headers.setdefault("Server", "harvester-sandbox")
        if reply.raw is not None:
            return _write_as_it_is(request, reply.raw)
        if reply.cut is not None:
            return await _break_off(request, reply, reply.cut, headers)
        return web.Response(status=reply.status, headers=headers, body=reply.body)

    return handle


def _write_as_it_is(request: web.Request, raw: bytes) -> web.StreamResponse:
    """Send bytes that no server would make, and end the connection behind them."""
    response = web.StreamResponse()
    response.force_close()
    if request.transport is not None:
        request.transport.write(raw)
        request.transport.close()
    return response


async def _break_off(request: web.Request, reply: Reply, cut: Cut, headers: CIMultiDict[str]) -> web.StreamResponse:
    """Send a part of the body and end the connection under it."""
    response = web.StreamResponse(status=reply.status, headers=headers)
    response.force_close()
    transport = request.transport
    if cut.bytes or not cut.reset:
        if cut.chunked:
            response.enable_chunked_encoding()
        else:
            response.content_length = len(reply.body)
        await response.prepare(request)
        await response.write(reply.body[: cut.bytes])
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if cut.reset and connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.abort()
        else:
            transport.close()
    return response


def applications(sandbox: Sandbox) -> tuple[web.Application, web.Application]:
    """The application of the main port and that of the identity providers' port."""
    main, identity = web.Application(), web.Application()
    main.add_routes(Control(sandbox).routes())
    main.router.add_route("*", "/{below:.*}", _handler(sandbox, identity=False))
    identity.router.add_route("*", "/{below:.*}", _handler(sandbox, identity=True))
    return main, identity


@asynccontextmanager
async def running_sandbox(
    settings: Settings,
    clock: Clock | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    identity_port: int = 0,
) -> AsyncIterator[Sandbox]:
    """A sandbox that listens until the block ends. Ports of 0 are chosen by the system.

    *clock* replaces that of *settings*: dates, quotas, token lifetimes and latency all follow it.
    Raises ``OSError`` when a port is taken.
    """
    sandbox = Sandbox(settings if clock is None else replace(settings, clock=clock))
    async with contextlib.AsyncExitStack() as stack:
        urls: list[str] = []
        for application, wanted in zip(applications(sandbox), (port, identity_port), strict=True):
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, host, wanted).start()
            shown = f"[{host}]" if ":" in host else host
            urls.append(f"http://{shown}:{runner.addresses[0][1]}")
        sandbox.url, sandbox.identity_url = urls
        tasks = [asyncio.create_task(work) for work in (_keep_changing(sandbox), *_keep_posting(sandbox))]
        try:
            yield sandbox
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task  # raises what ended it, if anything did


async def serve(
    settings: Settings,
    host: str = "127.0.0.1",
    port: int = 8080,
    identity_port: int = 0,
    on_ready: Callable[[Sandbox], None] | None = None,
) -> None:
    """Serve until cancelled. *on_ready* is called once both ports listen. Raises ``OSError`` when one is taken."""
    async with running_sandbox(settings, host=host, port=port, identity_port=identity_port) as sandbox:
        if on_ready is not None:
            on_ready(sandbox)
        await asyncio.Event().wait()


async def _keep_changing(sandbox: Sandbox) -> None:
    """Change ``settings.mutate`` rows a second, in small rounds, for as long as the sandbox runs."""
    rate, clock = sandbox.settings.mutate, sandbox.settings.clock
    if not rate:
        return
    start, done = clock.monotonic(), 0
    while True:
        await clock.sleep(max(_STEP, 1 / rate))
        due = int((clock.monotonic() - start) * rate) - done
        if due > 0:
            sandbox.mutate(due)
            done += due


def _keep_posting(sandbox: Sandbox) -> Iterator[Coroutine[None, None, None]]:
    """One sender for each provider that posts changes, if there is somebody to post them to."""
    settings = sandbox.settings
    if not settings.webhooks:
        return
    for name, simulator in sandbox.simulators.items():
        if isinstance(simulator, Pushes):
            yield Sender(
                simulator,
                url=settings.webhooks,
                root=f"{sandbox.url}/{name}",
                secret=settings.webhook_secret,
                clock=settings.clock,
                rng=settings.rng(name, "webhooks"),
            ).run()
