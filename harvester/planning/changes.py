"""What it takes to stay current, as earlier runs tell: how much has changed nobody knows before it was asked. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median_low

from msgspec import Struct

from harvester.model import Phase
from harvester.store.manifest import Manifest

REMEMBERED = 20
"""Runs of a kind that an estimate looks back to."""


class Usual(Struct, frozen=True, kw_only=True):
    """Runs of one kind, in the middle."""

    requests: int
    records: int
    most: int  # requests of the one that needed most
    runs: int  # that were looked at


def usual(runs: Sequence[tuple[Manifest, int]], mode: str) -> Usual | None:
    """What the last complete runs of *mode* needed; None: there was none.

    Args:
        runs: oldest first, with how many runs each stands for.
    """
    requests: list[int] = []
    records: list[int] = []
    for manifest, times in reversed(runs):
        if manifest.mode == mode and manifest.verdict == "complete":
            more = min(times, REMEMBERED - len(requests))
            requests += [manifest.requests] * more
            records += [manifest.records] * more
    if not requests:
        return None
    return Usual(requests=median_low(requests), records=median_low(records), most=max(requests), runs=len(requests))


def least_of_listing(records: int | None, page_size: int | None, walks: int) -> int:
    """Requests that a listing of *records* takes at least; what differs is fetched besides."""
    if records is None or not page_size:
        return walks
    return max(walks, math.ceil(records / page_size))


def kind_of(mode: str, *, goes_on: bool, keyed: bool) -> str:
    """What a run in *mode* does with a resource: ``full``, ``delta``, ``sweep``; "": it refuses.

    Args:
        goes_on: there is a complete harvest with these settings, and changes to it can be told.
        keyed: its records can be told from each other, and nobody takes its values.
    """
    if mode == Phase.FULL or not keyed or (mode == "auto" and not goes_on):
        return Phase.FULL
    if not goes_on:
        return ""
    return Phase.SWEEP if mode == Phase.SWEEP else Phase.DELTA
