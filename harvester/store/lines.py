"""The lines of a shard, read back: streamed, and refused when the file is not whole."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import PurePath
from typing import Protocol

from harvester.contracts import Fs
from harvester.errors import StorageError
from harvester.store.layout import Compression, compression_of

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_BLOCK = 1 << 20  # bytes read, and decompressed, at a time
_LONGEST = 256 << 20  # bytes of a line; a record cannot be longer than the response that brought it


class Source(Protocol):
    """Anything with a ``read``, e.g. a file, or a file that is hashed on the way."""

    def read(self, size: int, /) -> bytes: ...


class Hashed:
    """A stream that is hashed and counted as it is read.

    Args:
        on_bytes: called with the number of bytes of each read.
    """

    def __init__(self, stream: Source, on_bytes: Callable[[int], None] | None = None) -> None:
        self._stream, self._on_bytes = stream, on_bytes
        self.hash = sha256()
        self.size = 0

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self.hash.update(data)
        self.size += len(data)
        if self._on_bytes is not None:
            self._on_bytes(len(data))
        return data


def read_lines(fs: Fs, path: PurePath) -> Iterator[bytes]:
    """Every line of the shard *path*, without its line feed, of whatever compression its suffix names.

    Memory: about 2 MiB and the longest line, however large the shard.

    Raises:
        StorageError: the shard is torn, corrupt or followed by other bytes (FAULTS F06, F07); it names the file.
            Lines before the damage have been given: use none of them before the iterator has ended.
    """
    with fs.open(path) as stream:
        yield from lines_of(stream, path)


def lines_of(stream: Source, path: PurePath) -> Iterator[bytes]:
    """The lines of an open shard; *path* tells its compression and names it in errors. See ``read_lines``."""
    rest: list[bytes] = []  # pieces of a line that is longer than a block, joined once
    size = 0
    for block in blocks_of(stream, path):
        first, feed, tail = block.partition(b"\n")
        rest.append(first)
        size += len(first)
        if size > _LONGEST:
            raise _damaged(path, f"a line is longer than {_LONGEST:,} bytes")
        if not feed:
            continue
        yield b"".join(rest)
        *lines, last = tail.split(b"\n")
        yield from lines
        rest, size = [last], len(last)
    if size:
        raise _damaged(path, "its last line is torn")


def blocks_of(stream: Source, path: PurePath) -> Iterator[bytes]:
    """An open shard, decompressed, in blocks of about a mebibyte, wherever its lines end; *path* as for ``lines_of``.

    Raises:
        StorageError: as ``read_lines``, but for a last line that is torn.
    """
    match compression_of(path):
        case Compression.ZSTD:
            return _zstd_blocks(stream, path)
        case Compression.GZIP:
            return _gzip_blocks(stream, path)
        case _:
            return iter(lambda: stream.read(_BLOCK), b"")


def _zstd_blocks(stream: Source, path: PurePath) -> Iterator[bytes]:
    decompressor = zstd.ZstdDecompressor()
    while not decompressor.eof:
        data = stream.read(_BLOCK) if decompressor.needs_input else b""
        if decompressor.needs_input and not data:
            raise _damaged(path, "it ends in the middle of its zstd frame")
        try:
            block = decompressor.decompress(data, _BLOCK)
        except zstd.ZstdError as error:
            raise _damaged(path, "its zstd frame is corrupt") from error
        if block:
            yield block
    if decompressor.unused_data or stream.read(1):
        raise _damaged(path, "other bytes follow its zstd frame")


def _gzip_blocks(stream: Source, path: PurePath) -> Iterator[bytes]:
    decompressor = zlib.decompressobj(wbits=31)
    while not decompressor.eof:
        data = decompressor.unconsumed_tail or stream.read(_BLOCK)
        try:
            block = decompressor.decompress(data, _BLOCK)  # also without data: some output may have been held back
        except zlib.error as error:
            raise _damaged(path, "its gzip member is corrupt") from error
        if block:
            yield block
        elif not data and not decompressor.eof:
            raise _damaged(path, "it ends in the middle of its gzip member")
    if decompressor.unused_data or stream.read(1):
        raise _damaged(path, "other bytes follow its gzip member")


def _damaged(path: PurePath, what: str) -> StorageError:
    return StorageError(
        f"{path}: {what}. The file was changed or cut after it was sealed. "
        "Remove its run directory and harvest again, or restore it from a copy."
    )
