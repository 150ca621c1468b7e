"""Waits for the governor before each request, and tells it what the answer said about the quota."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import msgspec

from harvester.contracts import Clock, SignalReader, Transport
from harvester.errors import BodyIncomplete, ConnectionFailed, HarvesterError, Throttled, TimedOut
from harvester.governor.line import Priority
from harvester.model import Action, RateSignal, Request, Response
from harvester.wire.counted import was_sent
from harvester.wire.errands import errand
from harvester.wire.redaction import printable

Ticket = TypeVar("Ticket")


class Admitting(Protocol[Ticket]):
    """What this layer asks of ``harvester.governor``, whose ticket it carries and never opens."""

    async def admit(self, priority: Priority, *, lane: str, weight: float, urgent_at: float) -> Ticket:
        """Returns when one more request may be sent; see ``Errand``."""
        ...

    def usable(self, ticket: Ticket) -> bool:
        """Whether what was decided then still holds now."""
        ...

    def settle(self, ticket: Ticket, wire_bytes: int, *, answered: bool = True) -> None:
        """The request was sent; *wire_bytes* of body came back. Not *answered*: no whole answer came."""
        ...

    def release(self, ticket: Ticket) -> None:
        """The request was never sent."""
        ...

    def observe(self, signal: RateSignal) -> None:
        """What an answer says, told just before its ``settle``."""
        ...


class Outrun(Exception):
    """Another credential was admitted first and sends the request; heard by ``wire.pool`` only."""


class Governed(Generic[Ticket]):
    """Every admission ends in exactly one of: settled (it may have counted) or released (it was never sent)."""

    def __init__(
        self,
        inner: Transport,
        governor: Admitting[Ticket],
        signals: SignalReader,
        *,
        source: str,
        clock: Clock,
        claims: bool = True,
    ) -> None:
        """*claims*: what it admits may be asked of several credentials at once, and is sent by the first only."""
        self._inner = inner
        self._governor = governor
        self._signals = signals
        self._source = source
        self._clock = clock
        self._claims = claims

    async def send(self, request: Request) -> Response:
        """Raises ``Throttled`` after telling the governor, which pauses everyone who shares the credential."""
        ticket = await self._admitted()
        try:
            response = await self._inner.send(request)
        except BaseException as exc:
            if was_sent(exc):
                self._governor.settle(ticket, 0, answered=_was_answered(exc))
            else:
                self._governor.release(ticket)
            raise
        try:
            signal = self._signals(response, self._clock.now())
            verdict = response.verdict
            if verdict.action is not Action.THROTTLED:
                self._governor.observe(signal)
                return response
            # Header, body and verdict may name different waits; the longest one is safe (FAULTS S04).
            wait = max(verdict.wait or 0.0, signal.retry_after or 0.0)
            reason = printable(verdict.reason)
            evidence = signal.evidence or reason
            self._governor.observe(
                msgspec.structs.replace(signal, refused=True, retry_after=wait or None, evidence=evidence)
            )
        finally:
            self._governor.settle(ticket, response.wire_bytes)
        shown = f"status {response.status}{': ' if reason else ''}{reason}"
        raise Throttled(f"{self._source}: refused for quota reasons ({shown}).", wait=wait)

    async def _admitted(self) -> Ticket:
        now = errand()
        while True:
            ticket = await self._governor.admit(now.priority, lane=now.lane, weight=now.weight, urgent_at=now.urgent_at)
            if self._governor.usable(ticket):
                if self._claims and now.claim is not None and not now.claim():
                    self._governor.release(ticket)
                    raise Outrun
                return ticket
            self._governor.release(ticket)


def _was_answered(error: BaseException) -> bool:
    """Whether *error* is a reading of an answer, not the want of one: latency tells the governor of load."""
    return isinstance(error, HarvesterError) and not isinstance(error, ConnectionFailed | TimedOut | BodyIncomplete)
