"""Notices that were acknowledged and not yet worked off: on disk before the sender hears of it.

Segments of NDJSON, one line a notice, named by number; a position file says up to where they are worked off.
Posts that arrive together share one sync, so that thousands a second can be durable. A line cut by a crash was
never acknowledged and is skipped. A notice may be handed out twice after a crash, and never not at all.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from datetime import datetime
from pathlib import PurePath
from typing import TypeVar

import msgspec
from msgspec import Struct

from harvester.contracts import Fs, OutputFile
from harvester.model import Notice
from harvester.store.layout import is_temporary

T = TypeVar("T")

_POSITION = "position.json"
_SEGMENT = re.compile(r"([0-9]{8})\.ndjson", re.ASCII)
_SEGMENT_BYTES = 8 << 20  # a new segment after that; whole segments are removed when they are worked off


class Mark(Struct, frozen=True, order=True):
    """A place in the inbox: everything before it."""

    segment: int = 0
    line: int = 0


class Inbox:
    """A durable queue of notices for one source; one process at a time.

    Notices of one record are one entry: the record is fetched once, however often it was announced. A notice that
    comes while its record is being fetched is a new entry, because the fetch may have been too early for it.
    """

    def __init__(self, fs: Fs, directory: PurePath, executor: Executor) -> None:
        self._fs, self._directory, self._executor = fs, directory, executor
        self._waiting: dict[str, OrderedDict[str, tuple[Notice, Mark]]] = {}  # by resource and key
        self._taken: dict[tuple[str, str], Mark] = {}  # handed out, by the place from which it must be read again
        self._again: dict[tuple[str, str], tuple[Notice, Mark]] = {}  # came for what is handed out; they wait for that
        self._file: OutputFile | None = None
        self._next = self._held_to = Mark(1, 0)  # behind what is written; behind what waiters know of it
        self._keeping = asyncio.Lock()
        self._size = 0  # bytes of the open segment
        self._oldest = 1  # segment on disk
        self._batch: list[tuple[Sequence[Notice], asyncio.Future[None]]] = []
        self._writing = False
        self._writer: asyncio.Task[None] | None = None
        self.broken: Exception | None = None  # why nothing can be put any more

    # -------------------------------------------------------------- a process begins

    async def open(self) -> int:
        """Read what was left; the number of records that wait.

        Raises:
            StorageError: the directory cannot be read.
        """
        await self._in_thread(self._load)
        return len(self)

    def _load(self) -> None:
        fs, directory = self._fs, self._directory
        fs.make_directory(directory, private=True)
        begin = self._position()
        for name in filter(is_temporary, fs.names(directory)):
            fs.remove(directory / name)
        numbers = sorted(int(match[1]) for name in fs.names(directory) if (match := _SEGMENT.fullmatch(name)))
        for number in numbers:
            if number < begin.segment:
                fs.remove(self._path(number))
                continue
            lines = fs.read(self._path(number)).split(b"\n")
            for index, line in enumerate(lines[:-1]):  # the last one is empty, or was cut
                if Mark(number, index) >= begin:
                    # A line that cannot be read is of a write that power was lost in, and was not acknowledged.
                    with suppress(msgspec.MsgspecError, UnicodeDecodeError):
                        self._hold(msgspec.json.decode(line, type=Notice), Mark(number, index))
        kept = [number for number in numbers if number >= begin.segment]
        self._oldest = kept[0] if kept else max(begin.segment, 1)
        # Never on with a segment of an earlier process: its last line may have been cut.
        self._next = self._held_to = Mark(max([begin.segment, *numbers]) + 1, 0)

    # -------------------------------------------------------------- posts come in

    async def put(self, notices: Sequence[Notice]) -> None:
        """Make *notices* durable. When this returns they outlive a crash; then the sender may be told.

        Raises:
            StorageError: they could not be made durable, nor will any later ones until the process begins again
                (FAULTS F03).
        """
        if self.broken is not None:
            raise self.broken
        if not notices:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._batch.append((notices, done))
        if not self._writing:
            self._writing = True
            self._writer = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        while self._batch:
            batch, self._batch = self._batch, []
            notices = [notice for each, _ in batch for notice in each]
            try:
                first = await self._in_thread(self._append, notices)
            except Exception as error:
                # Whatever it was: nobody may wait for ever for an answer, nor write behind a failed sync.
                self.broken = error
                for _, done in (*batch, *self._batch):
                    if not done.done():
                        done.set_exception(error)
                self._batch = []
                break
            for offset, notice in enumerate(notices):
                self._hold(notice, Mark(first.segment, first.line + offset))
            self._held_to = Mark(first.segment, first.line + len(notices))
            for _, done in batch:
                if not done.done():
                    done.set_result(None)
        self._writing = False

    def _append(self, notices: Sequence[Notice]) -> Mark:
        if self._file is None or self._size >= _SEGMENT_BYTES:
            if self._file is not None:
                self._file.close()
                self._next = Mark(self._next.segment + 1, 0)
            self._file = self._fs.create(self._path(self._next.segment))
            self._fs.sync_directory(self._directory)
            self._size = 0
        data = b"".join(msgspec.json.encode(notice) + b"\n" for notice in notices)
        self._file.write(data)
        self._file.sync()
        first = self._next
        self._next = Mark(first.segment, first.line + len(notices))
        self._size += len(data)
        return first

    def _hold(self, notice: Notice, mark: Mark) -> None:
        record = notice.resource, notice.key
        if record in self._taken:
            self._again[record] = notice, mark
        else:
            # In its old place in the line, with the newest words: reading on from those again is enough.
            self._waiting.setdefault(notice.resource, OrderedDict())[notice.key] = (notice, mark)

    # -------------------------------------------------------------- notices are worked off

    def __len__(self) -> int:
        """Records that wait, those handed out included."""
        return sum(map(len, self._waiting.values())) + len(self._taken)

    def waiting(self, resource: str) -> int:
        """Records of *resource* that wait, those handed out not among them."""
        return len(self._waiting.get(resource, ()))

    @property
    def resources(self) -> tuple[str, ...]:
        """Those of which records wait."""
        return tuple(name for name, waiting in self._waiting.items() if waiting)

    @property
    def disk_bytes(self) -> int:
        """About how much of the disk it holds: it grows, however few records wait, while the oldest cannot be dealt
        with."""
        return (self._next.segment - self._oldest) * _SEGMENT_BYTES + self._size

    def take(self, most: int, resource: str | None = None) -> tuple[Notice, ...]:
        """Up to *most* records to look at, oldest first; none that is being looked at already.

        *resource*: of this one only; None: of any.
        """
        taken: list[Notice] = []
        for name in self.resources if resource is None else (resource,):
            waiting = self._waiting.get(name)
            while waiting and len(taken) < most:
                key, (notice, mark) = waiting.popitem(last=False)
                self._taken[name, key] = mark
                taken.append(notice)
        return tuple(taken)

    def oldest(self, resource: str) -> datetime | None:
        """When the oldest of the notices of *resource* that wait was received; None: none does, or nobody knows."""
        return min((n.at for n, _ in self._waiting.get(resource, {}).values() if n.at is not None), default=None)

    def take_if(self, resource: str, wanted: Callable[[Notice], bool]) -> tuple[Notice, ...]:
        """Those of *resource* that wait and are *wanted*."""
        waiting = self._waiting.get(resource, OrderedDict())
        keys = [key for key, (notice, _) in waiting.items() if wanted(notice)]
        taken = [waiting.pop(key) for key in keys]
        self._taken.update(((resource, key), mark) for key, (_, mark) in zip(keys, taken, strict=True))
        return tuple(notice for notice, _ in taken)

    async def settle(self, notices: Sequence[Notice]) -> None:
        """*notices*, as they were taken, are dealt with and what came of it is durable.

        Raises:
            StorageError: the position could not be kept; after a restart they are handed out again.
        """
        for notice in notices:
            record = notice.resource, notice.key
            self._taken.pop(record, None)
            if record in self._again:
                self._hold(*self._again.pop(record))
        await self._keep()

    def give_back(self, notices: Sequence[Notice]) -> None:
        """*notices* could not be dealt with: they wait again."""
        for notice in notices:
            record = notice.resource, notice.key
            mark = self._taken.pop(record)
            newest, _ = self._again.pop(record, (notice, mark))
            self._hold(newest, mark)

    async def close(self) -> None:
        """Let what is being written come to its end."""
        if self._writer is not None:
            await self._writer
        if self._file is not None:
            await self._in_thread(self._file.close)
            self._file = None

    async def _keep(self) -> None:
        async with self._keeping:  # an older position must not be written over a newer one
            held = [mark for waiting in self._waiting.values() for _, mark in waiting.values()]
            held += self._taken.values()
            await self._in_thread(self._save, min(held, default=self._held_to))

    def _save(self, position: Mark) -> None:
        self._fs.replace(self._directory / _POSITION, msgspec.json.encode(position))
        while self._oldest < position.segment:
            self._fs.remove(self._path(self._oldest))
            self._oldest += 1

    def _position(self) -> Mark:
        path = self._directory / _POSITION
        if not self._fs.exists(path):
            return Mark()
        try:
            return msgspec.json.decode(self._fs.read(path), type=Mark)
        except msgspec.MsgspecError:
            return Mark()  # everything that is left is looked at again

    def _path(self, number: int) -> PurePath:
        return self._directory / f"{number:08}.ndjson"

    async def _in_thread(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: function(*args))
