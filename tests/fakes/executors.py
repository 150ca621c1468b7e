"""Executors that run jobs at once, or only when told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


def _perform(future: Future[Any], call: Callable[[], Any]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:
        future.set_exception(error)


class InlineExecutor(Executor):
    """Runs every job inside ``submit``: no threads, no waiting, one order."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        _perform(future, lambda: fn(*args, **kwargs))
        return future


class HeldExecutor(Executor):
    """Runs a job only when ``release`` is called: a disk as slow as the test wants (FAULTS F11)."""

    def __init__(self) -> None:
        self._held: deque[tuple[Future[Any], Callable[[], Any]]] = deque()

    @property
    def waiting(self) -> int:
        return len(self._held)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._held.append((future, lambda: fn(*args, **kwargs)))
        return future

    def release(self, jobs: int = 1) -> None:
        """Run the oldest *jobs* jobs now, in this thread."""
        for _ in range(min(jobs, len(self._held))):
            _perform(*self._held.popleft())
