"""Where the windows of a short fixed limit begin, found out from the counts that answers tell. Pure.

A slot of a sliding log is free one period after its answer. Of a window of a second, with answers that take half of
one, that leaves two thirds. Who knows when a fixed window begins may use all of it at once, so it is worth finding
out; but to be wrong about it is refusals, so nothing is believed before it is proven:

1. Two requests that were each told to be the first in their window, with less than a period from the sending of the
   one to the answer of the other: the count began anew in between. A sliding window cannot do that, nor can one that
   begins with its first request.
2. A count that fell faster than a bucket refills: not a token bucket. (A sliding window that is estimated from two
   counts refuses what is a period old, so with that the log is no safer.)
3. A trial: for a few windows one request may go ahead of the log, alone, and is told to be the first of its window.

When on its way a request is counted is not known, so an edge is only known between bounds, and a request that was
under way across it may have been counted on either side. It holds a place on both, unless its count tells which. The
bounds are brought together by a last request of each window that goes out between them, where both sides have room.
Clocks drift, so they move apart again. One answer that contradicts all this, or a refusal, and it is forgotten.
"""

from __future__ import annotations

import math
from collections import deque

from msgspec import Struct

from harvester.governor.bounds import Bounds, Numbering

LONGEST = 30.0
"""Seconds; of a longer window the log loses less than two of a hundred, and a Reset tells its edge well enough."""

_LEAST = 2
"""Requests of a window at least: of one, every count is a first."""

_MOST = 256
"""Requests of a window at most: every answer is compared with all those of a few windows."""


_MOMENT = 1e-6
"""Seconds that a full window holds a request at least, when by rounding it has ended and has not."""

_TRIALS = 3

_SCOUTS = 40
"""Periods at most in which the last request of a window goes out alone, to find an edge between it and the others."""

_SCOUTED = 3.0
"""Seconds; of longer windows there is too little to win by it."""

_QUICK = 0.38
"""Share of the period that an answer may take for that to be of use: a bucket must not refill meanwhile."""

_AT_ONCE = 0.1
"""Share of the period within which an answer has just come."""

_GOLDEN = 0.618
"""Multiples of it fall everywhere between two whole numbers."""

_SELDOM = 8
"""Windows of which one has its last request held back until the next edge."""

_NARROW = 0.1
"""Share of the period between the bounds that is near enough."""

_STALE = 0.95
"""Share of the period between the bounds that is as good as nothing."""

_TYPICAL = 1.5
"""Times the shortest answer: nearer than that the bounds do not come."""

_USUAL = 1.2
"""Times the mean: most answers take no longer."""

_LONG = 2.5
"""Times the mean: few answers take longer."""


_KEPT = 4
"""Periods for which requests are remembered."""


class Sent(Struct):
    """A request that has ended."""

    sent: float
    ended: float
    count: int | None  # which one of its window it was, as its answer told; None: it told nothing
    low: int = 0  # the first window it may have been counted in
    high: int = -1  # the last one; below *low*: not known yet


