"""What an answer says about the allowance, one function a dialect. Pure; none of them ever raises.

Every reader has the shape ``(response, now) -> RateSignal``; *now* is local aware UTC at receipt and only used when
the answer has no ``Date`` of its own, for servers' clocks are off by minutes (FAULTS S05). Of several hints to wait
the longest wins (provider contracts, "Wait hints").
"""

from __future__ import annotations

import math
import re
from datetime import datetime

import msgspec

from harvester.governor.http_time import read_http_date, read_iso
from harvester.governor.rate_fields import (
    draft_windows,
    habit_windows,
    ietf_windows,
    read_count,
    read_items,
    read_span,
)
from harvester.governor.refusals import HOURLY, LONGEST_PAUSE
from harvester.model import RateSignal, Response, WindowSignal

_TOO_MANY = 429
_SERVICE_UNAVAILABLE = 503
_PRECONDITION_FAILED = 412

_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_IMS_COUNT = re.compile(r"([0-9]{1,12})/([0-9]{1,12}) requests per (second|minute|hour|day)")
_IMS_PAUSE = 60.0  # seconds when neither header nor body names any (IMS contract, section 6)
_CENTRIS_LIMIT = re.compile(r"Maximum allowed: ([0-9]{1,12}) per ([0-9]{1,9})([smhd])")
_CENTRIS_WAIT = re.compile(r"try again in ([0-9]{1,9}) second")
_SPARK_THROTTLED = 1550
_SPARK_PAUSE = 30.0  # seconds without Retry-After (Spark contract, section 7)
_PERIODS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86_400.0}
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}

_SMALL = 65_536
"""Bytes; a longer body is a page of records, not a refusal."""


def read_retry_after(text: str | None, response_date: datetime | None, now: datetime) -> float | None:
    """Seconds to wait by one ``Retry-After`` field, from 0 to one day; None: absent or unreadable (FAULTS S04).

    ASCII digits, or one of the three HTTP dates against the answer's own *response_date* (*now* without one). A
    fraction is rounded up, a date in the past means now, and a wait of more than a day is cut to one.

    Source: RFC 9110, sections 5.6.7 and 10.2.3.
    """
    if text is None:
        return None
    text = text.strip(" \t")
    if _SECONDS.fullmatch(text):
        whole, _, fraction = text.partition(".")
        if len(whole.lstrip("0")) > 6:
            return LONGEST_PAUSE
        return min(LONGEST_PAUSE, float(int(whole) + (1 if fraction.strip("0") else 0)))
    instant = read_http_date(text, now)
    if instant is None:
        return None
    return min(LONGEST_PAUSE, max(0.0, (instant - (response_date or now)).total_seconds()))


def served_at(response: Response, now: datetime) -> datetime:
    """The answer's own ``Date``, aware UTC; *now* when it has none that can be read."""
    lines = response.headers.all("date")
    return (read_http_date(lines[0], now) if lines else None) or now


def _retry_after(response: Response, now: datetime) -> float | None:
    date = served_at(response, now)
    waits = [read_retry_after(line, date, now) for line in response.headers.all("retry-after")]
    return _longest(*waits)


def _longest(*waits: float | None) -> float | None:
    return max((wait for wait in waits if wait is not None), default=None)


def _evidence(response: Response, wait: float | None, text: str = "") -> str:
    """Why the credential rests, for people: figures and fixed words, nothing else of the server's text."""
    parts = [str(response.status)]
    if text:
        parts.append(text)
    if wait is not None:
        parts.append(f"wait {wait:g} s")
    return ", ".join(parts)


# ------------------------------------------------------------------ IMS


class _ImsBody(msgspec.Struct):
    error: msgspec.Raw = msgspec.Raw(b"")
    retry_after: msgspec.Raw = msgspec.Raw(b"")


