"""Which walk reads which value: the same one as in an earlier attempt, whatever order the values come in now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import structs

from harvester.engine.parts import root_of
from harvester.model import Phase, Walk
from harvester.store.commits import Commit

_FIRST = frozenset({Phase.FULL, Phase.DELTA})
_LETTERS = "wn"  # first letters of the ids of walks that a run begins with; others read some of it again


def assign(walks: Sequence[Walk], earlier: Mapping[str, tuple[Commit, ...]]) -> list[Walk]:
    """*walks*, each with the id under which its value was committed before; new values get the next free ids.

    Args:
        walks: the walks that the run begins with, as they are planned now: full ones, or those of a delta.
        earlier: the commits of every walk of the run, by walk id.
    Returns:
        Walks with commits as they were committed, so that what was begun is finished in the same way. A value that
        has gone from the parent keeps what was read of it: its walk is among them too, at the end. Parts that a walk
        was cut into are not among them; they belong to the one they were cut from.
    """
    full = [
        commits[-1].walk
        for name, commits in earlier.items()
        if commits and commits[-1].walk.phase in _FIRST and name[0] in _LETTERS
    ]
    known = {walk.value: walk for walk in full if not walk.part_of}
    # A walk may have died when a part was cut off from it, and before it had a commit of its own.
    names = {walk.value: root_of(walk.id) for walk in full}
    taken = {name[1:] for name in names.values()}
    free = (number for index in range(len(walks) + len(taken)) if (number := f"{index:02d}") not in taken)
    assigned = [
        known.pop(walk.value)
        if walk.value in known
        else structs.replace(walk, id=names[walk.value] if walk.value in names else walk.id[0] + next(free))
        for walk in walks
    ]
    return [*assigned, *known.values()]
