"""Keys with the latest version of each, more of them than memory holds, compared part by part.

A table is cut into parts by the first byte of each key's fingerprint. Fingerprints are as good as random, so the
parts are of one size, two tables are cut alike, and a comparison needs one part of each at a time: some 40,000 keys
when there are ten million.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from types import TracebackType
from typing import Self

import msgspec

from harvester.contracts import Fs
from harvester.store.scratch import Scratch

PARTS = 256
_BUFFERED = 50_000  # keys in memory before they go to the file
_RANK = 4  # bytes before a time
_BRACE = b"{"  # no time has one
_SCHEMA = (
    "PRAGMA cache_size=-2048",
    "CREATE TABLE blocks(part INTEGER, rows BLOB)",
    "CREATE INDEX by_part ON blocks(part)",
    "BEGIN",  # and never committed: nothing here outlives its process
)

Part = dict[bytes, tuple[bytes, bytes]]
"""By fingerprint: the key as ``identity`` gives it, and its modification time as the provider wrote it, b"": none."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[bytes, bytes, bytes]]).decode


class KeyTable:
    """In a file that is never trusted after its process has ended. Blocking; for one thread at a time.

    Args:
        path: the file, in a private directory that exists. None: in memory.
        buffered: keys kept in memory before they go to the file.
    """

    def __init__(self, fs: Fs, path: PurePath | None, *, buffered: int = _BUFFERED, nowhere: str = ":memory:") -> None:
        self._buffered = buffered
        self._rows: Part = {}
        self._scratch = Scratch(fs, path, _SCHEMA, doing="keep the keys to compare", nowhere=nowhere)
        self._database = self._scratch.database

    @classmethod
    def temporary(cls, fs: Fs) -> Self:
        """One in a file of the system's own temporary directory, which nobody else sees and which goes by itself."""
        return cls(fs, None, nowhere="")

    def put(
        self,
        prints: Sequence[bytes],
        names: Sequence[bytes],
        times: Sequence[str | None],
        *,
        rank: int = 0,
        yields: bool = False,
    ) -> None:
        """Add keys; of one that is there already, the version with the higher rank, then the later time, stands.

        Args:
            prints: of each, its ``fingerprint``.
            names: of each, its ``identity``.
            times: of each, its modification time as the provider wrote it; None: it has none. What
                begins with a brace behind it comes along, and makes no version older.
            rank: of all of them, 0 to 2^31 - 1.
            yields: they stand only where they are not older than a version of a lower rank, put before them.
        """
        rows, front = self._rows, (rank << 1 | yields).to_bytes(_RANK, "big")
        for mark, name, time in zip(prints, names, times, strict=True):
            text = front if time is None else front + time.encode("utf-8", "surrogatepass")
            known = rows.get(mark)
            if known is None or (known[1] < text and not (yields and _is_older(text, known[1]))):
                rows[mark] = (name, text)
        if len(rows) >= self._buffered:
            self._spill()

    def part(self, place: int) -> Part:
        """The keys of one of ``PARTS`` parts; each once, with its latest time."""
        if self._rows:
            self._spill()
        rows: Part = {}
        with self._scratch.explained():
            blocks = self._database.execute("SELECT rows FROM blocks WHERE part = ?", (place,)).fetchall()
        for (block,) in blocks:
            for mark, name, time in _decode(block):
                known = rows.get(mark)
                if known is None or (known[1] < time and not (time[_RANK - 1] & 1 and _is_older(time, known[1]))):
                    rows[mark] = (name, time)
        return {mark: (name, time[_RANK:]) for mark, (name, time) in rows.items()}

    def rows(self) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Every key once: fingerprint, identity, time."""
        for place in range(PARTS):
            for mark, (name, time) in self.part(place).items():
                yield mark, name, time

    def clear(self) -> None:
        """Forget everything."""
        self._rows = {}
        with self._scratch.explained():
            self._database.execute("DELETE FROM blocks").close()

    def close(self) -> None:
        """Close and remove the file; a second call does nothing."""
        self._scratch.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _spill(self) -> None:
        parts: list[list[tuple[bytes, bytes, bytes]]] = [[] for _ in range(PARTS)]
        for mark, (name, time) in self._rows.items():
            parts[mark[0]].append((mark, name, time))
        self._rows = {}
        with self._scratch.explained():
            self._database.executemany("INSERT INTO blocks VALUES (?, ?)", _blocks(parts))


def _is_older(one: bytes, other: bytes) -> bool:
    """Whether of two times, each behind a rank, the first is known and lies before the other."""
    return b"" < one[_RANK:].partition(_BRACE)[0] < other[_RANK:].partition(_BRACE)[0]


def _blocks(parts: Iterable[list[tuple[bytes, bytes, bytes]]]) -> Iterator[tuple[int, bytes]]:
    for place, rows in enumerate(parts):
        if rows:
            yield place, _encode(rows)
