"""IMS (restats): a quota that is told only when it is spent, in the body."""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from harvester.governor.signals.hints import (
    SERVICE_UNAVAILABLE,
    SMALL,
    TOO_MANY,
    evidence_of,
    longest,
    read_retry_after,
    retry_after,
)
from harvester.model import RateSignal, Response, WindowSignal

_COUNT = re.compile(r"([0-9]{1,12})/([0-9]{1,12}) requests per (second|minute|hour|day)")
_PAUSE = 60.0  # seconds when neither header nor body names any (IMS contract, section 6)
_PERIODS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86_400.0}


class _ImsBody(msgspec.Struct):
    error: msgspec.Raw = msgspec.Raw(b"")
    retry_after: msgspec.Raw = msgspec.Raw(b"")


def ims_signal(response: Response, now: datetime) -> RateSignal:
    """IMS tells its quota only when it is spent: 429, ``retry_after`` and ``1050/1000 requests per hour`` in the body.

    Source: IMS contract, section 6.
    """
    if response.status != TOO_MANY:
        return RateSignal(retry_after=retry_after(response, now) if response.status == SERVICE_UNAVAILABLE else None)
    body = _ims_body(response)
    in_body = read_retry_after(bytes(body.retry_after).decode("ascii", "replace").strip('"'), None, now)
    wait = longest(retry_after(response, now), in_body)
    if wait is None:
        wait = _PAUSE
    windows: tuple[WindowSignal, ...] = ()
    text = ""
    found = _COUNT.search(_text(body.error))
    if found is not None:
        used, limit, seconds = int(found[1]), int(found[2]), _PERIODS[found[3]]
        text = found[0]
        if limit:
            windows = (WindowSignal(seconds=seconds, limit=limit, used=used, resets_in=wait),)
    return RateSignal(refused=True, retry_after=wait, windows=windows, evidence=evidence_of(response, wait, text))


def _text(raw: msgspec.Raw) -> str:
    return bytes(raw)[:4096].decode("ascii", "replace")


def _ims_body(response: Response) -> _ImsBody:
    if len(response.body) > SMALL:
        return _ImsBody()
    try:
        return msgspec.json.decode(response.body, type=_ImsBody)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _ImsBody()


def names_a_limit(response: Response) -> bool:
    """Whether a 429 has an IMS body, so that an unknown server may be read as IMS; the default wait stays IMS's own."""
    if response.status != TOO_MANY:
        return False
    body = _ims_body(response)
    return bool(bytes(body.retry_after)) or _COUNT.search(_text(body.error)) is not None
