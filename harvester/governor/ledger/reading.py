"""The journal of one credential in a SQLite ledger, read and left as it is.

For ``quota`` and ``plan``: a connection that cannot write, so a harvest under way is neither delayed nor changed,
and one transaction, so the picture is that of one instant.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from harvester.governor.ledger.file import unusable
from harvester.governor.ledger.news import (
    Ended,
    Heard,
    News,
    Opened,
    Paused,
    Released,
    Unknown,
    aged,
    from_the_beginning,
)
from harvester.model import WindowSignal

_PATIENCE = 5.0  # seconds for a lock, which readers of a write-ahead log hardly ever meet


class Told(Struct, frozen=True):
    """An answer said this about a window, *age* seconds ago."""

    signal: WindowSignal
    age: float


class Journal(Struct, frozen=True):
    """What a ledger holds of one credential, oldest first."""

    news: tuple[News, ...] = ()
    told: tuple[Told, ...] = ()  # as they were said, for who can reckon them forward


def read_journal(path: Path, credential_id: str, wall: float) -> Journal:
    """What the ledger at *path* knows of the credential; an empty journal when there is no ledger.

    Args:
        path: the name that ``SqliteLedger`` was given; a damaged file is passed over as it does.
        wall: seconds since 1970. Entries from the future become entries of now (FAULTS C02).
    Raises:
        StorageError: it is there, but cannot be read now.
    """
    name = path
    for generation in count(1):
        if not name.exists():
            break
        try:
            rows = _rows(name, credential_id)
        except sqlite3.OperationalError as exc:
            if "no such table" in str(exc):
                break  # somebody is just making it
            raise unusable(name, exc) from exc
        except sqlite3.DatabaseError:
            name = path.with_name(f"{path.stem}.{generation}{path.suffix}")
            continue
        return _journal(rows, wall)
    return Journal()


def _rows(name: Path, credential_id: str) -> list[tuple[Any, ...]]:
    with closing(_open(name)) as db:
        return db.execute(
            "SELECT id, kind, ref, at, size, text FROM entries "
            "WHERE credential = ? OR (credential = '' AND kind = 'unknown') ORDER BY id",
            (credential_id,),
        ).fetchall()


def _open(name: Path) -> sqlite3.Connection:
    uri = f"file:{quote(str(name))}?mode=ro"
    db = sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None)
    try:
        db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    except sqlite3.OperationalError:
        db.close()
        if name.with_name(f"{name.name}-wal").exists():
            raise
        # In a directory that we may not write to, the shared memory of a write-ahead log cannot be made. Without a
        # log nobody has the file open, so it does not change while we read.
        db = sqlite3.connect(f"{uri}&immutable=1", uri=True, timeout=_PATIENCE, isolation_level=None)
    return db


def _journal(rows: list[tuple[Any, ...]], wall: float) -> Journal:
    news: list[News] = []
    told: list[Told] = []
    for number, kind, ref, at, size, text in rows:
        age = max(0.0, wall - at)
        match kind:
            case "open":
                news.append(Opened(number, age))
            case "ended" | "unheard":
                news.append(Ended(ref, age, size, kind == "ended"))
            case "released":
                news.append(Released(ref))
            case "pause" if size / 1000 > age:
                news.append(Paused(size / 1000 - age, text))
            case "told":
                try:
                    signal = msgspec.json.decode(text, type=WindowSignal)
                except msgspec.MsgspecError:
                    continue  # of a newer version
                told.append(Told(signal, age))
                news.append(Heard(aged(signal, age)))
            case "unknown":
                news.append(Unknown(age))
    return Journal(tuple(from_the_beginning(news)), tuple(told))
