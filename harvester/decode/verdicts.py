"""What an answer asks of the client, as far as HTTP and JSON alone can tell; providers correct it by their contract.

Reasons are for people: one short printable line, with whatever looks like a credential masked (FAULTS E04, E06). They
leave out the status, which whoever shows them has said already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from harvester.model import Action, Response, Verdict

MAX_REASON = 200  # characters
HTML_PAGE = "an HTML page came where data was due: a maintenance page, or a wrong base URL"
_ERROR_BODY = 64 << 10  # bytes; a larger body is not searched for a reason


def judge_http(response: Response, *, no_content: Action = Action.EMPTY) -> Verdict:
    """The verdict by status and shape of the body.

    Args:
        no_content: what 204 means; ``Action.FAULT`` for providers that never answer a list so (FAULTS H13).

    Redirects are off in the transport, so any 3xx here is no answer of the provider (FAULTS S13). 410 and 409
    are for cursors (FAULTS S08), 52x and 598/599 belong to their class (FAULTS S02).
    """
    status = response.status
    if 200 <= status < 300:
        return _judge_success(response, no_content)
    if status == 503 and looks_like_html(response):
        return Verdict(action=Action.OUTAGE, reason=HTML_PAGE, wait=wait_hint(response))
    verdict = _BY_STATUS.get(status)
    if verdict is None:
        verdict = Action.FAULT if status >= 500 else Action.SKIP if status >= 400 else Action.BROKEN
    wait = wait_hint(response) if verdict in {Action.THROTTLED, Action.FAULT} else None
    return Verdict(action=verdict, reason=describe(response), wait=wait)


_BY_STATUS = {
    401: Action.RENEW,
    403: Action.SKIP,
    404: Action.SKIP,
    408: Action.FAULT,
    409: Action.EXPIRED,
    410: Action.EXPIRED,
    425: Action.FAULT,
    429: Action.THROTTLED,
}


def _judge_success(response: Response, no_content: Action) -> Verdict:
    if response.status == 204:
        return Verdict(action=no_content, reason="no content")
    if not response.body.strip(b" \t\r\n") if len(response.body) < 16 else False:
        return Verdict(action=Action.FAULT, reason="an empty body came where data was due")
    if looks_like_html(response):
        return Verdict(action=Action.OUTAGE, reason=HTML_PAGE, wait=wait_hint(response))
    kind = response.headers.get("content-type", "")
    if kind and not is_json(kind):
        return Verdict(action=Action.BROKEN, reason=f"content type {printable(kind)} came where JSON was due")
    if _ERROR_FIRST.match(response.body):
        reason = printable(error_text(response)) or "an error came where data was due"
        return Verdict(action=Action.FAULT, reason=reason, wait=wait_hint(response))
    return Verdict(action=Action.USE)


_ERROR_FIRST = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"error"\s*:')  # FAULTS S06


def judge_odata(response: Response, verdict: Verdict) -> Verdict:
    """*verdict*, from ``judge_http``, made finer where OData itself says more.

    404 for an address of one entity means that it is gone; a 400 that speaks of ``$top`` asks for smaller pages
    (FAULTS S09).
    """
    if response.status == 404 and response.url.partition("?")[0].endswith(")"):
        return Verdict(action=Action.GONE, reason=verdict.reason)
    if response.status == 400:
        text = error_text(response)
        if speaks_of_page_size(text):
            return Verdict(action=Action.SHRINK, reason=verdict.reason, page_size=allowed_page_size(text))
    return verdict


# ------------------------------------------------------------------ reading bodies and headers


def looks_like_html(response: Response) -> bool:
    """By content type, or by how the body begins (FAULTS S07, H12)."""
    if "html" in response.headers.get("content-type", "").lower():
        return True
    start = response.body[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html"))


def is_json(content_type: str) -> bool:
    """A JSON type, in UTF-8 or without a charset (FAULTS H12)."""
    kind, _, parameters = content_type.lower().partition(";")
    charset = re.search(r"charset\s*=\s*\"?([^\s\";]+)", parameters)
    return "json" in kind and (charset is None or charset[1] in {"utf-8", "utf8", "us-ascii"})


def error_body(response: Response) -> Mapping[str, Any]:
    """The top-level object of a small JSON body; empty when it is something else."""
    if len(response.body) > _ERROR_BODY:
        return {}
    try:
        body = msgspec.json.decode(response.body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return {}
    return body if isinstance(body, dict) else {}


def error_text(response: Response) -> str:
    """The message of an error body; "" when it has none.

    ``error`` is a text in some bodies and an object ``{code, message}`` in others, of one provider even (IMS
    contract, section 7); Centris writes ``{message, details}``.
    """
    body = error_body(response)
    error = body.get("error", body)
    if isinstance(error, dict):
        texts = [error.get("message"), error.get("details")]
        return " ".join(dict.fromkeys(text for text in texts if isinstance(text, str) and text))
    return error if isinstance(error, str) else ""


def describe(response: Response) -> str:
    """The message of an answer, printable and masked: ``Resource can not be found``. Without one what the status is
    called (``Not Found``); "" for a status that has no name."""
    text = error_text(response)
    if text:
        return printable(text)
    try:
        return HTTPStatus(response.status).phrase
    except ValueError:
        return ""


def wait_hint(response: Response) -> float | None:
    """The longest wait the answer names, in seconds: ``Retry-After`` as digits, ``retry_after`` of the body, or
    "try again in 41 second(s)". None: it names none. Dates are left to the governor, which has a clock.
    """
    found: list[float] = []
    header = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", header, re.ASCII):  # other digits, signs and exponents are no delay (FAULTS S04)
        found.append(float(header))
    body = error_body(response)
    for place in (body, body.get("error")):
        value = place.get("retry_after") if isinstance(place, dict) else None
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9:
            found.append(float(value))
    told = re.search(r"try again in ([0-9]{1,9}) second", error_text(response), re.ASCII | re.IGNORECASE)
    if told:
        found.append(float(told[1]))
    return max(found, default=None)


def allowed_page_size(text: str) -> int | None:
    """The page size an error message names; None: none.

    ``$top value can not exceed 5000`` (IMS) and ``The limit of '1000' for Top query has been exceeded. The value
    from the incoming request is '5000'`` (common OData servers): the smallest number is the limit.
    """
    if not speaks_of_page_size(text):
        return None
    sizes = [int(digits) for digits in re.findall(r"(?<![\w.])[0-9]{1,7}(?![\w])", text, re.ASCII)]
    return min((size for size in sizes if size > 0), default=None)


def speaks_of_page_size(text: str) -> bool:
    """Whether an error message says that the page asked for is too large."""
    return bool(_SIZE.search(text) and _TOO_MUCH.search(text))


_SIZE = re.compile(r"\$top\b|\btop query\b|\b_limit\b|\bpage ?size\b", re.IGNORECASE)
_TOO_MUCH = re.compile(r"exceed|too (?:large|high|big)|maximum|greater|larger|from \d+ to \d+", re.IGNORECASE)


# ------------------------------------------------------------------ text for people


def printable(text: str) -> str:
    """*text* as one short line: control and format characters escaped, credentials masked, cut at 200 characters."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    line = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text[: 2 * MAX_REASON])
    return line if len(line) <= MAX_REASON else line[: MAX_REASON - 1] + "…"


_SECRETS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"(?i)\b(bearer|oauth|basic)\s+(?!token\b)[^\s\"',;]{4,}"), r"\1 ***"),
    (
        re.compile(
            r"(?i)\b((?:access_?|refresh_?|id_?)?token|secret|client_secret|access_?key|api_?key|password)"
            r"([\"']?\s*[=:]\s*[\"']?)[^\s\"',;&]+"
        ),
        r"\1\2***",
    ),
    (re.compile(r"\b[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"), "***"),  # a JWT
    (re.compile(r"\b(?=[A-Za-z_-]*[0-9])(?=[0-9_-]*[A-Za-z])[A-Za-z0-9_-]{24,}\b"), "***"),  # an opaque token
)
