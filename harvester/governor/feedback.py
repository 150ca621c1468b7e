"""What the server says of one window: how much is left, and when it starts again. Pure.

Permission is the lowest *remaining* seen for the current Reset, less what is in flight: an answer that comes late
says more than is left, and must not raise it. Each request either brings its own figure, which the lowest then
holds, or is *lost* (no answer, an answer without the fields): lost ones count against the figure until an answer
arrives to a request that was sent after the loss, for that one the server has counted it in.
"""

from __future__ import annotations

from collections import deque

GUARD = 1.0
"""Seconds added to a Reset: Dates and Resets are whole seconds."""


class Feedback:
    """The server's own count of one window, as far as answers told it."""

    __slots__ = ("_heard", "_lost", "_seconds", "explained", "first", "remaining", "reset_at", "silent", "touched")

    def __init__(self, seconds: float | None) -> None:
        """*seconds*: length of the window, None when nobody told it."""
        self._seconds = seconds
        self.remaining: int | None = None  # lowest seen for this Reset; None: nothing is known
        self.first = 0  # highest seen for this Reset
        self.reset_at = 0.0  # monotonic, never before the true one
        self.explained = False  # our own log accounts for all the server counts: nobody else uses the credential
        self.touched = False  # a request went out since the figure was heard last
        self.silent = False  # an answer without the fields came since then
        self._heard = 0  # answers heard whose requests are not settled yet
        self._lost: deque[float] = deque()  # when requests without a figure of their own settled

    def hear(self, remaining: int, reset_at: float, now: float, sent_after: float, *, own: bool) -> bool | None:
        """Take the figure of one answer. True: the window has provably started again since the last one.

        None: the answer is from before the window started again, so it says nothing of the present one.

        Args:
            reset_at: monotonic; the answer's Reset minus its own Date, from the moment it arrived.
            sent_after: the answer belongs to a request sent no earlier (monotonic).
            own: heard from an answer to this process, whose ``settled`` comes before or after; False: from another.
        """
        while self._lost and self._lost[0] < sent_after:
            self._lost.popleft()
        if own:
            if self._lost:
                self._lost.pop()
            else:
                self._heard += 1
        self.touched = self.silent = False
        if self.remaining is None:
            self._start(remaining, reset_at)
            return False
        near = self._seconds / 2 if self._seconds is not None else GUARD
        if reset_at > self.reset_at + near or (now >= self.reset_at and reset_at > self.reset_at + GUARD):
            # Without a known length the old Reset must have passed; with one, half a window ahead is proof enough.
            if self._seconds is not None or now >= self.reset_at:
                self._start(remaining, reset_at)
                return True
        elif reset_at < self.reset_at - near:
            return None
        self.remaining = min(self.remaining, remaining)
        # Latency only ever makes a Reset look later than it is, and that of a sliding window does move on. Of unknown
        # length, it may be that of another, longer window.
        self.reset_at = (min if self._seconds is None else max)(self.reset_at, reset_at)
        return False

    def _start(self, remaining: int, reset_at: float) -> None:
        self.remaining = self.first = remaining
        self.reset_at = reset_at
        self.explained = True

    def settled(self, now: float, *, answered: bool) -> None:
        """A request of ours has ended; without a figure of its own it is lost."""
        if self._heard:
            self._heard -= 1
        elif self.remaining is not None:
            self._lost.append(now)
            self.silent |= answered

    def lost(self, now: float) -> None:
        """A request of another process ended without a figure of its own."""
        if self.remaining is not None:
            self._lost.append(now)

    def current(self, now: float) -> bool:
        """Whether the figure still holds: its Reset has not passed."""
        return self.remaining is not None and now < self.reset_at + GUARD

    def left(self, open_requests: int, each: int = 1) -> int:
        """What may still be spent before the Reset, when *open_requests* are under way at *each* apiece."""
        unheard = max(0, open_requests - self._heard) + len(self._lost)
        return (self.remaining or 0) - unheard * each

    def drop(self) -> None:
        """Forget the figure: its Reset has passed and the probe brought no new one."""
        self.remaining = None
        self.explained = False
        self._lost.clear()
