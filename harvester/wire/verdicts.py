"""The error an answer amounts to, as its verdict says; pure."""

from __future__ import annotations

from harvester.errors import (
    CursorExpired,
    HarvesterError,
    PageTooLarge,
    ProtocolError,
    ResourceRefused,
    ServerFault,
)
from harvester.model import Action, Request, Response
from harvester.wire.redaction import printable, redact


def error_of(request: Request, response: Response, *, source: str) -> HarvesterError | None:
    """None: the answer is to be used. THROTTLED, RENEW and REFUSED never come this far.

    The message holds method, redacted URL, status, the server's request id and the verdict's reason; never headers
    or body. Where the status alone tells a user little, it says what to look at.
    """
    verdict = response.verdict
    match verdict.action:
        case Action.USE | Action.EMPTY:
            return None
        case Action.FAULT | Action.OUTAGE:
            return ServerFault(_told(request, response), status=response.status, wait=verdict.wait or 0.0)
        case Action.SKIP | Action.GONE:
            advice = _ADVICE.get(response.status, "") if verdict.action is Action.SKIP else ""
            told = _told(request, response) + advice.format(source=source)
            return ResourceRefused(told, status=response.status)
        case Action.SHRINK:
            return PageTooLarge(_told(request, response), page_size=verdict.page_size)
        case Action.EXPIRED:
            return CursorExpired(_told(request, response))
        case _:
            return ProtocolError(_told(request, response))


_ADVICE = {
    403: " The account may not be entitled to it: ask the provider, or leave it out of sources.{source}.resources.",
    404: " Check the name of the resource and sources.{source}.base_url.",
}


def _told(request: Request, response: Response) -> str:
    identity = response.headers.get("x-request-id") or response.headers.get("request-id")
    parts = [
        f"{request.method} {redact(request.url)}: status {response.status}",
        f" (request id {printable(identity, 64)})" if identity else "",
        f": {printable(response.verdict.reason)}" if response.verdict.reason else "",
        "; an HTML page came where data was due: a maintenance page, or a wrong base URL" if _is_html(response) else "",
    ]
    return "".join(parts).rstrip(".") + "."


def _is_html(response: Response) -> bool:
    """Whether an HTML page came of which the verdict says nothing."""
    if "HTML" in response.verdict.reason:
        return False
    start = response.body[:200].lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html"))
