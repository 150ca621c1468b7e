"""Quotas as servers keep them: windows of several kinds, per credential, with or without counting refusals.

Times are ``Ask.elapsed`` seconds; periods are divided by the sandbox's time scale. Nothing here is shared with the
client's governor, whose mistakes it must be able to show.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

GRACE = 0.05
"""Seconds an answer may take to reach the client: a request that arrives earlier crossed it on the way."""

_ROUNDING = 1e-6  # seconds: who waits as told is never early by the error of a sum
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """At most *requests* in *seconds* of the provider's time.

    kind: ``sliding`` any such span; ``fixed`` windows one after another, the first *phase* seconds after the start
    of the sandbox; ``clock`` fixed to the wall clock (a clock hour); ``first`` a window begins with the first request
    after the last one ended.
    """

    name: str  # for the log, e.g. "20 per 1m"
    requests: int
    seconds: float
    kind: Literal["sliding", "fixed", "clock", "first"] = "sliding"
    phase: float = 0.0


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """One window as it stands after a request was counted."""

    limit: Limit
    used: int  # may exceed the limit where refusals count
    reset: float  # ``Ask.elapsed`` at which there is room again (sliding) or the window ends

    @property
    def remaining(self) -> int:
        return max(0, self.limit.requests - self.used)


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What the quota says to one request."""

    refused: Limit | None  # the window that was over; of several, the one that lasts longest
    wait: float  # seconds until every window has room; 0 when not refused
    paused: bool  # it came inside a pause its credential had been told about
    windows: tuple[Usage, ...]  # in the order of the limits


def period_text(seconds: float) -> str:
    """A period as ``1d``, ``15m``, ``90s``: whole, in the largest fitting unit, never shorter than it is."""
    whole = max(1, math.ceil(seconds - 1e-9))
    for unit, size in _UNITS:
        if whole % size == 0:
            return f"{whole // size}{unit}"
    raise AssertionError("every whole number divides by one second")


class Pauses:
    """What clients were told: nothing before an instant. For the log, not for refusing."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[float, float]] = {}

    def announce(self, credential: str, now: float, until: float) -> None:
        """*credential* was told at *now* to stay silent until *until*; a shorter pause never ends a longer one."""
        since, last = self._told.get(credential, (now, now))
        if until > last:
            self._told[credential] = (since if now < last else now, until)

    def inside(self, credential: str, now: float) -> bool:
        """Does a request at *now* break a pause its sender can have known about?"""
        since, until = self._told.get(credential, (math.inf, -math.inf))
        return since + GRACE <= now < until


class _Window:
    """The count of one credential in one limit."""

    def __init__(self, limit: Limit, seconds: float, scale: float) -> None:
        self.limit = limit
        self._seconds = seconds
        self._phase = limit.phase / scale
        self._log: deque[float] = deque()  # sliding: when each counted request came
        self._count = 0
        self._start = -math.inf  # of the current window, other kinds

    def turn(self, now: datetime, elapsed: float) -> None:
        """Forget what has left the window."""
        limit = self.limit
        if limit.kind == "sliding":
            while self._log and self._log[0] + self._seconds <= elapsed + _ROUNDING:
                self._log.popleft()
            self._count = len(self._log)
            return
        if limit.kind == "first":
            if self._start + self._seconds <= elapsed + _ROUNDING:
                self._start, self._count = elapsed, 0
            return
        shift = self._phase
        if limit.kind == "clock":
            shift = elapsed - now.timestamp() % self._seconds
        start = shift + math.floor((elapsed - shift) / self._seconds + _ROUNDING) * self._seconds
        if start > self._start + _ROUNDING:
            self._start, self._count = start, 0

    def full(self, cost: int) -> bool:
        return self._count + cost > self.limit.requests

    def add(self, elapsed: float, cost: int) -> None:
        self._count += cost
        if self.limit.kind == "sliding":
            self._log.extend([elapsed] * cost)

    def usage(self, elapsed: float) -> Usage:
        return Usage(limit=self.limit, used=self._count, reset=self._reset(elapsed))

    def _reset(self, elapsed: float) -> float:
        if self.limit.kind != "sliding":
            return self._start + self._seconds
        if not self._log:
            return elapsed
        over = max(0, len(self._log) - self.limit.requests)  # so many must leave, and one more
        return self._log[min(over, len(self._log) - 1)] + self._seconds


class Quota:
    """The limits of one provider, counted for each credential by itself.

    Args:
        limits: all must have room. (): nothing is ever refused.
        time_scale: periods are divided by it.
        counts_refused: a refused request uses up every window too, so a client that does not stop never gets in.
    """

    def __init__(self, limits: Sequence[Limit], *, time_scale: float = 1.0, counts_refused: bool = False) -> None:
        self.limits = tuple(limits)
        self._scale = time_scale
        self._counts_refused = counts_refused
        self._windows: dict[str, tuple[_Window, ...]] = {}
        self._pauses = Pauses()

    def seconds(self, limit: Limit) -> float:
        """Length of a window of *limit* in the sandbox's time."""
        return limit.seconds / self._scale

    def budget(self) -> list[dict[str, float]]:
        """The limits as ``windows`` of a client's budget."""
        return [{"requests": limit.requests, "seconds": self.seconds(limit)} for limit in self.limits]

    def take(self, credential: str, now: datetime, elapsed: float, *, cost: int = 1) -> Decision:
        """Count one request of *credential* and decide about it."""
        windows = self._windows.get(credential)
        if windows is None:
            windows = tuple(_Window(limit, self.seconds(limit), self._scale) for limit in self.limits)
            self._windows[credential] = windows
        for window in windows:
            window.turn(now, elapsed)
        full = [window for window in windows if window.full(cost)]
        if not full or self._counts_refused:
            for window in windows:
                window.add(elapsed, cost)
        usages = tuple(window.usage(elapsed) for window in windows)
        resets = {usage.limit: usage.reset for usage in usages}
        worst = max((window.limit for window in full), key=lambda limit: resets[limit], default=None)
        return Decision(
            refused=worst,
            wait=0.0 if worst is None else max(0.0, resets[worst] - elapsed),
            paused=self._pauses.inside(credential, elapsed),
            windows=usages,
        )

    def announce(self, credential: str, elapsed: float, until: float) -> None:
        """The answer given at *elapsed* tells *credential* to wait until *until*; later requests are marked."""
        self._pauses.announce(credential, elapsed, until)
