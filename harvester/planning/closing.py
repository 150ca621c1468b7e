"""The closing delta of a full run: what changed since the instant before its first request. Pure.

Rows that changed or were added behind the position of a walk are not met by it; the delta from the anchor,
minus the provider's overlap, brings them. It never brings an unchanged row that was
shifted past an offset, which is why walks do not use bare offsets.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import msgspec

from harvester.model import Phase, Walk
from harvester.provider import Provider

_INSTANT = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2}))?(?:\.\d+)?)?\s*([Zz]|[+-]\d{2}:?\d{2})?", re.ASCII
)
_CLOCKS_AGREE = 60.0  # seconds: less than this is the time a first request takes
_LONG_AGO = {
    "iso": "0001-01-01T00:00:00Z",
    "zoneless": "0001-01-01T00:00:00",
    "spaced": "0001-01-01 00:00:00",
}


def closing_walk(provider: Provider, full: Walk, anchor: str | None, reached: str | None = None) -> Walk | None:
    """The walk that closes *full*; None when the provider cannot be asked what changed.

    Args:
        anchor: instant before the first request, as the provider's data or ``Date`` told it; None: the walk
            began on an empty resource, so everything found later is a change.
        reached: instant at which *full* ended, told like the anchor; changes after it need not be waited for.
    """
    if full.until is not None:
        return _newest(provider, full, anchor, reached)
    if provider.closing is None or full.resource.modified is None:
        return None
    since = since_text(anchor, provider.overlap, provider.timestamps)
    return msgspec.structs.replace(
        full,
        id=f"c{full.id[1:]}",
        pager=provider.closing,
        phase=Phase.CLOSING,
        since=since,
        # A provider that changes faster than it answers would be read for ever.
        enough=reached or anchor,
    )


def _newest(provider: Provider, full: Walk, anchor: str | None, reached: str | None) -> Walk | None:
    """What a walk that looked back from this machine's clock has not seen because the server's is ahead of it.

    None when both agree: rows that come while the walk is under way are for the next run (FAULTS T06, C01).
    """
    begun, first = read_instant(full.until or ""), read_instant(anchor or "")
    if begun is None or first is None or (first - begun).total_seconds() <= _CLOCKS_AGREE:
        return None
    end = max(first, read_instant(reached or "") or first)
    return msgspec.structs.replace(
        full,
        id=f"c{full.id[1:]}",
        phase=Phase.CLOSING,
        until=write_instant(end, provider.timestamps),
        horizon=(end - begun).total_seconds() + 1,
    )


def since_text(anchor: str | None, overlap: float, style: str) -> str:
    """*anchor* minus *overlap* seconds, written as the provider's filters want it.

    The fraction is dropped, so the result is never later than the exact instant (FAULTS T03). Zoneless text
    stays in its own clock: it is shifted, never converted (IMS contract, section 8).
    """
    moment = read_instant(anchor) if anchor else None
    if moment is None:
        return _LONG_AGO[style]
    try:
        moment -= timedelta(seconds=overlap)
    except OverflowError:
        return _LONG_AGO[style]
    return write_instant(moment, style)


def read_instant(text: str) -> datetime | None:
    """An instant to the second, as aware UTC; text without a zone is taken as if it were UTC. None: unreadable."""
    match = _INSTANT.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second, zone = match.groups()
    try:
        moment = datetime(int(year), int(month), int(day), tzinfo=UTC)
        moment += timedelta(hours=int(hour or 0), minutes=int(minute or 0), seconds=int(second or 0))
        if zone and zone not in "Zz":
            sign = -1 if zone[0] == "+" else 1
            moment += sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    except (ValueError, OverflowError):
        return None
    return moment


def write_instant(moment: datetime, style: str) -> str:
    """*moment* (aware UTC) in a provider's style: ``iso`` with Z, ``zoneless``, ``spaced``."""
    text = moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    if style == "spaced":
        return text.replace("T", " ")
    return text if style == "zoneless" else f"{text}Z"
