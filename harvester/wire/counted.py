"""Tells of every request that went on the wire, token requests and repeats included."""

from __future__ import annotations

from harvester.contracts import Clock, Sink, Transport
from harvester.errors import CredentialsRefused, MendError, OriginRefused, RepeatError
from harvester.events import Requested
from harvester.model import Request, Response


class Counted:
    """Emits one ``Requested`` a request; the innermost layer above the socket, so nothing passes beside it."""

    def __init__(self, inner: Transport, *, source: str, clock: Clock, sink: Sink, credential: str = "") -> None:
        self._inner = inner
        self._source = source
        self._clock = clock
        self._sink = sink
        self._credential = credential

    async def send(self, request: Request) -> Response:
        try:
            response = await self._inner.send(request)
        except BaseException as exc:
            if was_sent(exc):
                self._tell(0)
            raise
        self._tell(response.status)
        return response

    def _tell(self, status: int) -> None:
        self._sink(Requested(at=self._clock.now(), source=self._source, status=status, credential=self._credential))


def was_sent(error: BaseException) -> bool:
    """Whether bytes may have reached the server before *error* ended the request, so that its quota counts it.

    In doubt they have: a cancelled or unforeseen end counts.
    """
    if isinstance(error, RepeatError | CredentialsRefused):
        return error.sent
    return not isinstance(error, MendError | OriginRefused)
