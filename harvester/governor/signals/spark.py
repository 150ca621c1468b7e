"""Spark, both surfaces: code 1550 on any status."""

from __future__ import annotations

from datetime import datetime

import msgspec

from harvester.governor.rate_fields import read_count
from harvester.governor.signals.hints import SERVICE_UNAVAILABLE, SMALL, TOO_MANY, evidence_of, retry_after
from harvester.model import RateSignal, Response

_THROTTLED = 1550
_PAUSE = 30.0  # seconds without Retry-After (Spark contract, section 7)


class _SparkD(msgspec.Struct):
    code: msgspec.Raw = msgspec.field(default=msgspec.Raw(b""), name="Code")


class _SparkBody(msgspec.Struct):
    d: _SparkD = msgspec.field(default_factory=_SparkD, name="D")


def spark_signal(response: Response, now: datetime) -> RateSignal:
    """Spark throttles with code 1550 on any status (429, older 503, even 200), or a bare 429.

    Source: Spark contract, section 7; Spark RESO contract, section 8.
    """
    throttled = _spark_code(response) == _THROTTLED
    if not throttled and response.status != TOO_MANY:
        return RateSignal(retry_after=retry_after(response, now) if response.status == SERVICE_UNAVAILABLE else None)
    wait = retry_after(response, now)
    if wait is None:
        wait = _PAUSE
    text = "code 1550" if throttled else ""
    return RateSignal(refused=True, retry_after=wait, evidence=evidence_of(response, wait, text))


def _spark_code(response: Response) -> int | None:
    """``D.Code`` of a body small enough to be a refusal; None: it has none."""
    if len(response.body) > SMALL or b"1550" not in response.body:
        return None
    try:
        body = msgspec.json.decode(response.body, type=_SparkBody)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return read_count(bytes(body.d.code).decode("ascii", "replace").strip('"'))


def throttles(response: Response) -> bool:
    """Whether Spark's own code for a refusal is in the body."""
    return _spark_code(response) == _THROTTLED
