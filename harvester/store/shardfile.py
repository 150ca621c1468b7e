"""One shard while it is written: compress, hash, write; then seal it under its final name. Blocking."""

from __future__ import annotations

import hashlib
import sys
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import Protocol

from msgspec import Struct

from harvester.contracts import Fs
from harvester.errors import StorageError
from harvester.store.layout import PART, Compression

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_LEVEL = 3  # zstd: 26,000 records/s in one worker thread; higher levels fall behind the network


class ShardEntry(Struct, frozen=True, kw_only=True):
    """A sealed shard, as commits and the manifest name it."""

    path: str  # relative to the run directory
    rows: int
    bytes: int  # on disk
    sha256: str  # of the file on disk, 64 hexadecimal digits
    first_ts: str | None = None  # modification time of the first record written that has one, the provider's text
    last_ts: str | None = None  # of the last one; shards follow the walk's order, which need not be by time


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class _Plain:
    """No compression; hands the same buffers on, uncopied."""

    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def _compressor(compression: Compression) -> _Compressor:
    match compression:
        case Compression.ZSTD:
            # One frame, with a checksum of the content: a reader notices a flipped bit without the manifest.
            parameter = zstd.CompressionParameter
            return zstd.ZstdCompressor(options={parameter.compression_level: _LEVEL, parameter.checksum_flag: 1})
        case Compression.GZIP:
            return zlib.compressobj(wbits=31)  # gzip with a time of 0: the same records give the same bytes
        case _:
            return _Plain()


class ShardFile:
    """A shard named ``<name>.part`` until ``seal`` gives it its name.

    For one thread at a time. After any error it can only be abandoned: what a failed write or ``fsync`` left
    behind is never trusted (FAULTS F01 to F03).
    """

    def __init__(self, fs: Fs, directory: PurePath, name: str, compression: Compression) -> None:
        self._fs = fs
        self._path = directory / name
        self._part = directory / (name + PART)
        self._compressor = _compressor(compression)
        self._hash = hashlib.sha256()
        self._first: str | None = None
        self._last: str | None = None
        self.rows = 0
        self.disk_bytes = 0  # written so far; a compressor holds back up to some 100 KiB
        self._finished = False
        self._file = fs.create(self._part)

    def write(self, chunks: Sequence[bytes], rows: int, first_ts: str | None, last_ts: str | None) -> None:
        """Append *rows* lines; each chunk ends in a line feed."""
        for chunk in chunks:
            self._put(self._compressor.compress(chunk))
        self.rows += rows
        if self._first is None:
            self._first = first_ts
        self._last = last_ts if last_ts is not None else self._last

    def seal(self) -> ShardEntry:
        """Make the content durable, then the name. From here on the file never changes."""
        entry = self.finish()
        self._fs.rename(self._part, self._path)
        return entry

    def finish(self) -> ShardEntry:
        """Make the content durable under the ``.part`` name, which no reader of data looks at; what it will be."""
        if not self._finished:
            self._put(self._compressor.flush())
            self._file.sync()
            self._file.close()
            self._finished = True
        return ShardEntry(
            path=self._path.name,
            rows=self.rows,
            bytes=self.disk_bytes,
            sha256=self._hash.hexdigest(),
            first_ts=self._first,
            last_ts=self._last,
        )

    def abandon(self) -> None:
        """Close and remove the ``.part`` file. Never fails: one that stays is swept before the run is finished."""
        with suppress(StorageError):
            self._file.close()
        with suppress(StorageError):
            self._fs.remove(self._part)

    def _put(self, data: bytes) -> None:
        if data:
            self._file.write(data)
            self._hash.update(data)
            self.disk_bytes += len(data)
