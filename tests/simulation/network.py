"""A network in memory: connections that are slow, cut into pieces, refused and reset, all by one seeded stream.

A round trip takes at most 45 ms, less than the time the sandbox grants an answer on its way: what its log calls a
request inside a pause was sent by a client that knew.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

Address = tuple[str, int]
Factory = Callable[[], asyncio.BaseProtocol]

_ONE_WAY = (0.0005, 0.015)  # seconds
_GAP = 0.005  # seconds at most between two pieces of one write
_SPLIT = 0.3  # chance that a write arrives in two pieces
_FIRST_PORT = 20_000


class Network:
    """Who listens where, and how long things take."""

    def __init__(self, chance: Random) -> None:
        """*chance*: the only source of delays and pieces."""
        self.chance = chance
        self.refuse = 0.0  # share of connections that are refused (FAULTS N01)
        self.connections = 0
        self.bytes = 0
        self._listening: dict[Address, Listener] = {}
        self._port = _FIRST_PORT

    def listen(self, loop: asyncio.AbstractEventLoop, factory: Factory, host: str, port: int) -> Listener:
        """Raises ``OSError`` when the port is taken; 0 takes the next free one."""
        if not port:
            self._port += 1
            port = self._port
        if (host, port) in self._listening:
            raise OSError(98, "Address already in use")
        listener = Listener(loop, self, factory, (host, port))
        self._listening[host, port] = listener
        return listener

    def forget(self, address: Address) -> None:
        self._listening.pop(address, None)

    async def dial(self, address: Address) -> None:
        """The time a connection takes. Raises ``ConnectionRefusedError`` where nobody listens."""
        await asyncio.sleep(2 * self.delay())
        if address not in self._listening or self.chance.random() < self.refuse:
            raise ConnectionRefusedError(111, "Connection refused")

    def connect(
        self, loop: asyncio.AbstractEventLoop, factory: Factory, address: Address
    ) -> tuple[Pipe, asyncio.BaseProtocol]:
        """Join a new protocol to the one that listens at *address*."""
        listener = self._listening.get(address)
        if listener is None:
            raise ConnectionRefusedError(111, "Connection refused")
        self.connections += 1
        mine, theirs = ("127.0.0.1", 50_000 + self.connections), address
        client = Pipe(loop, self, factory(), mine, theirs)
        server = Pipe(loop, self, listener.factory(), theirs, mine)
        client.peer, server.peer = server, client
        server.begin()
        client.begin()
        return client, client.protocol

    def delay(self) -> float:
        """Seconds one way."""
        return self.chance.uniform(*_ONE_WAY)

    def pieces(self, data: bytes) -> Iterable[tuple[float, bytes]]:
        """*data* as it arrives: seconds after its first piece, and the piece."""
        if len(data) > 1 and self.chance.random() < _SPLIT:
            cut = self.chance.randrange(1, len(data))
            return (0.0, data[:cut]), (self.chance.uniform(0, _GAP), data[cut:])
        return ((0.0, data),)


class Listener(asyncio.AbstractServer):
    """What ``create_server`` returns."""

    def __init__(self, loop: asyncio.AbstractEventLoop, network: Network, factory: Factory, address: Address) -> None:
        self.factory = factory
        self.sockets = (Socket(address),)
        self._loop, self._network, self._address = loop, network, address

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def is_serving(self) -> bool:
        return True

    def close(self) -> None:
        self._network.forget(self._address)

    async def start_serving(self) -> None:
        """It serves from the start."""

    async def serve_forever(self) -> None:
        """Raises: it serves until it is closed, and nobody waits for that."""
        raise NotImplementedError

    async def wait_closed(self) -> None:
        """Connections live on, as those of a real server do."""


class Socket:
    """What programs ask a transport's socket for."""

    family = socket.AF_INET

    def __init__(self, address: Address) -> None:
        self._address = address

    def getsockname(self) -> Address:
        return self._address

    def setsockopt(self, *_: object) -> None:
        """Nothing here has options."""


class Pipe(asyncio.Transport):
    """One end of a connection: bytes arrive in order, late, and perhaps in pieces."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        network: Network,
        protocol: asyncio.BaseProtocol,
        here: Address,
        there: Address,
    ) -> None:
        super().__init__({"sockname": here, "peername": there, "socket": Socket(here)})
        self.protocol: Any = protocol
        self.peer: Pipe
        self._loop, self._network = loop, network
        self._closed = False
        self._held = False  # the protocol has paused reading
        self._waiting: deque[bytes | None] = deque()  # arrived while held; None: the end
        self._last = 0.0  # when what was written last arrives

    def begin(self) -> None:
        self.protocol.connection_made(self)

    # -------------------------------------------------------------- as a transport

    def is_closing(self) -> bool:
        return self._closed

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self.protocol
        return protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """The network takes everything at once."""

    def get_write_buffer_size(self) -> int:
        return 0

    def is_reading(self) -> bool:
        return not self._held

    def pause_reading(self) -> None:
        self._held = True

    def resume_reading(self) -> None:
        self._held = False
        self._loop.call_soon(self._catch_up)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._closed and data:
            self._network.bytes += len(data)
            for after, piece in self._network.pieces(bytes(data)):
                self._send(piece, after)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._send(None)

    def close(self) -> None:
        """What was written still arrives, then the end."""
        if not self._closed:
            self._closed = True
            self._send(None)
            self._loop.call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        """RST: it may overtake what was written (FAULTS N02, N03)."""
        if self._closed:
            return
        self._closed = True
        self._loop.call_soon(self.protocol.connection_lost, None)
        overtakes = self._network.chance.random() < 0.5
        at = self._loop.time() + self._network.delay()
        self._loop.call_at(at if overtakes else max(at, self._last), self.peer.reset)

    # -------------------------------------------------------------- on the wire

    def reset(self) -> None:
        """The other end has aborted."""
        if not self._closed:
            self._closed = True
            self.protocol.connection_lost(ConnectionResetError(104, "Connection reset by peer"))

    def _send(self, data: bytes | None, after: float = 0.0) -> None:
        self._last = max(self._last + 1e-9, self._loop.time() + self._network.delay() * (after == 0) + after)
        self._loop.call_at(self._last, self.peer.receive, data)

    def receive(self, data: bytes | None) -> None:
        """Something arrives; None: the end."""
        if self._closed:
            return
        if self._held or self._waiting:
            self._waiting.append(data)
        else:
            self._hand_over(data)

    def _catch_up(self) -> None:
        while self._waiting and not self._held and not self._closed:
            self._hand_over(self._waiting.popleft())

    def _hand_over(self, data: bytes | None) -> None:
        if data is not None:
            self.protocol.data_received(data)
        elif not self.protocol.eof_received():
            self.close()
