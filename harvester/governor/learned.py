"""What refusals and answers have taught about a credential's windows, kept for the next run.

A lesson is kept in the SQLite file of the quota ledger (also when the ledger itself is elsewhere), with the answer
it was learned from. All of it is advisory and can be learned again: a file that cannot be read teaches nothing,
and a write that fails is given up.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from harvester.errors import StorageError
from harvester.governor.ledger.entries import without_limit
from harvester.governor.ledger.file import open_existing, open_file
from harvester.governor.refusals import LONGEST_PAUSE

Kind = Literal["fixed", "sliding", "unknown"]

_TABLE = """
CREATE TABLE IF NOT EXISTS learned (
    credential TEXT NOT NULL, unit TEXT NOT NULL, seconds REAL NOT NULL, lesson TEXT NOT NULL,
    PRIMARY KEY (credential, unit, seconds)
)
"""


class Learned(Struct, frozen=True, kw_only=True):
    """One window of a credential, as answers taught it. There is one lesson a window (unit and length)."""

    seconds: float  # length of the window
    limit: int | None  # requests (or bytes) it allows; None: only kind and phase are known
    unit: str = "requests"  # or "bytes"
    kind: Kind = "unknown"
    phase: float | None = None  # seconds since 1970 at which a fixed window began; None: not known
    phase_within: float = 0.0  # seconds: the window began at *phase* or at most this much later
    evidence: str  # the answer it was learned from, in words; holds no secret
    at: datetime  # when that answer came, aware UTC


def read_learned(path: Path, credential_id: str) -> tuple[Learned, ...]:
    """The lessons of a credential, shortest window first; () when there are none or *path* cannot be read."""
    db = open_existing(path)
    if db is None:
        return ()
    with closing(db):
        try:
            rows = db.execute(
                "SELECT lesson FROM learned WHERE credential = ? ORDER BY seconds, unit", (credential_id,)
            ).fetchall()
        except sqlite3.Error:
            return ()  # no table yet, or damaged since it was opened
    lessons = []
    for (text,) in rows:
        try:
            lessons.append(msgspec.json.decode(text, type=Learned))
        except msgspec.MsgspecError:
            continue  # of a newer version
    return tuple(lessons)


def keep_learned(path: Path, credential_id: str, lesson: Learned) -> bool:
    """Write *lesson* in place of the earlier one about the same window. False: it could not be written."""
    try:
        with closing(open_file(path, lesson.at.timestamp()).db) as db:
            db.execute(_TABLE)
            db.execute(
                "INSERT OR REPLACE INTO learned VALUES (?, ?, ?, ?)",
                (credential_id, lesson.unit, lesson.seconds, msgspec.json.encode(lesson).decode()),
            )
    except (sqlite3.Error, StorageError):
        return False
    return True


def forget(path: Path, credential_id: str) -> int:
    """Drop what was learned about a credential: lessons, and the limits that answers told the ledger.

    Spending, pauses and what is left of running windows stay, but for a pause that nobody waits for (FAULTS S04).
    How many lessons there were.
    """
    db = open_existing(path)
    if db is None:
        return 0
    with closing(db):
        _forget_told(db, credential_id)
        db.execute(
            "DELETE FROM entries WHERE credential = ? AND kind = 'pause' AND size > ?",
            (credential_id, LONGEST_PAUSE * 1000),
        )
        try:
            return db.execute("DELETE FROM learned WHERE credential = ?", (credential_id,)).rowcount
        except sqlite3.OperationalError:
            return 0  # no table yet


def _forget_told(db: sqlite3.Connection, credential_id: str) -> None:
    mine = "FROM entries WHERE credential = ? AND kind = 'told'"
    for number, text in db.execute(f"SELECT id, text {mine}", (credential_id,)).fetchall():
        left = without_limit(text)
        if left is None:
            db.execute("DELETE FROM entries WHERE id = ?", (number,))
        else:
            db.execute("UPDATE entries SET text = ? WHERE id = ?", (left, number))
