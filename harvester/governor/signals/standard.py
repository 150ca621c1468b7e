"""The fields that servers share: ``Retry-After``, the IETF ``RateLimit`` fields, ``X-RateLimit-*``."""

from __future__ import annotations

from datetime import datetime

from harvester.governor.rate_fields import draft_windows, habit_windows, ietf_windows, most_open
from harvester.governor.signals.hints import (
    SERVICE_UNAVAILABLE,
    TOO_MANY,
    evidence_of,
    retry_after,
    served_at,
    until_room,
)
from harvester.model import RateSignal, Response


def standard_signal(response: Response, now: datetime) -> RateSignal:
    """``Retry-After``, the IETF ``RateLimit`` fields (drafts 03 to 11) and ``X-RateLimit-*`` in their usual forms.

    Source: RFC 9110, section 10.2.3; draft-ietf-httpapi-ratelimit-headers-03 to -11.
    """
    date = served_at(response, now)
    windows = [
        *ietf_windows(response.headers),
        *draft_windows(response.headers, date, now),
        *habit_windows(response.headers, date, now),
    ]
    refused = response.status == TOO_MANY
    hinted = refused or response.status == SERVICE_UNAVAILABLE
    wait = retry_after(response, now) if hinted else None
    if refused and wait is None:
        wait = until_room(windows)
    return RateSignal(
        refused=refused,
        retry_after=wait,
        windows=tuple(windows),
        open_at_most=most_open(response.headers),
        evidence=evidence_of(response, wait) if refused else "",
    )
