"""Which records a run already holds: a set on disk, so that it may outgrow memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from hashlib import blake2b
from pathlib import PurePath
from types import TracebackType
from typing import Self

import msgspec

from harvester.contracts import Fs
from harvester.errors import StorageError

_CACHE_KIB = 16 * 1024
_KEY_BYTES, _VERSION_BYTES = 12, 8
_encode: Callable[[list[str]], bytes] = msgspec.json.encode


def identity(parts: tuple[str, ...]) -> bytes:
    """*parts* as bytes that no other parts have: each with its length in characters before it.

    Lone surrogates, which JSON text may carry into a key, are kept apart rather than refused.
    """
    return "".join([f"{len(part)}:{part}" for part in parts]).encode("utf-8", "surrogatepass")


class Novelty(Enum):
    """What a run knew of a record before it was admitted."""

    NEW_KEY = "new key"
    NEW_VERSION = "new version"  # the key is held, in other versions
    HELD = "held"  # this very version is held

    @property
    def is_new_key(self) -> bool:
        return self is Novelty.NEW_KEY

    @property
    def is_new_version(self) -> bool:
        """It must be written; a new key is one, too."""
        return self is not Novelty.HELD


class SeenKeys:
    """The keys, and the versions of each, that a run of a resource already holds; bounded memory however many.

    A SQLite file that is never trusted after its process has ended: opening deletes it, a resumed run fills it again
    from its shards. That buys the speed: no journal, no sync. A key is kept as 96 bits of BLAKE2b: among 10^9 keys
    the chance that any two are taken for one is 10^-11. Versions are compared within a key only, so 64 bits do.

    Blocking; for one thread at a time, which need not be the one that made it. One page is one statement, so other
    threads run meanwhile.

    Args:
        path: the file, in a private directory that exists. None: in memory, for simulations and small sets.
    """

    def __init__(self, fs: Fs, path: PurePath | None) -> None:
        self._fs = fs
        self._path = path
        self.number = 0  # keys held, whatever their versions
        if path is not None:
            fs.remove(path)
        with self._explained():
            self._database = sqlite3.connect(
                ":memory:" if path is None else str(path), isolation_level=None, check_same_thread=False
            )
            try:
                for statement in (
                    "PRAGMA journal_mode=OFF",
                    "PRAGMA synchronous=OFF",
                    "PRAGMA locking_mode=EXCLUSIVE",
                    f"PRAGMA cache_size=-{_CACHE_KIB}",
                    "CREATE TABLE held(k TEXT PRIMARY KEY, v TEXT) WITHOUT ROWID",  # the first version of each key
                    "CREATE TABLE later(h TEXT PRIMARY KEY) WITHOUT ROWID",  # key and version of all others
                ):
                    self._database.execute(statement).close()
            except sqlite3.Error:
                self._database.close()
                raise

    def admit(self, keys: Sequence[tuple[str, ...]], versions: Sequence[str]) -> list[Novelty] | None:
        """What is new of one page; from now on all of it is held.

        Args:
            keys: one page's, identity values as text.
            versions: of each, e.g. the modification time.
        Returns:
            One for each record, duplicates within the page told like any other; None when all are new keys.
        Raises:
            StorageError: the file cannot be written.
        """
        hashes = [
            blake2b(identity(key), digest_size=_KEY_BYTES).hexdigest()
            + blake2b(version.encode("utf-8", "surrogatepass"), digest_size=_VERSION_BYTES).hexdigest()
            for key, version in zip(keys, versions, strict=True)
        ]
        with self._explained():
            new = self._insert(
                "INSERT OR IGNORE INTO held SELECT substr(value, 1, 24), substr(value, 25) FROM json_each(?) "
                "RETURNING k || v",
                hashes,
            )
            self.number += len(new)
            if len(new) == len(hashes):
                return None
            first = self._rows(
                "SELECT k || v FROM held WHERE k IN (SELECT substr(value, 1, 24) FROM json_each(?))", hashes
            )
            # The first time a pair stands in the page decides; the second time it is held already.
            later = self._insert(
                "INSERT OR IGNORE INTO later SELECT value FROM json_each(?) RETURNING h",
                [one for one in hashes if one not in first],
            )
        novelty = []
        for one in hashes:
            if one in new:
                new.discard(one)
                novelty.append(Novelty.NEW_KEY)
            elif one in later:
                later.discard(one)
                novelty.append(Novelty.NEW_VERSION)
            else:
                novelty.append(Novelty.HELD)
        return novelty

    def _insert(self, statement: str, hashes: list[str]) -> set[str]:
        """The hashes that were not there before."""
        return self._rows(statement, hashes) if hashes else set()

    def _rows(self, statement: str, hashes: list[str]) -> set[str]:
        cursor = self._database.execute(statement, (_encode(hashes).decode(),))
        try:
            return {row[0] for row in cursor.fetchall()}
        finally:
            cursor.close()

    def close(self) -> None:
        """Close and remove the file; a second call does nothing."""
        self._database.close()
        if self._path is not None:
            self._fs.remove(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(
                f"{self._path or 'key index'}: cannot keep the keys seen: {error}. Free some space, then run the same "
                "command again. What was committed before stays valid."
            ) from error
