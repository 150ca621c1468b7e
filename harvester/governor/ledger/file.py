"""The SQLite file of a ledger: made, checked, and replaced by the next name when it is damaged.

A file that cannot be read is left alone for whoever wants to see why, and the next name is used (``quota.1.db``).
What was spent is then unknown, so every window counts as spent when the new file was begun: it costs one window
of waiting and cannot cost a refusal. Deleting the files is how a user says that nothing was spent.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from harvester.errors import StorageError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS holders (id INTEGER PRIMARY KEY AUTOINCREMENT, host TEXT NOT NULL, process INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    credential TEXT NOT NULL,
    holder INTEGER NOT NULL,
    kind TEXT NOT NULL,
    ref INTEGER NOT NULL DEFAULT 0,     -- the send this entry is about
    at REAL NOT NULL,                   -- wall time, seconds since 1970
    size INTEGER NOT NULL DEFAULT 0,    -- bytes; milliseconds of a pause
    topic TEXT NOT NULL DEFAULT '',     -- the window an answer told of
    text TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS news ON entries (credential, id);
"""

_PATIENCE = 30.0  # seconds to wait for other processes that open the file at the same time
GENERATIONS = 10
_TRIES = 100


class LedgerFile(Struct, frozen=True):
    """An open file; the caller closes *db*."""

    db: sqlite3.Connection
    path: Path  # the name in use
    warning: str  # "" unless the file had to be begun anew by this call


def open_file(path: Path, wall: float) -> LedgerFile:
    """Open the first generation of *path* that works, or make it.

    Args:
        wall: seconds since 1970, for the record of when a damaged file was replaced.
    Raises:
        StorageError: it can neither be opened nor made.
    """
    for generation in range(GENERATIONS):
        name = generation_name(path, generation)
        db: sqlite3.Connection | None = None
        try:
            db = sqlite3.connect(name, timeout=_PATIENCE, isolation_level=None)
            _use_wal(db)
            db.execute("PRAGMA synchronous=NORMAL")
            if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("integrity check failed")
            begun = _prepare(db, wall, replaces=generation > 0)
        except sqlite3.OperationalError as exc:
            if db is not None:
                db.close()
            raise unusable(name, exc) from exc
        except sqlite3.DatabaseError:
            if db is not None:
                db.close()
            continue
        warning = (
            f"The quota ledger {path} could not be read and was begun anew as {name}. What was already spent is "
            f"unknown, so every quota window counts as spent now. To start without this wait, delete the quota "
            f"ledger files."
        )
        return LedgerFile(db, name, warning if begun and generation else "")
    raise StorageError(
        f"The quota ledger {path} and its {GENERATIONS - 1} replacements are damaged. Without one the quota could be "
        f"overrun, so nothing is sent. Check the disk, then delete them."
    )


def open_existing(path: Path) -> sqlite3.Connection | None:
    """Open the generation of *path* that is in use, to read it or drop from it; None: there is none to be read.

    Nothing is created or replaced. The caller closes the connection.
    """
    for generation in range(GENERATIONS):
        name = generation_name(path, generation)
        try:
            db = sqlite3.connect(
                f"{name.absolute().as_uri()}?mode=rw", uri=True, timeout=_PATIENCE, isolation_level=None
            )
        except sqlite3.Error:
            return None
        try:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            db.close()
            return None
        except sqlite3.DatabaseError:
            db.close()
            continue  # damaged: the next name is in use
        return db
    return None


def generation_name(path: Path, generation: int) -> Path:
    """The name of the ledger *path* after *generation* replacements."""
    return path.with_name(f"{path.stem}.{generation}{path.suffix}") if generation else path


def _use_wal(db: sqlite3.Connection) -> None:
    """Switch the file to a write-ahead log, once for all who use it.

    The switch does not wait for its turn as other statements do: of processes that open a new file together, all
    but one are told that it is locked. A transaction does wait, so it takes the place of a sleep here.
    """
    for _ in range(_TRIES):
        try:
            db.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as exc:
            if not is_busy(exc):
                raise
            db.execute("BEGIN IMMEDIATE")
            db.execute("COMMIT")
    # Left as it is: slower, and just as correct.


def is_busy(exc: sqlite3.Error) -> bool:
    """Whether another process only has its turn just now."""
    return exc.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def _prepare(db: sqlite3.Connection, wall: float, *, replaces: bool) -> bool:
    """Make the tables. True: they were not there before."""
    db.execute("BEGIN IMMEDIATE")
    try:
        fresh = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries'").fetchone() is None
        if fresh:
            for statement in _SCHEMA.split(";\n"):
                db.execute(statement)
            if replaces:
                # Under no credential's name: it is true for all of them.
                db.execute("INSERT INTO entries (credential, holder, kind, at) VALUES ('', 0, 'unknown', ?)", (wall,))
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    return fresh


def unusable(path: Path, exc: sqlite3.Error) -> StorageError:
    """What to tell when the file does not take what must be written."""
    return StorageError(
        f"The quota ledger {path} cannot be used: {exc}. Without it the quota could be overrun after a restart, so "
        f"nothing more is sent. Finished pages are saved. Free some space or mend the permissions, then run the same "
        f"command again."
    )
