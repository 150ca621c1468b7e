"""How many requests a plan needs and how long they take under the quota. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from harvester.model import Budget


class Forecast(Struct, frozen=True, kw_only=True):
    """What a plan expects of one credential."""

    requests: int
    seconds: float
    binding: str  # the window that decides, in words; "" when latency does


def requests_for(records: int | None, page_size: int | None, *, ends_on_empty: bool) -> int | None:
    """Requests to read *records* by pages of *page_size*; None when either is unknown.

    Args:
        ends_on_empty: the walk ends only at a page without new records, which costs one request more.
    """
    if records is None or not page_size:
        return None
    return max(1, math.ceil(records / page_size) + (1 if ends_on_empty else 0))


def forecast(requests: int, budget: Budget, *, seconds_per_request: float, spent: Sequence[int] = ()) -> Forecast:
    """When *requests* are done if every window is used fully and greedily.

    Args:
        spent: requests already used in each window of *budget*, in its order; missing ones are 0.
    Returns:
        Seconds from now. A window of N per P seconds lets ``N - spent`` go at once and N more every P seconds.
    """
    latency = requests * seconds_per_request / budget.in_flight
    longest, binding = latency, ""
    for index, window in enumerate(budget.windows):
        if window.requests is None:
            continue
        limit = max(1, math.floor(window.requests * (1 - budget.margin) * (1 - budget.reserve)))
        used = spent[index] if index < len(spent) else 0
        free = max(0, limit - used)
        rounds = math.ceil(max(0, requests - free) / limit)
        seconds = rounds * window.seconds
        if seconds > longest:
            longest, binding = seconds, f"{window.requests} requests per {window.seconds:g} s"
    return Forecast(requests=requests, seconds=longest, binding=binding)
