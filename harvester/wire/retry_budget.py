"""How much of the traffic may be repeats, so that a failing server is not kept down by them (FAULTS Q10)."""

from __future__ import annotations

from harvester.contracts import Clock


class RetryBudget:
    """A bucket of repeats: each first try puts in a tenth of one, each second a whole one.

    The share bounds the load when much is asked; the trickle lets a slow walk repeat at all. An empty bucket delays a
    repeat and never forbids it: how often to try is decided per request. Repeats are let through in the order in
    which they were asked for, and none waits longer than *longest* for it, however many failed at once.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        share: float = 0.1,
        per_second: float = 1.0,
        capacity: float = 10.0,
        longest: float = 30.0,
    ) -> None:
        """*share*: repeats earned by one first try; *per_second*: repeats earned by time; *capacity*: most kept;
        *longest*: seconds a repeat waits at most."""
        self._clock = clock
        self._share = share
        self._per_second = per_second
        self._capacity = capacity
        self._deepest = -longest * per_second  # a debt beyond would be paid by requests that had no part in it
        self._tokens = capacity
        self._seen = clock.monotonic()

    def deposit(self) -> None:
        """A request was made for the first time."""
        self._add(self._share)

    def withdraw(self) -> float:
        """Take one repeat; the seconds it must wait for, 0 when the bucket held one. Debts queue up in order."""
        now = self._clock.monotonic()
        self._add((now - self._seen) * self._per_second)
        self._seen = now
        self._tokens = max(self._deepest, self._tokens - 1)
        return max(0.0, -self._tokens / self._per_second)

    def _add(self, tokens: float) -> None:
        self._tokens = min(self._capacity, self._tokens + tokens)
