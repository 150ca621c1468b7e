"""A Transport that answers from a script, and short ways to write answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from harvester.model import Action, Headers, Request, Response, Verdict

Step = Response | BaseException | Callable[[Request], Response]


class ScriptedTransport:
    """Gives one step of *script* a request, the last one for ever; keeps what was asked.

    A step is an answer, an error to raise, or a function of the request. With ``hold()`` requests wait until
    ``let_go()``.
    """

    def __init__(self, script: Iterable[Step]) -> None:
        self._script = list(script)
        self.requests: list[Request] = []
        self._gate = asyncio.Event()
        self._gate.set()

    def hold(self) -> None:
        self._gate.clear()

    def let_go(self) -> None:
        self._gate.set()

    async def send(self, request: Request) -> Response:
        self.requests.append(request)
        step = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        await self._gate.wait()
        if isinstance(step, BaseException):
            raise step
        return step(request) if callable(step) else step


def answer(
    status: int = 200,
    body: bytes = b'{"value":[]}',
    headers: Iterable[tuple[str, str]] = (),
    *,
    action: Action = Action.USE,
    reason: str = "",
    wait: float | None = None,
    page_size: int | None = None,
    url: str = "https://api.example.com/v1/Property",
) -> Response:
    """A judged answer. *wait* in seconds."""
    return Response(
        status=status,
        headers=Headers(headers),
        body=body,
        url=url,
        wire_bytes=len(body),
        verdict=Verdict(action=action, reason=reason, wait=wait, page_size=page_size),
    )
