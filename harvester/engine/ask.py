"""Single questions beside a walk: its anchor, and how many records there are."""

from __future__ import annotations

import math

from harvester.contracts import Transport
from harvester.decode.heads import HeadReader
from harvester.engine.latest import Latest
from harvester.engine.source import Source
from harvester.errors import BodyIncomplete, CursorExpired, ProtocolError, ResourceRefused
from harvester.model import Action, Headers, Page, PageRequest, Phase, Request, Response, Verdict, Walk
from harvester.wire.errands import Errand, Priority, on_errand
from harvester.wire.redaction import redact

_NO_SUCH_RECORD = frozenset({404, 410})
_READINGS = 4  # times an answer without a length is asked for again, to see that it is whole
_ALIKE = 2  # readings in a row that must be the same
_ALIKE_SETS = 3  # of answers that are whole sets: nothing that follows would show that one was cut
_RANKS = {
    Phase.PUSH: Priority.DELTA,
    Phase.DELTA: Priority.DELTA,
    Phase.CLOSING: Priority.DELTA,
    Phase.SWEEP: Priority.SWEEP,
    Phase.REPAIR: Priority.SWEEP,
}


async def ask(source: Source, transport: Transport, walk: Walk, request: PageRequest) -> Page:
    """Send *request* for *walk* and open the answer.

    Raises:
        HarvesterError: as ``Transport.send``; ProtocolError when the body is no page of this provider.
    """
    return open_page(source, walk, request, await send(source, transport, walk, request))


async def send(
    source: Source, transport: Transport, walk: Walk, request: PageRequest, *, urgent_at: float = math.inf
) -> Response:
    """Send *request* with the headers that the provider and the walk want.

    Deltas go before sweeps and those before backfills, and resources share the quota by weight. From *urgent_at*
    (monotonic) on the request goes before all others, because its cursor would die.

    A record asked for by its key that does not exist is no failure: the answer is empty (FAULTS P12, S12).
    """
    url = source.origin.resolve(request.url)
    if request.via and request.via not in source.credentials:
        raise CursorExpired(
            f"{source.name}: the place of this walk was told to the credential {request.via}, which is not configured"
        )
    try:
        with on_errand(_errand(source, walk, urgent_at, request.via)):
            return await _whole(
                transport,
                Request(url=url, headers=(*source.provider.headers, *walk.headers, *request.headers)),
                _ALIKE_SETS if source.provider.listing.whole else _ALIKE,
            )
    except ResourceRefused as error:
        if not request.one or error.status not in _NO_SUCH_RECORD:
            raise
        nothing = Verdict(action=Action.EMPTY, reason=str(error))
        return Response(status=error.status, headers=Headers(), body=b"", url=url, verdict=nothing)


async def _whole(transport: Transport, request: Request, alike: int) -> Response:
    """An answer that cannot have been cut: its head tells its length, or the same bytes came *alike* times (H03)."""
    response, same = await transport.send(request), 1
    for _ in range(_READINGS):
        if response.framed or same == alike:
            return response
        again = await transport.send(request)
        same = same + 1 if again.body == response.body else 1
        response = again
    if response.framed or same == alike:
        return response
    raise BodyIncomplete(
        f"GET {redact(request.url)}: the server does not say where its answers end, and {_READINGS + 1} readings "
        "differed, so that none of them can be taken for whole."
    )


def _errand(source: Source, walk: Walk, urgent_at: float, via: str | None) -> Errand:
    name = walk.resource.name
    lane = f"{source.name}/{name}"
    return Errand(
        priority=_RANKS.get(walk.phase, Priority.BACKFILL),
        lane=lane,
        weight=source.weights.get(name, 1.0),
        urgent_at=urgent_at,
        walk=f"{lane}/{walk.id}",
        via=via,
    )


def open_page(source: Source, walk: Walk, request: PageRequest, response: Response) -> Page:
    """The page in *response*. Raises ``ProtocolError`` when its body is none of this provider."""
    return source.provider.envelope.open(response, request, walk)


async def find_anchor(source: Source, transport: Transport, walk: Walk) -> str | None:
    """The instant before the first request of *walk*, where only the provider's data can tell it.

    None when the provider's ``Date`` tells it instead (it comes with the first page), when the resource has no
    modification time, or when it is empty.
    """
    anchor = source.provider.anchor
    if anchor is None or walk.resource.modified is None:
        return None
    page = await ask(source, transport, walk, anchor(walk))
    read = HeadReader(walk.resource).read
    latest = Latest()
    latest.take((head.modified or None for head in map(read, page.records)), page.served_at)
    return latest.anchor


async def count(source: Source, transport: Transport, walk: Walk, request: PageRequest) -> int | None:
    """How many records the provider claims; None when it does not say, or does not take the question.

    A count is a hint (FAULTS P13): a server without one is still harvested.
    """
    try:
        return (await ask(source, transport, walk, request)).count
    except (ResourceRefused, ProtocolError):
        return None
