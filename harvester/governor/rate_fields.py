"""The quota fields that servers share: IETF ``RateLimit`` in its drafts, ``X-RateLimit-*`` in its habits. Pure.

Rules of the drafts: a malformed field is ignored, a positive remaining is no guarantee, fields may come and go, and
several windows may exist while one is shown. Absent values are None and say nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from harvester.governor.http_time import read_http_date, read_iso
from harvester.model import Headers, WindowSignal

_NUMBER = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?")
_SPAN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|[smhd])")
_SPANS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
PERIODS = (("Second", 1.0), ("Minute", 60.0), ("Hour", 3600.0), ("Day", 86_400.0))
"""Names of periods in fields that come once a period, and their seconds; shortest first."""

_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[^",;]+|[,;]')

_EPOCH = 1e9  # larger numbers are instants, in seconds since 1970
_EPOCH_MS = 1e11  # larger ones in milliseconds
_LONG = 1e7  # seconds (116 days); a longer wait was meant in milliseconds


_UNITS = {"requests": "requests", "request": "requests", "content-bytes": "bytes"}
_CONCURRENT = frozenset({"concurrent-requests", "concurrent-request"})


class Item(tuple[str, dict[str, str]]):
    """One member of a list field: its value, and its parameters by name."""

    __slots__ = ()


def read_number(text: str | None) -> float | None:
    """A plain ASCII decimal, finite by its length; None: absent or anything else."""
    if text is None:
        return None
    text = text.strip(" \t")
    return float(text) if _NUMBER.fullmatch(text) else None


def read_count(text: str | None) -> int | None:
    """A number of requests or bytes, fractions cut off, never below zero; None: absent or unreadable."""
    number = read_number(text)
    return None if number is None else max(0, math.floor(number))


def read_span(text: str) -> float | None:
    """``1d``, ``6m0s``, ``250ms`` in seconds; None: it is no such text."""
    seconds, end = 0.0, 0
    text = text.strip(" \t")
    for found in _SPAN.finditer(text):
        if found.start() != end:
            return None
        seconds += float(found[1]) * _SPANS[found[2]]
        end = found.end()
    return seconds if end and end == len(text) else None


def read_reset(text: str | None, served_at: datetime, now: datetime) -> float | None:
    """Seconds from the answer to a Reset written as seconds, milliseconds, epoch, HTTP date or ISO instant.

    None: absent, unreadable, or in the past, which says nothing.
    """
    if text is None:
        return None
    seconds: float | None
    number = read_number(text)
    if number is not None:
        if number >= _EPOCH_MS:
            seconds = number / 1000 - served_at.timestamp()
        elif number >= _EPOCH:
            seconds = number - served_at.timestamp()
        else:
            seconds = number / 1000 if number >= _LONG else number
    else:
        seconds = read_span(text)
        if seconds is None:
            instant = read_iso(text) or read_http_date(text, now)
            seconds = (instant - served_at).total_seconds() if instant is not None else None
    return seconds if seconds is not None and seconds >= 0 else None


def read_items(lines: Iterable[str]) -> list[Item]:
    """The members of a list field over all its lines, leniently: ``"day";q=1000;w=86400, 100;w=60``."""
    items: list[Item] = []
    for line in lines:
        value, parameters, first = "", dict[str, str](), True
        for piece in [*_PIECE.findall(line[:4096]), ","]:
            if piece == ",":
                if value:
                    items.append(Item((value, parameters)))
                value, parameters, first = "", {}, True
            elif piece == ";":
                first = False
            elif first:
                value = (value + piece).strip(" \t")
            else:
                name, equals, given = piece.partition("=")
                if equals:
                    parameters[name.strip(" \t").lower()] = given.strip(" \t")
                elif piece.startswith('"') and parameters:  # a quoted parameter value, split off at its quote
                    last = next(reversed(parameters))
                    parameters[last] = parameters[last] or piece
    return items


def _unit(parameters: dict[str, str]) -> str | None:
    """The unit of a policy; None: one that this program does not count."""
    return _UNITS.get(parameters.get("qu", "requests").strip('"').lower())


def ietf_windows(headers: Headers) -> list[WindowSignal]:
    """``RateLimit`` and ``RateLimit-Policy`` as drafts 07 to 11 write them."""
    policies = read_items(headers.all("ratelimit-policy"))
    windows: list[WindowSignal] = []
    for value, given in read_items(headers.all("ratelimit")):
        if "=" in value:
            continue  # the dictionary form of draft 07, below
        policy = next((parameters for name, parameters in policies if name.strip('"') == value.strip('"')), {})
        remaining = read_count(given.get("r"))
        unit = _unit(policy)
        if remaining is None or unit is None:
            continue
        windows.append(
            WindowSignal(
                name=value.strip('"'),
                seconds=_not_negative(read_number(policy.get("w"))),
                limit=read_count(policy.get("q")),
                remaining=remaining,
                resets_in=_not_negative(read_number(given.get("t"))),
                unit=unit,
            )
        )
    for name, parameters in policies:
        # A policy of which the answer shows no state is still a limit.
        unit = _unit(parameters)
        seconds, limit = _not_negative(read_number(parameters.get("w"))), read_count(parameters.get("q"))
        if unit and seconds and limit and not any(window.name == name.strip('"') for window in windows):
            windows.append(WindowSignal(name=name.strip('"'), seconds=seconds, limit=limit, unit=unit))
    return windows


def most_open(headers: Headers) -> int | None:
    """How many requests may be open at once: the lowest policy in ``concurrent-requests``; None: there is none."""
    quotas = (
        read_count(parameters.get("q"))
        for _, parameters in read_items(headers.all("ratelimit-policy"))
        if parameters.get("qu", "").strip('"').lower() in _CONCURRENT
    )
    return min((quota for quota in quotas if quota), default=None)


def draft_windows(headers: Headers, served_at: datetime, now: datetime) -> list[WindowSignal]:
    """``RateLimit-Limit``, ``-Remaining``, ``-Reset`` of drafts 03 to 06, and the dictionary of draft 07.

    A Reset is a number of seconds by the drafts; some servers write an instant.
    """
    named: dict[str, str] = {}
    for value, _ in read_items(headers.all("ratelimit")):
        name, equals, given = value.partition("=")
        if equals:
            named[name.strip(" \t").lower()] = given.strip(" \t")
    quotas = read_items(headers.all("ratelimit-limit"))
    limit = read_count(named.get("limit") or (quotas[0][0] if quotas else None))
    remaining = read_count(named.get("remaining") or last_line(headers, "ratelimit-remaining"))
    resets_in = read_reset(named.get("reset") or last_line(headers, "ratelimit-reset"), served_at, now)
    windows: list[WindowSignal] = []
    shown = limit is not None and remaining is not None
    for value, parameters in [*quotas, *read_items(headers.all("ratelimit-policy"))]:
        quota, seconds = read_count(value), _not_negative(read_number(parameters.get("w")))
        if quota is None or not seconds or any(window.seconds == seconds for window in windows):
            continue
        if shown and quota == limit:
            shown = False
            windows.append(WindowSignal(seconds=seconds, limit=quota, remaining=remaining, resets_in=resets_in))
        else:
            windows.append(WindowSignal(seconds=seconds, limit=quota))
    if remaining is not None and (shown or limit is None):
        windows.append(WindowSignal(limit=limit, remaining=remaining, resets_in=resets_in))
    return windows


def habit_windows(headers: Headers, served_at: datetime, now: datetime) -> list[WindowSignal]:
    """``X-RateLimit-Limit``, ``-Remaining``, ``-Reset``, also ``X-Rate-Limit-*`` and one set a period (``…-Hour``)."""
    windows: list[WindowSignal] = []
    for prefix in ("x-ratelimit-", "x-rate-limit-"):
        for suffix, seconds in (("", None), *((f"-{name.lower()}", length) for name, length in PERIODS)):
            quotas = read_items(headers.all(f"{prefix}limit{suffix}"))
            length = seconds
            if length is None and quotas:
                length = read_span(quotas[0][0])  # the window itself instead of a number (Centris)
            limit = read_count(quotas[0][0]) if quotas else None
            remaining = read_count(last_line(headers, f"{prefix}remaining{suffix}"))
            used = read_count(last_line(headers, f"{prefix}used{suffix}"))
            reset = last_line(headers, f"{prefix}reset{suffix}") or last_line(headers, f"{prefix}reset-after{suffix}")
            if remaining is None and (limit is None or length is None):
                continue
            windows.append(
                WindowSignal(
                    seconds=length,
                    limit=limit or None,
                    used=used if remaining is None else None,
                    remaining=remaining,
                    resets_in=read_reset(reset, served_at, now),
                )
            )
    return windows


def last_line(headers: Headers, name: str) -> str | None:
    """The last line of a field that should have one; None: absent."""
    lines: Sequence[str] = headers.all(name)
    return lines[-1] if lines else None


def _not_negative(number: float | None) -> float | None:
    return number if number is not None and number >= 0 else None
