"""How many different records a walk has met, whatever became of them: what a count can be held against.

A delta's count is of records, and pages may bring one twice (FAULTS P10, P11) or bring what is held already and is not
written. So each is counted once, by its key, or by what it says where it has none (P14).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from msgspec import Raw
from xxhash import xxh3_64_intdigest

from harvester.model import Phase, Walk
from harvester.store.keys import identity


class Met:
    """Of those walks whose end only a count can show: about 70 bytes of memory a record.

    They are deltas, and closing deltas, which are small beside what they are deltas of. A walk that goes on where an
    earlier attempt stopped knows what that one wrote, not what it passed over: it may count too few, never too many.

    Args:
        linked: names of the pagers whose walks end where no link leads on.
        every: full walks count, too: those of a value that is new in a delta.
    """

    def __init__(self, linked: Collection[str], *, every: bool) -> None:
        self._linked, self._every = frozenset(linked), every
        self._seen: dict[str, set[int]] = {}  # by walk

    def add(
        self,
        walk: Walk,
        keys: Sequence[tuple[str, ...] | None],
        records: Sequence[bytes | Raw],
        rejected: Iterable[bytes] = (),
    ) -> int | None:
        """Take a page of *walk*; how many it has met by now. None: of this walk they are not counted.

        Args:
            keys: of each of *records*; None where it has none.
            rejected: what else came, and could not even be read.
        """
        if walk.pager not in self._linked or not (self._every or walk.phase in {Phase.CLOSING, Phase.DELTA}):
            return None
        seen = self._seen.setdefault(walk.id, set())
        seen.update(
            xxh3_64_intdigest(b"?" + bytes(record) if key is None else identity(key))
            for key, record in zip(keys, records, strict=True)
        )
        seen.update(xxh3_64_intdigest(b"?" + record) for record in rejected)
        return len(seen)

    def without(self, walk: Walk, keys: Iterable[tuple[str, ...]]) -> int:
        """How many of those that *walk* has met are none of *keys*."""
        return len(self._seen.get(walk.id, set()).difference(xxh3_64_intdigest(identity(key)) for key in keys))
