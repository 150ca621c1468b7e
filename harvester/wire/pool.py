"""Several credentials for one source: each request goes by the one that may send it first.

A position that is a value may be asked for by any of them. A walk stays with the one it had last while that is free,
and goes to another when it would have to wait. A link or token may be bound to the credential that it was told to, so
whoever goes on with one stays with that credential; when it is refused, the walk begins anew with another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio
import msgspec

from harvester.contracts import Clock, Sink, Transport
from harvester.errors import CredentialsRefused, CursorExpired, HarvesterError, QuotaExhausted
from harvester.events import CredentialLost
from harvester.model import Request, Response
from harvester.wire.errands import errand, on_errand
from harvester.wire.governed import Outrun

_HEAD_START = 0.05
"""Seconds for which a credential that is free is asked alone: its ledger may be slow to answer."""


@dataclass(eq=False, kw_only=True)
class Member:
    """One credential and all that belongs to it."""

    name: str
    stack: Transport  # from ``Renewing`` down to the socket
    next_free: Callable[[], float]  # seconds until its next request may go; infinite: when an open one has ended
    refused: str = ""  # why it is not asked any more
    open: int = 0  # requests under way
    sent: int = 0


class _Race:
    """One request that is put in line with several credentials, and sent by the first one that is admitted."""

    def __init__(self) -> None:
        self.winner: Member | None = None
        self.response: Response | None = None
        self.failures: dict[str, HarvesterError] = {}  # by the names of those that failed
        self._scopes: dict[Member, anyio.CancelScope] = {}

    def enter(self, member: Member, scope: anyio.CancelScope) -> None:
        self._scopes[member] = scope

    def claim(self, member: Member) -> bool:
        """*member* is admitted. True: it sends the request, and nobody else."""
        if self.winner is None:
            self.winner = member
            member.open += 1
            for other, scope in self._scopes.items():
                if other is not member:
                    scope.cancel()
        return self.winner is member


class Pool:
    """Stands where one credential's ``Renewing`` stands in the stack of a source that has only one."""

    def __init__(self, members: Sequence[Member], *, source: str, clock: Clock, sink: Sink) -> None:
        self._members = {member.name: member for member in members}
        self._source, self._clock, self._sink = source, clock, sink
        self._last: dict[str, Member] = {}  # by walk: who sent its last request

    async def send(self, request: Request) -> Response:
        """The answer, with the name of the credential that got it.

        Raises:
            CredentialsRefused: every credential is refused.
            CursorExpired: the request goes on with a link whose credential is refused, or configured no more.
            QuotaExhausted: none may send within the time that the caller is willing to wait.
            HarvesterError: as the stack of the credential that sent it.
        """
        via = errand().via
        if via is not None:
            return await self._bound(request, via)
        while True:
            left = [member for member in self._members.values() if not member.refused]
            if not left:
                raise self._all_refused()
            race = await self._race(request, left)
            if race.response is not None and race.winner is not None:
                return race.response
            error = self._failure(race)
            if error is not None:
                raise error

    # -------------------------------------------------------------- one of them

    async def _bound(self, request: Request, name: str) -> Response:
        member = self._members.get(name)
        if member is None or member.refused:
            why = f"refused ({member.refused})" if member is not None else "not configured"
            raise CursorExpired(
                f"{self._source}: the place of this walk was told to the credential {name or 'of an earlier run'}, "
                f"which is {why}"
            )
        race = await self._race(request, [member])
        if race.response is not None:
            return race.response
        error = self._failure(race)
        if error is not None:
            raise error
        return await self._bound(request, name)

    # -------------------------------------------------------------- the first of them

    async def _race(self, request: Request, members: Sequence[Member]) -> _Race:
        race = _Race()
        first, *others = self._in_order(members)
        # Where nobody is free, whoever is first in any line is served first.
        late = _HEAD_START if first.next_free() <= 0 else 0.0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._enter, race, first, request, 0.0)
            for other in others:
                tasks.start_soon(self._enter, race, other, request, late)
        return race

    async def _enter(self, race: _Race, member: Member, request: Request, late: float) -> None:
        with anyio.CancelScope() as scope:
            race.enter(member, scope)
            try:
                if late and race.winner is None:
                    await self._clock.sleep(late)
                if race.winner is None:
                    await self._run(race, member, request)
            finally:
                if race.winner is member:
                    member.open -= 1

    async def _run(self, race: _Race, member: Member, request: Request) -> None:
        mine = msgspec.structs.replace(errand(), claim=lambda: race.claim(member))
        try:
            with on_errand(mine):
                response = await member.stack.send(request)
        except Outrun:
            return
        except HarvesterError as error:
            race.failures[member.name] = error
            return
        member.sent += 1
        if mine.walk and mine.via is None:  # where one is named, nothing was chosen
            self._last[mine.walk] = member
        race.response = msgspec.structs.replace(response, via=member.name)

    def _in_order(self, members: Sequence[Member]) -> list[Member]:
        """Who is free first, the last one of this walk before others, then whoever has done least."""
        last = self._last.get(errand().walk)

        def rank(member: Member) -> tuple[float, bool, int, int]:
            wait = max(0.0, member.next_free())
            return (wait, member is not last, member.open, member.sent)

        return sorted(members, key=rank)

    # -------------------------------------------------------------- failures

    def _failure(self, race: _Race) -> HarvesterError | None:
        """What became of a race that brought no answer; None: others are to be asked now."""
        for name, error in race.failures.items():
            if isinstance(error, CredentialsRefused):
                self._lose(self._members[name], error)
        if race.winner is not None:
            return None if race.winner.refused else race.failures[race.winner.name]
        told = [error for error in race.failures.values() if not isinstance(error, CredentialsRefused)]
        if not told:
            return None
        exhausted = [error for error in told if isinstance(error, QuotaExhausted)]
        if len(exhausted) == len(told):
            return min(exhausted, key=lambda error: error.resets_at.timestamp() if error.resets_at else math.inf)
        return next(error for error in told if not isinstance(error, QuotaExhausted))

    def _lose(self, member: Member, error: CredentialsRefused) -> None:
        if member.refused:
            return
        member.refused = str(error)
        left = [each.name for each in self._members.values() if not each.refused]
        self._sink(
            CredentialLost(
                at=self._clock.now(), source=self._source, credential=member.name, reason=str(error), left=tuple(left)
            )
        )

    def _all_refused(self) -> CredentialsRefused:
        told = " ".join(member.refused for member in self._members.values())
        error = CredentialsRefused(f"{self._source}: all {len(self._members)} credentials are refused. {told}")
        error.sent = False
        return error
