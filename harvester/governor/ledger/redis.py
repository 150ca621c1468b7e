"""A ledger in Redis or Valkey: shares a credential's quota between containers. Needs the extra ``redis``.

What a turn does is told in ``turn.py``. One task per ledger talks to the server, one turn at a time: for whoever
wants to send, for what has ended, and once a second to renew the lease of what is open. A turn whose answer is lost is
asked for again, unchanged, until it is answered, so nothing is written twice and nothing is left out.

If the server is silent for half a second nothing is sent (fail closed): callers wait, and after half a minute the run
ends with status 75. With a *share*, each process goes on with that part of every window for itself instead.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from harvester.contracts import Clock, Rng
from harvester.errors import HarvesterError, StorageError, WaitError
from harvester.governor.account import Account
from harvester.governor.ledger.entries import Ages, Entry, news_of, told
from harvester.governor.ledger.news import News, from_the_beginning
from harvester.governor.ledger.store import SILENCE, QuotaStore, Silent
from harvester.governor.ledger.turn import Outcome, Turn
from harvester.model import Budget, WindowSignal

_PATIENCE = 30.0  # seconds of silence after which the run ends
_RETRY = 0.1
_HEARTBEAT = 1.0
# Seconds. Longer than a living process may stall: a request it was about to send must still be counted when it goes
# out. Shorter than anybody waits gladly for the units of one that has died.
_LEASE = 10.0
_LATE = 60.0  # a request of a dead process was counted by the server at most this long after its admission
_KEEP_AT_LEAST = 86_400.0  # seconds; a window that was told may be longer than those declared
_PRUNE_EVERY = 100  # turns
_AT_ONCE = 500  # entries written in one turn at most


class _Ask:
    """Somebody who wants to send."""

    __slots__ = ("answer", "may_send", "read", "since")

    def __init__(self, read: Callable[[Sequence[News]], None], may_send: Callable[[], bool], since: float) -> None:
        self.read = read
        self.may_send = may_send
        self.since = since  # monotonic
        self.answer: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()


class _Pending(Turn, frozen=True):
    """A turn that is not answered yet. Its entries carry monotonic times until they are sent."""

    ask: _Ask | None = None

    def to_send(self, now: float) -> list[str | bytes | int]:
        return Turn(
            **{name: getattr(self, name) for name in Turn.__struct_fields__ if name != "entries"},
            entries=[(max(0.0, now - at), entry) for at, entry in self.entries],
        ).arguments()


class RedisLedger:
    """The journal of one credential on a server; made by ``open_redis_ledger``."""

    poll: float | None = 0.02

    def __init__(self, store: QuotaStore, clock: Clock, holder: str, own: Account | None) -> None:
        """*holder*: 16 hexadecimal digits that no other process has. *own*: what this process may spend alone."""
        self.warning = ""
        self._store = store
        self._clock = clock
        self._holder = holder
        self._own = own
        self._asks: deque[_Ask] = deque()
        self._pending: deque[tuple[float, Entry]] = deque()
        self._work = asyncio.Event()
        self._turn: _Pending | None = None
        self._turns = 0
        self._acknowledged = 0
        self._epoch = ""
        self._seen = 0
        self._sends = int(holder, 16) << 32
        self._open: set[int] = set()  # numbers given out
        self._ages = Ages()
        self._keep = _KEEP_AT_LEAST
        self._silent_since: float | None = None
        self._told_silence = False
        self._failure: Exception | None = None
        self._closed = False

    # -------------------------------------------------------------- what the governor calls

    async def take(
        self, keep: float, read: Callable[[Sequence[News]], None], may_send: Callable[[], bool]
    ) -> int | None:
        if self._closed:
            raise StorageError(f"The quota store {self._store.where} is closed.")
        if self._failure is not None:
            raise self._failure
        self._keep = max(keep, _KEEP_AT_LEAST)
        ask = _Ask(read, may_send, self._clock.monotonic())
        self._asks.append(ask)
        self._work.set()
        try:
            return await ask.answer
        except asyncio.CancelledError:
            if ask.answer.done() and not ask.answer.cancelled() and ask.answer.exception() is None:
                number = ask.answer.result()
                if number is not None:
                    self.release(number)
            raise

    def end(self, number: int, size: int, *, heard: bool) -> None:
        now = self._clock.monotonic()
        self._open.discard(number)
        if self._own is not None:
            self._own.settled(number, now, size)
        self._write(Entry("ended" if heard else "unheard", number, now, size))

    def release(self, number: int) -> None:
        self._open.discard(number)
        if self._own is not None:
            self._own.released(number)
        self._write(Entry("released", number, self._clock.monotonic()))

    def pause(self, seconds: float, reason: str) -> None:
        self._write(Entry("pause", 0, self._clock.monotonic(), round(seconds * 1000), text=reason))

    def hear(self, signal: WindowSignal) -> None:
        now = self._clock.monotonic()
        if self._own is not None:
            self._own.hear(signal, now, own=False)
        # No turn of its own: it must become visible together with the end of its request, or the figure counts twice.
        self._pending.append((now, told(signal, now)))

    def close(self) -> None:
        """Nothing more is asked; what is left is written by ``open_redis_ledger``."""
        self._closed = True

    def _write(self, entry: Entry) -> None:
        self._pending.append((entry.at, entry))
        self._work.set()

    # -------------------------------------------------------------- the task

    async def serve(self) -> None:
        """Take turns until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                if self._idle():
                    self._work.clear()
                    heartbeat = loop.call_later(_HEARTBEAT, self._work.set)
                    try:
                        await self._work.wait()
                    finally:
                        heartbeat.cancel()
                if self._turns or not self._idle():
                    await self._step()
        except Exception as exc:
            self._failure = exc
        finally:
            failure = self._failure or StorageError(f"The quota store {self._store.where} is closed.")
            while (ask := self._waiting()) is not None:
                ask.answer.set_exception(failure)

    async def leave(self) -> None:
        """Write what is left, if the server still answers, and give the lease back."""
        self._closed = True
        with suppress(Silent, HarvesterError):
            while self._turn is not None or self._pending:
                if self._turn is None:
                    self._turn = self._next(None)
                turn, answer = self._turn, await self._exchange(self._turn)
                self._turn = None
                self._take_in(turn, answer)
            if self._turns:
                await self._exchange(self._next(None, leaves=not self._open))

    async def _step(self) -> None:
        turn = self._turn
        if turn is None:
            turn = self._turn = self._next(self._waiting())
        try:
            answer = await self._exchange(turn)
        except Silent as silent:
            await self._without_answer(turn, str(silent))
            return
        self._turn = None
        self._silent_since = None
        if self._told_silence:
            self._told_silence = False
            self.warning = f"The quota store {self._store.where} answers again."
        self._take_in(turn, answer)

    def _idle(self) -> bool:
        return self._turn is None and not self._pending and self._waiting() is None

    def _waiting(self) -> _Ask | None:
        while self._asks and self._asks[0].answer.done():
            self._asks.popleft()
        return self._asks[0] if self._asks else None

    def _next(self, ask: _Ask | None, *, leaves: bool = False) -> _Pending:
        entries = [self._pending.popleft() for _ in range(min(len(self._pending), _AT_ONCE))]
        self._turns += 1
        wanted = 0
        if ask is not None and ask.may_send():
            self._sends += 1
            wanted = self._sends
        return _Pending(
            holder=self._holder,
            number=self._turns,
            acknowledged=self._acknowledged,
            epoch=self._epoch,
            seen=self._seen,
            reads=ask is not None,
            lease=0.0 if leaves else _LEASE,
            keep=self._keep if self._turns % _PRUNE_EVERY == 1 else 0.0,
            late=_LATE,
            wanted=wanted,
            entries=entries,
            ask=ask,
        )

    def _take_in(self, turn: _Pending, answer: Outcome) -> None:
        self._acknowledged = turn.number
        if answer.epoch != self._epoch:
            self._epoch, self._seen = answer.epoch, 0
        if answer.lost:
            self.warning = (
                f"The quota store {self._store.where} has lost what it knew, so every quota window counts as spent "
                f"now. Let it keep what is written (appendonly yes) and evict nothing (maxmemory-policy noeviction)."
            )
        ask = turn.ask
        if ask is None or ask.answer.done():
            # Not read: the next one who asks reads it. A send that was opened for nobody never goes out, unless it
            # was given out while the server was silent.
            if answer.opened and turn.wanted not in self._open:
                self._write(Entry("released", turn.wanted, self._clock.monotonic()))
            elif not answer.opened and turn.wanted in self._open:
                now = self._clock.monotonic()
                self._write(Entry("open", turn.wanted, now))
            return
        first, self._seen = self._seen == 0, answer.head
        self._ages.look(self._clock.monotonic(), answer.now)
        found = (news_of(row.number, row.entry, self._ages.of(row.entry.at)) for row in answer.rows)
        news = [item for item in found if item is not None]
        ask.read(from_the_beginning(news) if first else news)
        if answer.more:
            return
        if answer.opened:
            # A pause may have begun while the answer was on its way.
            if ask.may_send():
                self._give(ask, turn.wanted)
            else:
                self._write(Entry("released", turn.wanted, self._clock.monotonic()))
                ask.answer.set_result(None)
        elif not ask.may_send():
            ask.answer.set_result(None)

    def _give(self, ask: _Ask, number: int) -> None:
        self._open.add(number)
        if self._own is not None:
            now = self._clock.monotonic()
            self._own.sending(now)
            self._own.opened(number, now)
        ask.answer.set_result(number)

    # -------------------------------------------------------------- a silent server

    async def _without_answer(self, turn: _Pending, reason: str) -> None:
        await self._clock.sleep(_RETRY)
        now = self._clock.monotonic()
        if self._silent_since is None:
            self._silent_since = now - _RETRY
        silent = now - self._silent_since
        ask = self._waiting()
        if silent < SILENCE or ask is None:
            return
        if self._own is not None:
            self._tell(f"is silent ({reason}). Until it answers, this process uses its own share of each quota window")
            if ask.may_send() and self._own.hold(now).seconds <= 0:
                self._give_alone(ask, turn)
            else:
                ask.answer.set_result(None)
            return
        self._tell(f"is silent ({reason}). Nothing is sent until it answers")
        if silent < _PATIENCE:
            ask.answer.set_result(None)
            return
        ask.answer.set_exception(
            WaitError(
                f"The quota store {self._store.where} has been silent for {silent:.0f} s ({reason}). Without it the "
                f"quota could be overrun, so nothing is sent. Finished pages are saved; run the same command again "
                f"when the store answers."
            )
        )

    def _tell(self, what: str) -> None:
        if not self._told_silence:
            self._told_silence = True
            self.warning = f"The quota store {self._store.where} {what}."

    def _give_alone(self, ask: _Ask, turn: _Pending) -> None:
        if turn.ask is ask and turn.wanted and turn.wanted not in self._open:
            number = turn.wanted  # it may be on record already; when the answer comes we shall know
        else:
            self._sends += 1
            number = self._sends
            self._pending.append((self._clock.monotonic(), Entry("open", number, self._clock.monotonic())))
        self._give(ask, number)

    async def _exchange(self, turn: _Pending) -> Outcome:
        return await self._store.exchange(turn.to_send(self._clock.monotonic()))


@asynccontextmanager
async def open_redis_ledger(
    url: str, credential_id: str, clock: Clock, rng: Rng, budget: Budget, *, share: float = 0.0
) -> AsyncIterator[RedisLedger]:
    """A ledger on the server at *url*; nothing is sent to it before the first ``take``.

    Args:
        url: ``redis://`` or ``rediss://``; checked by the caller.
        credential_id: names the credential without revealing it, the same in every container.
        share: what part of every window this process may use when the server is silent; 0: nothing.
    """
    own = None
    if share > 0:
        left = share * max(0.0, 1.0 - budget.margin - budget.reserve)
        own = Account(Budget(windows=budget.windows, margin=1.0 - left, in_flight=budget.in_flight))
    store = QuotaStore(url, credential_id)
    ledger = RedisLedger(store, clock, rng.hex(8), own)
    task = asyncio.create_task(ledger.serve())
    try:
        yield ledger
    finally:
        ledger.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await ledger.leave()
        await store.close()
