"""Which walk reads which value: the same one as in an earlier attempt, whatever order the values come in now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import structs

from harvester.model import Phase, Walk
from harvester.store.commits import Commit


def assign(walks: Sequence[Walk], earlier: Mapping[str, tuple[Commit, ...]]) -> list[Walk]:
    """*walks*, each with the id under which its value was committed before; new values get the next free ids.

    Args:
        walks: the full walks as they are planned now.
        earlier: the commits of every walk of the run, by walk id.
    Returns:
        Walks with commits as they were committed, so that what was begun is finished in the same way. A value that
        has gone from the parent keeps what was read of it: its walk is among them too, at the end.
    """
    known = {
        commits[-1].walk.value: commits[-1].walk
        for commits in earlier.values()
        if commits and commits[-1].walk.phase is Phase.FULL
    }
    taken = {walk.id for walk in known.values()}
    free = (name for index in range(len(walks) + len(taken)) if (name := f"w{index:02d}") not in taken)
    assigned = [
        known.pop(walk.value) if walk.value in known else structs.replace(walk, id=next(free)) for walk in walks
    ]
    return [*assigned, *known.values()]
