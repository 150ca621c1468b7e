"""The fetches of one walk that are under way, and the pages that came of them."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskGroup

from harvester.engine.fetched import Fetched
from harvester.errors import HarvesterError

Outcome = Fetched | HarvesterError | None
"""A page, why it cannot be had, or None: an answer came of which nothing can be used."""


class Fetches:
    """Runs fetches in *tasks*, which the caller owns, and keeps what they bring until it is taken."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self.running = 0
        self.ready = 0  # pages and errors that are not taken yet
        self._results_in, self._results = anyio.create_memory_object_stream[Fetched | HarvesterError](math.inf)
        self._scopes: set[anyio.CancelScope] = set()
        self._closed = False

    def start(self, fetch: Callable[[], Awaitable[Fetched | None]], then: Callable[[Outcome], None]) -> None:
        """Begin *fetch*; *then* hears what came of it, before anybody can take it."""
        self.running += 1
        self._tasks.start_soon(self._deliver, fetch, then)

    def put(self, outcome: Outcome) -> None:
        """Let *outcome* be taken as if it had been fetched."""
        if outcome is not None:
            self.ready += 1
            self._results_in.send_nowait(outcome)

    async def take(self) -> Fetched:
        """The next page to arrive. Raises HarvesterError: one cannot be had."""
        outcome = await self._results.receive()
        self.ready -= 1
        if isinstance(outcome, HarvesterError):
            raise outcome
        return outcome

    def cancel(self) -> None:
        """End those under way; what they would bring is not wanted any more."""
        for scope in tuple(self._scopes):
            scope.cancel()
        self.running = 0

    def close(self) -> None:
        """End those under way, also those that have not begun yet, for good."""
        self._closed = True
        self.cancel()
        self._results_in.close()
        self._results.close()

    async def _deliver(self, fetch: Callable[[], Awaitable[Fetched | None]], then: Callable[[Outcome], None]) -> None:
        if self._closed:  # a stop came before the event loop got here
            return
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                outcome: Outcome = await fetch()
            except HarvesterError as error:
                outcome = error
            finally:
                self._scopes.discard(scope)
            if not scope.cancel_called:
                self.running -= 1
                self.put(outcome)
                then(outcome)
