"""How much may be asked side by side: by several credentials, and by the walks of one resource. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harvester.model import Budget, Window

LATENCY = 1.0  # seconds of one request, generously: one lane too many costs a request or two


def together(budgets: Sequence[Budget]) -> Budget:
    """What several credentials may do side by side, for estimates; nobody is admitted by it.

    A window that not all of them have is left out: the one without it is not held back.
    """
    if len(budgets) == 1:
        return budgets[0]
    kinds = [{(window.seconds, window.requests is None): window for window in budget.windows} for budget in budgets]
    shared = [kind for kind in kinds[0] if all(kind in other for other in kinds)]
    windows = []
    for seconds, in_bytes in shared:
        same = [windows_of[seconds, in_bytes] for windows_of in kinds]
        total = sum((window.bytes if in_bytes else window.requests) or 0 for window in same)
        windows.append(Window(seconds=seconds, bytes=total) if in_bytes else Window(seconds=seconds, requests=total))
    return Budget(
        windows=tuple(windows),
        in_flight=min(256, sum(budget.in_flight for budget in budgets)),
        margin=min(budget.margin for budget in budgets),
        reserve=min(budget.reserve for budget in budgets),
    )


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
