"""A quota of bytes, as servers keep it: so much of answers' bodies in any period, counted as they go on the wire."""

from __future__ import annotations

import math
from collections import deque

import msgspec

_ROUNDING = 1e-6


class ByteLimit(msgspec.Struct, frozen=True, kw_only=True):
    """At most *bytes* in any *seconds* of the sandbox's time."""

    bytes: int
    seconds: float
    told: bool = False  # in the fields of the IETF draft, with every answer

    @property
    def name(self) -> str:
        """For the log."""
        return f"{self.bytes} bytes per {self.seconds:g} s"


class Volume:
    """What one credential was served in the last period."""

    def __init__(self, limit: ByteLimit) -> None:
        self._limit = limit
        self._log: deque[tuple[float, int]] = deque()  # (when, bytes)
        self._total = 0

    def wait(self, elapsed: float, size: int) -> float:
        """Seconds until a body of *size* bytes may be served; 0: now.

        One larger than the whole limit is served when nothing else counts: it could never be had else.
        """
        while self._log and self._log[0][0] + self._limit.seconds <= elapsed + _ROUNDING:
            self._total -= self._log.popleft()[1]
        excess = self._total + size - max(self._limit.bytes, size)
        if excess <= 0:
            return 0.0
        for at, served in self._log:
            excess -= served
            if excess <= 0:
                return at + self._limit.seconds - elapsed
        raise AssertionError("all of it goes within one period")

    def add(self, elapsed: float, size: int) -> None:
        """*size* bytes are served now."""
        self._log.append((elapsed, size))
        self._total += size

    def fields(self, elapsed: float) -> tuple[tuple[str, str], ...]:
        """What is left, as the drafts tell it; the Reset is that of the oldest body that still counts."""
        limit = self._limit
        if not limit.told:
            return ()
        resets = math.ceil(self._log[0][0] + limit.seconds - elapsed) if self._log else math.ceil(limit.seconds)
        return (
            ("RateLimit-Policy", f'"volume";q={limit.bytes};w={limit.seconds:g};qu="content-bytes"'),
            ("RateLimit", f'"volume";r={max(0, limit.bytes - self._total)};t={resets}'),
        )
