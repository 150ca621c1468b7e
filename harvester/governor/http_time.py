"""Dates and durations as HTTP fields and bodies write them. Pure, strict, and never raising."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SHORT = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_DAY = "(?P<day>[0-9]{2})"
_MONTH = "(?P<month>[A-Z][a-z]{2})"
_YEAR = "(?P<year>[0-9]{4})"
_CLOCK = "(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_FORMS = tuple(
    re.compile(form)
    for form in (
        f"{_SHORT}, {_DAY} {_MONTH} {_YEAR} {_CLOCK} GMT",  # the one in use
        f"{_LONG}, {_DAY}-{_MONTH}-(?P<year>[0-9]{{2}}) {_CLOCK} GMT",  # RFC 850
        f"{_SHORT} {_MONTH} (?P<day>[ 0-9][0-9]) {_CLOCK} {_YEAR}",  # asctime
    )
)
_ISO = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})[Tt ]"
    rf"{_CLOCK}(?:\.(?P<fraction>[0-9]{{1,12}}))?(?P<zone>[Zz]|[+-][0-9]{{2}}:?[0-9]{{2}})"
)


def read_http_date(text: str, now: datetime) -> datetime | None:
    """One of the three HTTP dates (RFC 9110, section 5.6.7) as aware UTC; None: it is none of them.

    *now* decides the century of the two-digit form: more than 50 years ahead means the past.
    """
    for form in _FORMS:
        found = form.fullmatch(text.strip(" \t"))
        if found is None:
            continue
        if found["month"] not in _MONTHS:
            return None
        month = _MONTHS.index(found["month"]) + 1
        year = int(found["year"])
        if len(found["year"]) == 2:
            year += now.year - now.year % 100
            if year > now.year + 50:
                year -= 100
        return _instant(year, month, int(found["day"]), found)
    return None


def read_iso(text: str) -> datetime | None:
    """An ISO 8601 instant with a zone, any number of fractional digits (Centris writes 7), as aware UTC."""
    found = _ISO.fullmatch(text.strip(" \t"))
    if found is None:
        return None
    instant = _instant(int(found["year"]), int(found["month"]), int(found["day"]), found)
    if instant is None:
        return None
    try:
        if found["fraction"]:
            instant += timedelta(microseconds=int(found["fraction"][:6].ljust(6, "0")))
        zone = found["zone"].replace(":", "")
        if zone not in {"Z", "z"}:
            offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5]))
            instant = instant - offset if zone[0] == "+" else instant + offset
    except OverflowError:
        return None
    return instant


def _instant(year: int, month: int, day: int, found: re.Match[str]) -> datetime | None:
    try:
        # A leap second is the last second of its minute here.
        return datetime(
            year, month, day, int(found["hour"]), int(found["minute"]), min(int(found["second"]), 59), tzinfo=UTC
        )
    except ValueError:
        return None
