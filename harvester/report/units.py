"""Numbers as people read them: counts, sizes and durations."""

from __future__ import annotations

import math


def count(number: int) -> str:
    return f"{number:,}"


def number_of(number: int, noun: str) -> str:
    """``1 record``, ``1,234 records``; *noun* in the singular."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def size(number: int) -> str:
    """Bytes in decimal units: ``980 B``, ``12.3 MB``."""
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{number} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds as ``0.4 s``, ``12 s``, ``3m 20s``, ``2h 05m`` or ``3d 04h``; negative ones count as none."""
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d {whole % 86400 // 3600:02d}h"


def period(seconds: float) -> str:
    """The length of a quota window: ``second``, ``minute``, ``hour``, ``day``, ``90 s`` or ``17 ms``."""
    if seconds < 0.1:  # of a sandbox whose time runs faster
        return f"{1000 * seconds:.2g} ms"
    return {1.0: "second", 60.0: "minute", 3600.0: "hour", 86400.0: "day"}.get(seconds) or f"{seconds:g} s"


def quota(amount: int, unit: str, seconds: float) -> str:
    """A limit over a period, *unit* requests or bytes: ``20 requests per minute``, ``4.0 GB per hour``."""
    what = size(amount) if unit == "bytes" else number_of(amount, "request")
    return f"{what} per {period(seconds)}"


def countdown(seconds: float) -> str:
    """Seconds that are left, as a clock counts them down: ``0:41``, ``12:05``, ``3:04:59``; never negative."""
    minutes, rest = divmod(max(0, math.ceil(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
