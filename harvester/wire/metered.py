"""Has the quota looked at after every request, for those who watch."""

from __future__ import annotations

from collections.abc import Callable

from harvester.contracts import Transport
from harvester.model import Request, Response


class Metered:
    """A Transport that calls *look* when a request has ended, however it ended."""

    def __init__(self, inner: Transport, look: Callable[[], None]) -> None:
        self._inner = inner
        self._look = look

    async def send(self, request: Request) -> Response:
        try:
            return await self._inner.send(request)
        finally:
            self._look()
