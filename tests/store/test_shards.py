"""The shard writer: order, back-pressure, sealing, and what errors and cancellation leave."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import PurePath

import pytest

from harvester.errors import StorageError
from harvester.store.shards import Compression, ShardEntry, ShardWriter, read_lines
from tests.fakes.clock import SeededRng
from tests.fakes.executors import HeldExecutor, InlineExecutor
from tests.fakes.fs import MemoryFs

RUN = PurePath("/run")


@pytest.fixture
def fs() -> MemoryFs:
    fs = MemoryFs()
    fs.make_directory(RUN)
    return fs


def _writer(
    fs: MemoryFs,
    executor: Executor | None = None,
    *,
    compression: Compression = Compression.NONE,
    target_bytes: int = 128 << 20,
) -> ShardWriter:
    return ShardWriter(
        fs,
        SeededRng(),
        RUN,
        walk="w0",
        compression=compression,
        target_bytes=target_bytes,
        first_number=4,
        executor=executor or InlineExecutor(),
    )


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("compression", list(Compression))
async def test_a_sealed_shard_holds_what_its_entry_says(fs: MemoryFs, compression: Compression) -> None:
    writer = _writer(fs, compression=compression)
    await writer.write([b'{"a":1}\n{"a":2}\n', b'{"a":3}\n'], 3, None, "2026-01-02")
    await writer.write([b'{"a":4}\n'], 1, "2026-01-03", None)
    (entry,) = await writer.seal()
    data = fs.read(RUN / entry.path)
    assert entry.path.startswith("part-w0-00004-")
    assert entry.path.endswith(f".ndjson{compression.suffix}")
    assert (entry.rows, entry.bytes, entry.sha256) == (4, len(data), hashlib.sha256(data).hexdigest())
    assert (entry.first_ts, entry.last_ts) == ("2026-01-03", "2026-01-02"), "the first and last that have one"
    assert list(read_lines(fs, RUN / entry.path)) == [b'{"a":%d}' % n for n in (1, 2, 3, 4)]
    assert fs.names(RUN) == [entry.path]


async def test_an_empty_walk_makes_no_file(fs: MemoryFs) -> None:
    writer = _writer(fs)
    assert await writer.seal() == ()
    await writer.abandon()
    assert fs.names(RUN) == []


async def test_until_it_is_sealed_a_shard_has_no_name_that_readers_match(fs: MemoryFs) -> None:
    writer = _writer(fs)
    await writer.write([b"{}\n"], 1, None, None)
    await _settle()
    (name,) = fs.names(RUN)
    assert name.endswith(".ndjson.part")
    await writer.abandon()
    assert fs.names(RUN) == []


async def test_a_shard_at_its_target_is_sealed_by_itself_and_reported_later(fs: MemoryFs) -> None:
    writer = _writer(fs, target_bytes=10)
    for _ in range(5):
        await writer.write([b'{"a":1}\n'], 1, None, None)
    await _settle()
    assert sum(not name.endswith(".part") for name in fs.names(RUN)) == 2
    assert writer.open_disk_bytes == 40
    entries = await writer.seal()
    assert [entry.rows for entry in entries] == [2, 2, 1]
    assert [entry.path[8:13] for entry in entries] == ["00004", "00005", "00006"]
    assert writer.open_disk_bytes == 0
    assert await writer.seal() == ()


async def test_a_slow_disk_holds_back_the_third_write(fs: MemoryFs) -> None:
    """FAULTS F11: two pages may wait, the loop stays free."""
    executor = HeldExecutor()
    writer = _writer(fs, executor)
    writes = [asyncio.ensure_future(writer.write([b'{"a":%d}\n' % n], 1, None, None)) for n in range(4)]
    await _settle()
    assert [write.done() for write in writes] == [True, True, False, False]
    assert executor.waiting == 1, "one job at a time, whatever the executor would do with two"
    executor.release()
    await _settle()
    assert [write.done() for write in writes] == [True, True, True, False]
    sealing = asyncio.ensure_future(writer.seal())
    while not sealing.done():
        executor.release()
        await _settle()
    (entry,) = sealing.result()
    assert list(read_lines(fs, RUN / entry.path)) == [b'{"a":%d}' % n for n in range(3)]
    await writes[3]
    rest = asyncio.ensure_future(writer.seal())
    while not rest.done():
        executor.release()
        await _settle()
    assert [entry.rows for entry in rest.result()] == [1]


async def test_order_is_kept_over_many_threads(fs: MemoryFs) -> None:
    with ThreadPoolExecutor(4) as executor:
        writer = _writer(fs, executor, compression=Compression.ZSTD, target_bytes=2000)
        lines = [b'{"n":%d,"x":"%s"}\n' % (n, hashlib.sha256(b"%d" % n).hexdigest().encode()) for n in range(500)]
        for line in lines:
            await writer.write([line], 1, None, None)
        entries = await writer.seal()
    held = [line + b"\n" for entry in entries for line in read_lines(fs, RUN / entry.path)]
    assert held == lines


@pytest.mark.parametrize("operation", ["open", "write"])
async def test_a_failed_write_surfaces_on_the_next_call_and_stays(fs: MemoryFs, operation: str) -> None:
    """FAULTS F01, F02: nothing is reported as sealed."""
    writer = _writer(fs)
    fs.fail(operation, error=errno.ENOSPC)
    await writer.write([b"{}\n"], 1, None, None)
    await _settle()
    for _ in range(2):
        with pytest.raises(StorageError, match="no space left"):
            await writer.write([b"{}\n"], 1, None, None)
        with pytest.raises(StorageError, match="no space left"):
            await writer.seal()
    await writer.abandon()
    assert fs.names(RUN) == []
    assert fs.disk.open_files == 0


@pytest.mark.parametrize("operation", ["fsync", "close", "rename"])
async def test_a_failed_seal_is_never_tried_again(fs: MemoryFs, operation: str) -> None:
    """FAULTS F03, F04: the shard is abandoned; the walk goes on from its last commit."""
    writer = _writer(fs)
    await writer.write([b"{}\n"], 1, None, None)
    await _settle()
    fs.fail(operation, error=errno.EIO)
    with pytest.raises(StorageError, match="input/output error"):
        await writer.seal()
    calls = fs.disk.calls.copy()
    with pytest.raises(StorageError, match="input/output error"):
        await writer.seal()
    assert fs.disk.calls == calls
    await writer.abandon()
    assert fs.names(RUN) == []


async def test_a_write_waiting_for_a_slot_is_woken_by_the_error(fs: MemoryFs) -> None:
    executor = HeldExecutor()
    writer = _writer(fs, executor)
    fs.fail("write", error=errno.EIO)
    writes = [asyncio.ensure_future(writer.write([b"{}\n"], 1, None, None)) for _ in range(3)]
    await _settle()
    executor.release()
    await _settle()
    assert executor.waiting == 0, "what was queued behind the error is dropped"
    with pytest.raises(StorageError, match="input/output error"):
        await writes[2]


async def test_a_cancelled_seal_loses_nothing(fs: MemoryFs) -> None:
    """FAULTS R05: what was sealed while nobody waited is reported by the next call."""
    executor = HeldExecutor()
    writer = _writer(fs, executor)
    await writer.write([b"{}\n"], 1, None, None)
    sealing = asyncio.ensure_future(writer.seal())
    await _settle()
    sealing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sealing
    while executor.waiting:
        executor.release()
        await _settle()
    (entry,) = await writer.seal()
    assert entry.rows == 1
    assert fs.names(RUN) == [entry.path]


async def test_a_cancelled_abandon_still_removes_the_file(fs: MemoryFs) -> None:
    """FAULTS R05."""
    executor = HeldExecutor()
    writer = _writer(fs, executor)
    await writer.write([b"{}\n"], 1, None, None)
    await writer.write([b"{}\n"], 1, None, None)
    executor.release()
    await _settle()
    leaving = asyncio.ensure_future(writer.abandon())
    await _settle()
    leaving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await leaving
    while executor.waiting:
        executor.release()
        await _settle()
    assert fs.names(RUN) == []
    assert fs.disk.open_files == 0


async def test_abandon_never_fails_and_may_be_called_again(fs: MemoryFs) -> None:
    writer = _writer(fs)
    await writer.write([b"{}\n"], 1, None, None)
    await _settle()
    fs.fail("close")
    fs.fail("unlink")
    await writer.abandon()
    await writer.abandon()
    with pytest.raises(StorageError, match="abandoned"):
        await writer.write([b"{}\n"], 1, None, None)
    with pytest.raises(StorageError, match="abandoned"):
        await writer.seal()


async def test_abandon_keeps_what_was_sealed(fs: MemoryFs) -> None:
    """A commit may already name it."""
    writer = _writer(fs)
    await writer.write([b"{}\n"], 1, None, None)
    (entry,) = await writer.seal()
    await writer.write([b"{}\n"], 1, None, None)
    await writer.abandon()
    assert fs.names(RUN) == [entry.path]


async def test_a_sealed_shard_is_never_replaced_by_one_of_the_same_name(fs: MemoryFs) -> None:
    """Chance repeats itself when a resumed run is simulated with the seed of the first."""
    entries: list[ShardEntry] = []
    for line in (b"1\n", b"2\n"):
        writer = _writer(fs)
        await writer.write([line], 1, None, None)
        entries.extend(await writer.seal())
    assert [list(read_lines(fs, RUN / entry.path)) for entry in entries] == [[b"1"], [b"2"]]


async def test_an_executor_that_has_shut_down_is_an_error_and_no_hang(fs: MemoryFs) -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    writer = _writer(fs, executor)
    await writer.write([b"{}\n"], 1, None, None)
    with pytest.raises(RuntimeError, match="shutdown"):
        await writer.seal()
    await writer.abandon()


async def test_a_seal_beside_a_running_write_counts_each_row_once(fs: MemoryFs) -> None:
    """Several lanes may share a writer."""
    with ThreadPoolExecutor(2) as executor:
        writer = _writer(fs, executor, target_bytes=30)
        entries: list[ShardEntry] = []

        async def lane(number: int) -> None:
            for _ in range(50):
                await writer.write([b'{"lane":%d}\n' % number], 1, None, None)
                if _ % 7 == number:
                    entries.extend(await writer.seal())

        await asyncio.gather(*(lane(number) for number in range(4)))
        entries.extend(await writer.seal())
    assert sum(entry.rows for entry in entries) == 200
    assert writer.open_disk_bytes == 0
    assert sorted(entry.path for entry in entries) == fs.names(RUN)
