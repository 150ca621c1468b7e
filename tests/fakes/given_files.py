"""A file system that holds a few given files and refuses to be written to: for code that only reads."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import BinaryIO

from harvester.contracts import FileLock, OutputFile
from harvester.errors import StorageError


class GivenFiles:
    def __init__(self, files: Mapping[str, bytes | str] | None = None) -> None:
        self._files = {
            PurePath(name): data.encode() if isinstance(data, str) else data for name, data in (files or {}).items()
        }
        self.reads: list[str] = []

    def read(self, path: PurePath) -> bytes:
        self.reads.append(str(path))
        if path not in self._files:
            raise StorageError(f"{path}: no such file")
        return self._files[path]

    def read_private(self, path: PurePath) -> bytes | None:
        return None

    def open(self, path: PurePath) -> BinaryIO:
        return io.BytesIO(self.read(path))

    def exists(self, path: PurePath) -> bool:
        return path in self._files or any(path in name.parents for name in self._files)

    def size(self, path: PurePath) -> int:
        return len(self.read(path))

    def names(self, directory: PurePath) -> Sequence[str]:
        depth = len(directory.parts)
        return sorted({name.parts[depth] for name in self._files if directory in name.parents})

    def walk(self, directory: PurePath) -> Iterator[PurePath]:
        return iter(sorted(name for name in self._files if directory in name.parents))

    def make_directory(self, path: PurePath, *, private: bool = False) -> None:
        raise StorageError(f"{path}: read-only")

    def create(self, path: PurePath) -> OutputFile:
        raise StorageError(f"{path}: read-only")

    def create_if_absent(self, path: PurePath, data: bytes) -> bool:
        raise StorageError(f"{path}: read-only")

    def replace(self, path: PurePath, data: bytes, *, private: bool = False) -> None:
        raise StorageError(f"{path}: read-only")

    def rename(self, source: PurePath, target: PurePath) -> None:
        raise StorageError(f"{source}: read-only")

    def remove(self, path: PurePath) -> None:
        raise StorageError(f"{path}: read-only")

    def remove_tree(self, path: PurePath) -> None:
        raise StorageError(f"{path}: read-only")

    def lock(self, path: PurePath) -> FileLock:
        raise StorageError(f"{path}: read-only")

    def sync_directory(self, path: PurePath) -> None:
        raise StorageError(f"{path}: read-only")
