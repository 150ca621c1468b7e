"""Which failures to repeat, after how long, and when to stop: within attempts, patience and a retry budget."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from harvester.contracts import Clock, Rng, Sink, Transport
from harvester.errors import (
    GiveUpError,
    HarvesterError,
    OriginRefused,
    QuotaExhausted,
    RepeatError,
    ServerFault,
    Throttled,
    WaitError,
)
from harvester.events import Repeated
from harvester.model import Action, Request, Response
from harvester.wire.breaker import Breaker
from harvester.wire.retry_budget import RetryBudget
from harvester.wire.verdicts import error_of


@dataclass(frozen=True, kw_only=True)
class Patience:
    """When to stop repeating one request. Seconds unless said otherwise."""

    attempts: int = 8  # tries while the breaker is closed
    outlast: float = 900.0  # spent waiting for the server to recover; probes of an open breaker may go on this long
    refusals: int = 20  # quota refusals in a row during which nobody got an answer
    first: float = 0.5  # most before the second try, doubling …
    longest: float = 30.0  # … to this; the wait is drawn from 0 up (full jitter), so that callers spread
    outage_first: float = 30.0  # least before asking again during maintenance, doubling …
    outage_longest: float = 300.0  # … to this


DEFAULT_PATIENCE = Patience()


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

    async def send(self, request: Request) -> Response:
        """An answer that is to be used (verdict USE or EMPTY).

        Raises:
            RepeatError: the last failure, when attempts or patience are spent.
            QuotaExhausted: refused for quota reasons again and again; run again later.
            WaitError: the server asks for a longer wait than patience allows.
            GiveUpError, MendError: repeating cannot help; see ``wire.verdicts``.
        """
        self._budget.deposit()
        attempt = failures = charged = refusals = 0
        answered = self._answered
        waited = 0.0  # for the server to recover; waits for quota are not its failure
        while True:
            attempt += 1
            began = self._clock.monotonic()
            probe = await self._breaker.enter()
            waited += self._clock.monotonic() - began
            try:
                response = await self._inner.send(request)
                error = error_of(request, response)
                outage = response.verdict.action is Action.OUTAGE
            except Throttled as exc:
                self._breaker.succeeded()
                if answered != self._answered:
                    answered, refusals = self._answered, 0
                refusals += 1
                if refusals >= self._patience.refusals:
                    raise self._exhausted(refusals) from exc
                # No wait of our own: the governor holds the next admission until the pause is over, for everyone.
                self._tell(exc, attempt, exc.wait)
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
                raise error
            self._breaker.failed(probe=probe)
            failures += 1
            charged += not probe
            if charged >= self._patience.attempts or waited >= self._patience.outlast:
                raise _spent(error, attempt, waited)
            seconds = self._delay(error, failures, outage=outage)
            self._tell(error, attempt, seconds)
            await self._clock.sleep(seconds)
            waited += seconds

    def _delay(self, error: RepeatError, failures: int, *, outage: bool) -> float:
        asked = error.wait if isinstance(error, ServerFault) else 0.0
        if asked > self._patience.outlast:
            until = self._clock.now() + timedelta(seconds=asked)
            raise WaitError(
                f"{error} The server asks to wait until {until:%Y-%m-%d %H:%M} UTC. Finished pages are saved; run "
                "the same command again then.",
                resets_at=until,
            ) from error
        patience, doublings = self._patience, min(failures - 1, 16)
        if outage:
            low, high = (
                patience.outage_first,
                min(patience.outage_longest, patience.outage_first * 2 ** (doublings + 1)),
            )
        else:
            low, high = 0.0, min(patience.longest, patience.first * 2**doublings)
        return max(asked, self._rng.uniform(low, high), self._budget.withdraw())

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

    def _tell(self, error: HarvesterError, attempt: int, seconds: float) -> None:
        self._sink(
            Repeated(at=self._clock.now(), source=self._source, reason=str(error), attempt=attempt, seconds=seconds)
        )


def _spent(error: RepeatError, attempts: int, seconds: float) -> RepeatError:
    """*error*, saying also what was tried. The same object: callers ask its class and its fields."""
    error.args = (f"{error} Tried {attempts} times, with {seconds:.0f} s of waiting; finished pages are saved.",)
    return error
