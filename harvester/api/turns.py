"""Who may write to a source: the parts of this process side by side, and other processes never at the same time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import PurePath

import anyio

from harvester.contracts import Clock, FileLock, Fs
from harvester.engine.stopping import unless_stopped
from harvester.errors import Locked
from harvester.store import layout

_LOOK_AGAIN = 2.0  # seconds between two looks at a lock that another process holds
_OFTEN = 15  # looks that often; then another process is at a long work
_LOOK_RARELY = 30.0


class Turns:
    """Locks of sources and of their resources.

    The lock of a source is that of ``harvester run``: taken by the first who wants it in this process, given back by
    the last, so that between two rounds another command has its chance. It is waited for.
    """

    def __init__(self, fs: Fs, out: PurePath, clock: Clock, stop: anyio.Event, waits: Callable[[str], object]) -> None:
        """*waits* is told the name of a source that another process holds, once for each wait; *stop* ends it."""
        self._fs, self._out, self._clock, self._stop, self._waits = fs, out, clock, stop, waits
        self._held: dict[str, tuple[FileLock, int]] = {}  # with the number of those who use it
        self._taking: dict[str, anyio.Lock] = {}
        self._resources: dict[tuple[str, str], anyio.Lock] = {}

    @asynccontextmanager
    async def of(self, source: str, resources: Sequence[str], *, last: bool = False) -> AsyncIterator[bool]:
        """Nobody else writes to *resources* of *source* within the block. False: stopped before that could be had.

        *last*: what is done when it stops; it is had if it can be at once.
        """
        async with AsyncExitStack() as held:
            for name in sorted(resources):  # in one order, or two could wait for each other
                await held.enter_async_context(self._resources.setdefault((source, name), anyio.Lock()))
            taken = (last or not self._stop.is_set()) and await self._take(source)
            if taken:
                held.callback(self._give_back, source)
            yield taken and (last or not self._stop.is_set())

    async def _take(self, source: str) -> bool:
        async with self._taking.setdefault(source, anyio.Lock()):
            held = self._held.get(source)
            if held is None:
                lock = await self._lock(source)
                if lock is None:
                    return False
                held = lock, 0
            self._held[source] = held[0], held[1] + 1
            return True

    def _give_back(self, source: str) -> None:
        lock, users = self._held[source]
        if users > 1:
            self._held[source] = lock, users - 1
        else:
            del self._held[source]
            lock.release()

    async def _lock(self, source: str) -> FileLock | None:
        path = lock_file(self._out, source)
        looks = 0
        while True:
            try:
                return self._fs.lock(path)
            except Locked:
                if self._stop.is_set():
                    return None
                looks += 1
                if looks == 1:
                    self._waits(source)
            pause = _LOOK_AGAIN if looks < _OFTEN else _LOOK_RARELY
            await unless_stopped(self._stop, lambda pause=pause: self._clock.sleep(pause))  # type: ignore[misc]


def lock_file(out: PurePath, source: str) -> PurePath:
    """What a process that writes to *source* holds."""
    return layout.state_directory(out) / f"{source}.lock"


def keeper_file(out: PurePath, source: str) -> PurePath:
    """What the process that keeps *source* current holds, also between its rounds."""
    return layout.state_directory(out) / f"{source}.sync.lock"
