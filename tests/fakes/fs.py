"""``Fs`` on a disk in memory that fails on command and loses power.

``MemoryFs`` is the real ``DiskFs`` over ``MemoryDisk``, a small POSIX disk. So what is tested is the order of the
system calls that production makes: a forgotten ``fsync`` shows as data lost in ``crash()``.
"""

from __future__ import annotations

import errno
import os
import random
import stat
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import PurePosixPath

from harvester.store.files import DiskFs
from tests.fakes.clock import SeededRng

USER = 1000
PROCESS = 4711


class PowerLoss(Exception):
    """The machine stopped inside a system call; only ``crash()`` makes sense now."""


@dataclass(eq=False)
class File:
    """An inode: what programs see, and what the platters hold."""

    mode: int = 0o644
    data: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    dirty: int = 0  # bytes from here on are not synced
    locked: bool = False


@dataclass(eq=False)
class Link:
    """A symbolic link; *target* is absolute."""

    target: str


@dataclass(eq=False)
class Directory:
    """Names as programs see them, as the platters hold them, and the steps between."""

    mode: int = 0o755
    owner: int = USER
    names: dict[str, Node] = field(default_factory=dict)
    durable: dict[str, Node] = field(default_factory=dict)
    pending: list[Step] = field(default_factory=list)

    def change(self, step: Step) -> None:
        """One atomic step: names to nodes, None to remove."""
        _apply(self.names, step)
        self.pending.append(step)


Node = File | Directory | Link
Step = dict[str, Node | None]


def _apply(names: dict[str, Node], step: Step) -> None:
    for name, node in step.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


@dataclass
class _Fault:
    operation: str
    nth: int
    error: int
    times: int | None
    path: str


@dataclass
class _Open:
    node: File | Directory
    path: str
    offset: int = 0
    holds: bool = False  # the lock of the file


