"""Time for a rehearsal: a loop of its own that jumps from timer to timer, so that days pass in a second."""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")


_MOST_TURNS = 3_000_000
"""Turns of the loop after which it goes round in circles: a rehearsal that never ends would hold up its caller."""

_SHORTEST = 1e-6
"""Seconds a sleep takes at least: one that rounding makes nothing would be slept for ever."""


class _Selector(selectors.SelectSelector):
    """Never blocks: where the loop would wait, its time jumps to the next timer."""

    loop: VirtualLoop
    turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.turns += 1
        if timeout is None or self.turns > _MOST_TURNS:
            # Said once: whoever clears up after the failure needs some more turns.
            self.turns = -_MOST_TURNS
            raise RuntimeError("the rehearsal does not come to an end")
        # Nothing outside takes part, so there is nothing to look for either; rounding must not make it spin.
        if timeout > 0:
            self.loop.elapsed += max(timeout, _SHORTEST)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose seconds are no real ones."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.elapsed


class VirtualClock:
    """The port ``Clock`` on a virtual loop that began at *start* (aware UTC)."""

    def __init__(self, loop: VirtualLoop, start: datetime) -> None:
        self._loop, self._start = loop, start

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._loop.elapsed)

    def monotonic(self) -> float:
        return self._loop.elapsed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(_SHORTEST, seconds))


def run_virtually(main: Callable[[VirtualClock], Coroutine[Any, Any, T]], start: datetime) -> T:
    """Run *main* to its end in virtual time that begins at *start*. Blocks the caller for the real time it takes.

    In a thread of its own, because the caller may have a running loop, and a thread can have only one.
    """
    result: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            with asyncio.Runner(loop_factory=VirtualLoop) as runner:
                loop = runner.get_loop()
                assert isinstance(loop, VirtualLoop)  # noqa: S101 - the factory above
                result.append(runner.run(main(VirtualClock(loop, start))))
        except BaseException as error:  # raised again by the caller's thread
            failure.append(error)

    thread = threading.Thread(target=work, name="harvester-rehearsal", daemon=True)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]
