"""Follows a redirect within the origin; every other one is refused."""

from __future__ import annotations

import msgspec

from harvester.contracts import Transport
from harvester.errors import ProtocolError
from harvester.model import Request, Response
from harvester.wire.errands import errand, on_errand
from harvester.wire.origin import Origin
from harvester.wire.redaction import redact

_REDIRECTS = (301, 302, 307, 308)  # 303 answers a POST, and no data request is one
_HOPS = 3


class Redirected:
    """Stands above the governor, so that each hop is admitted and counted (FAULTS S13).

    The place that a redirect names may be for the credential that it was told to, as a next link is.
    """

    def __init__(self, inner: Transport, origin: Origin) -> None:
        self._inner = inner
        self._origin = origin

    async def send(self, request: Request) -> Response:
        """The first answer that is no redirect; its ``url`` is the one that was asked last.

        Raises:
            OriginRefused: the redirect leads out of the origin, or from https to http; the credential stays here.
            ProtocolError: more than three hops, or none named.
        """
        task = errand()
        for _ in range(_HOPS + 1):
            with on_errand(task):
                response = await self._inner.send(request)
            if response.via:
                task = msgspec.structs.replace(task, via=response.via)
            if response.status not in _REDIRECTS or request.method != "GET":
                return response
            location = response.headers.get("location")
            if not location:
                raise ProtocolError(f"GET {redact(request.url)}: status {response.status} redirects without a place.")
            request = msgspec.structs.replace(request, url=self._origin.resolve(location, request.url))
        raise ProtocolError(f"GET {redact(request.url)}: redirected more than {_HOPS} times.")
