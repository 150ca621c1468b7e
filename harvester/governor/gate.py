"""One window of a credential: our own log of it and the server's word on it, joined. Pure.

Both must allow a request. The log alone loosens as entries expire; the server's word tightens at once, and loosens
only when the window has provably started again: then the log forgets as many of its oldest entries as the server
has shown to have forgotten. A fixed window is used to its edge in this way, a sliding one as its slots come back.
"""

from __future__ import annotations

import math

from harvester.governor.edges import LONGEST, Edges
from harvester.governor.feedback import GUARD, Feedback
from harvester.governor.learned import Kind
from harvester.governor.window import EXACT, SlidingLog
from harvester.model import WindowSignal

UNTIMED = 60.0
"""Seconds for which a remaining without any Reset is believed."""

_MOVING = 30.0
"""Seconds after the first Reset of a quota of bytes in which a sliding one gives room again by our own log."""


class Gate:
    """A limit of requests or of bytes over a period, declared by the budget or told by the server."""

    __slots__ = (
        "_counts_up",
        "_declared",
        "_figure",
        "_kept",
        "_share",
        "began",
        "began_within",
        "edges",
        "feedback",
        "kind",
        "limit",
        "log",
        "name",
        "says",
        "seconds",
        "stated",
        "told_limit",
        "unit",
    )

    def __init__(
        self, *, seconds: float | None, unit: str, declared: int | None, share: float = 1.0, name: str = ""
    ) -> None:
        """*declared*: the limit of the budget; None: only the server knows of this window.

        *share* of the limit may be used (margin and reserve taken off). *seconds* None: length unknown, which
        leaves nothing to log.
        """
        self.name = name
        self.seconds = seconds
        self.unit = unit
        self._share = share
        self._declared = declared
        self.told_limit: int | None = None  # by an answer, or learned from a refusal
        self.stated: int | None = None  # the lower of the declared and the told limit, nothing taken off
        self.limit: int | None = None  # what this program may use of one period; None: unknown
        self.says = ""  # this window in words: ``20 per 60 s``
        self.kind: Kind = "unknown"
        self.began: float | None = None  # monotonic: a fixed window began here, or up to *began_within* seconds later
        self.began_within = 0.0
        self._kept = 0
        self._counts_up = False  # the server tells what was used
        self._figure: tuple[float, int, float | None] | None = None  # of the last answer: when, which one, Reset
        self.feedback = Feedback(seconds)
        short = unit == "requests" and seconds is not None and seconds <= LONGEST
        self.edges: Edges | None = Edges(seconds) if short and seconds is not None else None
        self.log: SlidingLog | None = None
        if seconds is not None:
            # The number of entries is not bounded by a limit in bytes, nor by a limit that is yet to be told.
            unbounded = unit == "bytes" or (declared is None and seconds > 3600)
            self.log = SlidingLog(math.inf, seconds, coarse=unbounded or (declared or 0) > EXACT)
        self._set_limit()

    def _set_limit(self) -> None:
        limits = [limit for limit in (self._declared, self.told_limit) if limit is not None]
        self.stated = min(limits) if limits else None
        self.limit = None if self.stated is None else max(1, math.floor(self.stated * self._share + 1e-9))
        if self.log is not None:
            self.log.limit = math.inf if self.limit is None else self.limit
        amount = self.limit if self.limit is not None else "requests"
        what = " bytes" if self.unit == "bytes" else ""
        length = f" per {self.seconds:g} s" if self.seconds is not None else " until the server's reset"
        self.says = f"{amount}{what}{length}"

    def tell_limit(self, limit: int) -> None:
        """An earlier run learned this limit."""
        self.told_limit = limit
        self._set_limit()

    def recall(self, kind: Kind) -> None:
        """An earlier run found out that the window is of this *kind*."""
        self.kind = kind
        if self.edges is not None and kind == "fixed":
            self.edges.recall()

    def hear(
        self, signal: WindowSignal, now: float, *, sent_after: float, open_requests: int, each: int, own: bool
    ) -> None:
        """Take what one answer says about this window.

        Args:
            sent_after: the answer belongs to a request sent no earlier (monotonic).
            open_requests: requests of the credential under way, the answered one included if not settled yet.
            each: what one of them will take of this window.
            own: see ``Feedback.hear``.
        """
        if signal.limit is not None and signal.limit > 0:
            passed = self.feedback.remaining is not None and not self.feedback.current(now)
            if self.told_limit is None or passed or signal.limit < self.told_limit:
                self.told_limit = signal.limit
            self._set_limit()
        held = open_requests * each
        if signal.used is not None:
            self._counts_up = True
            passed = self.feedback.remaining is not None and not self.feedback.current(now)
            if passed and signal.remaining is None and self.log is not None:
                # A count from after a Reset: what the server has forgotten, we may forget.
                self.log.forget(self.log.certain(sent_after) - signal.used)
                self.feedback.drop()
            self._adopt(signal.used, now, held, signal.resets_in)
        remaining = signal.remaining
        if remaining is None and signal.used is not None and signal.limit is not None and signal.resets_in is not None:
            remaining = max(0, signal.limit - signal.used)
        if remaining is None:
            return
        resets_in = signal.resets_in
        if resets_in is None:
            resets_in = self.seconds if self.seconds is not None else UNTIMED
        ended = self.feedback.reset_at
        rolled = self.feedback.hear(remaining, now + resets_in, now, sent_after, own=own)
        server_limit = self._server_limit()
        if own and server_limit is not None:
            # Two answers at one instant: whose figure it was is not known any more.
            again = self._figure is not None and self._figure[0] == now
            self._figure = None if again else (now, server_limit - remaining, signal.resets_at)
        if rolled is None:
            return
        if self.log is None or server_limit is None:
            self._kept = self._keep_back()
            self.feedback.explained = False
            return
        counted = max(0, server_limit - remaining)
        if rolled:
            before = self.log.certain(sent_after)
            if self.edges is None:  # of a short window, a Reset in whole seconds tells nothing
                self._tell_kind(before, counted, server_limit, ended, now)
            self.log.forget(before - counted)
        ours = self.log.used(now) + self.log.expired_since(sent_after) + held
        if counted > ours:
            # Someone else uses the credential too. Their requests came before now, so they are gone a period later.
            self.log.add(now, counted - ours)
            self.feedback.explained = False
        self._kept = self._keep_back()

    def _tell_kind(self, before: int, counted: int, limit: int, ended: float, now: float) -> None:
        """A Reset at *ended* has passed, and of *before* requests the server still counts *counted*."""
        if before < limit // 2:
            return  # too few to tell
        if counted <= max(2, limit // 10):
            self.kind, self.began, self.began_within = "fixed", ended - GUARD, min(GUARD, now - ended + GUARD)
        elif counted >= before - max(2, limit // 10):
            self.kind, self.began = "sliding", None

    def _server_limit(self) -> int | None:
        """The limit by which the server computes its remaining, as far as we know it."""
        return self.told_limit if self.told_limit is not None else self._declared

    def _keep_back(self) -> int:
        """Margin and reserve in the server's own count, where a lower limit of ours must hold too."""
        whole = self._server_limit()
        if whole is None:
            whole = self.feedback.first
        return max(0, whole - (self.limit or math.floor(whole * self._share + 1e-9)))

    def _adopt(self, used: int, now: float, held: int, resets_in: float | None) -> None:
        """The server counted more than we did: someone else uses the credential, or our log is incomplete."""
        if self.log is None:
            return
        missing = used - self.log.used(now) - held
        if missing > 0:
            # With a Reset known they go when it passes; else they count for a whole period from now.
            age = self.log.seconds - min(resets_in, self.log.seconds) if resets_in is not None else 0.0
            self.log.add(now - age, missing)

    def fill(self, at: float) -> None:
        """Count the whole window as spent at *at*: what was spent is unknown."""
        if self.log is not None and self.limit is not None:
            self.log.add(at, self.limit)
        if self.edges is not None and self.seconds is not None:
            self.edges = Edges(self.seconds)

    def spent(self, at: float, amount: int, sent: float | None = None) -> None:
        """A request has ended; it counts for one period from *at* (monotonic). *sent*: when it was admitted."""
        if self.log is not None and amount > 0:
            self.log.add(at, amount, sent)

    def ended(self, sent: float, at: float, amount: int, open_requests: int, *, own: bool) -> None:
        """A request has ended. One of our own takes with it the figure that its answer was just heard to tell."""
        figure, self._figure = self._figure, None
        _, count, resets_at = figure if own and figure is not None and figure[0] == at else (at, None, None)
        limit = self._server_limit()
        if count is not None and self.log is not None and self.unit == "requests" and self.feedback.explained:
            self.log.release(count - amount, sent, at)
        self.spent(at, amount, sent)
        if self.edges is not None and limit is not None:
            self.edges.ended(sent, at, count, limit, open_requests, resets_at)
            if self.edges.trusted and self.began is None:
                begins, latest = self.edges.began(at)
                self.kind, self.began, self.began_within = "fixed", begins, latest - begins

    def doubt(self) -> None:
        """A request that was allowed was refused: what we counted and worked out is not all there is."""
        self.feedback.explained = False
        if self.edges is not None:
            self.edges.refuted()

    def wait(self, now: float, open_requests: int, each: int) -> float:
        """Seconds until this window lets one more request go; 0: now; infinite: when an open one has ended."""
        own = self.log.wait(now, max(each, 1), open_requests * each) if self.log is not None else 0.0
        if self.edges is not None and self.log is not None and self.limit is not None:
            if own <= 0:
                own = self.edges.scouting(now, self.log.used(now), open_requests, self.limit)
            if own > 0:
                own = min(own, self.edges.wait(now, open_requests, self.limit))
        told = self.feedback
        if told.remaining is None:
            return own
        if told.current(now):
            if told.left(open_requests, each) - self._kept >= max(each, 1):
                return own
            until_reset = told.reset_at + GUARD - now
            # Nobody else uses the credential, so the log knows when each slot comes back, better than whole seconds.
            return min(own, until_reset) if told.explained else until_reset
        if own <= 0 and told.explained:
            return 0.0
        if open_requests:
            return math.inf
        if self.unit == "bytes" and self.kind != "fixed":
            # The Reset of a sliding window gives back the oldest answer only, which may be less than a page needs.
            late = told.reset_at + GUARD + _MOVING - now
            return own if self.kind == "sliding" else min(own, max(0.0, late))
        # One probe tells whether the window has started again. Did something go out since the figure was heard, it
        # has taken what the Reset gave back; nothing is known then beyond our log.
        return own if told.touched else 0.0

    def sending(self, now: float, open_requests: int) -> None:
        """A request is about to go out beside *open_requests*; after a Reset it is the one probe."""
        told = self.feedback
        if told.silent and told.touched and open_requests == 0 and not told.current(now):
            told.drop()  # the probe came back without a figure: the server no longer tells this window
        told.touched = True

    def told(self, now: float) -> WindowSignal | None:
        """What the server's answers so far come to, for the ledger; None: nothing that would serve later.

        The lowest figure with lost requests taken off; or the count with the requests of others that it has shown.
        """
        told = self.feedback
        current = told.current(now)
        counts = self._counts_up and not current and self.log is not None
        if self.told_limit is None and not current and not counts:
            return None
        return WindowSignal(
            name=self.name,
            seconds=self.seconds,
            limit=self.told_limit,
            used=self.log.used(now) if counts and self.log is not None else None,
            remaining=max(0, told.left(0)) if current else None,
            resets_in=max(0.0, told.reset_at - now) if current else None,
            unit=self.unit,
        )

    def use(self, now: float, open_requests: int, each: int) -> tuple[int, int] | None:
        """(used, limit) as known; None: nothing is known."""
        if self.edges is not None and self.edges.trusted and self.limit is not None:
            return self.edges.used(now) + open_requests, self.limit
        if self.limit is not None and self.log is not None:
            return self.log.used(now) + open_requests * each, self.limit
        told = self.feedback
        if not told.current(now):
            return None
        return max(0, told.first - max(0, told.left(open_requests, each))), told.first
