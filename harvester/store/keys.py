"""Which records a run already holds: a set on disk, so that it may outgrow memory."""

from __future__ import annotations

import sqlite3
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import Enum
from hashlib import sha256
from operator import lt, xor
from pathlib import PurePath
from struct import Struct
from types import TracebackType
from typing import Self

import msgspec

from harvester.contracts import Fs
from harvester.errors import StorageError
from harvester.store.scratch import Scratch

_CACHE_KIB = 16 * 1024  # for the index, which is read and written everywhere
_LEAST_CACHE_KIB = 1024  # as long as pages are only put behind each other
_INDEX_BITS = 20  # of a page's row; larger pages are refused
_PRINT_WORDS = 4  # numbers of 8 bytes in a fingerprint
_ORDERED_FROM = 200  # records: a smaller page in order costs more memory than its statement costs time
_ONE = Struct("=q").unpack

_SCHEMA = (
    f"PRAGMA cache_size=-{_LEAST_CACHE_KIB}",
    "CREATE TABLE held(k INTEGER PRIMARY KEY, place INTEGER)",  # every key, and where its first version stands
    # Names of the keys (for pages in order only) and those versions, 8 bytes a row of the page.
    "CREATE TABLE pages(id INTEGER PRIMARY KEY, names BLOB, versions BLOB)",
    "CREATE TABLE later(v INTEGER PRIMARY KEY)",  # all other versions
    "BEGIN",  # and never committed: pages go to the file only when the cache is full, not after each statement
)
_HOLD = "INSERT OR IGNORE INTO held SELECT value, ?2 + key FROM json_each(?1)"
_KEEP = "INSERT INTO pages VALUES (?, ?, ?)"
_NAMES = "SELECT names FROM pages WHERE id = ?"
_INDEX = "INSERT OR IGNORE INTO held VALUES (?, ?)"
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


def parts_of(key: bytes) -> tuple[str, ...]:
    """The parts that ``identity`` made *key* of."""
    text, parts = key.decode("utf-8", "surrogatepass"), []
    while text:
        length, _, text = text.partition(":")
        parts.append(text[: int(length)])
        text = text[int(length) :]
    return tuple(parts)


def fingerprint(key: bytes) -> bytes:
    """32 bytes that stand for a key, given as its ``identity``: half of them in the index, all in the digest."""
    return sha256(key).digest()


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


class _Walked:
    """The pages of one scope that came in the order of their keys: each begins behind all that came before it."""

    def __init__(self) -> None:
        self.top = b""  # the largest key so far, of whatever page
        self.firsts: list[bytes] = []  # first keys of the pages in order
        self.pages: list[int] = []  # and the numbers of these pages


class SeenKeys:
    """The keys, and the versions of each, that a run of a resource already holds; bounded memory however many.

    A SQLite file that is never trusted after its process has ended: opening deletes it, a resumed run fills it again
    from its shards. That buys the speed: no journal, no sync, and one statement a page where all keys are new.

    Pages that come in the order of their keys, as most servers send them, are not even indexed: a key beyond all
    that came before is new. Such a page is kept as it is, and its key range tells where to look when a key comes
    that is not beyond all others; only what is found is then put into the index.

    Nothing is taken for held that is not, in practice: it takes two keys of equal 64 bits of SHA-256 whose versions
    agree in another 64. The first alone (chance 10^-6 among 5 million keys) counts one key too few.

    Blocking; for one thread at a time, which need not be the one that made it. One page is one statement, so other
    threads run meanwhile.

    Args:
        path: the file, in a private directory that exists. None: in memory, for simulations and small sets.
        ordered_from: records a page must have to be kept in order.
    """

    def __init__(self, fs: Fs, path: PurePath | None, *, ordered_from: int = _ORDERED_FROM) -> None:
        self._ordered_from = ordered_from
        self.number = 0  # keys held, whatever their versions
        self._scratch = Scratch(fs, path, _SCHEMA, doing="keep the keys seen")
        self._database = self._scratch.database
        self._pages = 0
        self._indexed = False  # whether any page came out of order
        self._walked: defaultdict[str, _Walked] = defaultdict(_Walked)  # by scope

    def admit(
        self, keys: Sequence[bytes], prints: Sequence[bytes], versions: Sequence[bytes], scope: str = ""
    ) -> list[Novelty] | None:
        """What is new of one page; from now on all of it is held.

        Args:
            keys: one page's, as ``identity`` gives them.
            prints: of each, its ``fingerprint``.
            versions: of each, 8 bytes that stand for it.
            scope: keys of different scopes are never equal; in each, pages may come in the order of the keys.
        Returns:
            One for each record, duplicates within the page told like any other; None when all are new keys.
        Raises:
            StorageError: the file cannot be written.
        """
        if not keys:
            return None
        if len(keys) >> _INDEX_BITS:
            raise StorageError(f"a page of {len(keys):,} records is too large to be checked for duplicates.")
        words = array("q", b"".join(prints))
        names = words[::_PRINT_WORDS]
        marks = array("q", map(xor, words[1::_PRINT_WORDS], array("q", b"".join(versions))))
        page = self._pages << _INDEX_BITS
        walked = self._walked[scope]
        in_order = len(keys) >= self._ordered_from and walked.top < keys[0] and all(map(lt, keys, keys[1:]))
        with self._scratch.explained():
            self._run(_KEEP, (self._pages, names.tobytes() if in_order else None, marks.tobytes()))
            self._pages += 1
            walked.top = max(walked.top, *keys)
            if in_order:
                walked.firsts.append(keys[0])
                walked.pages.append(self._pages - 1)
                self.number += len(keys)
                return None
            if not self._indexed:
                self._run(f"PRAGMA cache_size=-{_CACHE_KIB}", ()).close()
                self._indexed = True
            self._index(walked, keys, names)
            asked = _json(names)
            new = self._run(_HOLD, (asked, page)).rowcount
            self.number += new
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

    def _index(self, walked: _Walked, keys: Sequence[bytes], names: Sequence[int]) -> None:
        """Put those of *keys* that a page kept in order holds into the index."""
        wanted: dict[int, list[int]] = {}  # by the one page whose range they are in
        for key, name in zip(keys, names, strict=True):
            if place := bisect_right(walked.firsts, key):
                wanted.setdefault(walked.pages[place - 1], []).append(name)
        for page, asked in wanted.items():
            held = array("q", self._run(_NAMES, (page,)).fetchone()[0])
            places = {name: row for row, name in enumerate(held, start=page << _INDEX_BITS)}
            found = [(name, places[name]) for name in asked if name in places]
            self._database.executemany(_INDEX, found)

    def _run(self, statement: str, values: tuple[object, ...]) -> sqlite3.Cursor:
        return self._database.execute(statement, values)

    def close(self) -> None:
        """Close and remove the file; a second call does nothing."""
        self._scratch.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _json(numbers: Iterable[int]) -> str:
    return msgspec.json.encode(list(numbers)).decode()
