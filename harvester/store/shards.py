"""NDJSON shards of one walk, written behind the event loop's back and sealed by rename.

Compressing, hashing, writing and syncing happen in an executor thread, one job at a time and in the order of the
calls. Two writes may be outstanding; the third waits for the first. So a slow disk holds back the fetchers instead
of filling memory, and the loop is never blocked (FAULTS F11).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import PurePath

from harvester.contracts import Fs, Rng
from harvester.errors import StorageError
from harvester.store.layout import Compression, shard_name
from harvester.store.lines import read_lines
from harvester.store.shardfile import ShardEntry, ShardFile

__all__ = ["Compression", "ShardEntry", "ShardWriter", "read_lines"]

_OUTSTANDING = 2
_TARGET = 128 << 20

_Job = Callable[[], ShardEntry | None]


class ShardWriter:
    """One walk's shards of one kind.

    Use::

        writer = ShardWriter(fs, rng, run_dir, walk="w03", compression=Compression.ZSTD, executor=executor)
        try:
            await writer.write([lines], rows, first_ts, last_ts)
            entries = await writer.seal()  # then commit them
        finally:
            await writer.abandon()

    No file exists before the first write. An error of the disk surfaces on the next call and on every later one:
    the walk goes on from its last commit, in a new writer. Cancelling any call leaves the writer usable; what was
    handed over is still written.

    Args:
        directory: the run directory; it exists.
        kind: a ``ShardKind``.
        target_bytes: a shard that has reached this size on disk is sealed by itself.
        first_number: number in the first shard's name; later ones count up.
        executor: any number of threads; this writer uses one at a time.
    """

    def __init__(
        self,
        fs: Fs,
        rng: Rng,
        directory: PurePath,
        *,
        walk: str,
        kind: str = "part",
        compression: Compression,
        target_bytes: int = _TARGET,
        first_number: int = 0,
        executor: Executor,
    ) -> None:
        self._fs = fs
        self._rng = rng
        self._directory = directory
        self._walk = walk
        self._kind = kind
        self._compression = compression
        self._target = target_bytes
        self._number = first_number
        self._executor = executor
        # On the loop's thread:
        self._jobs: deque[_Job] = deque()
        self._running = False
        self._handed = 0  # jobs accepted since the start
        self._done = 0  # jobs finished, failed or dropped
        self._progress = asyncio.Event()  # set, then replaced, whenever a job ends
        self._failure: BaseException | None = None
        self._sealed: list[ShardEntry] = []  # not yet returned by seal()
        # Changed by the one running job; read on the loop's thread for estimates, or while no job runs:
        self._shard: ShardFile | None = None

    @property
    def open_disk_bytes(self) -> int:
        """Bytes since the last ``seal()`` that have reached the disk, an estimate: waiting writes are not counted."""
        shard = self._shard
        return (shard.disk_bytes if shard else 0) + sum(entry.bytes for entry in self._sealed)

    async def write(self, chunks: Sequence[bytes], rows: int, first_ts: str | None, last_ts: str | None) -> None:
        """Append *rows* records.

        Returns when at most two writes, this one included, are outstanding; the buffers must not change any more.

        Args:
            chunks: together *rows* lines; each chunk ends in a line feed. They are not copied.
            first_ts, last_ts: modification times of the first and last record, the provider's text.
        Raises:
            StorageError: an earlier write failed; nothing since the last ``seal()`` is safe.
        """
        while len(self._jobs) + self._running >= _OUTSTANDING and not self._failure:
            await self._progress.wait()
        self._refuse_failed()
        self._hand_over(lambda: self._write(chunks, rows, first_ts, last_ts))

    async def seal(self) -> tuple[ShardEntry, ...]:
        """Make everything written so far durable under its final name.

        Returns:
            The shards sealed since the previous call, those that reached the target by themselves included; empty
            when nothing was written.
        Raises:
            StorageError: something since the previous ``seal()`` could not be written.
        """
        self._refuse_failed()
        if self._running or self._jobs or self._shard:
            await self._finished(self._hand_over(self._seal))
            self._refuse_failed()
        sealed, self._sealed = self._sealed, []
        return tuple(sealed)

    async def abandon(self) -> None:
        """Drop waiting writes, close and remove the open ``.part`` file; the writer is of no further use.

        Never fails, may be called at any time and more than once. When it is cancelled the removal still happens.
        """
        self._done += len(self._jobs)
        self._jobs.clear()
        if self._failure is None:
            self._failure = StorageError(f"{self._directory}: writing of walk {self._walk} was abandoned.")
        if self._running or self._shard:
            await self._finished(self._hand_over(self._discard))

    # -------------------------------------------------------------- on the loop's thread

    def _refuse_failed(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _hand_over(self, job: _Job) -> int:
        """Queue *job*; its number is what ``_finished`` waits for."""
        self._jobs.append(job)
        self._handed += 1
        number = self._handed
        self._start_next()
        return number

    def _start_next(self) -> None:
        if self._running or not self._jobs:
            return
        job = self._jobs.popleft()
        self._running = True
        # Started from here and from _ended only, never awaited by a caller: a cancelled caller must not take a half
        # written page with it, and the next job must not start before this one has really ended.
        try:
            future = asyncio.get_running_loop().run_in_executor(self._executor, job)
        except RuntimeError as error:  # the executor has been shut down
            self._end(error)
        else:
            future.add_done_callback(self._ended)

    def _ended(self, future: asyncio.Future[ShardEntry | None]) -> None:
        if future.cancelled():
            self._end(StorageError(f"{self._directory}: writing of walk {self._walk} was cut off."))
        elif (failure := future.exception()) is not None:
            self._end(failure)
        else:
            if (sealed := future.result()) is not None:
                self._sealed.append(sealed)
            self._end(None)

    def _end(self, failure: BaseException | None) -> None:
        self._running = False
        self._done += 1
        if failure is not None and self._failure is None:
            self._failure = failure
            self._done += len(self._jobs)
            self._jobs.clear()
        self._progress.set()
        self._progress = asyncio.Event()
        self._start_next()

    async def _finished(self, number: int) -> None:
        while self._done < number:
            await self._progress.wait()

    # -------------------------------------------------------------- in the executor's thread, one at a time

    def _write(
        self, chunks: Sequence[bytes], rows: int, first_ts: str | None, last_ts: str | None
    ) -> ShardEntry | None:
        if self._shard is None:
            self._shard = ShardFile(self._fs, self._directory, self._free_name(), self._compression)
            self._number += 1
        self._shard.write(chunks, rows, first_ts, last_ts)
        return self._seal() if self._shard.disk_bytes >= self._target else None

    def _free_name(self) -> str:
        """A name that nothing has: sealing renames, and would replace an earlier attempt's shard of this name."""
        while True:
            name = shard_name(self._kind, self._walk, self._number, self._rng.hex(4), self._compression)
            if not self._fs.exists(self._directory / name):
                return name

    def _seal(self) -> ShardEntry | None:
        shard = self._shard
        if shard is None:
            return None
        entry = shard.seal()  # a shard that fails here stays in place, to be abandoned
        self._shard = None
        return entry

    def _discard(self) -> None:
        if self._shard is not None:
            self._shard.abandon()
            self._shard = None
