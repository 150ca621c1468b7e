"""The quota of a simulator as the ``windows`` of a client's budget."""

from __future__ import annotations

from harvester.sandbox.quota import Quota


def budget_windows(quota: Quota) -> list[dict[str, float]]:
    """Every limit of *quota* in the sandbox's time, and in real time too where the two differ.

    A provider's declared window is only replaced by one of the same length: with a shortened hour alone, the
    declared 250 requests in a real one would still hold.
    """
    windows = quota.budget()
    for limit in quota.limits:
        scaled = quota.seconds(limit)
        if scaled < limit.seconds:
            windows.append({"requests": int(limit.requests * limit.seconds / scaled), "seconds": limit.seconds})
    return windows
