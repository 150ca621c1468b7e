"""``Fs`` on a real disk: nothing counts as written before it would survive a loss of power.

Names become durable in this order: data, ``fsync`` of the file, link or rename, ``fsync`` of the directory. Temporary
files live beside their final name, so no rename crosses a file system (FAULTS F10).

Source: the ``fsync(2)``, ``rename(2)`` and ``link(2)`` manual pages; on Linux a failed ``fsync`` marks the lost pages
clean, so a second one succeeds without them (FAULTS F03).
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import BinaryIO

from harvester.contracts import FileLock, OutputFile, Rng
from harvester.errors import CannotCreate, Locked, StorageError
from harvester.store.layout import temporary_name
from harvester.store.open_files import DiskFile, DiskLock, Reader, explained
from harvester.store.system import PosixSystem, System

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_SYNC = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})
_NO_LINK = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
_READ_SIZE = 1 << 20


class DiskFs:
    """``Fs`` on the local disk.

    Args:
        rng: names temporary files.
        system: the system calls; the machine's own by default.
        warn: told once when the file system cannot ``fsync`` (FAULTS F10), so that durability is its own affair.
    """

    def __init__(
        self, rng: Rng, *, system: System | None = None, warn: Callable[[str], None] = lambda message: None
    ) -> None:
        self._rng = rng
        self._system = PosixSystem() if system is None else system
        self._warn = warn
        self._warned = False

    # -------------------------------------------------------------- directories

    def make_directory(self, path: PurePath, *, private: bool = False) -> None:
        with explained(path, "create the directory", CannotCreate, saved=False):
            try:
                self._make(path, 0o700 if private else 0o777)
            except NotADirectoryError:
                raise CannotCreate(
                    f"{self._file_in(path)}: is a file. Move it away or choose another directory."
                ) from None
            if private:
                self._claim(path)

    def _file_in(self, path: PurePath) -> PurePath:
        """What of *path* and its parents is no directory."""
        for parent in reversed(path.parents):
            with suppress(OSError):
                if not stat.S_ISDIR(self._system.stat(str(parent)).st_mode):
                    return parent
        return path

    def _make(self, path: PurePath, mode: int) -> None:
        try:
            empty = not self._system.listdir(str(path))
        except FileNotFoundError:
            if path.parent == path:
                raise
            self._make(path.parent, 0o777)
            try:
                self._system.mkdir(str(path), mode)
            except FileExistsError:  # made by another process just now, or a link to nowhere
                self._system.listdir(str(path))
            self._sync_directory(path.parent)
        except PermissionError:  # we may pass through it, as through /home; whoever made it, it was not us
            self._system.stat(str(path))
        else:
            # Its name may not be durable yet: a process can have been killed between making it and the sync above.
            # But then it is still empty, because nothing is put into a directory before that sync.
            if empty and path.parent != path:
                with suppress(PermissionError):
                    self._sync_directory(path.parent)

    def _claim(self, path: PurePath) -> None:
        """Refuse a private directory that is a link or somebody else's, and close it to others (FAULTS E08)."""
        found = self._system.lstat(str(path))
        if stat.S_ISLNK(found.st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if found.st_uid != self._system.user():
            raise CannotCreate(
                f"{path}: belongs to another user, who could change or read what is kept there. "
                "Run as that user, or choose another output directory."
            )
        if found.st_mode & 0o077:
            self._system.chmod(str(path), 0o700)

    def sync_directory(self, path: PurePath) -> None:
        with explained(path, "make durable"):
            self._sync_directory(path)

    def remove_tree(self, path: PurePath) -> None:
        with explained(path, "remove"), suppress(FileNotFoundError):
            self._remove_tree(path)

    def _remove_tree(self, path: PurePath) -> None:
        for name in self._system.listdir(str(path)):
            child = path / name
            if stat.S_ISDIR(self._system.lstat(str(child)).st_mode):
                self._remove_tree(child)
            else:
                self._system.unlink(str(child))
        self._system.rmdir(str(path))

    def names(self, directory: PurePath) -> Sequence[str]:
        with explained(directory, "list"):
            try:
                return sorted(self._system.listdir(str(directory)))
            except (FileNotFoundError, NotADirectoryError):
                return ()

    def walk(self, directory: PurePath) -> Iterator[PurePath]:
        for name in self.names(directory):
            path = directory / name
            with explained(path, "look at"):
                try:
                    mode = self._system.lstat(str(path)).st_mode
                except FileNotFoundError:
                    continue  # removed since it was listed
            if stat.S_ISDIR(mode):
                yield from self.walk(path)
            elif stat.S_ISREG(mode):
                yield path

    # -------------------------------------------------------------- writing

    def create(self, path: PurePath) -> OutputFile:
        return self._create(path)

    def _create(self, path: PurePath, shown: PurePath | None = None, mode: int = 0o666) -> DiskFile:
        """*shown*: what errors name, where *path* is a temporary name that nobody knows."""
        shown = shown or path
        with explained(shown, "create", CannotCreate):
            fd = self._system.open(str(path), _NEW, mode)
        return DiskFile(self._system, fd, shown, self._sync)

    def create_if_absent(self, path: PurePath, data: bytes) -> bool:
        temporary = self._write_temporary(path, data)
        try:
            with explained(path, "create", CannotCreate):
                self._system.link(str(temporary), str(path))
        except CannotCreate as error:
            cause = error.__cause__
            if isinstance(cause, FileExistsError):
                return False
            if isinstance(cause, OSError) and cause.errno in _NO_LINK:
                raise CannotCreate(
                    f"{path}: this file system refuses hard links, which make a commit visible in one step. "
                    "Choose an output directory on another file system."
                ) from cause
            raise
        finally:
            self._discard(temporary)
        self.sync_directory(path.parent)
        return True

    def replace(self, path: PurePath, data: bytes, *, private: bool = False) -> None:
        temporary = self._write_temporary(path, data, 0o600 if private else 0o666)
        try:
            self.rename(temporary, path)
        except StorageError:
            self._discard(temporary)
            raise

    def rename(self, source: PurePath, target: PurePath) -> None:
        with explained(target, "name"):
            self._system.rename(str(source), str(target))
            self._sync_directory(target.parent)

    def remove(self, path: PurePath) -> None:
        with explained(path, "remove"), suppress(FileNotFoundError):
            self._system.unlink(str(path))

    def _write_temporary(self, path: PurePath, data: bytes, mode: int = 0o666) -> PurePath:
        temporary = path.with_name(temporary_name(path.name, self._rng.hex(4)))
        file = self._create(temporary, shown=path, mode=mode)
        try:
            file.write(data)
            file.sync()
            file.close()
        except BaseException:
            with suppress(StorageError):
                file.close()
            self._discard(temporary)
            raise
        return temporary

    def _discard(self, temporary: PurePath) -> None:
        with suppress(OSError):  # harmless if it stays: temporary names are swept before a run is finished
            self._system.unlink(str(temporary))

    def _sync(self, fd: int, path: PurePath) -> None:
        with explained(path, "make durable"):
            try:
                self._system.fsync(fd)
            except OSError as error:
                if error.errno not in _NO_SYNC:
                    raise
                if not self._warned:
                    self._warned = True
                    self._warn(f"{path.parent}: this file system cannot sync; a loss of power may lose finished pages.")

    def _sync_directory(self, path: PurePath) -> None:
        fd = self._system.open(str(path), _DIRECTORY)
        try:
            self._sync(fd, path)
        finally:
            self._system.close(fd)

    # -------------------------------------------------------------- reading

    def read(self, path: PurePath) -> bytes:
        with self.open(path) as stream:
            return stream.read()

    def read_private(self, path: PurePath) -> bytes | None:
        try:
            fd = self._system.open(str(path), _READ | os.O_NOFOLLOW)
        except OSError:
            return None  # absent, a link, or not for us
        found = self._system.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != self._system.user() or found.st_mode & 0o077:
            self._system.close(fd)
            return None
        with io.BufferedReader(Reader(self._system, fd, path), buffer_size=_READ_SIZE) as stream:
            return stream.read()

    def open(self, path: PurePath) -> BinaryIO:
        with explained(path, "read"):
            fd = self._system.open(str(path), _READ)
        return io.BufferedReader(Reader(self._system, fd, path), buffer_size=_READ_SIZE)

    def exists(self, path: PurePath) -> bool:
        """A name is there, even a link to nowhere. An unreadable parent is an error, not an absence."""
        with explained(path, "look at"):
            try:
                self._system.lstat(str(path))
            except (FileNotFoundError, NotADirectoryError):
                return False
        return True

    def size(self, path: PurePath) -> int:
        with explained(path, "look at"):
            return self._system.lstat(str(path)).st_size

    # -------------------------------------------------------------- locks

    def lock(self, path: PurePath) -> FileLock:
        with explained(path, "lock", CannotCreate):
            while True:
                fd = self._system.open(str(path), _LOCK, 0o600)
                try:
                    if self._take(fd, path):
                        return DiskLock(self._system, fd)
                except BaseException:
                    self._system.close(fd)
                    raise
                self._system.close(fd)

    def _take(self, fd: int, path: PurePath) -> bool:
        """Lock *fd* and write our process id into it. False: the file was replaced meanwhile, open it again."""
        try:
            self._system.lock(fd)
        except BlockingIOError:
            holder = self._system.read(fd, 20).decode("ascii", "replace").strip()
            who = f" (process {holder})" if holder.isdigit() else ""
            raise Locked(
                f"{path.parent}: another harvest{who} is writing here. Nothing was changed. "
                "Wait until it has ended, or stop it, and run the same command again."
            ) from None
        try:
            if self._system.stat(str(path)).st_ino != self._system.fstat(fd).st_ino:
                return False
        except FileNotFoundError:
            return False
        self._system.ftruncate(fd, 0)
        self._system.write(fd, f"{self._system.process()}\n".encode())
        return True
