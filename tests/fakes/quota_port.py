"""A quota server on a loopback port: one line asks, one line answers ``yes`` or ``no``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.fakes.quota_servers import QuotaServer


@asynccontextmanager
async def listening(server: QuotaServer) -> AsyncIterator[int]:
    """Serves *server* at the port it yields."""

    serving: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            while await reader.readline():
                told = await server.request()
                writer.write(b"yes\n" if told.ok else b"no\n")
        except ConnectionError:
            pass  # the asker was killed
        finally:
            writer.close()
            serving.discard(asyncio.current_task())

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        yield listener.sockets[0].getsockname()[1]
        listener.close()
        await asyncio.gather(*(task for task in serving if task is not None))  # they end with their askers


class Asker:
    """A connection to such a port; reused one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> bool:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(b"?\n")
        return await reader.readline() == b"yes\n"
