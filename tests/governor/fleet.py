"""Several processes that share one credential, and a server that counts: how much of its windows do they use?

``python -m tests.governor.fleet sqlite|redis|valkey SECONDS [kill]`` is the long form of ``test_processes.py``; with
``kill`` the store is killed for five seconds, half way through.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from bisect import bisect_left
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.quota_port import listening
from tests.fakes.quota_servers import Quota, QuotaServer, Sliding, oracle
from tests.fakes.quota_stores import Store

ROOT = Path(__file__).parents[2]
QUOTA: Quota = ((20, 1.0), (50, 5.0))
PROCESSES = 4


@dataclass(frozen=True)
class Result:
    """What the server saw from the first request on."""

    sent: int
    possible: int
    most: tuple[int, ...]  # requests in the fullest window of each length

    @property
    def share(self) -> float:
        return self.sent / self.possible


class Fleet:
    """The processes. All of them are killed at the end."""

    def __init__(self, where: str, port: int, quota: Quota, server: QuotaServer) -> None:
        self.server = server
        self._arguments = [where, str(port), *(f"{limit}/{seconds}" for limit, seconds in quota)]
        self._processes: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.governor.spender", *self._arguments, cwd=ROOT
        )
        self._processes.append(process)

    async def kill(self) -> None:
        process = self._processes.pop(0)
        assert process.returncode is None, "a process has ended by itself"
        process.kill()
        await process.wait()

    async def kill_all(self) -> None:
        while self._processes:
            await self.kill()


async def measure(
    where: str,
    seconds: float,
    *,
    quota: Quota = QUOTA,
    latency: Callable[[], float] = lambda: 0.01,
    meanwhile: Callable[[Fleet], Awaitable[None]],
) -> Result:
    """Let four processes run for *seconds*, while *meanwhile* does harm."""
    server = QuotaServer(kind=Sliding, quota=quota, random=random.Random(1), skew=0.0, latency=latency)
    async with listening(server) as port:
        fleet = Fleet(where, port, quota, server)
        try:
            for _ in range(PROCESSES):
                await fleet.start()
            while not server.arrivals:
                await asyncio.sleep(0.01)
            harm = asyncio.ensure_future(meanwhile(fleet))
            await asyncio.sleep(seconds)
            await harm
        finally:
            await fleet.kill_all()
    arrivals = sorted(server.arrivals)
    most = tuple(max(_within(arrivals, number, period) for number in range(len(arrivals))) for _, period in quota)
    sent = bisect_left(arrivals, arrivals[0] + seconds)
    return Result(sent=sent, possible=oracle(Sliding, quota, random.Random(1), seconds), most=most)


def _within(arrivals: list[float], first: int, period: float) -> int:
    return bisect_left(arrivals, arrivals[first] + period) - first


async def one_is_replaced(fleet: Fleet, after: float = 1.5) -> None:
    """Killed while requests are on their way."""
    await asyncio.sleep(after)
    seen = len(fleet.server.arrivals)
    while len(fleet.server.arrivals) == seen:
        await asyncio.sleep(0.001)
    await fleet.kill()
    await fleet.start()


async def main(kind: str = "sqlite", seconds: str = "60") -> None:
    with tempfile.TemporaryDirectory() as directory:
        if kind == "sqlite":
            print(await measure(f"{directory}/quota.db", float(seconds), meanwhile=one_is_replaced))
            return
        store = Store(kind, Path(directory))
        store.start()

        async def harm(fleet: Fleet) -> None:
            await one_is_replaced(fleet)
            if len(sys.argv) > 3:
                await asyncio.sleep(float(seconds) / 2)
                store.kill()
                await asyncio.sleep(5.0)
                store.start()

        try:
            print(await measure(store.url, float(seconds), meanwhile=harm))
        finally:
            store.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
