"""What people are told about a wait: an event when it begins, an error when it is too long."""

from __future__ import annotations

import math
from datetime import timedelta

from harvester.contracts import Clock, Sink
from harvester.errors import QuotaExhausted
from harvester.events import Waiting, Warned
from harvester.governor.account import Hold
from harvester.governor.ledger import Ledger

_WORTH_TELLING = 1.0
"""Seconds of waiting that are announced."""


class Notices:
    """Tells of the waits of one credential."""

    def __init__(
        self,
        clock: Clock,
        *,
        name: str,
        source: str,
        sink: Sink | None,
        max_wait: float | None,
        ends_in: float | None = None,
        longest_pause: float = math.inf,
    ) -> None:
        """*max_wait*, *ends_in*: seconds that anyone waits at most, and until the run ends whatever happens.

        *longest_pause*: the longest silence that a server may ask for and that is waited for.
        """
        self._clock = clock
        self._name = name
        self._source = source
        self._sink = sink
        self._max_wait = math.inf if max_wait is None else max_wait
        self._ends_at = math.inf if ends_in is None else clock.monotonic() + ends_in
        self._longest_pause = longest_pause
        self._told_until = -math.inf  # end of the wait that was told last, monotonic

    def check(self, hold: Hold) -> None:
        """Raises ``QuotaExhausted`` when *hold* is certainly longer than the caller is willing to wait."""
        left = max(0.0, self._ends_at - self._clock.monotonic())  # once it has passed, whoever set it ends the run
        if hold.known <= min(self._max_wait, left):
            return
        resets_at = self._clock.now() + timedelta(seconds=hold.known)
        bound = (
            f"longer than the {self._max_wait:,.0f} s allowed"
            if self._max_wait <= left
            else f"and the deadline is in {left:,.0f} s"
        )
        raise QuotaExhausted(
            f"{self._name}: {hold.reason}; the next request may go in {hold.known:,.0f} s, {bound}. Finished pages "
            f"are saved. Run the same command again after {resets_at:%Y-%m-%d %H:%M:%S} UTC to go on from there.",
            resets_at=resets_at,
        )

    def check_pause(self, seconds: float, reason: str) -> None:
        """Raises ``QuotaExhausted`` when the server asks for a silence that nobody waits for (FAULTS S04)."""
        if seconds <= self._longest_pause:
            return
        resets_at = self._clock.now() + timedelta(seconds=seconds)
        raise QuotaExhausted(
            f"{self._name}: {reason}; the server asks that nothing be sent before {resets_at:%Y-%m-%d %H:%M} UTC, and "
            f"more than {self._longest_pause / 3600:,.0f} h is not waited for. Finished pages are saved. Ask the "
            "provider; run the same command again then, or after harvester quota --forget if the wait is wrong.",
            resets_at=resets_at,
        )

    def tell(self, hold: Hold) -> None:
        """Tell of a wait once, however many stand in line, and again only when it becomes longer."""
        if self._sink is None or hold.seconds == math.inf or hold.seconds < _WORTH_TELLING:
            return
        until = self._clock.monotonic() + hold.seconds
        if until <= self._told_until + _WORTH_TELLING:
            return
        self._told_until = until
        now = self._clock.now()
        ends = now + timedelta(seconds=hold.seconds)
        self._sink(Waiting(at=now, source=self._source, seconds=hold.seconds, until=ends, reason=hold.reason))

    def warn(self, ledger: Ledger) -> None:
        """Pass on, once, what the user should know about *ledger*."""
        if ledger.warning:
            if self._sink is not None:
                self._sink(Warned(at=self._clock.now(), source=self._source, message=ledger.warning))
            ledger.warning = ""
