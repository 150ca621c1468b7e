"""How long failures are borne, before a source has ever answered and after. Declared; ``retrying`` holds to it."""

from __future__ import annotations

from dataclasses import dataclass


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
    # Until anyone has had a usable answer in this run, a failure is rather a wrong address than an outage. Tries of
    # one request; the waits between them grow fourfold from *first*, to some ten seconds in all.
    unmet_attempts: int = 4


DEFAULT_PATIENCE = Patience()
