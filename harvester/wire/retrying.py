"""Which failures to repeat, after how long, and when to stop: within attempts, patience and a retry budget."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from harvester.contracts import Clock, Rng, Sink, Transport
from harvester.errors import (
    GiveUpError,
    HarvesterError,
    OriginRefused,
    ProtocolError,
    QuotaExhausted,
    RepeatError,
    ServerFault,
    Throttled,
    TimedOut,
    WaitError,
)
from harvester.events import Repeated
from harvester.model import Action, Request, Response
from harvester.wire.breaker import Breaker
from harvester.wire.patience import DEFAULT_PATIENCE, Patience
from harvester.wire.retry_budget import RetryBudget
from harvester.wire.verdicts import error_of


@dataclass
class _Course:
    """What has become of one request so far."""

    attempts: int = 0
    failures: int = 0  # attempts that got no answer and no refusal
    charged: int = 0  # of these, the ones that were no probe
    waited: float = (
        0.0  # seconds for the server to recover; waits for quota or for the retry budget are not its failure
    )


class Retrying:
    """The outermost layer. Its callers share a breaker and a retry budget: one instance a source."""

    def __init__(
        self,
        inner: Transport,
        *,
        source: str,
        clock: Clock,
        rng: Rng,
        sink: Sink,
        patience: Patience = DEFAULT_PATIENCE,
        breaker: Breaker | None = None,
        budget: RetryBudget | None = None,
    ) -> None:
        self._inner = inner
        self._source = source
        self._clock = clock
        self._rng = rng
        self._sink = sink
        self._patience = patience
        self._breaker = breaker or Breaker(clock)
        self._budget = budget or RetryBudget(clock)
        self._answered = 0  # answers got by all callers: what refusals are measured against
        self._doubted = False  # a request was given up before anyone had an answer: the others try once

    async def send(self, request: Request) -> Response:
        """An answer that is to be used (verdict USE or EMPTY).

        Raises:
            RepeatError: the last failure, when attempts or patience are spent. They are few until anyone has had an
                answer in this run: a wrong address must not be taken for an outage.
            QuotaExhausted: refused for quota reasons again and again; run again later.
            WaitError: the server asks for a longer wait than patience allows.
            GiveUpError, MendError: repeating cannot help; see ``wire.verdicts``.
        """
        self._budget.deposit()
        course = _Course()
        answered, refusals = self._answered, 0
        while True:
            course.attempts += 1
            began = self._clock.monotonic()
            probe = await self._breaker.enter()
            course.waited += self._clock.monotonic() - began
            try:
                response = await self._inner.send(request)
                error = error_of(request, response, source=self._source)
                outage = response.verdict.action is Action.OUTAGE
            except Throttled as exc:
                self._breaker.succeeded()
                if answered != self._answered:
                    answered, refusals = self._answered, 0
                refusals += 1
                if refusals >= self._patience.refusals:
                    raise self._exhausted(refusals) from exc
                # No wait of our own: the governor holds the next admission until the pause is over, for everyone.
                self._tell(exc, course.attempts, exc.wait)
                continue
            except RepeatError as exc:
                error, outage = exc, False
            except BaseException as exc:
                self._end(exc, probe=probe)
                raise
            if error is None:
                self._breaker.succeeded()
                self._answered += 1
                return response
            if not isinstance(error, RepeatError):
                self._breaker.succeeded()
                if isinstance(error, ProtocolError) and not self._answered:
                    self._say_unmet(error, course)
                raise error
            if self._answered:
                self._breaker.failed(probe=probe)
            course.failures += 1
            course.charged += not probe
            await self._bear(error, course, outage=outage)

    async def _bear(self, error: RepeatError, course: _Course, *, outage: bool) -> None:
        """Wait before the next attempt. Raises *error* when there is none."""
        if not self._answered:
            # A connection that hangs has cost its time already.
            tries = 2 if isinstance(error, TimedOut) else self._patience.unmet_attempts
            if self._doubted or course.failures >= tries:
                self._doubted = True
                self._say_unmet(error, course)
                raise error
            high = self._patience.first * 4.0 ** (course.failures - 1)
            seconds = queued = max(self._asked(error), self._rng.uniform(0.0, high))
        else:
            if course.charged >= self._patience.attempts or course.waited >= self._patience.outlast:
                _say_spent(error, course)
                raise error
            seconds, queued = self._delay(error, course, outage=outage), self._budget.withdraw()
        pause = max(seconds, queued)
        self._tell(error, course.attempts, pause)
        await self._clock.sleep(pause)
        course.waited += seconds

    def _delay(self, error: RepeatError, course: _Course, *, outage: bool) -> float:
        asked = self._asked(error)
        patience, doublings = self._patience, min(course.failures - 1, 16)
        if outage:
            low, high = (
                patience.outage_first,
                min(patience.outage_longest, patience.outage_first * 2 ** (doublings + 1)),
            )
        else:
            low, high = 0.0, min(patience.longest, patience.first * 2**doublings)
        return max(asked, self._rng.uniform(low, high))

    def _asked(self, error: RepeatError) -> float:
        """Seconds the server asks to wait; 0: it does not. Raises WaitError when they are more than patience allows."""
        asked = error.wait if isinstance(error, ServerFault) else 0.0
        if asked > self._patience.outlast:
            until = self._clock.now() + timedelta(seconds=asked)
            raise WaitError(
                f"{error} The server asks to wait until {until:%Y-%m-%d %H:%M} UTC. Finished pages are saved; run "
                "the same command again then.",
                resets_at=until,
            ) from error
        return asked

    def _end(self, exc: BaseException, *, probe: bool) -> None:
        if isinstance(exc, GiveUpError) and not isinstance(exc, OriginRefused):
            self._breaker.succeeded()  # the server answered, if only to refuse
        else:
            self._breaker.abandoned(probe=probe)

    def _exhausted(self, refusals: int) -> QuotaExhausted:
        return QuotaExhausted(
            f"{self._source}: the provider refused {refusals} requests in a row for quota reasons, although each "
            "pause was kept. Finished pages are saved; run the same command again later, or lower the budget."
        )

    def _say_unmet(self, error: HarvesterError, course: _Course) -> None:
        """Add to *error* that nobody has had an answer yet. It stays the object it is, as in ``_say_spent``."""
        times = f"{course.attempts} time{'s' if course.attempts > 1 else ''}"
        advice = (
            f"{error} Tried {times}; nothing asked of {self._source} in this run has had a usable answer. Check "
            f"sources.{self._source}.base_url: host, port and path. If it is right, the provider is down: run the "
            "same command again later."
        )
        error.args = (advice,)

    def _tell(self, error: HarvesterError, attempt: int, seconds: float) -> None:
        self._sink(
            Repeated(at=self._clock.now(), source=self._source, reason=str(error), attempt=attempt, seconds=seconds)
        )


def _say_spent(error: RepeatError, course: _Course) -> None:
    """Add to *error* what was tried. It stays the object it is: callers ask its class and its fields."""
    tried = f"Tried {course.attempts} times, with {course.waited:.0f} s of waiting"
    error.args = (f"{error} {tried}; finished pages are saved.",)