class MemoryDisk:
    """The ``System`` calls on a disk in memory. Relative paths begin at the root."""

    def __init__(self) -> None:
        self.root = Directory()
        self.calls: Counter[str] = Counter()
        self.space: int | None = None  # bytes left; None: without limit
        self.power: int | None = None  # system calls until PowerLoss; None: never
        self._faults: list[_Fault] = []
        self._twins: dict[int, tuple[Directory, Step]] = {}  # of steps that move something to another directory
        self._open: dict[int, _Open] = {}
        self._numbers = count(3)

    # -------------------------------------------------------------- the test's hand

    def fail(
        self, operation: str, *, nth: int = 1, error: int = errno.EIO, times: int | None = 1, path: str = ""
    ) -> None:
        """Let the *nth* call of *operation* from now on fail, *times* times (None: for ever).

        Args:
            operation: a system call: open, write, fsync, link, rename, unlink, mkdir, listdir, close, read …
            path: count only calls on paths that contain this text.
        """
        self._faults.append(_Fault(operation, nth, error, times, path))

    def symlink(self, target: str, path: str) -> None:
        parent, name = self._parent(path)
        parent.change({name: Link(_absolute(target))})

    def node(self, path: str) -> Node:
        """What *path* names, without following a link at its end."""
        node: Node = self.root
        for name in PurePosixPath(_absolute(path)).parts[1:]:
            node = self._follow(node)
            if not isinstance(node, Directory):
                raise _error(errno.ENOTDIR, path)
            if name not in node.names:
                raise _error(errno.ENOENT, path)
            node = node.names[name]
        return node

    @property
    def open_files(self) -> int:
        """Descriptors that nobody has closed."""
        return len(self._open)

    def crash(self, seed: int) -> MemoryDisk:
        """The disk as the next start finds it.

        Of what was not synced, any part may have reached the platters: each step of a directory or not, and of a
        file's tail nothing, a part, or zeros of its length (FAULTS F05, F06).
        """
        chance = random.Random(seed)
        disk = MemoryDisk()
        copies: dict[int, Node] = {}
        disk.root = self._survive(self.root, chance, copies, {})
        return disk

    def _survive(
        self, directory: Directory, chance: random.Random, copies: dict[int, Node], decided: dict[int, bool]
    ) -> Directory:
        names = dict(directory.durable)
        for step in directory.pending:
            survives = chance.random() < 0.5
            if twin := self._twins.get(id(step)):
                survives = decided.setdefault(id(step), survives)
                decided[id(twin[1])] = survives
            if survives:
                _apply(names, step)
        survivor = Directory(directory.mode, directory.owner)
        for name, node in names.items():
            if id(node) not in copies:
                copies[id(node)] = (
                    self._survive(node, chance, copies, decided)
                    if isinstance(node, Directory)
                    else _remains(node, chance)
                    if isinstance(node, File)
                    else node
                )
            survivor.names[name] = survivor.durable[name] = copies[id(node)]
        return survivor

    # -------------------------------------------------------------- system calls

    def open(self, path: str, flags: int, mode: int = 0o666, /) -> int:
        self._enter("open", path)
        try:
            node: Node | None = self.node(path)
        except FileNotFoundError:
            node = None
        if flags & os.O_CREAT and flags & os.O_EXCL and node is not None:
            raise _error(errno.EEXIST, path)
        if isinstance(node, Link):
            if flags & os.O_NOFOLLOW:
                raise _error(errno.ELOOP, path)
            node = self._follow(node)
        if node is None:
            if not flags & os.O_CREAT:
                raise _error(errno.ENOENT, path)
            parent, name = self._parent(path)
            node = File(mode & ~0o022)
            parent.change({name: node})
        if isinstance(node, Directory) and flags & (os.O_WRONLY | os.O_RDWR):
            raise _error(errno.EISDIR, path)
        if isinstance(node, File) and flags & os.O_DIRECTORY:
            raise _error(errno.ENOTDIR, path)
        assert isinstance(node, File | Directory)
        fd = next(self._numbers)  # atomic: several threads may open files
        self._open[fd] = _Open(node, path)
        return fd

    def close(self, fd: int, /) -> None:
        self._enter("close", self._open[fd].path, lambda: self._forget(fd))
        self._forget(fd)

    def _forget(self, fd: int) -> None:
        handle = self._open.pop(fd)
        if isinstance(handle.node, File) and handle.holds:
            handle.node.locked = False

    def read(self, fd: int, size: int, /) -> bytes:
        handle = self._open[fd]
        self._enter("read", handle.path)
        assert isinstance(handle.node, File)
        data = bytes(handle.node.data[handle.offset : handle.offset + size])
        handle.offset += len(data)
        return data

    def write(self, fd: int, data: bytes | memoryview, /) -> int:
        handle = self._open[fd]
        self._enter("write", handle.path)
        assert isinstance(handle.node, File)
        size = len(data)
        if self.space is not None:
            if size and not self.space:
                raise _error(errno.ENOSPC, handle.path)
            size = min(size, self.space)  # a short write first, the error on the next (FAULTS F01)
            self.space -= size
        node = handle.node
        node.data[handle.offset : handle.offset + size] = data[:size]
        node.dirty = min(node.dirty, handle.offset)
        handle.offset += size
        return size

    def fsync(self, fd: int, /) -> None:
        handle = self._open[fd]
        self._enter("fsync", handle.path, lambda: _drop_dirty(handle.node))
        node = handle.node
        if isinstance(node, Directory):
            for step in node.pending:
                if twin := self._twins.get(id(step)):
                    directory, other = twin
                    _apply(directory.durable, other)
                    directory.pending[:] = [each for each in directory.pending if each is not other]
            node.durable = dict(node.names)
            node.pending.clear()
        else:
            node.durable[node.dirty :] = node.data[node.dirty :]
            node.dirty = len(node.data)

    def ftruncate(self, fd: int, size: int, /) -> None:
        handle = self._open[fd]
        self._enter("ftruncate", handle.path)
        assert isinstance(handle.node, File)
        del handle.node.data[size:]
        handle.node.dirty = min(handle.node.dirty, size)

    def lock(self, fd: int, /) -> None:
        handle = self._open[fd]
        self._enter("lock", handle.path)
        assert isinstance(handle.node, File)
        if handle.node.locked:
            raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK), handle.path)
        handle.node.locked = True
        handle.holds = True

    def fstat(self, fd: int, /) -> os.stat_result:
        self._enter("fstat", self._open[fd].path)
        return _status(self._open[fd].node)

    def stat(self, path: str, /) -> os.stat_result:
        self._enter("stat", path)
        return _status(self._follow(self.node(path)))

    def lstat(self, path: str, /) -> os.stat_result:
        self._enter("lstat", path)
        return _status(self.node(path))

    def listdir(self, path: str, /) -> list[str]:
        self._enter("listdir", path)
        node = self._follow(self.node(path))
        if not isinstance(node, Directory):
            raise _error(errno.ENOTDIR, path)
        return list(node.names)

    def mkdir(self, path: str, mode: int = 0o777, /) -> None:
        self._enter("mkdir", path)
        if _absolute(path) == "/":
            raise _error(errno.EEXIST, path)
        parent, name = self._parent(path)
        if name in parent.names:
            raise _error(errno.EEXIST, path)
        parent.change({name: Directory(mode & ~0o022)})

    def chmod(self, path: str, mode: int, /) -> None:
        self._enter("chmod", path)
        node = self._follow(self.node(path))
        assert isinstance(node, File | Directory)
        node.mode = mode

    def link(self, source: str, target: str, /) -> None:
        self._enter("link", target)
        node = self.node(source)
        parent, name = self._parent(target)
        if name in parent.names:
            raise _error(errno.EEXIST, target)
        parent.change({name: node})

    def rename(self, source: str, target: str, /) -> None:
        self._enter("rename", target)
        node = self.node(source)
        parent, name = self._parent(target)
        origin, old = self._parent(source)
        there = parent.names.get(name)
        if isinstance(node, Directory) and isinstance(there, Directory) and there.names:
            raise _error(errno.ENOTEMPTY, target)
        if origin is parent:
            parent.change({old: None, name: node})
        else:  # a step of two directories, which a journal keeps together
            there_now: Step = {name: node}
            here_no_more: Step = {old: None}
            parent.change(there_now)
            origin.change(here_no_more)
            self._twins[id(there_now)] = origin, here_no_more
            self._twins[id(here_no_more)] = parent, there_now

    def unlink(self, path: str, /) -> None:
        self._enter("unlink", path)
        if isinstance(self.node(path), Directory):
            raise _error(errno.EISDIR, path)
        parent, name = self._parent(path)
        parent.change({name: None})

    def rmdir(self, path: str, /) -> None:
        self._enter("rmdir", path)
        node = self.node(path)
        if not isinstance(node, Directory):
            raise _error(errno.ENOTDIR, path)
        if node.names:
            raise _error(errno.ENOTEMPTY, path)
        parent, name = self._parent(path)
        parent.change({name: None})

    def user(self) -> int:
        return USER

    def process(self) -> int:
        return PROCESS

    # -------------------------------------------------------------- inside

    def _enter(self, operation: str, path: str, on_failure: Callable[[], None] = lambda: None) -> None:
        self.calls[operation] += 1
        if self.power is not None:
            if self.power <= 0:
                raise PowerLoss(f"in {operation} of {path}")
            self.power -= 1
        for fault in self._faults:
            if fault.operation != operation or fault.path not in path:
                continue
            fault.nth -= 1
            if fault.nth <= 0 and (fault.times is None or fault.times > 0):
                if fault.times is not None:
                    fault.times -= 1
                on_failure()
                raise _error(fault.error, path)

    def _parent(self, path: str) -> tuple[Directory, str]:
        pure = PurePosixPath(_absolute(path))
        parent = self._follow(self.node(str(pure.parent)))
        if not isinstance(parent, Directory):
            raise _error(errno.ENOTDIR, path)
        return parent, pure.name

    def _follow(self, node: Node) -> Node:
        while isinstance(node, Link):
            node = self.node(node.target)
        return node


