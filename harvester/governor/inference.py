"""What a refusal that names no limit teaches all the same: how many requests fit between two known instants. Pure.

The wait that a server asks for ends when there is room again. So at that instant a fixed window begins, and the one
that refused began a period earlier; of a sliding window, the oldest counted request came a period earlier. Either
way what was accepted in the period before that instant is the limit. The period is taken to be the shortest usual
one that is not shorter than the wait. Waits are whole seconds and answers take time, so the number is only known
between bounds; of the numbers between them, limits are the round ones.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

PERIODS = (1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 86_400.0)
"""Seconds; the windows that terms speak of."""

_WHOLE = 1.0  # seconds by which a wait may have been rounded up
_STEPS = (10_000, 5_000, 1_000, 500, 250, 100, 50, 20, 10, 5, 2, 1)


class Guess(Struct, frozen=True):
    """A window that explains a refusal."""

    seconds: float
    limit: int


def infer(
    accepted: Iterable[tuple[float, float]], sent: float, now: float, wait: float, *, beside: int = 0
) -> Guess | None:
    """The window behind a refusal; None: too little went before it to tell.

    Args:
        accepted: when each accepted request was admitted and answered (monotonic), the first ever included.
        sent: when the refused request was admitted.
        now: when its answer came.
        wait: seconds that the answer asks for.
        beside: requests still open beside it, which may have been accepted.
    """
    seconds = next((period for period in PERIODS if period >= wait), None)
    if seconds is None:
        return None
    earliest, latest = sent + wait - _WHOLE - seconds, now + wait - seconds  # the window began between these
    surely, possibly = 0, beside
    for admitted, answered in accepted:
        surely += admitted >= latest
        possibly += answered >= earliest
    if possibly < 2:
        return None  # nothing, or nearly nothing, went before it
    return Guess(seconds, roundest(max(1, surely), possibly))


def roundest(least: int, most: int) -> int:
    """The roundest number from *least* to *most*; of several, the largest."""
    for step in _STEPS:
        if most // step * step >= least:
            return most // step * step
    return most
