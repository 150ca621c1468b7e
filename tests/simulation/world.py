"""One simulated world: a seed, the streams drawn from it, the sandbox, and the machine that harvests it.

A scenario is ``async def play(world)``. Everything that happens in it follows from the seed: schedule, network,
data and faults are streams of their own, so that one more draw of one does not change the others.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from random import Random
from typing import Any

import msgspec

import harvester
from harvester.config.schema import Config, SourceConfig
from harvester.events import Event
from harvester.sandbox.exchange import Reply, Sandbox
from harvester.sandbox.quota import GRACE
from harvester.sandbox.request_log import Entry
from harvester.sandbox.server import running_sandbox
from harvester.sandbox.settings import Settings
from tests.fakes.loop import LoopClock
from tests.simulation.loop import SimulatedLoop, run
from tests.simulation.machine import NOON, Machine
from tests.simulation.network import Network
from tests.simulation.trace import Trace

Play = Callable[["World"], Awaitable[None]]

PAGED = ("centris", "ims", "spark", "spark_reso")  # providers whose page size can be asked for
PROVIDERS = (*PAGED, "idx_broker")
_LONGEST_PAUSE = 86_400.0  # seconds a client may be asked to be silent: beyond that it looks again (FAULTS S04)
_SKEW = 20.0  # seconds the server's clock is wrong by, at most


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one seed of one scenario came to."""

    hash: str
    hours: float  # virtual
    steps: int  # of the loop
    requests: int
    figures: dict[str, float]  # what the scenario measured


@dataclass(kw_only=True)
class Exchange:
    """One request as the server saw it, in seconds on its clock."""

    at: float
    done: float
    status: int


@dataclass(kw_only=True)
class Pause:
    """The client was told to be silent; pauses that overlap are one."""

    told: float  # when the first answer that says so left the server
    known: float  # the end as the client counts it: from the last answer it got
    until: float


