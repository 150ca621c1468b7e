"""What the engine needs of the planner to list the keys of a resource and to read some of its records again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from harvester.model import PageRequest, Walk
from harvester.provider import Repair


@dataclass(frozen=True, kw_only=True)
class Reconcile:
    """Pure functions of the full walks of a run."""

    # From the full walks, now (aware UTC), the first letter of the ids, and whether whole records are to be compared.
    listings: Callable[[Sequence[Walk], datetime, str, bool], tuple[Walk, ...]]
    # From the full walks, the number of keys, and the requests that all of it takes: the best way first.
    ways: Callable[[Sequence[Walk], int, int], tuple[Repair, ...]]
    # The walks that read these keys again; the parent's value comes first in a key. Letter and first number of ids.
    repairs: Callable[[Sequence[Walk], Repair, Iterable[tuple[str, ...]], str, int], Iterator[Walk]]
    # From the full walks and the first letter of the ids: those that list where records may have moved to. (): nowhere.
    elsewhere: Callable[[Sequence[Walk], str], tuple[Walk, ...]]
    # From the full walks: whether a key that is listed no more has been deleted.
    purges: Callable[[Sequence[Walk]], bool]
    # Asks for what lies behind so many records; None: the provider cannot be asked.
    beyond: Callable[[Walk, int], PageRequest] | None = None
