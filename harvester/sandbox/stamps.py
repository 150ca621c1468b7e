"""Instants as whole nanoseconds since 1970 (UTC), and their spellings: any fraction, ``Z``, an offset or no zone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from random import Random

_STAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,12}))?)?(Z|[+-]\d\d:\d\d)?)?", re.IGNORECASE
)
_DAY_ZERO = date(1970, 1, 1).toordinal()

SECOND = 1_000_000_000
DAY = 86_400 * SECOND


def instant_of(text: str) -> int | None:
    """The instant *text* names, by value; None when it is no timestamp or date.

    Without a zone the text counts as UTC. Digits beyond the ninth of a fraction are cut off.
    """
    match = _STAMP.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _DAY_ZERO
    except ValueError:
        return None
    seconds = int(hour or 0) * 3600 + int(minute or 0) * 60 + int(second or 0)
    if zone and zone not in "Zz":
        offset = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
        seconds += -offset if zone[0] == "+" else offset
    return days * DAY + seconds * SECOND + (int(fraction[:9].ljust(9, "0")) if fraction else 0)


def instant_at(moment: datetime) -> int:
    """The instant of an aware *moment*."""
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return since.days * DAY + since.seconds * SECOND + since.microseconds * 1000


def stamp(instant: int, digits: int = 0, *, separator: str = "T", zone: str = "Z") -> str:
    """*instant* as ``2024-01-20T15:30:00.1234567Z`` with *digits* (0 to 9) of fraction, cut off, never rounded."""
    days, rest = divmod(instant, DAY)
    seconds, fraction = divmod(rest, SECOND)
    day = date.fromordinal(days + _DAY_ZERO)
    tail = f".{fraction:09d}"[: digits + 1] if digits else ""
    hour, minute, second = seconds // 3600, seconds // 60 % 60, seconds % 60
    return f"{day.year:04d}-{day.month:02d}-{day.day:02d}{separator}{hour:02d}:{minute:02d}:{second:02d}{tail}{zone}"


def instants(rng: Random, count: int, end: datetime, *, digits: int = 7, days: int = 900) -> list[int]:
    """*count* instants of the *days* before *end*, in no order, cut to *digits* of fraction.

    One in eight repeats an earlier instant, and a bulk update gave 3 % of the rows one common instant:
    ties are what delta reads stumble over (FAULTS T01).
    """
    unit = 10 ** (9 - digits)
    last = instant_at(end) // unit
    span = days * DAY // unit
    found = [last - int(rng.random() * span) for _ in range(count)]
    bulk = last - int(rng.random() * span)
    for index in range(1, count):
        chance = rng.random()
        if chance < 0.03:
            found[index] = bulk
        elif chance < 0.155:
            found[index] = found[int(rng.random() * index)]
    return [each * unit for each in found]
