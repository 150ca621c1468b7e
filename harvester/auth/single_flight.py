"""One call at a time for everyone who asks for its result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import anyio


class SingleFlight:
    """Whoever joins while a call runs waits for that call instead of starting another (FAULTS A01).

    The call runs in a task of its own. Those who wait may be cancelled, also the last of them: it goes on, and whoever
    comes next joins it (FAULTS R05). Were it ended with them, callers that are cancelled one after another would begin
    it again and again, and it would never come to its end. ``close`` ends it.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        return self._task is not None and not self._task.done()

    async def join(self, call: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Wait for the running call, or start *call* when none runs. Its error reaches everyone who waits."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(call())
            self._task.add_done_callback(_heard)
        await asyncio.shield(self._task)

    async def close(self) -> None:
        """End the call under way; returns when it has ended. Nobody may wait for it any more."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([self._task])


def _heard(task: asyncio.Task[None]) -> None:
    """An error that comes when nobody waits is nobody's: the next caller meets it again."""
    if not task.cancelled():
        task.exception()
