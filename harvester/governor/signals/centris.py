"""Centris: headers for the long window, the text of a 429 for the short one."""

from __future__ import annotations

import re
from datetime import datetime

from harvester.governor.http_time import read_iso
from harvester.governor.rate_fields import read_count, read_items, read_span
from harvester.governor.refusals import LONGEST_PAUSE
from harvester.governor.signals.hints import (
    SERVICE_UNAVAILABLE,
    TOO_MANY,
    evidence_of,
    longest,
    retry_after,
    served_at,
)
from harvester.model import RateSignal, Response, WindowSignal

_LIMIT = re.compile(r"Maximum allowed: ([0-9]{1,12}) per ([0-9]{1,9})([smhd])")
_WAIT = re.compile(r"try again in ([0-9]{1,9}) second")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


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
    if response.status != TOO_MANY:
        wait = retry_after(response, now) if response.status == SERVICE_UNAVAILABLE else None
        return RateSignal(retry_after=wait, windows=tuple(windows))
    body = response.body[:4096].decode("ascii", "replace")
    asked = _WAIT.search(body)
    wait = longest(retry_after(response, now), min(LONGEST_PAUSE, float(asked[1])) if asked else None)
    text = ""
    found = _LIMIT.search(body)
    if found is not None and int(found[1]) and int(found[2]):
        seconds = int(found[2]) * _UNITS[found[3]]
        windows.append(WindowSignal(seconds=seconds, limit=int(found[1]), remaining=0, resets_in=wait))
        text = f"{found[1]} per {found[2]}{found[3]}"
    return RateSignal(
        refused=True, retry_after=wait, windows=tuple(windows), evidence=evidence_of(response, wait, text)
    )