class Edges:
    """The windows of one limit. Number 0 is the one that began when the edge was found; times are monotonic."""

    def __init__(self, seconds: float) -> None:
        self._period = seconds
        self._sent: deque[Sent] = deque()  # in the order of their answers
        self._not_a_log = False  # proof 1
        self._not_a_bucket = False  # proof 2
        self._wrong = False
        self._trials = _TRIALS  # to go
        self._scouts_until = -math.inf
        self._bounds = Bounds(seconds)
        self._numbering = Numbering(seconds)
        self._may: dict[int, int] = {}  # requests that may have been counted in a window
        self._shortest = math.inf  # of the ways there and back: seconds
        self._mean = 0.0

    # -------------------------------------------------------------- what is known

    @property
    def known(self) -> bool:
        return self._not_a_log and self._not_a_bucket and not self._wrong

    @property
    def trusted(self) -> bool:
        """Known, and tried."""
        return self.known and self._trials == 0

    def began(self, now: float) -> tuple[float, float]:
        """Between which times the present window began; when ``known``."""
        return self._bounds.began(now)

    def used(self, now: float) -> int:
        """How many of the present window may be used, requests under way not counted."""
        first, last = self._bounds.numbers(now, now, now)
        return max(self._may.get(number, 0) for number in range(first, last + 1))

    def recall(self) -> None:
        """An earlier run has proven that it is a fixed window; where it begins is still to be found out."""
        self._not_a_bucket = True

    # -------------------------------------------------------------- deciding

    def wait(self, now: float, open_requests: int, limit: int) -> float:
        """Seconds until one more request may go; infinite: not by what is known here."""
        if not self.known:
            return math.inf
        low, high = self._bounds.at(now)
        first, last = self._bounds.numbers(now, now, now)
        room = limit
        for number in range(first, last + 1):
            left = limit - self._may.get(number, 0) - open_requests
            if left < 1:
                return max(_MOMENT, high + (number + 1) * self._period - now)
            room = min(room, left)
        if self._trials:
            if self._is_blurred(now):
                return math.inf
            # It is the first of a window that certainly has begun, with nothing else that may be counted in it.
            number = last if first != last else first + 1
            free = first == last and room == limit
            return 0.0 if free else max(_MOMENT, high + number * self._period - now)
        if room == 1 and first == last and first % _SELDOM == 0 and limit > 1 and self._is_wide(high - low):
            # Now and then the last one goes out where it tells on which side of the edge it was.
            return max(0.0, (low + high) / 2 + (first + 1) * self._period - now)
        return 0.0

    def scouting(self, now: float, used: int, open_requests: int, limit: int) -> float:
        """Seconds for which a request that the log allows, with *used* in it, waits, so that an edge shows itself.

        A window's requests go out at once but for the last, and that one goes when all of them are answered. Then all
        is left to end, and a little more, so that the next ones meet the edge at another place. Infinite: until an
        answer comes.
        """
        if now >= self._scouts_until or not self._sent:
            return 0.0
        if self.known and (not self._trials or not self._is_blurred(now)):
            return 0.0
        newest = self._sent[-1].ended
        last = limit - used - open_requests == 1
        if open_requests:
            return 0.0 if used == 0 and not last else math.inf
        if last and now - newest < _AT_ONCE * self._period:
            return 0.0
        ready = newest + (1 + newest / self._period * _GOLDEN % 1 / 2) * self._period
        return max(0.0, ready - now)

    def _is_blurred(self, now: float) -> bool:
        """Whether no answer comes soon enough to be certainly of one window."""
        return self._bounds.width(now) + _USUAL * self._mean > self._period

    def _is_wide(self, width: float) -> bool:
        """Whether answers reach the bounds of the next edge, so that it is worth while to know it better."""
        near = max(_NARROW * self._period, _TYPICAL * self._shortest, self._period - _LONG * self._mean)
        return width > near

    # -------------------------------------------------------------- what answers tell

    def refuted(self) -> None:
        """A refusal: nothing of this holds."""
        self._wrong = True
        self._sent.clear()
        self._may.clear()

    def ended(
        self,
        sent: float,
        now: float,
        count: int | None,
        limit: int,
        open_requests: int,
        resets_at: float | None = None,
    ) -> None:
        """A request has ended; *count*: which one of its window it was, as its answer told.

        Args:
            limit: the server's own, by which it counts. A count that is none of one to *limit* refutes all.
            open_requests: others under way.
            resets_at: the end of its window on the server's clock, as its answer told.
        """
        if not _LEAST <= limit <= _MOST or (count is not None and not 1 <= count <= limit):
            self.refuted()
        if self._wrong:
            return
        if self._not_a_log and self._bounds.width(now) > _STALE * self._period:
            self._begin_again()
        request = Sent(sent, now, count)
        if count is not None:
            if self._shortest == math.inf and limit > _LEAST and self._period <= _SCOUTED:
                self._scouts_until = now + _SCOUTS * self._period
            if now - sent > _QUICK * self._period:
                self._scouts_until = -math.inf
            self._shortest = min(self._shortest, now - sent)
            self._mean += (now - sent - self._mean) / 16
        if self._not_a_log:
            self._narrow(request)
        if self.known:
            self._place(request, now, open_requests, resets_at)
            if self._trials:
                self._try(request)
        elif count is not None:
            self._look_for_proof(request, count, limit)
        self._sent.append(request)
        while self._sent and self._sent[0].ended < now - _KEPT * self._period:
            self._sent.popleft()

    def _begin_again(self) -> None:
        """Nothing has been sent for long, and the clocks may have come apart: the kind is known, the edge is not."""
        self._not_a_log = False
        self._trials = max(1, self._trials)
        self._numbering = Numbering(self._period)
        self._shortest = math.inf
        self._sent.clear()
        self._may.clear()

    def _look_for_proof(self, request: Sent, count: int, limit: int) -> None:
        now, sent = request.ended, request.sent
        if count == 1:
            for other in self._sent:
                began = min(other.sent, sent)
                if other.count == 1 and now - began < self._period:
                    self._not_a_bucket |= now - began < self._period / limit
                    if not self._not_a_log:
                        self._not_a_log = True
                        self._bounds.find(began, now)
        before, began = 0, sent
        for other in reversed(self._sent):
            if other.ended <= sent and other.count is not None:
                before += 1
                began = min(began, other.sent)
                if now - began >= self._period:
                    break
                # A bucket loses no more than this.
                self._not_a_bucket |= count < before - limit * (now - began) / self._period
        if self._not_a_log and self._not_a_bucket:
            for each in (*self._sent, request):
                self._put(each, *self._bounds.numbers(each.sent, each.ended, now))

    def _place(self, request: Sent, now: float, open_requests: int, resets_at: float | None) -> None:
        """Count *request* in every window that may have counted it; what it shows of an edge is taken."""
        first, last = self._bounds.numbers(request.sent, request.ended, now)
        if resets_at is not None and first == last:
            self._numbering.compare(resets_at, first)
        if request.count is not None:
            most = open_requests + 1  # besides those that have ended
            fits = [
                number
                for number in range(first, last + 1)
                if request.count <= self._may.get(number, 0) + most
                and self._follows(request, request.count, number)
                and (resets_at is None or self._numbering.allows(resets_at, number))
            ]
            if not fits:
                self.refuted()
                return
            latest = request.ended - fits[0] * self._period if fits[0] > first else math.inf
            earliest = request.sent - (fits[-1] + 1) * self._period if fits[-1] < last else -math.inf
            self._tighten(earliest, latest, now)
            first, last = fits[0], fits[-1]
        self._put(request, first, last)

    def _narrow(self, request: Sent) -> None:
        """Before *request* came one that was further on in its window: there was an edge in between."""
        now = request.ended
        if request.count is None:
            return
        for other in reversed(self._sent):
            if now - other.sent >= self._period:
                break
            if other.count is None or other.ended > request.sent or other.count < request.count:
                continue
            number = self._bounds.edge_within(other.sent, now, now)
            if number is not None:
                self._tighten(other.sent - number * self._period, now - number * self._period, now)

    def _tighten(self, earliest: float, latest: float, now: float) -> None:
        if not self._bounds.tighten(earliest, latest, now):
            self.refuted()

    def _put(self, request: Sent, first: int, last: int) -> None:
        request.low, request.high = first, last
        for number in range(first, last + 1):
            self._may[number] = self._may.get(number, 0) + 1
        if len(self._may) > 4 * _KEPT:
            for number in sorted(self._may)[: -2 * _KEPT]:
                del self._may[number]

    def _follows(self, request: Sent, count: int, number: int) -> bool:
        """Whether *request* may be number *count* of window *number*: behind all that certainly came before it."""
        before = 0
        for other in self._sent:
            if other.low == other.high == number and other.count is not None:
                if other.count == count:
                    return False
                before += other.ended <= request.sent
        return count > before

    def _try(self, request: Sent) -> None:
        """Whether *request* confirms the edge: certainly of one window, and told to be its first."""
        self._trials -= request.count == 1 and request.low == request.high