def _drop_dirty(node: File | Directory) -> None:
    """A failed fsync marks the pages clean: a later success does not bring them to the platters (FAULTS F03)."""
    if isinstance(node, File):
        node.durable[node.dirty :] = bytes(len(node.data) - node.dirty)
        node.dirty = len(node.data)


def _remains(node: File, chance: random.Random) -> File:
    kept = node.data[node.dirty :]
    kept = kept[: chance.randint(0, len(kept))]
    tail = chance.choice((bytearray(), kept, kept + bytes(len(node.data) - node.dirty - len(kept))))
    data = node.durable[: node.dirty] + tail
    return File(node.mode, bytearray(data), bytearray(data), len(data))


def _status(node: Node) -> os.stat_result:
    match node:
        case File():
            mode, size, owner = stat.S_IFREG | node.mode, len(node.data), USER
        case Directory():
            mode, size, owner = stat.S_IFDIR | node.mode, 0, node.owner
        case Link():
            mode, size, owner = stat.S_IFLNK | 0o777, len(node.target), USER
    return os.stat_result((mode, id(node), 0, 1, owner, owner, size, 0, 0, 0))


def _absolute(path: str) -> str:
    return os.path.normpath("/" + path).replace("//", "/")


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)


class MemoryFs(DiskFs):
    """``DiskFs`` over a ``MemoryDisk``.

    ``fail`` makes system calls fail, ``disk.space`` fills the disk, ``disk.power`` stops the machine inside a call,
    ``crash`` gives what the next start finds.
    """

    def __init__(self, seed: int = 0, *, disk: MemoryDisk | None = None) -> None:
        self.disk = MemoryDisk() if disk is None else disk
        self.warnings: list[str] = []
        super().__init__(SeededRng(seed), system=self.disk, warn=self.warnings.append)

    def fail(
        self, operation: str, *, nth: int = 1, error: int = errno.EIO, times: int | None = 1, path: str = ""
    ) -> None:
        """See ``MemoryDisk.fail``."""
        self.disk.fail(operation, nth=nth, error=error, times=times, path=path)

    def crash(self, seed: int = 0) -> MemoryFs:
        """A new file system with what a loss of power now would leave."""
        return MemoryFs(seed + 1, disk=self.disk.crash(seed))
