"""Work that ends at once when the run is asked to stop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from harvester.errors import HarvesterError

T = TypeVar("T")


async def unless_stopped(stop: anyio.Event, call: Callable[[], Awaitable[T]]) -> tuple[T | None, bool]:
    """(result, False), or (None, True) when *stop* was set first and *call* was cancelled (FAULTS R02).

    For single questions, which may wait for their quota as long as any page.
    """
    if stop.is_set():
        return None, True
    result: list[T] = []
    failure: HarvesterError | None = None

    async def watch(scope: anyio.CancelScope) -> None:
        await stop.wait()
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch, tasks.cancel_scope)
        try:
            result.append(await call())
        except HarvesterError as error:
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return (result[0], False) if result else (None, True)