class World:
    """What a scenario is given."""

    def __init__(self, scenario: str, seed: int) -> None:
        self.seed = seed
        self._name = f"{scenario}:{seed}"
        self.data = self._stream("data")
        self.faults = self._stream("faults")
        self.network = Network(self._stream("network"))
        self.schedule = self._stream("schedule")
        self.figures: dict[str, float] = {}
        self.exchanges: list[Exchange] = []  # in the order of their ends
        self.pauses: list[Pause] = []
        self._stalls: list[tuple[float, float]] = []  # when on the server's clock, and how long
        self.think = 0.0  # seconds the server takes for an answer, in the median; decided on arrival, told then
        self.sandbox: Sandbox
        self.machine: Machine
        self.trace: Trace
        self.loop: SimulatedLoop

    def _stream(self, name: str) -> Random:
        return Random(f"{self._name}:{name}")

    async def begin(self, play: Play) -> Outcome:
        """Play the scenario on the running loop."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        self.loop = loop
        self.trace = Trace(loop.time)
        self.machine = Machine(self._stream("machine"))
        await play(self)
        for name, figure in sorted(self.figures.items()):
            self.trace.note(f"{name} {figure!r}")
        return Outcome(
            hash=self.trace.hash,
            hours=loop.time() / 3600,
            steps=loop.steps,
            requests=self.sandbox.log.number,
            figures=dict(self.figures),
        )

    # -------------------------------------------------------------- the provider's side

    @asynccontextmanager
    async def serving(self, **settings: Any) -> AsyncIterator[Sandbox]:
        """The sandbox, its clock some seconds off. *settings*: of ``Settings``."""
        skew = timedelta(seconds=self.faults.uniform(-_SKEW, _SKEW))
        settings.setdefault("records", self.data.randint(40, 160))
        made = Settings(seed=self.data.getrandbits(32), clock=LoopClock(NOON + skew), **settings)
        async with running_sandbox(made) as sandbox:
            self.sandbox = sandbox
            self._listen_in(sandbox)
            yield sandbox

    def _listen_in(self, sandbox: Sandbox) -> None:
        """Put every request into the trace once it is answered."""
        exchange = sandbox.exchange

        async def traced(**asked: Any) -> Reply:
            at = sandbox.elapsed
            reply = await exchange(**asked)
            if self.think:
                await asyncio.sleep(self.network.chance.lognormvariate(math.log(self.think), 0.5))
            self.exchanges.append(Exchange(at=at, done=sandbox.elapsed, status=reply.status))
            if reply.cut is None:  # else nobody is told
                self._told_to_wait(at, dict(reply.headers))
            self.trace.note(f"{asked['method']} {asked['target']} {reply.status} {len(reply.body)}")
            return reply

        sandbox.exchange = traced  # type: ignore[method-assign]

    def _told_to_wait(self, at: float, headers: Mapping[str, str]) -> None:
        wait = _wait(headers.get("Retry-After", ""), headers.get("Date", ""))
        until, told = at + wait, self.sandbox.elapsed
        if self.pauses and told < self.pauses[-1].until:
            self.pauses[-1].until = max(self.pauses[-1].until, until)
            self.pauses[-1].known = max(self.pauses[-1].known, told + wait)
        elif told < until:
            self.pauses.append(Pause(told=told, until=until, known=told + wait))

    def inside_a_pause(self) -> list[Exchange]:
        """Requests that a client which keeps to its pauses would not have sent."""
        spans = [(self._known_at(pause), pause.until) for pause in self.pauses]
        return [each for each in self.exchanges if any(known <= each.at < until for known, until in spans)]

    def _known_at(self, pause: Pause) -> float:
        """From when on no request that was sent before the pause was told can arrive."""
        known = pause.told + GRACE
        for start, seconds in self._stalls:
            if pause.told <= start < known:
                known += seconds  # what was on its way stood still as well
        return known

    def stall(self, seconds: float) -> None:
        """Nothing runs for *seconds* (FAULTS C03)."""
        self._stalls.append((self.sandbox.elapsed, seconds))
        self.loop.stall(seconds)
        self.trace.note(f"stall of {seconds} s")

    def requests(self, provider: str) -> list[Entry]:
        """What the provider's log holds, in the order of arrival."""
        return self.sandbox.log.of(provider)

    # -------------------------------------------------------------- the client's side

    def config(self, provider: str, **changes: Any) -> Config:
        """A configuration of one source with sizes drawn from the seed. *changes*: of the source."""
        whole = harvester.parse_config(self.sandbox.config_toml())
        source = whole.sources[provider]
        if provider in PAGED and "page_size" not in changes:
            changes["page_size"] = self.data.choice((7, 20, 50, 200))
        return msgspec.structs.replace(
            whole,
            out=str(self.machine.out),
            sources={provider: _changed(source, changes)},
            compression=self.data.choice(("none", "zstd", "gzip")),
            shard_bytes=self.data.choice((4_096, 65_536, 128 * 1024 * 1024)),
            commit_seconds=self.data.choice((5.0, 60.0)),
            max_requests_at_risk=self.data.choice((1, 5, 25)),
        )

    async def harvest(self, config: Config, **options: Any) -> harvester.Report:
        """``harvester.run`` on the machine, every event in the trace."""
        watch = options.pop("sink", None)

        def sink(event: Event) -> None:
            self.trace.event(event)
            if watch is not None:
                watch(event)

        return await harvester.run(config, sink=sink, ports=self.machine.ports(), **options)


def _changed(source: SourceConfig, changes: dict[str, Any]) -> SourceConfig:
    return msgspec.structs.replace(source, **changes)


def _wait(retry_after: str, date: str) -> float:
    """Seconds of a Retry-After, which may be a date on the server's clock; 0: it asks for nothing."""
    if retry_after.isascii() and retry_after.isdigit():
        return min(float(retry_after), _LONGEST_PAUSE)
    if not retry_after.endswith("GMT"):
        return 0.0
    return (parsedate_to_datetime(retry_after) - parsedate_to_datetime(date)).total_seconds()


def simulate(scenario: str, seed: int, play: Play) -> Outcome:
    """Play one seed of a scenario, from the making of the world to its end."""
    world = World(scenario, seed)
    return run(world.begin(play), world.schedule, world.network)
