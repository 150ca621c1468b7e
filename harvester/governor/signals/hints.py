"""What the dialects share: hints to wait, the answer's own clock, and how a refusal is told to people. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime

from harvester.governor.http_time import read_http_date
from harvester.governor.refusals import LONGEST_PAUSE, LONGEST_TOLD
from harvester.model import Response, WindowSignal

TOO_MANY = 429
SERVICE_UNAVAILABLE = 503
SMALL = 65_536
"""Bytes; a longer body is a page of records, not a refusal."""

_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def read_retry_after(text: str | None, response_date: datetime | None, now: datetime) -> float | None:
    """Seconds to wait by one ``Retry-After`` field, from 0 to 400 days; None: absent or unreadable (FAULTS S04).

    ASCII digits, or one of the three HTTP dates against the answer's own *response_date* (*now* without one). A
    fraction is rounded up, a date in the past means now, and a longer wait is cut to 400 days.

    Source: RFC 9110, sections 5.6.7 and 10.2.3.
    """
    if text is None:
        return None
    text = text.strip(" \t")
    if _SECONDS.fullmatch(text):
        whole, _, fraction = text.partition(".")
        if len(whole.lstrip("0")) > 9:
            return LONGEST_TOLD
        return min(LONGEST_TOLD, float(int(whole) + (1 if fraction.strip("0") else 0)))
    instant = read_http_date(text, now)
    if instant is None:
        return None
    return min(LONGEST_TOLD, max(0.0, (instant - (response_date or now)).total_seconds()))


def served_at(response: Response, now: datetime) -> datetime:
    """The answer's own ``Date``, aware UTC; *now* when it has none that can be read."""
    lines = response.headers.all("date")
    return (read_http_date(lines[0], now) if lines else None) or now


def retry_after(response: Response, now: datetime) -> float | None:
    """The longest wait that the ``Retry-After`` lines of *response* name; None: none."""
    date = served_at(response, now)
    return longest(*(read_retry_after(line, date, now) for line in response.headers.all("retry-after")))


def longest(*waits: float | None) -> float | None:
    """Of several hints to wait, the longest wins (provider contracts, "Wait hints"); None: there is none."""
    return max((wait for wait in waits if wait is not None), default=None)


def until_room(windows: Sequence[WindowSignal]) -> float | None:
    """Whole seconds, a day at most, until the windows that are told to be spent have room again; None: none tells.

    Which window refused is not said; the longest Reset of a spent one is what was meant.
    """
    wait = longest(*(window.resets_in for window in windows if window.remaining == 0))
    return None if wait is None else min(LONGEST_PAUSE, float(math.ceil(wait)))


def evidence_of(response: Response, wait: float | None, text: str = "") -> str:
    """Why the credential rests, for people: figures and fixed words, nothing else of the server's text."""
    parts = [str(response.status)]
    if text:
        parts.append(text)
    if wait is not None:
        parts.append(f"wait {wait:g} s" if wait < 1e6 else f"wait {wait:,.0f} s")
    return ", ".join(parts)
