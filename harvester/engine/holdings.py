"""What a run holds, by key and time, for the sweep that is to prove it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import PurePath
from types import TracebackType
from typing import Self

from harvester.contracts import Fs
from harvester.model import Phase, Walk
from harvester.store.key_table import KeyTable

_TABLE = re.compile(r"held|later|parents|sets|(gone|listed|wanted|left|again|nobody|any)(-[a-z]+)?")


def clear_away(fs: Fs, seen_at: PurePath) -> None:
    """Remove the tables that a dead process has left beside *seen_at*; only the next sweep would do it else."""
    for name in fs.names(seen_at.parent):
        table = name.removeprefix(f"{seen_at.stem}.")
        if table != name and _TABLE.fullmatch(table):
            fs.remove(seen_at.parent / name)
    fs.remove_tree(scratch_beside(seen_at))


def scratch_beside(seen_at: PurePath) -> PurePath:
    """A directory for what a sweep of whole records needs only while it begins."""
    return seen_at.with_suffix(".state")


class Holdings:
    """Two tables: keys met before the sweep began, and keys fetched because of it. A ``Witness`` of the sieve.

    Args:
        at: names the file of a table; None: everything stays in memory.
    """

    def __init__(self, fs: Fs, at: Callable[[str], PurePath] | None) -> None:
        self._fs, self._at = fs, at
        self.before = self.table("held")
        self.later = self.table("later")

    def __call__(
        self, walk: Walk, prints: Sequence[bytes], names: Sequence[bytes], times: Sequence[str | None]
    ) -> None:
        (self.later if walk.phase is Phase.REPAIR else self.before).put(prints, names, times)

    def table(self, name: str) -> KeyTable:
        """One more table beside them, which its caller closes."""
        return KeyTable(self._fs, self._at(name) if self._at is not None else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.before.close()
        self.later.close()
