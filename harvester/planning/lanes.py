"""How many walks of one resource are of use side by side: as many as the quota can feed. Pure."""

from __future__ import annotations

import math

from harvester.model import Budget

LATENCY = 1.0  # seconds of one request, generously: one lane too many costs a request or two


def useful_lanes(budget: Budget, pages: float) -> int:
    """Lanes for *pages* that are still to come.

    Where all of them fit into a window, it holds nobody back. Where they do not, the window's rate decides: one walk
    alone keeps 20 requests a minute busy, and several would only end, one by one, with a request more each.
    """
    lanes = budget.in_flight
    for window in budget.windows:
        if window.requests is not None and pages > window.requests:
            lanes = min(lanes, math.ceil(window.requests / window.seconds * LATENCY))
    return max(1, lanes)
