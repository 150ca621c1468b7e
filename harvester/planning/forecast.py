"""How many requests a resource needs, and in what order they can be made. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from harvester.model import Phase, Walk
from harvester.provider import SETS, Provider
from harvester.store.manifest import Manifest

_PROVING = frozenset({Phase.SWEEP, Phase.REPAIR})  # walks of a proof: the next run need not be proven
Stages = tuple[tuple[int, ...], ...]
"""Requests of each chain; the chains of one stage go side by side, the stages follow each other."""


class Forecast(Struct, frozen=True, kw_only=True):
    """What a plan expects of one source."""

    requests: int
    bytes: int | None  # bodies on the wire; None: no run has measured a page yet
    seconds: float  # from now until its last resource has ended
    binding: str  # what is waited for longest, in words; "" when nothing but the answers themselves
    waited: float = 0.0  # seconds for which the quota of its credential lets nothing go


class Measured(Struct, frozen=True, kw_only=True):
    """What earlier runs tell of one request; None: none was measured."""

    seconds: float | None = None  # mean, from sending to the last byte
    wire_bytes: float | None = None  # mean body


def measured(runs: Sequence[Manifest]) -> Measured:
    """The mean request of *runs*, those of earlier releases left out: they measured nothing."""
    walks = [walk for run in runs for walk in run.walks if walk.requests and (walk.seconds or walk.wire_bytes)]
    requests = sum(walk.requests for walk in walks)
    if not requests:
        return Measured()
    return Measured(
        seconds=sum(walk.seconds for walk in walks) / requests,
        wire_bytes=sum(walk.wire_bytes for walk in walks) / requests,
    )


def stages_of(
    provider: Provider, walk: Walk, records: int | None, walks: int | None, last: Manifest | None
) -> Stages | None:
    """The requests of a full walk and what goes with it; None when nobody can tell.

    Args:
        walk: any one of the resource's walks.
        records: expected; None: unknown.
        walks: how many there will be; None: unknown.
        last: the last finished run, which is better than reckoning.
    """
    if last is not None and records is not None and any(each.requests for each in last.walks):
        return _as_last_time(last, records)
    if walk.pager == SETS:  # how many parents there are nobody knows before they are read
        return None
    first = provider.pagers[walk.pager].first(walk)
    size = first.size or walk.page_size
    if walks is None or (records is None and (size is not None or provider.count is not None)):
        return None
    dated = walk.resource.modified is not None
    if records is None:
        pages: int | None = walks  # a snapshot is one request whatever it holds
    else:
        pages = requests_for(records, size, ends_on_empty=True)
        pages = None if pages is None else pages + walks - 1
    if pages is None:
        return None
    anchors = provider.anchor is not None and dated
    full = tuple(each + anchors for each in _spread(pages, walks))
    closing = (1,) * walks if provider.closing is not None and dated else ()
    counts = (walks,) if provider.count is not None and records is not None else ()
    return tuple(stage for stage in (full, closing, counts) if stage)


def requests_for(records: int | None, page_size: int | None, *, ends_on_empty: bool) -> int | None:
    """Requests to read *records* by pages of *page_size*; None when either is unknown.

    Args:
        ends_on_empty: the walk ends only at a page without new records, which costs one request more.
    """
    if records is None or not page_size:
        return None
    return max(1, math.ceil(records / page_size) + (1 if ends_on_empty else 0))


def _as_last_time(last: Manifest, records: int) -> Stages:
    """What the last run needed, its full walks longer by as much as the resource has grown."""
    growth = records / last.records if last.records else 1.0
    rounds: dict[str, list[int]] = {}
    for each in last.walks:
        if each.phase not in _PROVING:
            rounds.setdefault(each.id[:1], []).append(each.requests)
    # w: the full walks; then c, d, e: the rounds of the closing delta.
    names = sorted(rounds, key=lambda name: (name != "w", name))
    stages = [tuple(math.ceil(each * growth) if name == "w" else each for each in rounds[name]) for name in names]
    beside = last.requests - sum(each.requests for each in last.walks)  # counts, anchors, tokens, repeats
    return (*stages, (beside,)) if beside > 0 else tuple(stages)


def _spread(requests: int, chains: int) -> tuple[int, ...]:
    """*requests* as evenly as they go into *chains*."""
    if chains < 1:
        return ()
    each, more = divmod(requests, chains)
    return tuple(each + (index < more) for index in range(chains))
