"""Answers questions about this process over HTTP: a few fixed paths, reading only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from msgspec import Struct

from harvester.errors import ConfigError


class Told(Struct, frozen=True, kw_only=True):
    """One answer."""

    status: int = 200
    type: str = "application/json"
    body: bytes


@asynccontextmanager
async def telling(host: str, port: int, pages: Mapping[str, Callable[[], Told]], *, path: str) -> AsyncIterator[str]:
    """Answer GET for each of *pages* until the block ends. Yields the URL of the root; port 0: any free one.

    Args:
        pages: what tells the answer, by path; called on the loop, must not block.
        path: the configuration key that names the address.
    Raises:
        ConfigError: the address cannot be listened at.
    """
    application = web.Application()
    for place, tell in pages.items():
        application.router.add_get(place, _handler(tell))
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise ConfigError(f"cannot listen at {host}:{port} ({error.strerror or error})", path=path) from error
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _handler(tell: Callable[[], Told]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(_: web.Request) -> web.Response:
        told = tell()
        return web.Response(
            status=told.status,
            body=told.body,
            headers={"Content-Type": told.type, "Cache-Control": "no-store", "Server": "harvester"},
        )

    return handle
