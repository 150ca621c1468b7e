"""The loop of a simulation: virtual time, seeded order of tasks, a network and threads that are imagined.

Nothing of the program is replaced but the loop it runs on: aiohttp's client and server connect through
``sock_connect``, ``create_connection`` and ``create_server``, jobs of executors run in this thread after a while.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import socket
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from random import Random
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from aiohttp import connector

from tests.fakes.loop import VirtualLoop
from tests.simulation.network import Address, Factory, Listener, Network

T = TypeVar("T")

_SPIN = 100_000  # rounds of the loop without time passing: nothing honest needs as many
_JOB = 0.003  # seconds a job of a thread takes at most, mostly
_SLOW_JOB = 2.0  # seconds, rarely: a disk that stalls (FAULTS F11)
_SLOW = 0.002  # how rarely


class SimulatedLoop(VirtualLoop):
    """Runs whatever tasks are ready in an order drawn from *schedule*; everything else stays first in, first out."""

    def __init__(self, schedule: Random, network: Network) -> None:
        super().__init__()
        self.steps = 0
        self._schedule, self._network = schedule, network
        self._numbers = itertools.count()
        self._busy: WeakKeyDictionary[Executor, float] = WeakKeyDictionary()  # until when
        self._dialled: dict[int, Address] = {}  # by descriptor of the socket, which is never connected
        self._still = (0.0, 0)  # the time, and the steps when it came
        self._due: tuple[int, Callable[[], object]] | None = None
        self.set_task_factory(self._new_task)  # type: ignore[arg-type]

    def stall(self, seconds: float) -> None:
        """Nothing runs for *seconds*: a long garbage collection, a machine that swaps (FAULTS C03)."""
        self.elapsed += seconds

    def after_steps(self, steps: int, callback: Callable[[], object]) -> None:
        """Call *callback* when the loop has gone round *steps* more times: between any two steps of a program."""
        self._due = (self.steps + steps, callback)

    # -------------------------------------------------------------- order

    def _new_task(
        self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T], **options: Any
    ) -> asyncio.Task[T]:
        task = asyncio.Task(coro, loop=loop, **options)
        # Sets of tasks are walked in the order of their addresses. A number of its own gives each task one place.
        task.simulated_number = next(self._numbers)  # type: ignore[attr-defined]
        return task

    def _run_once(self) -> None:
        self.steps += 1
        if self._due is not None and self.steps >= self._due[0]:
            callback = self._due[1]
            self._due = None
            callback()
        if self.elapsed != self._still[0]:
            self._still = (self.elapsed, self.steps)
        elif self.steps - self._still[1] > _SPIN:
            raise RuntimeError("the program spins: it runs on and on without time passing")
        ready = self._ready  # type: ignore[attr-defined]
        if len(ready) > 1:
            handles = list(ready)
            places = [place for place, handle in enumerate(handles) if _number(handle) >= 0]
            steps = sorted((handles[place] for place in places), key=_number)
            self._schedule.shuffle(steps)
            for place, handle in zip(places, steps, strict=True):
                handles[place] = handle
            ready.clear()
            ready.extend(handles)
        super()._run_once()  # type: ignore[misc]

    # -------------------------------------------------------------- threads

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run *func* in a moment, in this thread. Jobs of one executor run one after another, in order."""
        future: asyncio.Future[T] = self.create_future()
        begin = self.elapsed + 1e-7
        if executor is not None:
            begin = max(begin, self._busy.get(executor, 0.0) + 1e-7)
        slow = self._schedule.random() < _SLOW
        end = begin + self._schedule.uniform(0, _SLOW_JOB if slow else _JOB)
        if executor is not None:
            self._busy[executor] = end

        def work() -> None:
            if future.cancelled():
                return  # nobody waits for it and it had not begun
            try:
                result = func(*args)
            except BaseException as error:
                self.call_at(end, deliver, future.set_exception, error)
            else:
                self.call_at(end, deliver, future.set_result, result)

        def deliver(give: Callable[[Any], None], outcome: object) -> None:
            if not future.done():
                give(outcome)

        self.call_at(begin, work)
        return future

    # -------------------------------------------------------------- connections

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        await self._network.dial(address)
        self._dialled[sock.fileno()] = address

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Factory, *, sock: socket.socket, **_: object
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        address = self._dialled.pop(sock.fileno())
        sock.close()
        return self._network.connect(self, protocol_factory, address)

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Factory, host: str, port: int, **_: object
    ) -> Listener:
        return self._network.listen(self, protocol_factory, host, port)


def _number(handle: asyncio.Handle) -> int:
    """The number of the task that *handle* steps; -1: it is no step of a task."""
    owner = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]
    return getattr(owner, "simulated_number", -1)


def run(main: Coroutine[Any, Any, T], schedule: Random, network: Network) -> T:
    """Run *main* to its end on a loop of its own."""

    def make() -> SimulatedLoop:
        return SimulatedLoop(schedule, network)

    with _no_collections(), asyncio.Runner(loop_factory=make) as runner:
        loop = runner.get_loop()
        with _time_of(loop):
            return runner.run(main)


@contextmanager
def _time_of(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """aiohttp's pool ages idle connections by the machine's clock, the one place that does not ask the loop."""
    pool = vars(connector)
    before = pool["monotonic"]
    pool["monotonic"] = loop.time
    try:
        yield
    finally:
        pool["monotonic"] = before


@contextmanager
def _no_collections() -> Iterator[None]:
    """Whatever a collection ends would end at another moment in another process."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
