"""Tells the events of a shared stack to whoever sent the request they belong to."""

from __future__ import annotations

from contextvars import ContextVar

from harvester.contracts import Sink, Transport
from harvester.events import Event
from harvester.model import Request, Response


class Lanes:
    """One stack, shared because its breaker and retry budget are the source's; many senders, each with a sink.

    Build the stack with ``lanes.sink`` as its sink, then give every sender ``lanes.open(stack, its_sink)``.
    """

    def __init__(self, default: Sink) -> None:
        """*default* gets what no sender caused, e.g. a token renewed for several of them at once."""
        self._default = default
        self._sender: ContextVar[Sink | None] = ContextVar("sender", default=None)

    def sink(self, event: Event) -> None:
        """The sink of the stack itself."""
        (self._sender.get() or self._default)(event)

    def open(self, stack: Transport, sink: Sink) -> Transport:
        """The stack, for one sender."""
        return _Lane(stack, sink, self._sender)


class _Lane:
    def __init__(self, stack: Transport, sink: Sink, sender: ContextVar[Sink | None]) -> None:
        self._stack, self._sink, self._sender = stack, sink, sender

    async def send(self, request: Request) -> Response:
        token = self._sender.set(self._sink)
        try:
            return await self._stack.send(request)
        finally:
            self._sender.reset(token)
