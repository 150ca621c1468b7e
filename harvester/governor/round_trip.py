"""The shortest time a request can take there and back, and what it says about when the server counted one. Pure.

A request is counted somewhere between send and answer. Let the way there take at least *a* and the way back at
least *b*: a request answered at *r* was counted before ``r - b``, and one sent at *s* is counted after ``s + a``.
So the two are a whole period apart as soon as ``s - r >= period - (a + b)``: a slot is free that much earlier than
one period after its answer. ``a + b`` is what the shortest round trip of many takes; nothing is assumed about where
in its latency a request is counted, nor about the spread of it. A server that is half a second away all the time
then costs nothing, where a window of one second would else run at two thirds.

What is left is the spread itself. With answers between 20 and 500 ms, 10 requests per second end at about 80 %, at
a log-normal 0.8 s at about 60 %. More cannot be had without refusals: a slot stands empty from the moment the server
frees it until the next request arrives, and nobody knows when a request arrives that has just been sent. Sent
earlier, the quick ones of them meet a full window.
"""

from __future__ import annotations

import math

_ENOUGH = 32  # answers before anything is concluded
_SURE = 0.97  # share of the shortest seen: a shorter one may come yet


class RoundTrip:
    """The shortest of this process's round trips."""

    def __init__(self) -> None:
        self._answers = 0
        self._least = math.inf
        self._refuted = False

    def answered(self, seconds: float) -> None:
        """A whole answer came *seconds* after its request was admitted."""
        self._answers += 1
        self._least = min(self._least, seconds)

    def refuted(self) -> None:
        """A request was refused that our windows allowed: nothing is taken for certain any more."""
        self._refuted = True

    @property
    def least(self) -> float:
        """Seconds that each request certainly takes; 0 until that is known."""
        return 0.0 if self._refuted or self._answers < _ENOUGH else _SURE * self._least
