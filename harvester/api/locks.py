"""Locks between processes: one harvest of a source at a time, one listener, and how the two get along."""

from __future__ import annotations

from pathlib import PurePath

from harvester.api.turns import lock_file
from harvester.contracts import Clock, FileLock, Fs
from harvester.errors import Locked
from harvester.store import layout

_MOMENT = 0.1  # seconds between two looks
_MOMENTS = 100  # a listener writes for a fraction of a second


def lock_inbox(fs: Fs, out: PurePath, source: str) -> FileLock:
    """Be the one who listens for *source*.

    Raises:
        Locked: another process does.
    """
    directory = layout.inbox_directory(out, source)
    fs.make_directory(directory.parent, private=True)
    try:
        return fs.lock(directory.with_name(f"{source}.lock"))
    except Locked as error:
        raise Locked(f"another process listens for the source {source} in {out}; it goes on.") from error


async def lock_source(fs: Fs, out: PurePath, source: str, clock: Clock) -> FileLock:
    """Be the one who writes to *source*. A listener that writes what came is waited for: it takes no time.

    Raises:
        Locked: another process does, and it is no listener.
    """
    for _ in range(_MOMENTS):
        try:
            return fs.lock(lock_file(out, source))
        except Locked:
            if not _is_listened_for(fs, out, source):
                raise
        await clock.sleep(_MOMENT)
    return fs.lock(lock_file(out, source))


def _is_listened_for(fs: Fs, out: PurePath, source: str) -> bool:
    path = layout.inbox_directory(out, source).with_name(f"{source}.lock")
    if not fs.exists(path):
        return False
    try:
        fs.lock(path).release()
    except Locked:
        return True
    return False
