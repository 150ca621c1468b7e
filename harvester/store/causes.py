"""What an OSError means to the person who has to do something about it."""

from __future__ import annotations

import errno
from pathlib import PurePath

from harvester.errors import StorageError

_FREE_SPACE = "Free some space and run the same command again"
_PERMIT = "Give this user the right to write there, or choose another directory"
_READING = frozenset({"read", "list", "look at"})

_CAUSES = {
    errno.ENOSPC: ("no space left", _FREE_SPACE),
    errno.EDQUOT: ("the disk quota is used up", _FREE_SPACE),
    errno.EACCES: ("permission denied", _PERMIT),
    errno.EPERM: ("permission denied", _PERMIT),
    errno.EROFS: ("read-only file system", "Choose a directory on a file system that can be written"),
    errno.EIO: ("input/output error", "Check the disk, then run the same command again"),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter output directory"),
    errno.ENOENT: ("it does not exist", "Check that nothing else removes files there"),
    errno.EEXIST: ("it exists already", "Check that nothing else writes there"),
    errno.ELOOP: ("it is a symbolic link", "Remove the link if it was not put there on purpose"),
    errno.ENOTDIR: ("a parent of it is not a directory", "Move that file away or choose another directory"),
    errno.EISDIR: ("it is a directory", "Move it away or choose another directory"),
    errno.EMFILE: ("this process has too many open files", "Raise its limit (ulimit -n) and run again"),
    errno.ENFILE: ("the system has too many open files", "Wait for other programs, then run again"),
    errno.ENOLCK: ("this file system keeps no locks", "Choose a directory on a local file system"),
    errno.ESTALE: ("the network file system lost it", "Check the mount, then run the same command again"),
}


def explain(
    error: OSError, path: PurePath, action: str, kind: type[StorageError] = StorageError, *, saved: bool = True
) -> StorageError:
    """The ``StorageError`` that says what failed on *path*, why in plain words, and what to do.

    Args:
        action: completes "cannot …", e.g. ``write``.
        kind: ``CannotCreate`` where the run could not begin to write.
        saved: add that committed data stays valid, which reading never endangers; False where nothing can be
            committed yet.
    """
    cause, advice = _CAUSES.get(
        error.errno or 0, (error.strerror or type(error).__name__, "Check the disk, then run the same command again")
    )
    if action in _READING and error.errno in {errno.EACCES, errno.EPERM}:
        advice = "Give this user the right to read it"
    if action == "create" and error.errno == errno.ENOENT:
        cause, advice = "its directory does not exist", f"Create {path.parent} first"
    safe = " What was committed before stays valid." if saved and action not in _READING else ""
    return kind(f"{path}: cannot {action}: {cause}. {advice}.{safe}")
