"""Which sets a run of a related resource reads, and what became of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from harvester.engine.parents import Parent, changed
from harvester.errors import HarvesterError
from harvester.model import Phase, Relation, Resource, Walk
from harvester.provider import SETS
from harvester.store.key_table import KeyTable
from harvester.store.keys import fingerprint, identity

_KEYS_A_WALK = 200  # they stand in every commit of it
_FEW = 3  # sets that may be refused before
_ONE_IN = 10  # it is told from one refused in so many that no more of them is to be had


class SetWork:
    """The sets of those parents whose stamps have moved, or of all.

    Args:
        parents: those to look at. *held*: those whose sets are held, with the stamps of that time.
        as_new_as: newest run of the parent resource that *parents* are from.
        letter: of the ids of its walks. *first*: number of the first of them.
    """

    def __init__(
        self,
        resource: Resource,
        parents: KeyTable,
        held: KeyTable,
        *,
        select: tuple[str, ...],
        page_size: int | None,
        as_new_as: str,
        letter: str,
        first: int,
    ) -> None:
        if resource.relation is None:
            raise ValueError(f"{resource.name} is no related resource")
        self.relation: Relation = resource.relation
        self._resource, self._parents, self._held = resource, parents, held
        self.select, self._page_size, self._as_new_as = select, page_size, as_new_as
        self._letter, self._number = letter, first
        self._own = [place for place, name in enumerate(resource.key) if name != self.relation.member]
        self._stamps: dict[tuple[str, ...], bytes | None] = {}
        self._open = {_mark(parent.key) for parent in changed(parents, held)}  # sets that are still to be read
        self.sets = len(self._open)
        self.done = 0
        self.absent = 0  # their parents are not there any more
        self.refused: list[str] = []  # why sets could not be read

    def walks(self) -> Iterator[Walk]:
        """One after the other: each reads some sets at a time."""
        parents = changed(self._parents, self._held)
        while batch := list(islice(parents, _KEYS_A_WALK)):
            self._stamps = {parent.key: parent.stamps for parent in batch}
            yield self._walk(batch)

    def needs(self, key: tuple[str, ...]) -> bool:
        """Whether the set of the parent *key* is still to be read."""
        return _mark(key) in self._open

    def stamps_of(self, parent: tuple[str, ...]) -> bytes | None:
        """What the parent, of the walk that is under way, told of its set before it was asked for."""
        return self._stamps[parent]

    def own_key(self, key: tuple[str, ...]) -> tuple[str, ...]:
        """What tells a record from the others of its set."""
        return tuple(key[place] for place in self._own)

    def read(self, parent: tuple[str, ...]) -> None:
        """The set of *parent* has been read."""
        self._open.discard(_mark(parent))
        self.done += 1

    def not_read(self, parent: tuple[str, ...], error: HarvesterError | None) -> None:
        """The set of *parent* could not be read. None: the parent is not there any more.

        Raises:
            HarvesterError: *error*, when so many were refused that the others will be.
        """
        self._open.discard(_mark(parent))
        if error is None:
            self.absent += 1
            return
        self.refused.append(str(error))
        if len(self.refused) > _FEW + self.done // _ONE_IN:
            raise error

    def _walk(self, parents: Sequence[Parent]) -> Walk:
        walk = Walk(
            id=f"{self._letter}{self._number:06d}",
            resource=self._resource,
            pager=SETS,
            phase=Phase.SETS,
            page_size=self._page_size,
            select=self.select,
            keys=tuple(parent.key for parent in parents),
            as_new_as=self._as_new_as,
        )
        self._number += 1
        return walk


def _mark(key: tuple[str, ...]) -> int:
    """Eight bytes that stand for *key*: a key that is taken for another costs a set too much in an answer."""
    return int.from_bytes(fingerprint(identity(key))[:8], "big")