def ims_signal(response: Response, now: datetime) -> RateSignal:
    """IMS tells its quota only when it is spent: 429, ``retry_after`` and ``1050/1000 requests per hour`` in the body.

    Source: IMS contract, section 6.
    """
    if response.status != _TOO_MANY:
        return RateSignal(retry_after=_retry_after(response, now) if response.status == _SERVICE_UNAVAILABLE else None)
    body = _ims_body(response)
    in_body = read_retry_after(bytes(body.retry_after).decode("ascii", "replace").strip('"'), None, now)
    wait = _longest(_retry_after(response, now), in_body)
    if wait is None:
        wait = _IMS_PAUSE
    windows: tuple[WindowSignal, ...] = ()
    text = ""
    found = _IMS_COUNT.search(bytes(body.error)[:4096].decode("ascii", "replace"))
    if found is not None:
        used, limit, seconds = int(found[1]), int(found[2]), _PERIODS[found[3]]
        text = found[0]
        if limit:
            windows = (WindowSignal(seconds=seconds, limit=limit, used=used, resets_in=wait),)
    return RateSignal(refused=True, retry_after=wait, windows=windows, evidence=_evidence(response, wait, text))


def _ims_body(response: Response) -> _ImsBody:
    if len(response.body) > _SMALL:
        return _ImsBody()
    try:
        return msgspec.json.decode(response.body, type=_ImsBody)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _ImsBody()


# ------------------------------------------------------------------ Centris


def centris_signal(response: Response, now: datetime) -> RateSignal:
    """Centris tells the long window in headers and the short one in the text of a 429.

    ``X-Rate-Limit-Limit: 1d`` is the length of the window, ``-Remaining`` what is left of it, ``-Reset`` an instant
    with 7 fractional digits. A large Remaining therefore does not mean "go on".

    Source: Centris contract, section 6.
    """
    windows: list[WindowSignal] = []
    limits = read_items(response.headers.all("x-rate-limit-limit"))
    remaining = response.headers.all("x-rate-limit-remaining")
    if limits and remaining:
        left = read_count(remaining[-1])
        length = read_span(limits[0][0])
        if left is not None and length is not None:
            resets = response.headers.all("x-rate-limit-reset")
            instant = read_iso(resets[-1]) if resets else None
            resets_in = (instant - served_at(response, now)).total_seconds() if instant is not None else None
            if resets_in is not None and resets_in < 0:
                resets_in = None
            windows.append(WindowSignal(seconds=length, remaining=left, resets_in=resets_in))
    if response.status != _TOO_MANY:
        wait = _retry_after(response, now) if response.status == _SERVICE_UNAVAILABLE else None
        return RateSignal(retry_after=wait, windows=tuple(windows))
    body = response.body[:4096].decode("ascii", "replace")
    asked = _CENTRIS_WAIT.search(body)
    wait = _longest(_retry_after(response, now), min(LONGEST_PAUSE, float(asked[1])) if asked else None)
    text = ""
    found = _CENTRIS_LIMIT.search(body)
    if found is not None and int(found[1]) and int(found[2]):
        seconds = int(found[2]) * _UNITS[found[3]]
        windows.append(WindowSignal(seconds=seconds, limit=int(found[1]), remaining=0, resets_in=wait))
        text = f"{found[1]} per {found[2]}{found[3]}"
    return RateSignal(refused=True, retry_after=wait, windows=tuple(windows), evidence=_evidence(response, wait, text))


# ------------------------------------------------------------------ IDX Broker


def idx_signal(response: Response, now: datetime) -> RateSignal:
    """IDX Broker counts up what was *used* in the hour, and refuses with 412, which names no wait.

    Source: IDX Broker contract, sections 1 to 3.
    """
    lines = response.headers.all("hourly-access-key-usage")
    used = read_count(lines[-1]) if lines else None
    refused = response.status == _PRECONDITION_FAILED
    windows = (WindowSignal(name=HOURLY, used=used),) if refused or used is not None else ()
    # 429 is none of its documented answers: something in front of it says so, and says for how long.
    waits = refused or response.status in (_TOO_MANY, _SERVICE_UNAVAILABLE)
    wait = _retry_after(response, now) if waits else None
    text = f"{used} used this hour" if refused and used is not None else ""
    return RateSignal(
        refused=refused, retry_after=wait, windows=windows, evidence=_evidence(response, wait, text) if refused else ""
    )


