"""What is open on a disk: a file being written, one being read, a lock. Failures become ``StorageError``."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePath

from harvester.errors import StorageError
from harvester.store.causes import explain
from harvester.store.system import System


@contextmanager
def explained(
    path: PurePath, action: str, kind: type[StorageError] = StorageError, *, saved: bool = True
) -> Iterator[None]:
    """Raise an ``OSError`` of the block as *kind*, with the path, what was being done and what to do now."""
    try:
        yield
    except OSError as error:
        raise explain(error, path, action, kind, saved=saved) from error


class DiskFile:
    """A file being written. After any failure it refuses further use: it must be abandoned (FAULTS F01 to F03)."""

    def __init__(self, system: System, fd: int, path: PurePath, sync: Callable[[int, PurePath], None]) -> None:
        self._system = system
        self._fd = fd
        self._path = path
        self._sync = sync
        self._open = True
        self._failed = False

    def write(self, data: bytes) -> None:
        self._refuse_failed()
        rest = memoryview(data)
        try:
            with explained(self._path, "write"):
                while rest:
                    written = self._system.write(self._fd, rest)
                    if not written:
                        raise OSError(errno.EIO, "nothing was written")
                    rest = rest[written:]
        except StorageError:
            self._failed = True
            raise

    def sync(self) -> None:
        self._refuse_failed()
        try:
            self._sync(self._fd, self._path)
        except StorageError:
            self._failed = True
            raise

    def close(self) -> None:
        """Close once; a second call does nothing. A network file system may tell of a lost write only here."""
        if not self._open:
            return
        self._open = False
        with explained(self._path, "close"):
            self._system.close(self._fd)

    def _refuse_failed(self) -> None:
        if self._failed or not self._open:
            state = "an earlier write or sync of it failed" if self._failed else "it is closed"
            raise StorageError(f"{self._path}: cannot write: {state}. Run the same command again to write it anew.")


class DiskLock:
    """A held ``flock``. The lock file stays: its existence means nothing, only the kernel's lock does (FAULTS R09)."""

    def __init__(self, system: System, fd: int) -> None:
        self._system = system
        self._fd: int | None = fd

    def release(self) -> None:
        """Let go; a second call does nothing."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            with suppress(OSError):  # nothing was written that matters, and the lock is gone either way
                self._system.close(fd)


class Reader(io.RawIOBase):
    """Reads a descriptor of a ``System``; a failing disk raises ``StorageError``."""

    def __init__(self, system: System, fd: int, path: PurePath) -> None:
        super().__init__()
        self._system = system
        self._fd = fd
        self._path = path

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed wants any buffer
        with explained(self._path, "read"):
            data = self._system.read(self._fd, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            with suppress(OSError):  # a file that was only read has nothing to lose
                self._system.close(self._fd)
        super().close()
