"""Which records a run already holds: a set on disk, so that it may outgrow memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import PurePath
from types import TracebackType
from typing import Self

import msgspec

from harvester.contracts import Fs
from harvester.errors import StorageError

_CACHE_KIB = 16 * 1024
_encode: Callable[[list[str]], bytes] = msgspec.json.encode


def identity(parts: tuple[str, ...]) -> bytes:
    """*parts* as bytes that no other parts have: each with its length before it.

    Lone surrogates, which JSON text may carry into a key, are kept apart rather than refused.
    """
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(b"%d:%b" % (len(part), part) for part in encoded)


class SeenKeys:
    """The (key, version) pairs a run of a resource already holds, in bounded memory however many.

    A SQLite file that is never trusted after its process has ended: opening deletes it, a resumed run fills it again
    from its shards. That buys the speed: no journal, no sync. A pair is kept as 96 bits of BLAKE2b: among 10^9
    pairs the chance that any two are taken for one is 10^-11.

    Blocking; for one thread at a time, which need not be the one that made it. One page is one statement, so other
    threads run meanwhile.

    Args:
        path: the file, in a private directory that exists. None: in memory, for simulations and small sets.
    """

    def __init__(self, fs: Fs, path: PurePath | None) -> None:
        self._fs = fs
        self._path = path
        self.number = 0  # pairs held
        if path is not None:
            fs.remove(path)
        with self._explained():
            self._database = sqlite3.connect(
                ":memory:" if path is None else str(path), isolation_level=None, check_same_thread=False
            )
            try:
                for pragma in (
                    "journal_mode=OFF",
                    "synchronous=OFF",
                    "locking_mode=EXCLUSIVE",
                    f"cache_size=-{_CACHE_KIB}",
                ):
                    self._database.execute(f"PRAGMA {pragma}").close()
                self._database.execute("CREATE TABLE seen(h TEXT PRIMARY KEY) WITHOUT ROWID").close()
            except sqlite3.Error:
                self._database.close()
                raise

    def fresh(self, identities: Sequence[bytes]) -> list[bool] | None:
        """Which of *identities* are new; from now on all of them are held.

        Args:
            identities: one page's, each as ``identity`` gives it for key and version.
        Returns:
            One truth value for each, False for one held before or standing earlier in the same page; None when all
            are new.
        Raises:
            StorageError: the file cannot be written.
        """
        hashes = [blake2b(one, digest_size=12).hexdigest() for one in identities]
        with self._explained():
            cursor = self._database.execute(
                "INSERT OR IGNORE INTO seen SELECT value FROM json_each(?) RETURNING h", (_encode(hashes).decode(),)
            )
            added = cursor.fetchall()
            cursor.close()
        self.number += len(added)
        if len(added) == len(hashes):
            return None
        left = {row[0] for row in added}
        fresh = []
        for one in hashes:
            fresh.append(one in left)
            left.discard(one)
        return fresh

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
