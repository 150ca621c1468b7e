"""A sealed shard, read only as what it was when it was sealed (FAULTS F06, F07)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import PurePath

from harvester.contracts import Fs
from harvester.errors import StorageError
from harvester.store.lines import Hashed, lines_of
from harvester.store.shardfile import ShardEntry


def read_sealed(
    fs: Fs, run_dir: PurePath, entry: ShardEntry, on_bytes: Callable[[int], None] = lambda size: None
) -> Iterator[bytes]:
    """Every line of the shard *entry*, as ``read_lines`` does, with its size, rows and SHA-256 compared at the end.

    Raises:
        StorageError: it is not what *entry* says. Lines have been given by then: use none of them before the iterator
            has ended.
    """
    path, rows = run_dir / entry.path, 0
    with fs.open(path) as stream:
        hashed = Hashed(stream, on_bytes)
        for line in lines_of(hashed, path):
            rows += 1
            yield line
        check_sealed(path, entry, hashed, rows)


def check_sealed(path: PurePath, entry: ShardEntry, read: Hashed, rows: int) -> None:
    """Raises ``StorageError`` unless what was *read*, with so many *rows*, is what *entry* says."""
    if (read.size, read.hash.hexdigest(), rows) != (entry.bytes, entry.sha256, entry.rows):
        raise StorageError(
            f"{path}: has other content than when it was sealed. Nothing of its run was changed. "
            "Restore it from a copy, or remove its run directory and harvest again."
        )
