"""How the keys of a resource are listed, and how what a listing shows to be missing is read again. Pure.

The listing is a walk of its own, in phase ``SWEEP``, with as little of each record as the provider's contract names
for it. What it shows to be missing comes back in phase ``REPAIR``: by key where there is a way, else by a walk
through everything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from msgspec import structs

from harvester.model import Phase, Walk
from harvester.planning.closing import write_instant
from harvester.provider import Provider, Repair

_FEW = 50  # requests
_DEARER = 2  # times
_KEYS_A_WALK = 200  # they stand in every commit of it


def listing_walks(
    provider: Provider, walks: Sequence[Walk], now: datetime, letter: str, whole: bool = False
) -> tuple[Walk, ...]:
    """The walks that list the keys of what *walks* have read: one for each value of the parent.

    Args:
        walks: the full walks; those cut from others, by time or key, are listed as one.
        now: aware UTC; rows that change later need not be waited for.
        letter: of the round.
        whole: compare what the records say: they are listed as a full walk reads them.
    """
    form = provider.listing
    listings = []
    for number, walk in enumerate(_roots(walks)):
        times = form.times and walk.resource.modified is not None
        resource = walk.resource if times or whole else structs.replace(walk.resource, modified=None)
        narrow = form.select.get(resource.name, tuple(member.partition(".")[0] for member in resource.key))
        listings.append(
            structs.replace(
                _unbounded(provider, walk),
                id=f"{letter}{number:02d}",
                resource=resource,
                pager=form.pager or walk.pager,
                phase=Phase.SWEEP,
                enough=write_instant(now, provider.timestamps) if times else None,
                select=walk.select if whole or form.whole else narrow,
                expand=walk.expand if whole else None,
                whole=whole,
                reason="",
            )
        )
    return tuple(listings)


def purges(provider: Provider, walks: Sequence[Walk]) -> bool:
    """Whether a key that the provider lists no more, here or elsewhere, has been deleted.

    Not where a listing looks back no further than some horizon.
    """
    return not any(walk.pager in provider.look_back for walk in walks)


def moved_walks(provider: Provider, walks: Sequence[Walk], letter: str) -> tuple[Walk, ...]:
    """The walks that list the resources to which records of *walks* may have moved; (): there are none.

    Args:
        letter: first of the ids.
    """
    known = {resource.name: resource for resource in provider.resources}
    names = dict.fromkeys(name for walk in walks for name in provider.listing.elsewhere.get(walk.resource.name, ()))
    return tuple(
        Walk(
            id=f"{letter}{number:02d}",
            resource=structs.replace(known[name], key=walks[0].resource.key),
            pager=provider.full,
            phase=Phase.SWEEP,
            headers=walks[0].headers,
        )
        for number, name in enumerate(names)
    )


def ways_of_repair(provider: Provider, walks: Sequence[Walk], keys: int, whole: int) -> tuple[Repair, ...]:
    """How *keys* records can be read again, the best way first: by key unless that is far dearer than everything.

    What a walk has missed it may miss again for the same reason, so a few requests more are well spent.

    Args:
        whole: requests that all of *walks* took.
    """
    filtered = any(walk.filter for walk in walks)
    by_key = [
        Repair(fetcher=name, requests=math.ceil(keys / getattr(fetcher, "most", 1)))
        for name, fetcher in provider.fetchers.items()
        if not filtered or getattr(fetcher, "filters", False)
    ]
    again = Repair(fetcher="", requests=whole)
    cheap = [way for way in by_key if way.requests <= max(_FEW, _DEARER * whole)]
    return (*cheap, again, *(way for way in by_key if way not in cheap))


def repair_walks(
    provider: Provider, walks: Sequence[Walk], way: Repair, keys: Iterable[tuple[str, ...]], letter: str, first: int
) -> Iterator[Walk]:
    """The walks that read *keys* again.

    Args:
        keys: identity values; where the resource has a parent, its value comes first.
        first: number of the first walk.
    """
    roots = {walk.value: walk for walk in _roots(walks)}
    number = first
    if not way.fetcher:
        for walk in roots.values():
            yield structs.replace(_unbounded(provider, walk), id=f"{letter}{number:02d}", phase=Phase.REPAIR, reason="")
            number += 1
        return
    waiting: dict[str | None, list[tuple[str, ...]]] = {}

    def repair(value: str | None, batch: list[tuple[str, ...]]) -> Walk:
        return structs.replace(
            _unbounded(provider, roots[value]),
            id=f"{letter}{number:02d}",
            pager=way.fetcher,
            phase=Phase.REPAIR,
            keys=tuple(batch),
            reason="",
        )

    scoped = None not in roots
    for key in keys:
        value = key[0] if scoped else None
        batch = waiting.setdefault(value, [])
        batch.append(key[1:] if scoped else key)
        if len(batch) == _KEYS_A_WALK:
            yield repair(value, waiting.pop(value))
            number += 1
    for value, batch in waiting.items():
        yield repair(value, batch)
        number += 1


def _roots(walks: Sequence[Walk]) -> tuple[Walk, ...]:
    """One of *walks* for each value: they differ in their bounds only."""
    return tuple({walk.value: walk for walk in reversed(walks)}.values())[::-1]


def _unbounded(provider: Provider, walk: Walk) -> Walk:
    """*walk* without the bounds that cut it from others; where it looks back from an instant, that stays."""
    until = walk.until if walk.pager in provider.look_back else None
    return structs.replace(walk, since=None, until=until, above=None, below=None, undated=False, part_of="")
