"""What an IDX Broker answer asks of the client (IDX Broker contract, sections 1 and 2)."""

from __future__ import annotations

from harvester.contracts import Judge
from harvester.decode.verdicts import HTML_PAGE
from harvester.model import Action, Response, Verdict

_VERDICTS = {
    400: (Action.SKIP, "a parameter is missing or invalid"),
    401: (Action.REFUSED, "the access key is invalid or revoked"),
    403: (Action.REFUSED, "the request was not HTTPS, or this address is blocked"),
    404: (Action.SKIP, "there is no such component or method in this API version"),
    405: (Action.SKIP, "the component has no such method in this API version, or not for this account"),
    406: (Action.REFUSED, "no access key arrived"),
    409: (Action.SKIP, "there is no such component in this API version"),
    412: (Action.THROTTLED, "the hourly limit of the access key is reached"),
    413: (Action.SHRINK, "more rows than one answer can hold"),
    416: (Action.SHRINK, "the time window is longer than this method allows"),
    417: (Action.SKIP, "the account has more than 1000 saved links"),
    429: (Action.THROTTLED, "too many requests"),
    503: (Action.OUTAGE, "maintenance"),
    521: (Action.FAULT, "temporarily unavailable, perhaps this method only"),
}
_PHP_MESSAGES = (b"<br", b"<b>", b"php ", b"warning:", b"notice:", b"fatal error:", b"parse error:", b"deprecated:")


def judge_for(api_version: str) -> Judge:
    """A judge that holds answers to *api_version*.

    An unknown or retired version is answered by the newest one without an error, in other shapes. So an answer
    that names another version is refused before anything of it is used.
    """

    def judge(response: Response) -> Verdict:
        status = response.status
        if status in {200, 204}:
            answered = response.headers.get("api-version", "").strip()
            if answered and answered != api_version:
                return Verdict(
                    action=Action.BROKEN,
                    reason=f"API version {answered[:20]!a} answered although {api_version!a} was asked for, which is "
                    "unknown or retired. Nothing of the answer was used. To take the other version, set api_version",
                )
            return Verdict(action=Action.EMPTY) if status == 204 else _judge_body(response.body)
        if status in _VERDICTS:
            action, reason = _VERDICTS[status]
            return Verdict(action=action, reason=reason)
        if status >= 500:
            return Verdict(action=Action.FAULT, reason="the server failed")
        if 400 <= status < 500:
            return Verdict(action=Action.SKIP, reason="the request was refused")
        return Verdict(action=Action.BROKEN, reason="a status without a meaning in this API")

    return judge


def _judge_body(body: bytes) -> Verdict:
    """Status 200 is no promise: maintenance pages and PHP messages come with it as well (FAULTS H13, S07)."""
    start = body[:200].removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").lower()
    if not start:
        return Verdict(action=Action.FAULT, reason="no body came; an empty set is said with 204")
    if start.startswith((b"<!doctype html", b"<html")):
        return Verdict(action=Action.OUTAGE, reason=HTML_PAGE)
    if start.startswith(_PHP_MESSAGES):
        return Verdict(action=Action.FAULT, reason="the answer begins with a message of PHP")
    return Verdict(action=Action.USE)
