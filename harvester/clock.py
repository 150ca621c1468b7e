"""Real time, chance and name resolution behind the ports ``Clock``, ``Rng`` and ``Resolver``.

The only file that touches ``time``, ``datetime.now``, ``random`` and the system resolver: everything else takes
the ports, so that a whole run can be simulated with a virtual clock and a seed.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime


class SystemClock:
    """The machine's clocks: wall time in UTC for the record, monotonic time for durations."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class SystemRng:
    """Jitter from the process's generator; identifiers from the operating system."""

    def uniform(self, low: float, high: float) -> float:
        return random.uniform(low, high)  # noqa: S311 - jitter, no secret

    def hex(self, size: int) -> str:
        return secrets.token_hex(size)


class SystemResolver:
    """The system's resolver, in a thread that a shutdown does not wait for."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        infos = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )
        return tuple(dict.fromkeys(str(info[4][0]) for info in infos))
