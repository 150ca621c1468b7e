"""A hard limit over a period, as a sliding log of what was sent. Pure: times come in as monotonic seconds.

A log, not a bucket: a leaky or token bucket of size N lets up to 2N through in one window (FAULTS Q03). An entry
counts for one whole period from the time it is given, which the governor takes at the *response*: when exactly the
server counted the request is not known better than that. So the log is legal for fixed windows of any phase, for
sliding windows and for token buckets alike (FAULTS Q01, Q02).
"""

from __future__ import annotations

import math
from bisect import insort
from collections import deque

EXACT = 2048
"""Up to this many entries are kept one by one; a larger log is kept in as many coarse buckets."""

_TOUCH = 1e-6
"""Seconds by which an entry may go early: a sleep to its very end must not need a second sleep of rounding error."""

_MEMORY = 30.0
"""Seconds for which expired entries are remembered, to compare with answers that are still under way."""


class SlidingLog:
    """What was spent in the last *seconds*, in requests or in bytes.

    Memory is bounded: past ``EXACT`` entries a window is split into ``EXACT`` buckets, and an entry counts until its
    bucket's end plus the period. The error is on the safe side and below 0.05 % of the period.
    """

    __slots__ = ("_entries", "_gone", "_grain", "_total", "limit", "seconds")

    def __init__(self, limit: float, seconds: float, *, coarse: bool = False) -> None:
        """*limit* may be infinite: the log only counts. *coarse*: buckets, for more than ``EXACT`` entries."""
        self.limit = limit
        self.seconds = seconds
        self._grain = seconds / EXACT if coarse else 0.0
        self._entries: deque[tuple[float, int, float]] = deque()  # (expires at, amount, sent at), soonest first
        self._gone: deque[tuple[float, int]] = deque()  # (went at, amount)
        self._total = 0

    def add(self, at: float, amount: int = 1, sent: float | None = None) -> None:
        """Count *amount* from *at* for one period; out of order is fine (another process's entry, a restart).

        *sent*: the server counted it no earlier; None: nothing is known of that.
        """
        if sent is None:
            sent = at
        if self._grain:
            at = math.ceil(at / self._grain) * self._grain
        expires = at + self.seconds
        entries = self._entries
        self._total += amount
        if not entries or expires > entries[-1][0]:
            entries.append((expires, amount, sent))
        elif self._grain and expires == entries[-1][0]:
            entries[-1] = (expires, entries[-1][1] + amount, expires)
        else:
            self._insert(expires, amount, sent)

    def _insert(self, expires: float, amount: int, sent: float) -> None:
        ordered = list(self._entries)
        if self._grain:
            for index, (when, held, _) in enumerate(ordered):
                if when == expires:
                    self._entries[index] = (expires, held + amount, expires)
                    return
        insort(ordered, (expires, amount, sent))
        self._entries = deque(ordered)

    def used(self, now: float) -> int:
        """What still counts at *now*."""
        entries = self._entries
        while entries and entries[0][0] <= now + _TOUCH:
            entry = entries.popleft()
            self._total -= entry[1]
            self._gone.append(entry[:2])
        gone = self._gone
        while gone and gone[0][0] <= now - _MEMORY:
            gone.popleft()
        return self._total

    def expired_since(self, then: float) -> int:
        """What stopped counting after *then* (at most half a minute back): a server asked *then* still counted it."""
        return sum(amount for went, amount in self._gone if went > then)

    def certain(self, then: float) -> int:
        """What was entered before *then*, so that any request sent after *then* came to the server behind it."""
        return sum(amount for expires, amount, _ in self._entries if expires - self.seconds < then)

    def wait(self, now: float, need: int, held: int) -> float:
        """Seconds until *need* more fits beside *held*, what open requests will take; 0: now.

        Infinite: no expiry makes room, only open requests that settle or are released. A *need* above the limit is
        let through alone: one page larger than the whole window would else never be asked for.
        """
        total = self.used(now)
        excess = total + held + min(need, self.limit) - self.limit
        if excess <= 0:
            return 0.0
        for expires, amount, _ in self._entries:
            excess -= amount
            if excess <= 0:
                return expires - now
        return math.inf

    def next_end(self, now: float) -> float | None:
        """When the oldest entry stops counting (monotonic); None: nothing counts."""
        return self._entries[0][0] if self.used(now) and self._entries else None

    def forget(self, amount: int) -> None:
        """Drop the oldest *amount*: the server has shown that it no longer counts them."""
        while amount > 0 and self._entries:
            expires, held, sent = self._entries.popleft()
            self._total -= held
            if held > amount:
                self._entries.appendleft((expires, held - amount, sent))
                self._total += held - amount
            amount -= held

    def release(self, counted: int, sent: float, now: float) -> None:
        """The server still counted *counted* when a request came that was sent at *sent* and is answered *now*.

        What had been answered before *sent* came before it. If that is more than *counted*, the oldest have gone: but
        only those that a period ago can have been under way are let go, whatever a server may say.
        """
        if self._grain:
            return
        excess = self.used(now) - counted
        for expires, amount, _ in reversed(self._entries):
            if expires - self.seconds <= sent:
                break
            excess -= amount
        while excess > 0 and self._entries and self._entries[0][2] + self.seconds <= now:
            _, amount, _ = self._entries.popleft()
            self._total -= amount
            excess -= amount
            self._gone.append((now, amount))

    def __len__(self) -> int:
        """Entries kept, for those who watch the memory."""
        return len(self._entries)
