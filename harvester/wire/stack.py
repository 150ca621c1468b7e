"""The order in which a request passes through the layers, from the first to the last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic

from harvester.contracts import Auth, Clock, Judge, Rng, SignalReader, Sink, Transport
from harvester.governor.signals.dated import dated
from harvester.model import Action, Response, Verdict
from harvester.wire.authorized import Authorized, Latch
from harvester.wire.counted import Counted
from harvester.wire.governed import Admitting, Governed, Ticket
from harvester.wire.judged import Judged
from harvester.wire.origin import Origin
from harvester.wire.patience import DEFAULT_PATIENCE, Patience
from harvester.wire.pool import Member, Pool
from harvester.wire.redirected import Redirected
from harvester.wire.renewing import Renewing
from harvester.wire.retrying import Retrying


@dataclass(frozen=True, kw_only=True, eq=False)
class Way(Generic[Ticket]):
    """What belongs to one credential of a source."""

    name: str  # "": the source has one only
    transport: Transport
    auth: Auth
    governor: Admitting[Ticket]


def build(
    transport: Transport,
    *,
    source: str,
    origin: Origin,
    judge: Judge,
    signals: SignalReader,
    auth: Auth,
    governor: Admitting[Ticket],
    clock: Clock,
    rng: Rng,
    sink: Sink,
    patience: Patience = DEFAULT_PATIENCE,
) -> Transport:
    """The way of data requests. *transport* is gated to *origin*; sharers of a credential share *governor* and *auth*.

    Repeats, redirect hops and replays after a renewal all start above ``Governed``, so each is admitted by itself.
    The credential is put on below it, so it is fresh when sent and no admission is held while a token is fetched.
    """
    way = Way(name="", transport=transport, auth=auth, governor=governor)
    return build_shared(
        {way: lambda: 0.0},
        source=source,
        origin=origin,
        judge=judge,
        signals=signals,
        clock=clock,
        rng=rng,
        sink=sink,
        patience=patience,
    )


def build_shared(
    ways: Mapping[Way[Ticket], Callable[[], float]],
    *,
    source: str,
    origin: Origin,
    judge: Judge,
    signals: SignalReader,
    clock: Clock,
    rng: Rng,
    sink: Sink,
    patience: Patience = DEFAULT_PATIENCE,
) -> Transport:
    """The way of data requests of a source with one or several credentials.

    What is the server's, its breaker and retry budget, is shared; what is a credential's is not.

    Args:
        ways: the ways of its credentials, with the seconds until the next request may go by each.
    """
    if len(ways) == 1:
        way = next(iter(ways))
        renewing = _renewing(way, source=source, judge=judge, signals=signals, clock=clock, sink=sink)
        return Retrying(Redirected(renewing, origin), source=source, clock=clock, rng=rng, sink=sink, patience=patience)
    members = [
        Member(
            name=way.name,
            stack=_renewing(way, source=source, judge=judge, signals=signals, clock=clock, sink=sink),
            next_free=next_free,
        )
        for way, next_free in ways.items()
    ]
    pool = Pool(members, source=source, clock=clock, sink=sink)
    return Retrying(Redirected(pool, origin), source=source, clock=clock, rng=rng, sink=sink, patience=patience)


def _renewing(
    way: Way[Ticket], *, source: str, judge: Judge, signals: SignalReader, clock: Clock, sink: Sink
) -> Transport:
    signals = dated(signals)
    counted = Counted(way.transport, source=source, clock=clock, sink=sink, credential=way.name)
    latch = Latch()

    def heard(response: Response) -> None:
        way.governor.observe(signals(response, clock.now()))

    authorized = Authorized(Judged(counted, judge), way.auth, source=source, latch=latch, heard=heard)
    governed = Governed(authorized, way.governor, signals, source=source, clock=clock)
    return Renewing(governed, way.auth, source=source, latch=latch)


def build_for_tokens(
    transport: Transport,
    *,
    source: str,
    signals: SignalReader,
    governor: Admitting[Ticket] | None,
    clock: Clock,
    sink: Sink,
    credential: str = "",
) -> Transport:
    """The way of token requests. *transport* is gated to the token URL; the auth scheme repeats by itself.

    *governor*: the one of the data requests if token requests are charged to the same quota; None: they are not.
    """

    def judge(response: Response) -> Verdict:
        wait = signals(response, clock.now()).retry_after
        return Verdict(action=Action.THROTTLED if response.status == 429 else Action.USE, wait=wait)

    judged = Judged(Counted(transport, source=source, clock=clock, sink=sink, credential=credential), judge)
    if governor is None:
        return judged
    # A token is wanted whoever sends the request that it is fetched for.
    return Governed(judged, governor, signals, source=source, clock=clock, claims=False)
