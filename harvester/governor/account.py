"""What one credential has spent and been told, over all its windows. Pure: times are monotonic seconds.

It is the same whether the facts come from this process or, through the ledger, from another one or an earlier run.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from harvester.governor.gate import Gate
from harvester.governor.learned import Learned
from harvester.governor.page_sizes import PageSizes
from harvester.governor.refusals import CLOCK_HOUR, HOURLY
from harvester.governor.window import EXACT
from harvester.model import Budget, RateSignal, WindowSignal

LONGEST = 400 * 86_400.0
"""Seconds; a window or Reset beyond this is not believed."""

_AT_ONCE = 0.01
"""Seconds between ``settled`` and ``hear`` of one answer, at most."""

_SAME = 0.01
"""Lengths of windows that differ by less than this share are one window told twice."""


class Hold(Struct, frozen=True):
    """Why the next request may not go, and for how long."""

    seconds: float  # 0: it may go; infinite: until an open request has ended
    known: float  # the part of it that is certain: the longest finite wait
    reason: str = ""


FREE = Hold(0.0, 0.0)


def longer(hold: Hold, seconds: float, reason: str) -> Hold:
    """*hold* and a wait of *seconds* together; the reason is that of the longest certain wait, if there is one."""
    if seconds <= 0 or seconds <= hold.known:
        return hold
    if seconds == math.inf:
        return Hold(math.inf, hold.known, hold.reason or reason)
    return Hold(max(hold.seconds, seconds), seconds, reason)


class Account:
    """All windows of a credential and the requests it has open."""

    def __init__(self, budget: Budget) -> None:
        self._share = max(0.0, 1.0 - budget.margin - budget.reserve)
        self.gates: list[Gate] = []
        for window in budget.windows:
            if window.requests is not None:
                self.gates.append(self._declared(window.seconds, "requests", window.requests))
            if window.bytes is not None:
                self.gates.append(self._declared(window.seconds, "bytes", window.bytes))
        self.open: dict[int, float] = {}  # number of the send -> when it was admitted; other processes' included
        self._sizes = PageSizes()
        self._last = (-math.inf, 0.0)  # (settled at, admitted at) of the request settled last
        self._recent: deque[tuple[float, int]] = deque(maxlen=EXACT)  # (settled at, size), for windows told later

    def _declared(self, seconds: float, unit: str, limit: int) -> Gate:
        return Gate(seconds=seconds, unit=unit, declared=limit, share=self._share)

    def recall(self, lessons: Sequence[Learned]) -> None:
        """Take what earlier runs learned: the lower of declared and learned limit holds."""
        for lesson in lessons:
            if lesson.limit is not None:
                gate = self._gate(WindowSignal(seconds=lesson.seconds, limit=lesson.limit, unit=lesson.unit))
                if gate is not None:
                    gate.tell_limit(lesson.limit)
            for gate in self.gates:
                if (gate.seconds, gate.unit) == (lesson.seconds, lesson.unit):
                    gate.recall(lesson.kind)

    @property
    def longest(self) -> float:
        """Length in seconds of the longest window; 0 without any."""
        return max((gate.seconds or 0.0 for gate in self.gates), default=0.0)

    @property
    def page_bytes(self) -> int:
        """What is kept free for one request in windows of bytes; 0: no page has been seen."""
        return self._sizes.expected

    def hold(self, now: float, hold: Hold = FREE) -> Hold:
        """What the windows together, and *hold*, say to one more request."""
        held = len(self.open)
        for gate in self.gates:
            each = self._each(gate)
            if each == 0 and held:
                # Until one page has been seen, one at a time: nobody knows what a page costs (FAULTS Q04).
                hold = longer(hold, math.inf, "the size of a page is not known yet")
            seconds = gate.wait(now, held, each)
            if seconds > hold.known:
                hold = longer(hold, seconds, f"window {gate.says} is full")
        return hold

    def tightest(self, now: float) -> tuple[int, int, float] | None:
        """(used, limit, seconds) of the window nearest to its limit; None: no window is known."""
        found: tuple[int, int, float] | None = None
        for gate in self.gates:
            use = gate.use(now, len(self.open), self._each(gate))
            if use is not None and (found is None or use[0] * found[1] > found[0] * use[1]):
                found = (*use, gate.seconds or 0.0)
        return found

    def hour(self, signal: RateSignal) -> float | None:
        """Length in seconds of the window that a refusal by the hour means; None: it is no such refusal."""
        if not any(window.name == HOURLY for window in signal.windows):
            return None
        timed = [gate.seconds for gate in self.gates if gate.seconds is not None and gate.unit == "requests"]
        return max(timed, default=CLOCK_HOUR)

    def oldest_end(self, seconds: float, now: float) -> float | None:
        """When the oldest request in the window of *seconds* stops counting; None: nothing counts in it."""
        for gate in self.gates:
            if gate.seconds == seconds and gate.unit == "requests" and gate.log is not None:
                return gate.log.next_end(now)
        return None

    def _each(self, gate: Gate) -> int:
        return self.page_bytes if gate.unit == "bytes" else 1

    # -------------------------------------------------------------- what happens to requests

    def sending(self, now: float) -> None:
        """This process is about to open one more request."""
        for gate in self.gates:
            gate.sending(now, len(self.open))

    def opened(self, number: int, at: float) -> None:
        """Send *number* holds its place in every window from *at*."""
        self.open[number] = at

    def settled(
        self, number: int, at: float, size: int, *, own: bool = True, heard: bool = True, answered: bool = True
    ) -> None:
        """Send *number* has ended at *at*, *size* body bytes came over the wire; it counts for a period from now.

        *own* False: another process's; then *heard* says whether its answer brought figures. *answered* False: no
        whole answer came.
        """
        admitted_at = self.open.pop(number, at)
        if own:
            self._last = (at, admitted_at)
        self._recent.append((at, size))
        if size > 0:
            self._sizes.saw(size)
        for gate in self.gates:
            # The server counted it at the latest now. Somewhere between send and answer, but the way there of one
            # request and the way back of another have no common bound: anything earlier meets full windows.
            gate.ended(admitted_at, at, size if gate.unit == "bytes" else 1, len(self.open), own=own)
            if own:
                gate.feedback.settled(at, answered=answered)
            elif not heard:
                gate.feedback.lost(at)

    def released(self, number: int) -> None:
        """Send *number* never went out."""
        self.open.pop(number, None)

    def unknown(self, at: float) -> None:
        """What was spent before *at* is not known: every declared window counts as spent then."""
        for gate in self.gates:
            gate.fill(at)

    # -------------------------------------------------------------- what answers say

    def hear(self, signal: WindowSignal, now: float, *, own: bool = True) -> Gate | None:
        """Take what an answer says about one window. The window as it then is; None: it says nothing usable."""
        signal = plausible(signal)
        if signal.limit is None and signal.remaining is None and signal.used is None:
            return None
        gate = self._gate(signal)
        if gate is None:
            return None
        gate.hear(
            signal, now, sent_after=self.oldest_sent(now), open_requests=len(self.open), each=self._each(gate), own=own
        )
        return gate

    def oldest_sent(self, now: float) -> float:
        """Admission of the oldest request that the answer at hand may belong to."""
        settled_at, admitted_at = self._last
        # The caller settles and observes an answer in one go, in either order.
        floor = admitted_at if now - settled_at < _AT_ONCE else now
        return min(floor, min(self.open.values(), default=floor))

    def doubt(self) -> None:
        """A request that our logs allowed was refused: they do not know all, so only the server's word counts."""
        for gate in self.gates:
            gate.doubt()

    def _gate(self, signal: WindowSignal) -> Gate | None:
        """The window an answer means: by its length, else by its limit, else by its name; a new one if need be."""
        same = [gate for gate in self.gates if gate.unit == signal.unit]
        if signal.seconds is not None:
            for gate in same:
                if gate.seconds is not None and abs(gate.seconds - signal.seconds) <= _SAME * gate.seconds:
                    return gate
        else:
            timed = [gate for gate in same if gate.seconds is not None]
            for gate in timed:
                if signal.limit is not None and gate.stated == signal.limit:
                    return gate
            if signal.used is not None and timed:
                # A bare count of what was used (IDX Broker) means the longest window of the terms.
                return max(timed, key=lambda gate: gate.seconds or 0.0)
            for gate in same:
                if gate.seconds is None and gate.name == signal.name and gate.stated == signal.limit:
                    return gate
            if signal.remaining is None:
                return None  # a limit over nobody knows what
            gate = Gate(seconds=None, unit=signal.unit, declared=None, share=self._share, name=signal.name)
            self.gates.append(gate)
            return gate
        gate = Gate(seconds=signal.seconds, unit=signal.unit, declared=None, share=self._share, name=signal.name)
        for at, size in self._recent:
            gate.spent(at, size if signal.unit == "bytes" else 1)
        self.gates.append(gate)
        return gate


def plausible(signal: WindowSignal) -> WindowSignal:
    """*signal* without figures that cannot be meant (FAULTS Q06): they then say nothing."""
    seconds, resets_in = signal.seconds, signal.resets_in
    return WindowSignal(
        name=signal.name[:64],
        seconds=seconds if seconds is not None and 0 < seconds <= LONGEST else None,
        limit=signal.limit if signal.limit is not None and 0 < signal.limit < 2**62 else None,
        used=signal.used if signal.used is not None and 0 <= signal.used < 2**62 else None,
        remaining=max(0, signal.remaining) if signal.remaining is not None and signal.remaining < 2**62 else None,
        resets_in=resets_in if resets_in is not None and 0 <= resets_in <= LONGEST else None,
        resets_at=signal.resets_at if signal.resets_at is not None and 0 < signal.resets_at < 2**62 else None,
        unit=signal.unit,
    )
