"""Shards read back line by line, and refused when they are not whole."""

from __future__ import annotations

import contextlib
import gzip
import tracemalloc
import zlib
from pathlib import PurePath

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from harvester.errors import StorageError
from harvester.store.layout import Compression
from harvester.store.shardfile import ShardFile
from harvester.store.shards import read_lines
from tests.fakes.fs import MemoryFs

RUN = PurePath("/run")
EVERY = pytest.mark.parametrize("compression", list(Compression))


def _sealed(lines: list[bytes], compression: Compression) -> tuple[MemoryFs, PurePath]:
    fs = MemoryFs()
    fs.make_directory(RUN)
    shard = ShardFile(fs, RUN, f"part-w0-00000-3f9a1c2e.ndjson{compression.suffix}", compression)
    shard.write([line + b"\n" for line in lines], len(lines), None, None)
    return fs, RUN / shard.seal().path


@EVERY
@given(st.lists(st.binary(max_size=200).map(lambda line: line.replace(b"\n", b"")), max_size=30))
def test_lines_come_back_as_they_were_written(compression: Compression, lines: list[bytes]) -> None:
    """Lines end at a line feed only: U+2028, carriage return and NUL are content (FAULTS D02)."""
    fs, path = _sealed(lines, compression)
    assert list(read_lines(fs, path)) == lines


@EVERY
def test_a_line_may_be_longer_than_any_buffer(compression: Compression) -> None:
    lines = [b"a" * 3_000_000, b"", b"b" * (1 << 20), b"c"]
    fs, path = _sealed(lines, compression)
    assert list(read_lines(fs, path)) == lines


@EVERY
@pytest.mark.parametrize("cut", [1, 5, 1000])
def test_a_torn_shard_is_refused_by_name(compression: Compression, cut: int) -> None:
    """FAULTS F06."""
    fs, path = _sealed([b'{"a":%d}' % number for number in range(20_000)], compression)
    fs.replace(path, fs.read(path)[:-cut])
    with pytest.raises(StorageError, match=r"part-w0-00000-3f9a1c2e\.ndjson.*was changed or cut"):
        list(read_lines(fs, path))


@pytest.mark.parametrize("compression", [Compression.ZSTD, Compression.GZIP])
def test_zeros_or_a_second_stream_behind_the_end_are_refused(compression: Compression) -> None:
    """FAULTS F06: a zero-filled tail."""
    fs, path = _sealed([b"{}"], compression)
    whole = fs.read(path)
    for tail in (bytes(100), whole, b"\n"):
        fs.replace(path, whole + tail)
        with pytest.raises(StorageError, match="other bytes follow"):
            list(read_lines(fs, path))


@pytest.mark.parametrize("compression", [Compression.ZSTD, Compression.GZIP])
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_flipped_bit_never_gives_other_lines(compression: Compression, place: float, flip: int) -> None:
    """FAULTS F07: the checksum inside the stream tells, without the manifest."""
    lines = [b'{"key":"%d"}' % (number * 7919) for number in range(500)]
    fs, path = _sealed(lines, compression)
    data = bytearray(fs.read(path))
    data[int(place * len(data))] ^= flip
    fs.replace(path, bytes(data))
    with contextlib.suppress(StorageError):
        assert list(read_lines(fs, path)) == lines  # a byte without meaning, e.g. in the gzip header


def test_an_empty_file_is_no_compressed_shard() -> None:
    """FAULTS F06."""
    fs = MemoryFs()
    for name in ("a.ndjson.zst", "a.ndjson.gz"):
        fs.replace(PurePath(name), b"")
        with pytest.raises(StorageError, match="ends in the middle"):
            list(read_lines(fs, PurePath(name)))


def test_any_reader_of_the_formats_reads_our_shards() -> None:
    lines = [b'{"n":%d}' % number for number in range(5000)]
    for compression, unpack in ((Compression.ZSTD, zstd.decompress), (Compression.GZIP, gzip.decompress)):
        fs, path = _sealed(lines, compression)
        data = fs.read(path)
        assert unpack(data).splitlines() == lines
    assert data[4:8] == bytes(4), "gzip holds no time: the same records give the same bytes"
    fs, path = _sealed(lines, Compression.ZSTD)
    assert zstd.get_frame_size(fs.read(path)) == fs.size(path), "one frame"


def test_a_bomb_is_read_in_bounded_memory() -> None:
    """What is on disk may have been changed by anyone; memory follows the line, not the file."""
    fs = MemoryFs()
    packer = zlib.compressobj(wbits=31)
    line = b"0" * 999 + b"\n"
    data = b"".join(packer.compress(line * 1000) for _ in range(50)) + packer.flush()
    path = PurePath("bomb.ndjson.gz")
    fs.replace(path, data)
    tracemalloc.start()
    assert sum(1 for _ in read_lines(fs, path)) == 50_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
