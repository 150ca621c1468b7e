"""What Spark's error codes mean, on both of its surfaces (Spark contract, section 7).

Classified by code, not by status or text: the same code has come with different statuses over the years.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, field

from harvester.decode.verdicts import allowed_page_size, error_body, printable, speaks_of_page_size, wait_hint
from harvester.model import Action, Response, Verdict


class SparkError(Struct, frozen=True):
    """The error part of an answer, from ``D`` or from ``error``."""

    success: bool  # what ``D.Success`` says; False for an ``error`` object
    code: int | None  # None: the answer has none
    text: str


class _Outcome(Struct):
    """``D`` without its records, which are skipped, not built."""

    success: Any = field(name="Success", default=None)
    code: Any = field(name="Code", default=None)
    message: Any = field(name="Message", default=None)
    query: Any = field(name="SparkQLErrors", default=None)


class _Body(Struct):
    d: _Outcome = field(name="D")


_decode = msgspec.json.Decoder(_Body).decode


def read_spark_error(response: Response) -> SparkError | None:
    """What the answer says of itself; None when it has neither ``D`` nor ``error``."""
    try:
        d = _decode(response.body.removeprefix(b"\xef\xbb\xbf")).d
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        error = error_body(response).get("error")
        if isinstance(error, str):
            return SparkError(False, None, error)
        if not isinstance(error, dict):
            return None
        return SparkError(False, _number(error.get("code")), _text(error.get("message")))
    text = _text(d.message)
    if d.query:
        text = f"{text} {_query_errors(d.query)}".strip()
    return SparkError(d.success is True, _number(d.code), text)


def judge_code(response: Response, error: SparkError) -> Verdict | None:
    """The verdict that *error*'s code demands; None: the code is absent or says nothing, the status decides."""
    code = error.code
    if code is None:
        return None
    action = _action(code)
    if action is None:
        return None
    if action is Action.SKIP and speaks_of_page_size(error.text):
        return Verdict(action=Action.SHRINK, reason=printable(error.text), page_size=allowed_page_size(error.text))
    reason = printable(f"code {code}: {error.text}" if error.text else f"code {code}")
    if code == _WRONG_HOST:
        reason += "; this key must use base_url with the host replication.sparkapi.com"
    return Verdict(action=action, reason=reason, wait=wait_hint(response) if action is Action.THROTTLED else None)


_WRONG_HOST = 1021
_CODES = {
    1550: Action.THROTTLED,
    1020: Action.RENEW,
    **dict.fromkeys((1000, 1005, 1010, 1013, 1015, 1016, 1019, 1021, 1030), Action.REFUSED),
    **dict.fromkeys((1500, 1505), Action.SKIP),
    **dict.fromkeys((405, 1017, 1018), Action.SKIP),  # a programming error of ours: no repeat can help
    **dict.fromkeys((1515, 1516), Action.SHRINK),
    **dict.fromkeys((1023, 1024, 1510, 2005), Action.OUTAGE),
    1026: Action.FAULT,
}


def _action(code: int) -> Action | None:
    if code in _CODES:
        return _CODES[code]
    return Action.SKIP if 1035 <= code <= 1061 or 2000 <= code <= 3000 else None


def _query_errors(errors: object) -> str:
    """``SparkQLErrors`` as ``token: message``, one after another."""
    if not isinstance(errors, list):
        return _text(errors)
    found = [error for error in errors if isinstance(error, dict)]
    return "; ".join(f"{_text(error.get('Token'))}: {_text(error.get('Message'))}" for error in found)


def _number(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 6:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
