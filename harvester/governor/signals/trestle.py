"""Trestle (Cotality, once CoreLogic): one set of ``…-Quota-…`` fields a period, in floats and milliseconds."""

from __future__ import annotations

from datetime import datetime

from harvester.governor.rate_fields import PERIODS, last_line, read_count, read_reset
from harvester.governor.signals.hints import TOO_MANY, evidence_of, retry_after, served_at, until_room
from harvester.model import Headers, RateSignal, Response, WindowSignal


def trestle_signal(response: Response, now: datetime) -> RateSignal:
    """``Hour-Quota-Limit: 7200.0``, ``Hour-Quota-Available``, ``Hour-Quota-ResetTime`` (epoch, ms), and per minute.

    A refusal names no wait. It came from the minute's window unless the hour is told to be spent.

    Source: Trestle documentation, Web API, "Quotas and Limits" and "Quota Management", read 2026-11.
    """
    date = served_at(response, now)
    windows = [
        window
        for name, seconds in PERIODS
        if (window := _window(response.headers, f"{name.lower()}-quota-", seconds, date, now)) is not None
    ]
    if response.status != TOO_MANY:
        return RateSignal(windows=tuple(windows))
    wait = retry_after(response, now)
    if wait is None:
        wait = until_room(windows)
    if wait is None and windows:
        wait = windows[0].seconds  # the shortest, which nobody told to be spent
    return RateSignal(
        refused=True, retry_after=wait, windows=tuple(windows), evidence=evidence_of(response, wait, "Trestle quota")
    )


def speaks_trestle(response: Response) -> bool:
    """Whether any field of this dialect is there."""
    return any(f"{name.lower()}-quota-limit" in response.headers for name, _ in PERIODS)


def _window(headers: Headers, prefix: str, seconds: float, served: datetime, now: datetime) -> WindowSignal | None:
    limit = read_count(last_line(headers, f"{prefix}limit"))
    left = last_line(headers, f"{prefix}available") or last_line(headers, f"{prefix}remaining")
    remaining = read_count(left)
    if not limit and remaining is None:
        return None
    resets_in = read_reset(last_line(headers, f"{prefix}resettime"), served, now)
    return WindowSignal(seconds=seconds, limit=limit or None, remaining=remaining, resets_in=resets_in)
