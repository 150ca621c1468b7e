"""Bridge (Zillow): ``Application-RateLimit-*`` for the hour and ``Burst-RateLimit-*`` for the minute."""

from __future__ import annotations

from datetime import datetime

from harvester.governor.rate_fields import last_line, read_count, read_reset
from harvester.governor.signals.hints import TOO_MANY, evidence_of, retry_after, served_at, until_room
from harvester.model import Headers, RateSignal, Response, WindowSignal

_HOUR = ("application-ratelimit-", 3600.0)
_BURST = ("burst-ratelimit-", 60.0)
_SLACK = 5.0  # seconds by which a Reset may lie beyond its window: the clocks of two machines


def bridge_signal(response: Response, now: datetime) -> RateSignal:
    """Limit, Remaining and Reset (an ISO instant) of the hour and of the minute, which has a 15th of the hour's limit.

    Servers of other kinds send burst fields without those of an hour; the length of their window is not known.

    Source: Bridge Data Output documentation, "Rate Limits", read 2026-11.
    """
    date = served_at(response, now)
    hour = _window(response.headers, *_HOUR, date, now)
    burst = _window(response.headers, _BURST[0], _BURST[1] if hour is not None else None, date, now)
    windows = tuple(window for window in (burst, hour) if window is not None)
    if response.status != TOO_MANY:
        return RateSignal(windows=windows)
    wait = retry_after(response, now)
    if wait is None:
        wait = until_room(windows)
    return RateSignal(
        refused=True, retry_after=wait, windows=windows, evidence=evidence_of(response, wait, "Bridge quota")
    )


def speaks_bridge(response: Response) -> bool:
    """Whether any field of this dialect is there."""
    return any(f"{prefix}remaining" in response.headers for prefix, _ in (_HOUR, _BURST))


def _window(
    headers: Headers, prefix: str, seconds: float | None, served: datetime, now: datetime
) -> WindowSignal | None:
    remaining = read_count(last_line(headers, f"{prefix}remaining"))
    limit = read_count(last_line(headers, f"{prefix}limit"))
    if remaining is None:
        return None
    resets_in = read_reset(last_line(headers, f"{prefix}reset"), served, now)
    if seconds is not None and resets_in is not None and resets_in > seconds + _SLACK:
        seconds = None  # not the window of the documentation
    return WindowSignal(
        name=prefix.partition("-")[0], seconds=seconds, limit=limit or None, remaining=remaining, resets_in=resets_in
    )
