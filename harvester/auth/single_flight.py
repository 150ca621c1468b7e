"""One call at a time for everyone who asks for its result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class SingleFlight:
    """Whoever joins while a call runs waits for that call instead of starting another (FAULTS A01).

    The call belongs to all who wait: one of them being cancelled does not touch it, the last one being cancelled
    ends it. So it never outlives its callers, and a cancelled caller leaves nothing broken behind (FAULTS R05).
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._waiting = 0

    @property
    def busy(self) -> bool:
        return self._task is not None and not self._task.done()

    async def join(self, call: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Wait for the running call, or start *call* when none runs. Its error reaches everyone who waits."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(call())
            self._waiting = 0
        task = self._task
        self._waiting += 1
        try:
            await asyncio.shield(task)
        finally:
            if task is self._task:
                self._waiting -= 1
                if self._waiting == 0:
                    task.cancel()  # without effect when it is done
                    self._task = None
