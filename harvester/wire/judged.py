"""Puts the provider's verdict on every answer."""

from __future__ import annotations

import msgspec

from harvester.contracts import Judge, Transport
from harvester.model import Request, Response


class Judged:
    """Statuses mean different things to different providers; only below this layer are they bare numbers."""

    def __init__(self, inner: Transport, judge: Judge) -> None:
        self._inner = inner
        self._judge = judge

    async def send(self, request: Request) -> Response:
        response = await self._inner.send(request)
        return msgspec.structs.replace(response, verdict=self._judge(response))
