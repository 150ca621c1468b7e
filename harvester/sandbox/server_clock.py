"""The clock of a sandbox, whose wall time can be made wrong (fault ``skew``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from harvester.contracts import Clock


class ServerClock:
    """Another clock with its wall time *skew* seconds off; durations stay right."""

    def __init__(self, inner: Clock) -> None:
        self._inner = inner
        self.skew = 0.0

    def now(self) -> datetime:
        return self._inner.now() + timedelta(seconds=self.skew)

    def monotonic(self) -> float:
        return self._inner.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)

    @contextmanager
    def shifted(self, seconds: float) -> Iterator[None]:
        """Wall time is *seconds* further off inside the block."""
        self.skew += seconds
        try:
            yield
        finally:
            self.skew -= seconds
