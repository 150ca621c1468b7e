"""How servers tell their quota with every answer, in the fields of several kinds of them. No wait is ever named.

After the public documentation of Trestle and Bridge, the IETF draft on ``RateLimit`` fields, and common habit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from harvester.sandbox.quota import Limit, Quota, Usage
from harvester.sandbox.simulator import Ask

Dialect = Literal["trestle", "bridge", "ietf", "ratelimit"]

_HOURS = 40  # minutes' worth of requests in an hour, as with Trestle


def limits(per_minute: int) -> tuple[Limit, ...]:
    """A minute's and an hour's, neither in phase with the clock."""
    return (
        Limit(name="1m", requests=per_minute, seconds=60, kind="fixed", phase=17),
        Limit(name="1h", requests=per_minute * _HOURS, seconds=3600, kind="fixed", phase=1234),
    )


def fields(dialect: Dialect, usages: Sequence[Usage], quota: Quota, ask: Ask) -> tuple[tuple[str, str], ...]:
    """What an answer tells of the minute and the hour."""
    minute, hour = usages

    def ends(usage: Usage) -> datetime:
        return ask.now.astimezone(UTC) + timedelta(seconds=usage.reset - ask.elapsed)

    def left(usage: Usage) -> int:
        return math.ceil(usage.reset - ask.elapsed)

    if dialect == "trestle":
        return tuple(
            (f"{name}-Quota-{what}", value)
            for name, usage in (("Minute", minute), ("Hour", hour))
            for what, value in (
                ("Limit", f"{usage.limit.requests:.1f}"),
                ("Available", f"{usage.remaining:.1f}"),
                ("ResetTime", str(math.ceil(ends(usage).timestamp() * 1000))),
            )
        )
    if dialect == "bridge":
        return tuple(
            (f"{name}-RateLimit-{what}", value)
            for name, usage in (("Burst", minute), ("Application", hour))
            for what, value in (
                ("Limit", str(usage.limit.requests)),
                ("Remaining", str(usage.remaining)),
                ("Reset", f"{ends(usage):%Y-%m-%dT%H:%M:%S}.{ends(usage).microsecond // 1000:03d}Z"),
            )
        )
    if dialect == "ietf":
        named = (("minute", minute), ("hour", hour))
        seconds = {name: quota.seconds(usage.limit) for name, usage in named}
        return (
            *(("RateLimit-Policy", f'"{name}";q={u.limit.requests};w={seconds[name]:g}') for name, u in named),
            ("RateLimit", ", ".join(f'"{name}";r={usage.remaining};t={left(usage)}' for name, usage in named)),
        )
    return (
        ("X-RateLimit-Limit", str(minute.limit.requests)),
        ("X-RateLimit-Remaining", str(minute.remaining)),
        ("X-RateLimit-Reset", str(math.ceil(ends(minute).timestamp()))),
    )
