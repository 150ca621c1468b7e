"""Stops asking a server that only fails, and finds out with one request at a time when it is back (FAULTS S01)."""

from __future__ import annotations

import asyncio

from harvester.contracts import Clock


class Breaker:
    """Closed: everyone passes. Open: nobody does. After a pause one probe passes, and its end decides for all."""

    def __init__(self, clock: Clock, *, threshold: int = 5, pause: float = 5.0, longest: float = 60.0) -> None:
        """*threshold*: failures in a row that open it; *pause*: seconds to the first probe, doubling to *longest*."""
        self._clock = clock
        self._threshold = threshold
        self._first_pause = self._pause = pause
        self._longest = longest
        self._failures = 0  # in a row, over all callers
        self._until: float | None = None  # monotonic; None: closed
        self._probing = False
        self._news = asyncio.Event()

    async def enter(self) -> bool:
        """Wait until a request may be sent. True: the caller is the probe and must report how it ended."""
        while self._until is not None:
            remaining = self._until - self._clock.monotonic()
            if remaining > 0:
                await self._clock.sleep(remaining)
            elif self._probing:
                await self._news.wait()
            else:
                self._probing = True
                return True
        return False

    def succeeded(self) -> None:
        """An answer came, of whatever kind but failure."""
        self._failures = 0
        self._pause = self._first_pause
        self._until = None
        self._end_probe()

    def failed(self, *, probe: bool) -> None:
        """A request failed. Failures of requests sent before the opening change nothing any more."""
        self._failures += 1
        if probe or (self._until is None and self._failures >= self._threshold):
            self._until = self._clock.monotonic() + self._pause
            self._pause = min(self._longest, self._pause * 2)
        if probe:
            self._end_probe()

    def abandoned(self, *, probe: bool) -> None:
        """A request ended without telling anything of the server (cancelled, never sent)."""
        if probe:
            self._end_probe()

    def _end_probe(self) -> None:
        self._probing = False
        self._news.set()
        self._news = asyncio.Event()
