"""A SQLite file that is never trusted after its process has ended: opening deletes it, closing removes it.

That buys the speed: no journal, no sync, and nothing is ever committed, so that pages go to the file only when the
cache is full. Who needs its content again makes it again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath

from harvester.contracts import Fs
from harvester.errors import StorageError

_PRAGMAS = ("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "PRAGMA locking_mode=EXCLUSIVE")


class Scratch:
    """Blocking; for one thread at a time, which need not be the one that made it.

    Args:
        path: the file, in a private directory that exists. None: in memory, or *nowhere* in particular.
        schema: its statements; the last one may begin a transaction.
        doing: what it is for, in errors: ``keep the keys seen``.
        nowhere: where SQLite keeps one without a path; "": in a file of its own that nobody else sees.
    """

    def __init__(
        self, fs: Fs, path: PurePath | None, schema: Sequence[str], *, doing: str, nowhere: str = ":memory:"
    ) -> None:
        self._fs, self._path, self._doing = fs, path, doing
        if path is not None:
            fs.remove(path)
        with self.explained():
            self.database = sqlite3.connect(
                nowhere if path is None else str(path), isolation_level=None, check_same_thread=False
            )
            try:
                for statement in (*_PRAGMAS, *schema):
                    self.database.execute(statement).close()
            except sqlite3.Error:
                self.database.close()
                raise

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raise what SQLite says of the block as a ``StorageError``."""
        try:
            yield
        except sqlite3.Error as error:
            where = f"{self._path}: " if self._path is not None else ""
            raise StorageError(
                f"{where}cannot {self._doing}: {error}. Free some space, then run the same command again. What was "
                "committed before stays valid."
            ) from error

    def close(self) -> None:
        """Close and remove the file; a second call does nothing."""
        self.database.close()
        if self._path is not None:
            self._fs.remove(self._path)
