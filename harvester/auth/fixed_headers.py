"""An ``Auth`` whose credential never changes."""

from __future__ import annotations

import msgspec

from harvester.model import Request


class FixedHeaders:
    """Puts the same headers on every request; there is nothing to prepare or renew."""

    def __init__(self, headers: tuple[tuple[str, str], ...]) -> None:
        self._headers = headers

    async def prepare(self) -> None:
        """Nothing to get."""

    async def authorize(self, request: Request) -> tuple[Request, str]:
        return msgspec.structs.replace(request, headers=request.headers + self._headers), "fixed"

    async def renew(self, mark: str) -> bool:
        """False: a refused key stays refused."""
        return False

    async def close(self) -> None:
        """Nothing is under way."""
