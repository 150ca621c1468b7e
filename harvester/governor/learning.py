"""What is found out about a credential's windows while asking, and how carefully to ask until it is known."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from harvester.contracts import Clock
from harvester.governor.gate import Gate
from harvester.governor.inference import Guess, infer
from harvester.governor.learned import Learned
from harvester.governor.window import EXACT
from harvester.model import RateSignal

_CAREFUL = 2
"""Open requests at most where no limit is known: so many are refused at most when one is met."""

_PROVEN = 3
"""Times the limit that a refusal taught: until so many answers have come without another, one request is open. What
was inferred may be wrong (a wait of 6 s may belong to a window of ten seconds or to the end of a minute), and finding
that out is to cost one refusal more, not one for each open request."""

_UNNAMED = 50  # the same after a refusal that taught no limit

_TRUSTED = 1000  # answers without a refusal, after which more may be open, one for every …
_STEP = 100  # … answers more

_CLEAN = 60.0
"""Seconds without a refusal after which one more may be open: no window that short holds anybody back. The first three
of them are short enough that a limit of an hour is met with three requests open, and so are refused, at most."""

_TOLD = 20
"""Answers after which twice as many may be open, where answers tell a limit: it holds the rate, and the next run, which
knows it from the beginning, is not careful either."""
_DOUBLINGS = 8

_STALE = timedelta(days=30)
"""A limit that was only inferred may have been another program's doing: it is found out again some time."""

INFERRED = "inferred from "


class Learning:
    """The lessons of one credential."""

    def __init__(
        self, clock: Clock, *, declared: bool, learned: Sequence[Learned], teach: Callable[[Learned], object] | None
    ) -> None:
        """*declared*: the budget names windows, and they are taken to be all. *teach* is told of every new lesson."""
        self._clock = clock
        self._teach = teach
        self._declared = declared
        self._known = {(lesson.seconds, lesson.unit): (lesson.limit, lesson.kind) for lesson in learned}
        self._careful = not declared and not learned
        self._accepted: deque[tuple[float, float]] = deque(maxlen=EXACT)
        self._row = 0  # answers since the last refusal
        self._clean: float | None = None  # monotonic, of the first of them
        self._latest = 0.0  # monotonic, of the last of them
        self._told: int | None = None  # how many there were when an answer told a limit
        self._alone = 0  # answers in a row until which one request is open

    @property
    def most_open(self) -> int:
        """How many requests may be open while the limits are being found out."""
        if not self._careful:
            return EXACT
        if self._row < self._alone:
            return 1
        minutes = 0 if self._clean is None else int((self._latest - self._clean) / _CLEAN)
        told = 0 if self._told is None else min(_DOUBLINGS, (self._row - self._told) // _TOLD)
        return max(_CAREFUL + max(minutes, (self._row - _TRUSTED) // _STEP), _CAREFUL << told)

    def answered(self, admitted: float, now: float) -> None:
        """A request was accepted."""
        self._row += 1
        self._clean = now if self._clean is None else self._clean
        self._latest = now
        if not self._declared:
            self._accepted.append((admitted, now))

    def told(self, gate: Gate, evidence: str) -> None:
        """An answer told of the window *gate*."""
        if self._told is None and gate.told_limit is not None and not evidence.startswith(INFERRED):
            self._told = self._row
        if gate.seconds is None or (gate.told_limit is None and gate.kind == "unknown"):
            return
        key, fact = (gate.seconds, gate.unit), (gate.told_limit, gate.kind)
        if self._known.get(key) == fact:
            return
        self._known[key] = fact
        if self._teach is None:
            return
        wall, now = self._clock.now(), self._clock.monotonic()
        self._teach(
            Learned(
                seconds=gate.seconds,
                limit=gate.told_limit,
                unit=gate.unit,
                kind=gate.kind,
                phase=None if gate.began is None else wall.timestamp() - (now - gate.began),
                phase_within=0.0 if gate.began is None else gate.began_within,
                evidence=evidence,
                at=wall,
            )
        )

    def refused(self, signal: RateSignal, sent: float, now: float, open_requests: int) -> Guess | None:
        """The window behind a refusal that names none; None: it names one, or too little is known.

        Where the budget declares windows they are believed: somebody else may use the credential (FAULTS Q07).
        """
        self._row, self._clean = 0, None
        self._told = None if self._told is None else 0
        limits = [window.limit for window in signal.windows if window.limit is not None]
        named = bool(limits) or any(window.remaining is not None for window in signal.windows)
        guess = None
        if not self._declared and not named and signal.retry_after is not None:
            guess = self._infer(sent, now, signal.retry_after, beside=max(0, open_requests - 1))
        if guess is not None:
            limits.append(guess.limit)
        self._alone = max(self._alone, _PROVEN * max(limits, default=_UNNAMED))
        return guess

    def _infer(self, sent: float, now: float, wait: float, *, beside: int) -> Guess | None:
        if len(self._accepted) == self._accepted.maxlen:
            return None  # the beginning is not remembered
        guess = infer(self._accepted, sent, now, wait, beside=beside)
        if guess is None:
            return None
        known, _ = self._known.get((guess.seconds, "requests"), (None, ""))
        if known is not None and guess.limit >= known:
            return Guess(guess.seconds, max(1, known - 1))  # so many were too many
        return guess


def still_good(lessons: Sequence[Learned], now: datetime) -> list[Learned]:
    """*lessons* without inferred ones that are too old to be kept to."""
    return [each for each in lessons if not each.evidence.startswith(INFERRED) or now - each.at < _STALE]
