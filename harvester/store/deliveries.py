"""Which signed posts have been taken already: on disk, so that a restart does not take them for new (FAULTS W02).

A post is remembered for as long as its signature would be believed. Two files take turns: when the older one holds
nothing but what nobody would believe any more it is begun anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import PurePath

import msgspec
from msgspec import Struct

from harvester.contracts import Fs, OutputFile
from harvester.errors import StorageError

_FILES = ("deliveries-a.ndjson", "deliveries-b.ndjson")


class Delivery(Struct, frozen=True):
    """One signed post."""

    name: str  # the id that its signature covers
    at: float  # seconds since 1970 at which it was taken


class Deliveries:
    """The posts of one source that were taken in the last *seconds*; one process at a time.

    Remembered only after their notices are durable: else a crash between the two would lose them, because the sender
    posts them once more and is told that they are known.
    """

    def __init__(self, fs: Fs, directory: PurePath, executor: Executor, seconds: float) -> None:
        self._fs, self._directory, self._executor, self._seconds = fs, directory, executor, seconds
        self._known: dict[str, float] = {}
        self._file: OutputFile | None = None
        self._newest = [0.0, 0.0]  # of each file
        self._open = 0
        self._since = 0.0  # when the open file was begun
        self._waiting: list[Delivery] = []
        self._put = self._written = 0  # posts since the process began
        self._writing = asyncio.Lock()

    async def open(self, now: float) -> None:
        """Read what earlier processes have taken."""
        await self._in_thread(self._load, now)

    def _load(self, now: float) -> None:
        self._fs.make_directory(self._directory, private=True)
        kept: list[Delivery] = []
        for name in _FILES:
            path = self._directory / name
            if self._fs.exists(path):
                for line in self._fs.read(path).split(b"\n"):
                    with suppress(msgspec.MsgspecError, UnicodeDecodeError):  # cut by a crash: it was not answered
                        kept.append(msgspec.json.decode(line, type=Delivery))
        self._known = {each.name: each.at for each in kept if abs(now - each.at) <= self._seconds}
        # Never on with a file of an earlier process: its last line may have been cut.
        data = b"".join(_line(Delivery(name, at)) for name, at in self._known.items())
        self._fs.replace(self._directory / _FILES[1], data, private=True)
        self._fs.remove(self._directory / _FILES[0])
        self._newest = [0.0, max(self._known.values(), default=0.0)]
        self._open, self._file = 0, None

    def has(self, name: str) -> bool:
        return name in self._known

    async def put(self, name: str, now: float) -> None:
        """Make it durable that *name* was taken. Posts that arrive together share one sync.

        Raises:
            StorageError: it could not; the post may come again and is then taken again.
        """
        self._waiting.append(Delivery(name, now))
        self._put += 1
        number = self._put
        async with self._writing:
            if number <= self._written:  # one before has taken it along
                return
            batch, self._waiting = self._waiting, []
            self._written += len(batch)
            for each in batch:
                self._known[each.name] = each.at
            self._forget(now)
            try:
                await self._in_thread(self._append, batch, now)
            except StorageError:
                self._file = None  # what a failed sync has left is not trusted; the next post begins a file
                raise

    async def close(self) -> None:
        if self._file is not None:
            await self._in_thread(self._file.close)
            self._file = None

    def _append(self, batch: Sequence[Delivery], now: float) -> None:
        other = 1 - self._open
        if self._file is None or (now - self._since > self._seconds and now - self._newest[other] > self._seconds):
            if self._file is not None:
                self._file.close()
                self._open = other
            path = self._directory / _FILES[self._open]
            self._fs.remove(path)
            self._file = self._fs.create(path)
            self._fs.sync_directory(self._directory)
            self._since = now
        self._file.write(b"".join(map(_line, batch)))
        self._file.sync()
        self._newest[self._open] = now

    def _forget(self, now: float) -> None:
        """Drop what has become too old; in the order of their coming, so that it costs nothing."""
        for name, at in list(self._known.items())[:64]:
            if now - at <= self._seconds:
                break
            del self._known[name]

    async def _in_thread(self, function: Callable[..., None], *args: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, lambda: function(*args))


def _line(delivery: Delivery) -> bytes:
    return msgspec.json.encode(delivery) + b"\n"
