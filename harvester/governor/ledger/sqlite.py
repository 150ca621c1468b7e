"""A ledger in SQLite (WAL): survives restarts, shared by the processes of one machine.

One table of entries per file, for all credentials. Each change gets a new, higher id: a process that remembers
the last id it read finds the news behind it. A turn is one ``BEGIN IMMEDIATE`` transaction; while it lasts nobody
else can decide, so the sum of all sends holds every limit (FAULTS Q08). Commits are not synced one by one: a
killed process loses nothing, a power cut may lose the entries since SQLite's last checkpoint.

Its times are wall time, which survives a restart.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from harvester.contracts import Clock
from harvester.errors import StorageError, WaitError
from harvester.governor.ledger.entries import Ages, Entry, news_of, told
from harvester.governor.ledger.file import is_busy, open_file, unusable
from harvester.governor.ledger.holders import Holder, has_ended, this_process
from harvester.governor.ledger.news import Ended, News, Unknown, from_the_beginning
from harvester.model import WindowSignal

_BUSY = 0.02  # seconds a statement may block the loop while another process has its turn
_RETRY = 0.005
_PATIENCE = 30.0  # seconds of a held lock after which something is wrong
_LOOK_FOR_DEAD = 1.0  # seconds between looks whether the others still live
_LATE = 60.0  # a request of a dead process was counted by the server at most this long after its admission
_OPEN_AT_MOST = 600.0  # seconds; an open entry of a process we cannot ask is given up then
_PRUNE_EVERY = 500  # turns
_KEEP_AT_LEAST = 86_400.0  # seconds; a window that was told may be longer than those declared


class SqliteLedger:
    """The journal of one credential in the file *path*, whose directory exists."""

    poll: float | None = 0.05

    def __init__(
        self,
        path: Path | str,
        credential_id: str,
        clock: Clock,
        *,
        holder: Holder | None = None,
        ended: Callable[[Holder], bool] = has_ended,
    ) -> None:
        """Opens the file, or creates it.

        Args:
            credential_id: names the credential without revealing it, the same in every process.
            ended: tells whether another holder is certainly gone.
        Raises:
            StorageError: the file can neither be opened nor replaced.
        """
        self._credential = credential_id
        self._clock = clock
        self._ended = ended
        self._seen = 0  # id of the last entry read
        self._ages = Ages()
        self._asked = float("-inf")
        self._turns = 0
        self._pending: list[Entry] = []
        self._others: dict[int, tuple[int, float]] = {}  # open sends of others: holder, wall time of admission
        self._holders: dict[int, Holder] = {}
        opened = open_file(Path(path), self._wall())
        self.warning = opened.warning
        self._path = opened.path
        self._db: sqlite3.Connection | None = opened.db
        try:
            self._me = _register(opened.db, holder or this_process())
            opened.db.execute(f"PRAGMA busy_timeout={round(_BUSY * 1000)}")
        except sqlite3.Error as exc:
            opened.db.close()
            raise unusable(opened.path, exc) from exc

    # -------------------------------------------------------------- the turn

    async def take(
        self, keep: float, read: Callable[[Sequence[News]], None], may_send: Callable[[], bool]
    ) -> int | None:
        started = self._clock.monotonic()
        while True:
            db = self._connection()
            try:
                db.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as exc:
                if not is_busy(exc):
                    raise unusable(self._path, exc) from exc
            if self._clock.monotonic() - started > _PATIENCE:
                raise WaitError(
                    f"The quota ledger {self._path} has been locked by another process for {_PATIENCE:.0f} s. Finished "
                    f"pages are saved; run the same command again when that process has ended."
                )
            await self._clock.sleep(_RETRY)
        # No await from here to the end: a turn is whole or not at all, also under cancellation.
        try:
            self._write_pending(db)
            read(self._news(db, keep))
            number = None
            if may_send():
                number = self._insert(db, Entry("open", 0, self._wall()))
            db.execute("COMMIT")
        except sqlite3.Error as exc:
            self._roll_back(db)
            raise unusable(self._path, exc) from exc
        except BaseException:
            self._roll_back(db)
            raise
        self._pending.clear()
        return number

    def _news(self, db: sqlite3.Connection, keep: float) -> list[News]:
        now, wall = self._clock.monotonic(), self._wall()
        first = self._ages.first
        self._turns += 1
        if first or self._turns % _PRUNE_EVERY == 0:
            self._prune(db, wall, max(keep, _KEEP_AT_LEAST))
        self._ages.look(now, wall)
        news: list[News] = []
        if first:
            row = db.execute("SELECT at FROM entries WHERE credential = '' AND kind = 'unknown'").fetchone()
            if row is not None:
                news.append(Unknown(max(0.0, wall - row[0])))
        for row in db.execute(
            "SELECT id, holder, kind, ref, at, size, text FROM entries WHERE credential = ? AND id > ? ORDER BY id",
            (self._credential, self._seen),
        ):
            self._seen = row[0]
            if row[1] != self._me:
                item = self._item(row)
                if item is not None:
                    news.append(item)
        if first:
            news = from_the_beginning(news)
        if self._others and now - self._asked >= _LOOK_FOR_DEAD:
            self._asked = now
            news += self._bury(db, wall)
        return news

    def _item(self, row: tuple[Any, ...]) -> News | None:
        number, holder, kind, ref, at, size, text = row
        if kind == "open":
            self._others[number] = (holder, at)
        elif ref:
            self._others.pop(ref, None)
        return news_of(number, Entry(kind, ref, at, size, text=text), self._ages.of(at))

    def _bury(self, db: sqlite3.Connection, wall: float) -> list[News]:
        """Open sends of processes that have ended count as sent; nobody will settle them any more."""
        news: list[News] = []
        gone: dict[int, bool] = {}
        for ref, (holder, at) in list(self._others.items()):
            if holder not in gone:
                gone[holder] = self._ended(self._holder(db, holder))
            if gone[holder] or wall - at > _OPEN_AT_MOST:
                # It may have been killed just now, with the request on its way to the server.
                spent_at = min(wall, at + _LATE)
                db.execute("DELETE FROM entries WHERE id = ?", (ref,))
                self._insert(db, Entry("unheard", ref, spent_at))
                del self._others[ref]
                news.append(Ended(ref, max(0.0, wall - spent_at), 0, heard=False))
        return news

    def _holder(self, db: sqlite3.Connection, number: int) -> Holder:
        if number not in self._holders:
            row = db.execute("SELECT host, process FROM holders WHERE id = ?", (number,)).fetchone()
            self._holders[number] = Holder(str(row[0]), int(row[1])) if row else Holder("", 0)
        return self._holders[number]

    def _prune(self, db: sqlite3.Connection, wall: float, keep: float) -> None:
        mine = (self._credential,)
        db.execute("UPDATE entries SET at = ? WHERE credential = ? AND at > ?", (wall, *mine, wall))
        db.execute(
            "DELETE FROM entries WHERE credential = ? AND at < ? AND kind IN ('ended', 'unheard', 'released')",
            (*mine, wall - keep),
        )
        db.execute(
            "DELETE FROM entries WHERE credential = ? AND kind = 'pause' AND at + size / 1000.0 < ?", (*mine, wall)
        )

    # -------------------------------------------------------------- writing

    def end(self, number: int, size: int, *, heard: bool) -> None:
        self._pending.append(Entry("ended" if heard else "unheard", number, self._wall(), size))
        self._flush()

    def release(self, number: int) -> None:
        self._pending.append(Entry("released", number, self._wall()))
        self._flush()

    def pause(self, seconds: float, reason: str) -> None:
        self._pending.append(Entry("pause", 0, self._wall(), round(seconds * 1000), text=reason))
        self._flush()

    def hear(self, signal: WindowSignal) -> None:
        # Not flushed: it must become visible together with the end of its request, or the figure counts twice.
        self._pending.append(told(signal, self._wall()))

    def _flush(self) -> None:
        """Write what is pending, if nobody else has the turn just now; else the next turn does."""
        if self._db is None:
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._write_pending(self._db)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            self._roll_back(self._db)  # kept: if the trouble lasts, the next turn raises it
            return
        self._pending.clear()

    def _write_pending(self, db: sqlite3.Connection) -> None:
        for entry in self._pending:
            if entry.ref:
                db.execute("DELETE FROM entries WHERE id = ?", (entry.ref,))
            if entry.topic:
                db.execute(
                    "DELETE FROM entries WHERE credential = ? AND kind = 'told' AND topic = ?",
                    (self._credential, entry.topic),
                )
            self._insert(db, entry)

    def _insert(self, db: sqlite3.Connection, entry: Entry) -> int:
        cursor = db.execute(
            "INSERT INTO entries (credential, holder, kind, ref, at, size, topic, text) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (self._credential, self._me, entry.kind, entry.ref, entry.at, entry.size, entry.topic, entry.text),
        )
        return int(cursor.lastrowid or 0)

    def close(self) -> None:
        if self._db is None:
            return
        if self._pending:
            self._flush()
        self._db.close()
        self._db = None

    # -------------------------------------------------------------- small things

    def _wall(self) -> float:
        return self._clock.now().timestamp()

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            raise StorageError(f"The quota ledger {self._path} is closed.")
        return self._db

    def _roll_back(self, db: sqlite3.Connection) -> None:
        if db.in_transaction:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")


def _register(db: sqlite3.Connection, holder: Holder) -> int:
    row = db.execute(
        "INSERT INTO holders (host, process) VALUES (?, ?) RETURNING id", (holder.host, holder.process)
    ).fetchone()
    return int(row[0])
