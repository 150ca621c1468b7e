"""The order in which a request passes through the layers, from the first to the last."""

from __future__ import annotations

from harvester.contracts import Auth, Clock, Judge, Rng, SignalReader, Sink, Transport
from harvester.governor.signals.dated import dated
from harvester.model import Action, Response, Verdict
from harvester.wire.authorized import Authorized, Latch
from harvester.wire.counted import Counted
from harvester.wire.governed import Admitting, Governed, Ticket
from harvester.wire.judged import Judged
from harvester.wire.origin import Origin
from harvester.wire.patience import DEFAULT_PATIENCE, Patience
from harvester.wire.redirected import Redirected
from harvester.wire.renewing import Renewing
from harvester.wire.retrying import Retrying


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
    signals = dated(signals)
    counted = Counted(transport, source=source, clock=clock, sink=sink)
    latch = Latch()

    def heard(response: Response) -> None:
        governor.observe(signals(response, clock.now()))

    authorized = Authorized(Judged(counted, judge), auth, source=source, latch=latch, heard=heard)
    governed = Governed(authorized, governor, signals, source=source, clock=clock)
    renewing = Renewing(governed, auth, source=source, latch=latch)
    return Retrying(Redirected(renewing, origin), source=source, clock=clock, rng=rng, sink=sink, patience=patience)


def build_for_tokens(
    transport: Transport,
    *,
    source: str,
    signals: SignalReader,
    governor: Admitting[Ticket] | None,
    clock: Clock,
    sink: Sink,
) -> Transport:
    """The way of token requests. *transport* is gated to the token URL; the auth scheme repeats by itself.

    *governor*: the one of the data requests if token requests are charged to the same quota; None: they are not.
    """

    def judge(response: Response) -> Verdict:
        wait = signals(response, clock.now()).retry_after
        return Verdict(action=Action.THROTTLED if response.status == 429 else Action.USE, wait=wait)

    judged = Judged(Counted(transport, source=source, clock=clock, sink=sink), judge)
    return judged if governor is None else Governed(judged, governor, signals, source=source, clock=clock)
