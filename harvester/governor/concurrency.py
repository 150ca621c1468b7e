"""How many requests may be open at once: grows while it helps, shrinks on refusals, time-outs and idle latency. Pure.

After a refusal one probe goes out, then the number doubles with every answer up to half of what it was, then grows
by one a round (FAULTS Q05). A round is as many answers as may be open. When answers take twice as long as they
did at their best and no more bytes come for it, the requests only queue at the server: one less (FAULTS Q11).
"""

from __future__ import annotations

_SLOW = 2.0  # times the best mean latency
_GAIN = 1.1  # times the best throughput: less is no gain
_ROUND = 16  # answers at least, so that one slow page is no trend
_FADE = 0.05  # how fast the best of earlier rounds is forgotten: servers change


class Concurrency:
    """The present limit on open requests, from 1 to the cap."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._most = cap  # by the server's word
        self._limit = cap  # the provider's terms allow it, so it is where we begin
        self._threshold = cap  # doubling ends here
        self._answers = 0
        self._latency = 0.0  # of this round, summed
        self._volume = 0.0
        self._open = 0
        self._most_open = 0
        self._slow_rounds = 0  # in a row
        self._best_latency = 0.0  # 0: no round has ended
        self._best_speed = 0.0

    @property
    def limit(self) -> int:
        return min(self._limit, self._most)

    def allow(self, most: int) -> None:
        """The server says that *most* requests may be open at once; the cap of the budget holds beside it."""
        self._most = max(1, most)

    def probe(self) -> None:
        """A pause begins: after it one request, then a ramp."""
        self._limit = 1
        self._begin_round()

    def refused(self) -> None:
        """The server refused: half as many in future, after one probe."""
        self._threshold = max(1, min(self._threshold, max(self._limit, 2)) // 2)
        self.probe()

    def timed_out(self) -> None:
        """No whole answer came."""
        self._limit = self._threshold = max(1, self._limit // 2)
        self._begin_round()

    def answered(self, latency: float, size: int, open_requests: int) -> None:
        """A whole answer came after *latency* seconds, with *size* bytes, while *open_requests* were open with it."""
        if self._limit < self._threshold:
            self._limit = min(self._limit * 2, self._threshold)
            self._begin_round()
            return
        self._answers += 1
        self._latency += latency
        self._volume += max(size, 1)
        self._open += open_requests
        self._most_open = max(self._most_open, open_requests)
        if self._answers >= max(_ROUND, self._limit):
            self._end_round()

    def _begin_round(self) -> None:
        self._answers = self._open = self._most_open = 0
        self._latency = self._volume = 0.0

    def _end_round(self) -> None:
        latency = max(self._latency / self._answers, 1e-6)
        mean_open = self._open / self._answers
        # Little's law: bytes a second while requests were open, whatever the waits for quota between them.
        speed = mean_open * self._volume / self._answers / latency
        if self._best_latency == 0.0:
            self._best_latency, self._best_speed = latency, speed
        if latency > _SLOW * self._best_latency and speed < _GAIN * self._best_speed:
            self._slow_rounds += 1
            if self._slow_rounds > 1:  # once is chance
                self._limit = self._threshold = max(1, self._limit - max(1, self._limit // 4))
        else:
            self._slow_rounds = 0
            if self._most_open >= self._limit:  # all that was allowed was used
                self._limit = min(self._cap, self._limit + 1)
                self._threshold = max(self._threshold, self._limit)
        if speed > self._best_speed:
            self._best_latency, self._best_speed = latency, speed
        elif latency < self._best_latency:
            self._best_latency = latency
        self._best_latency += _FADE * (latency - self._best_latency)
        self._best_speed += _FADE * (speed - self._best_speed)
        self._begin_round()
