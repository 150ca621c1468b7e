"""How long to stay silent after the server refused a request for quota reasons. Pure.

A hint (``Retry-After``, a body) is kept to. Without one: exponential back-off, or the rule of an hourly count that
the server tells but whose hour may be rolling or a clock hour (IDX Broker contract, section 3).
"""

from __future__ import annotations

from datetime import datetime

LONGEST_PAUSE = 86_400.0
"""Seconds that are waited for. A server that asks for more ends the run, which can be gone on with (FAULTS S04)."""

LONGEST_TOLD = 400 * LONGEST_PAUSE
"""Seconds; a longer wait is told as this."""

LONGEST_BACKOFF = 60.0

HOURLY = "hourly"
"""Name of a window whose length is the budget's longest and whose kind, rolling or clock hour, is not known."""

CLOCK_HOUR = 3600.0
AFTER_THE_HOUR = 60.0


class Refusals:
    """The refusals in a row, and the silence each of them asks for."""

    def __init__(self, first_pause: float = 1.0) -> None:
        """*first_pause*: seconds after a first refusal without any hint; doubles up to a minute."""
        self._first_pause = first_pause
        self._row = 0  # refusals since the last accepted request
        self._since = 0.0  # monotonic time of the first of them

    def refused(self, now: float, hint: float | None) -> float:
        """Seconds of silence after one more refusal; *hint*: what the server asked for."""
        self._count(now)
        backoff = float(min(max(LONGEST_BACKOFF, self._first_pause), self._first_pause * 2 ** min(self._row - 1, 16)))
        if hint is None:
            return backoff
        # Refused again although the hint was kept to: the hint alone is not to be trusted.
        return max(hint, backoff if self._row > 1 else 0.0)

    def refused_by_the_hour(self, now: float, wall: datetime, oldest: float | None, hour: float) -> float:
        """Seconds of silence after a refusal by a window that is a rolling hour or a clock hour.

        Until the earlier of the oldest request's end and a minute past the next full clock hour; then one probe
        tells. After a second refusal in a row: one whole *hour* from the first, whatever kind it is.

        Args:
            oldest: monotonic time at which the oldest request in the window stops counting; None: none is known.
            hour: the window in seconds. Only a real hour has a clock hour; a sandbox may run a shorter one.
        """
        self._count(now)
        if self._row > 1:
            until = self._since + hour
            if until > now:
                return until - now
            self._row, self._since = 1, now  # the whole hour has passed and it refuses still: begin again
        rolling = (oldest if oldest is not None else now + hour) - now
        if hour != CLOCK_HOUR:
            return max(0.0, rolling)
        into = wall.minute * 60 + wall.second + wall.microsecond / 1e6
        return max(0.0, min(rolling, CLOCK_HOUR - into + AFTER_THE_HOUR))

    def _count(self, now: float) -> None:
        if self._row == 0:
            self._since = now
        self._row += 1

    def accepted(self) -> None:
        """A request sent after the last refusal was served: the row is broken."""
        self._row = 0
