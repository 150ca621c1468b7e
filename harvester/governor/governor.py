"""Joins windows, server pauses and concurrency into one ``admit()``, shared by all who use a credential.

Greedy is optimal: spend what the windows have, then sleep to the edge. Around every request: ``admit``, send,
``observe`` what the answer says, ``settle``; or ``release`` if nothing was put on the wire.

Waiters stand in ``Line``; only the first looks at the clock, so a slot that comes back wakes one task and not all
(FAULTS Q12). Durations are monotonic (C01), and every decision is made on the log as it is after waking, so a
stalled loop has nothing to catch up with (C03).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence

from msgspec import Struct, structs

from harvester.contracts import Clock, Sink
from harvester.events import WindowUse
from harvester.governor.account import FREE, Account, Hold, longer
from harvester.governor.concurrency import Concurrency
from harvester.governor.feedback import GUARD
from harvester.governor.learned import Learned
from harvester.governor.learning import INFERRED, Learning, still_good
from harvester.governor.ledger import Ended, Heard, Ledger, MemoryLedger, News, Opened, Paused, Released, Unknown
from harvester.governor.line import Line, Priority
from harvester.governor.notices import Notices
from harvester.governor.refusals import LONGEST_PAUSE, LONGEST_TOLD, Refusals
from harvester.model import Budget, RateSignal, WindowSignal

_LOOK_AGAIN = 1.0
"""Seconds a waiter on a shared ledger sleeps at most: another process may hear that a window started again."""

_USABLE = 5.0
"""Seconds for which an admission is good: a stalled program may come to use it when others took it for dead (C03)."""

_RAMP = 1.0
"""Seconds after a pause during which few requests are open, however quickly the probe is answered (FAULTS Q12)."""

_RAMP_SHARE = 0.1
"""How much of the configured concurrency that is; at least one request."""


class Ticket(Struct, frozen=True):
    """Leave to put one request on the wire."""

    number: int  # of the send in the ledger
    at: float  # monotonic time of admission


class Governor:
    """How fast one credential may ask."""

    def __init__(
        self,
        budget: Budget,
        clock: Clock,
        *,
        name: str,
        source: str,
        ledger: Ledger | None = None,
        sink: Sink | None = None,
        max_wait: float | None = None,
        ends_in: float | None = None,
        longest_pause: float = LONGEST_PAUSE,
        default_pause: float = 1.0,
        spacing: float = 0.0,
        learned: Sequence[Learned] = (),
        teach: Callable[[Learned], object] | None = None,
    ) -> None:
        """A governor that has sent nothing, but knows what *ledger* knows.

        Args:
            name: of the provider, for people.
            source: names the source in events.
            ledger: closed by whoever opened it; None: in memory.
            max_wait: seconds a request may have to wait; None: as long as it takes.
            ends_in: seconds from now after which nothing is sent any more: it need not be waited for; None: no end.
            longest_pause: seconds; a server that asks for a longer silence is not waited for (FAULTS S04).
            default_pause: seconds of silence after a refusal that names none; doubles up to a minute.
            spacing: seconds at least between two admissions, to pace bursts; 0: none.
            learned: what earlier runs learned of the windows.
            teach: told of every new lesson, to keep it for the next run; must not fail.
        """
        self._clock = clock
        self._source = source
        self._ledger: Ledger = ledger if ledger is not None else MemoryLedger()
        self._alone = self._ledger if type(self._ledger) is MemoryLedger else None
        self._notices = Notices(
            clock,
            name=name,
            source=source,
            sink=sink,
            max_wait=max_wait,
            ends_in=ends_in,
            longest_pause=longest_pause,
        )
        self._spacing = spacing
        self._account = Account(budget)
        lessons = still_good(learned, clock.now())
        self._account.recall(lessons)
        self._learning = Learning(clock, declared=bool(budget.windows), learned=lessons, teach=teach)
        self._concurrency = Concurrency(budget.in_flight)
        self._ramp_limit = max(1, int(budget.in_flight * _RAMP_SHARE))
        self._refusals = Refusals(default_pause)
        self._line = Line(clock.monotonic)
        self._changed: asyncio.Future[None] | None = None  # the first waiter's: something may be allowed now
        self._paused_until = -math.inf
        self._pause_reason = ""
        self._refused_at = -math.inf  # of the last incident
        self._refused_answers = 0  # refusals observed whose requests are not settled yet
        self._incident = False  # refused, and nothing sent since
        self._next_slot = -math.inf
        self._figures = False  # the answer observed last told of a window
        self.admitted = 0

    # -------------------------------------------------------------- around a request

    async def admit(
        self,
        priority: Priority = Priority.BACKFILL,
        *,
        lane: str = "",
        weight: float = 1.0,
        urgent_at: float = math.inf,
    ) -> Ticket:
        """Wait until every window has room, no pause holds and fewer than the allowed number are open.

        A cancelled waiter leaves nothing behind. The send is in the ledger when this returns: the caller must
        ``settle`` or ``release`` it.

        Args:
            lane: who asks, for example a resource; lanes share by *weight*, and each is served in order of arrival.
            urgent_at: monotonic time from which it goes before all others, whatever its *priority*.
        Raises:
            QuotaExhausted: the next admission is certainly later than the caller is willing to wait, or the server
                asks for a longer silence than anybody waits for.
            StorageError, WaitError: the ledger cannot be used; nothing may be sent without it.
        """
        ticket = self.admit_now()
        if ticket is not None:
            return ticket
        line = self._line
        place = line.enter(priority, lane, weight, urgent_at)
        try:
            while True:
                await line.turn(place)
                hold = self._hold()
                if hold.seconds <= 0 or self._ledger.poll is not None:
                    asked = self._clock.monotonic()
                    number = await self._ledger.take(self._account.longest, self._read, self._may_send)
                    self._notices.warn(self._ledger)
                    if number is not None and self._clock.monotonic() > asked + _USABLE:
                        self._ledger.release(number)
                        continue
                    if number is not None:
                        line.granted(place)
                        return self._opened(number)
                    hold = self._hold()
                self._notices.check(hold)
                self._notices.check_pause(self._paused_until - self._clock.monotonic(), self._pause_reason)
                self._notices.tell(hold)
                line.step_back()  # somebody may have come while the ledger was asked
                if line.is_first(place):
                    await self._until(hold.seconds)
                    line.step_back()
        finally:
            line.leave(place)

    def admit_now(self) -> Ticket | None:
        """Leave for one request without waiting; None: it has to wait, in ``admit``.

        Never past anybody who waits, and never with a ledger that others write: what they spent must be read first.
        """
        if self._alone is None or not self._line.empty or not self._may_send():
            return None
        return self._opened(self._alone.take_now())

    def usable(self, ticket: Ticket) -> bool:
        """Whether *ticket* is fresh enough to send by it; else ``release`` it and ask again (FAULTS C03)."""
        return self._clock.monotonic() <= ticket.at + _USABLE

    def settle(self, ticket: Ticket, wire_bytes: int, *, answered: bool = True) -> None:
        """The request has ended; its place in each window is free one period from now.

        Args:
            wire_bytes: body bytes as they came over the wire; 0: none, or unknown.
            answered: False when no whole answer came although it may have reached the server.
        """
        if ticket.number not in self._account.open:
            return  # settled before
        now = self._clock.monotonic()
        open_requests = len(self._account.open)
        self._account.settled(ticket.number, now, wire_bytes, answered=answered)
        self._ledger.end(ticket.number, wire_bytes, heard=self._figures)
        self._figures = False
        if self._refused_answers:
            self._refused_answers -= 1
        elif not answered:
            self._concurrency.timed_out()
        else:
            if ticket.at >= self._refused_at:
                self._refusals.accepted()
            self._learning.answered(ticket.at, now)
            self._concurrency.answered(now - ticket.at, wire_bytes, open_requests)
        self._wake()

    def release(self, ticket: Ticket) -> None:
        """The request was never put on the wire: it costs nothing."""
        if ticket.number in self._account.open:
            self._account.released(ticket.number)
            self._ledger.release(ticket.number)
            self._wake()

    def observe(self, signal: RateSignal) -> None:
        """Take what an answer says about the allowance; call it just before the ``settle`` of that answer."""
        now = self._clock.monotonic()
        for window in signal.windows:
            if signal.refused and signal.retry_after is not None:
                window = _as_promised(window, signal.retry_after)
            self._hear(window, now, signal.evidence)
        if signal.open_at_most is not None:
            self._concurrency.allow(signal.open_at_most)
        if signal.refused:
            self._refused(signal, now)
        elif signal.retry_after is not None and signal.retry_after > 0:
            self.pause(signal.retry_after, signal.evidence or "the server asked to wait")
        self._wake()

    def pause(self, seconds: float, reason: str) -> None:
        """Nothing is sent for *seconds* from now, by anyone who shares the credential; requests under way may end.

        Afterwards one probe goes out, then a ramp. A pause never shortens another.
        """
        seconds = min(max(seconds, 0.0), LONGEST_TOLD)
        self._ledger.pause(seconds, reason)
        self._pause(seconds, reason)

    # -------------------------------------------------------------- for those who watch

    def usage(self) -> WindowUse | None:
        """How much of the tightest window is used; None: no window is known."""
        now = self._clock.monotonic()
        tightest = self._account.tightest(now)
        if tightest is None:
            return None
        used, limit, seconds = tightest
        return WindowUse(at=self._clock.now(), source=self._source, used=used, limit=limit, seconds=seconds)

    def next_free(self) -> float:
        """Seconds until the next request may go; 0: now; infinite: when an open one has ended."""
        return self._hold().seconds

    @property
    def concurrency(self) -> int:
        """How many requests may be open now."""
        return self._concurrency.limit

    # -------------------------------------------------------------- deciding

    def _hold(self) -> Hold:
        now = self._clock.monotonic()
        hold = FREE
        if self._paused_until > now:
            hold = longer(hold, self._paused_until - now, self._pause_reason)
        if self._next_slot > now:
            hold = longer(hold, self._next_slot - now, f"one request per {self._spacing:g} s")
        open_requests = len(self._account.open)
        if open_requests >= min(self._concurrency.limit, self._learning.most_open):
            hold = longer(hold, math.inf, f"{open_requests} requests are open")
        elif now < self._paused_until + _RAMP and open_requests >= self._ramp_limit:
            hold = longer(hold, self._paused_until + _RAMP - now, "a pause has just ended")
        return self._account.hold(now, hold)

    def _may_send(self) -> bool:
        return self._hold().seconds <= 0

    def _opened(self, number: int) -> Ticket:
        now = self._clock.monotonic()
        self._account.sending(now)
        self._account.opened(number, now)
        self._incident = False
        if self._spacing:
            self._next_slot = now + self._spacing
        self.admitted += 1
        return Ticket(number, now)

    def _hear(self, window: WindowSignal, now: float, evidence: str) -> None:
        gate = self._account.hear(window, now)
        if gate is None:
            return
        self._figures = True
        self._learning.told(gate, evidence or "the headers of an answer")
        told = gate.told(now)
        if told is not None:
            self._ledger.hear(told)

    def _refused(self, signal: RateSignal, now: float) -> None:
        self._refused_answers += 1
        reason = signal.evidence or "the server refused a request for quota reasons"
        if self._incident:
            # Sent before the pause that an earlier refusal began, so it is the same incident. It may know more.
            if signal.retry_after is not None:
                self.pause(signal.retry_after, reason)
            return
        self._incident = True
        self._refused_at = now
        self._account.doubt()
        account = self._account
        inferred = self._learning.refused(signal, account.oldest_sent(now), now, len(account.open))
        if inferred is not None:
            learned = WindowSignal(seconds=inferred.seconds, limit=inferred.limit)
            self._hear(learned, now, f"{INFERRED}{reason}")
        self._concurrency.refused()
        hour = self._account.hour(signal) if signal.retry_after is None else None
        if hour is None:
            self.pause(self._refusals.refused(now, signal.retry_after), reason)
            return
        oldest = self._account.oldest_end(hour, now)
        seconds = self._refusals.refused_by_the_hour(now, self._clock.now(), oldest, hour)
        # The window is spent whatever our log says, and after the wait a probe may go whatever our log says.
        self._hear(WindowSignal(seconds=hour, remaining=0, resets_in=seconds), now, reason)
        self.pause(seconds, reason)

    def _pause(self, seconds: float, reason: str) -> None:
        until = self._clock.monotonic() + min(seconds, LONGEST_TOLD)
        self._concurrency.probe()
        if until > self._paused_until:
            self._paused_until = until
            self._pause_reason = reason
        self._wake()

    def _read(self, news: Sequence[News]) -> None:
        """Take in what other processes, or earlier runs, wrote."""
        now = self._clock.monotonic()
        for item in news:
            match item:
                case Opened(number, age):
                    self._account.opened(number, now - age)
                case Ended(number, age, size, heard):
                    self._account.settled(number, now - age, size, own=False, heard=heard)
                case Released(number):
                    self._account.released(number)
                case Paused(seconds, reason):
                    self._pause(seconds, reason)
                case Heard(signal):
                    self._account.hear(signal, now, own=False)
                case Unknown(age):
                    self._account.unknown(now - age)

    # -------------------------------------------------------------- waiting

    async def _until(self, seconds: float) -> None:
        """Sleep, but wake when something changes that may allow more."""
        if self._ledger.poll is not None:
            seconds = min(seconds, self._ledger.poll if seconds == math.inf else _LOOK_AGAIN)
        changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._changed = changed
        timer = asyncio.ensure_future(self._clock.sleep(seconds)) if seconds != math.inf else None
        try:
            await asyncio.wait(
                [changed, timer] if timer is not None else [changed], return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            self._changed = None
            changed.cancel()
            if timer is not None:
                timer.cancel()  # not awaited: that could swallow our own cancellation

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)


def _as_promised(window: WindowSignal, retry_after: float) -> WindowSignal:
    """The window of a refusal: it has room when the wait is over, which the server has rounded up already.

    A wait that nobody waits for is a pause, which can be dropped by hand; the window is believed to be shorter.
    """
    if retry_after > LONGEST_PAUSE:
        return structs.replace(window, resets_in=LONGEST_PAUSE)
    if window.resets_in is not None and window.resets_in > retry_after:
        return window
    return structs.replace(window, resets_in=max(0.0, retry_after - GUARD))