# ------------------------------------------------------------------ Spark, both surfaces


class _SparkD(msgspec.Struct):
    code: msgspec.Raw = msgspec.field(default=msgspec.Raw(b""), name="Code")


class _SparkBody(msgspec.Struct):
    d: _SparkD = msgspec.field(default_factory=_SparkD, name="D")


def spark_signal(response: Response, now: datetime) -> RateSignal:
    """Spark throttles with code 1550 on any status (429, older 503, even 200), or a bare 429.

    Source: Spark contract, section 7; Spark RESO contract, section 8.
    """
    throttled = _spark_code(response) == _SPARK_THROTTLED
    if not throttled and response.status != _TOO_MANY:
        return RateSignal(retry_after=_retry_after(response, now) if response.status == _SERVICE_UNAVAILABLE else None)
    wait = _retry_after(response, now)
    if wait is None:
        wait = _SPARK_PAUSE
    text = "code 1550" if throttled else ""
    return RateSignal(refused=True, retry_after=wait, evidence=_evidence(response, wait, text))


def _spark_code(response: Response) -> int | None:
    """``D.Code`` of a body small enough to be a refusal; None: it has none."""
    if len(response.body) > _SMALL or b"1550" not in response.body:
        return None
    try:
        body = msgspec.json.decode(response.body, type=_SparkBody)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return read_count(bytes(body.d.code).decode("ascii", "replace").strip('"'))


# ------------------------------------------------------------------ everyone else


def standard_signal(response: Response, now: datetime) -> RateSignal:
    """``Retry-After``, the IETF ``RateLimit`` fields (drafts 03 to 11) and ``X-RateLimit-*`` in their usual forms.

    Source: RFC 9110, section 10.2.3; draft-ietf-httpapi-ratelimit-headers-03 to -11.
    """
    date = served_at(response, now)
    windows = [
        *ietf_windows(response.headers),
        *draft_windows(response.headers),
        *habit_windows(response.headers, date, now),
    ]
    refused = response.status == _TOO_MANY
    hinted = refused or response.status == _SERVICE_UNAVAILABLE
    wait = _retry_after(response, now) if hinted else None
    if refused and wait is None:
        # Nothing says which window refused; the longest Reset of a spent one is what was meant.
        wait = _longest(*(window.resets_in for window in windows if window.remaining == 0))
        wait = None if wait is None else min(LONGEST_PAUSE, float(math.ceil(wait)))
    return RateSignal(
        refused=refused, retry_after=wait, windows=tuple(windows), evidence=_evidence(response, wait) if refused else ""
    )


def any_signal(response: Response, now: datetime) -> RateSignal:
    """For a provider that nobody has described: whatever any of the dialects can read."""
    signals = [standard_signal(response, now)]
    if response.status == _TOO_MANY:
        signals += [centris_signal(response, now), ims_signal_if_told(response, now)]
    if response.headers.all("hourly-access-key-usage"):
        signals.append(idx_signal(response, now))
    if _spark_code(response) == _SPARK_THROTTLED:
        signals.append(spark_signal(response, now))
    windows: list[WindowSignal] = []
    for signal in signals:
        windows += [window for window in signal.windows if window not in windows]
    refused = any(signal.refused for signal in signals)
    return RateSignal(
        refused=refused,
        retry_after=_longest(*(signal.retry_after for signal in signals)),
        windows=tuple(windows),
        evidence=max((signal.evidence for signal in signals), key=len, default=""),
    )


def ims_signal_if_told(response: Response, now: datetime) -> RateSignal:
    """The IMS reading of a 429 whose body names a wait or a count; else nothing, so its default wait stays its own."""
    body = _ims_body(response)
    if not bytes(body.retry_after) and _IMS_COUNT.search(bytes(body.error)[:4096].decode("ascii", "replace")) is None:
        return RateSignal()
    return ims_signal(response, now)
