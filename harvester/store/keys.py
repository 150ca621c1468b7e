"""Which records a run already holds: a set on disk, so that it may outgrow memory."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from hashlib import blake2b
from pathlib import PurePath
from struct import Struct
from types import TracebackType
from typing import Self

import msgspec

from harvester.contracts import Fs
from harvester.errors import StorageError

_CACHE_KIB = 16 * 1024
_INDEX_BITS = 20  # of a page's row; larger pages are refused
_TWO = Struct("=qq").unpack
_ONE = Struct("=q").unpack

_SCHEMA = (
    "PRAGMA journal_mode=OFF",
    "PRAGMA synchronous=OFF",
    "PRAGMA locking_mode=EXCLUSIVE",
    f"PRAGMA cache_size=-{_CACHE_KIB}",
    "CREATE TABLE held(k INTEGER PRIMARY KEY, place INTEGER)",  # every key, and where its first version stands
    "CREATE TABLE pages(id INTEGER PRIMARY KEY, versions BLOB)",  # those versions, 8 bytes a row of the page
    "CREATE TABLE later(v INTEGER PRIMARY KEY)",  # all other versions
    "BEGIN",  # and never committed: pages go to the file only when the cache is full, not after each statement
)
_HOLD = "INSERT OR IGNORE INTO held SELECT value, ?2 + key FROM json_each(?1)"
_KEEP = "INSERT INTO pages VALUES (?, ?)"
_FIND = f"""
    SELECT place, substr(versions, (place & {(1 << _INDEX_BITS) - 1}) * 8 + 1, 8)
    FROM json_each(?) AS asked JOIN held ON held.k = asked.value JOIN pages ON pages.id = place >> {_INDEX_BITS}
    ORDER BY asked.key
"""  # noqa: S608 - no text from outside
_ADD = "INSERT OR IGNORE INTO later SELECT value FROM json_each(?) RETURNING v"


def identity(parts: tuple[str, ...]) -> bytes:
    """*parts* as bytes that no other parts have: each with its length in characters before it.

    Lone surrogates, which JSON text may carry into a key, are kept apart rather than refused.
    """
    if len(parts) == 1:  # by far the most, and this runs for every record
        return f"{len(parts[0])}:{parts[0]}".encode("utf-8", "surrogatepass")
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
    from its shards. That buys the speed: no journal, no sync, and one statement a page where all keys are new.

    Nothing is taken for held that is not, in practice: it takes two keys of equal 64 bits of BLAKE2b whose versions
    agree in another 64. The first alone (chance 10^-6 among 5 million keys) counts one key too few.

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
                for statement in _SCHEMA:
                    self._database.execute(statement).close()
            except sqlite3.Error:
                self._database.close()
                raise
        self._pages = 0

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
        if len(keys) >> _INDEX_BITS:
            raise StorageError(f"a page of {len(keys):,} records is too large to be checked for duplicates.")
        names, marks = array("q"), array("q")
        for key, version in zip(keys, versions, strict=True):
            name, salt = _TWO(blake2b(identity(key), digest_size=16).digest())
            names.append(name)
            marks.append(salt ^ hash(version))  # compared in this process only, so the built-in hash does
        asked = _json(names)
        page = self._pages << _INDEX_BITS
        with self._explained():
            new = self._run(_HOLD, (asked, page)).rowcount
            self._run(_KEEP, (self._pages, marks.tobytes()))
            self.number += new
            self._pages += 1
            if new == len(names):
                return None
            places = [(place, _ONE(mark)[0]) for place, mark in self._run(_FIND, (asked,)).fetchall()]
            others = [mine for mine, (_, first) in zip(marks, places, strict=True) if mine != first]
            later = {row[0] for row in self._run(_ADD, (_json(others),)).fetchall()}
        novelty = []
        for here, (mark, (place, _)) in enumerate(zip(marks, places, strict=True), start=page):
            if place == here:
                novelty.append(Novelty.NEW_KEY)
            elif mark in later:
                later.discard(mark)  # the same again, further down the page, is held already
                novelty.append(Novelty.NEW_VERSION)
            else:
                novelty.append(Novelty.HELD)
        return novelty

    def _run(self, statement: str, values: tuple[object, ...]) -> sqlite3.Cursor:
        return self._database.execute(statement, values)

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


def _json(numbers: Iterable[int]) -> str:
    return msgspec.json.encode(list(numbers)).decode()
