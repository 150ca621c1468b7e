"""The reversed time windows of IDX Broker: ``interval`` hours back from ``startDatetime``, over one date of a row.

Source: IDX Broker contract, section 4. Edge inclusion is documented nowhere: both edges are left out here, so that
a client whose windows only touch loses the row between them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from harvester.sandbox.idx_entries import Entry, stamp
from harvester.sandbox.idx_methods import NEWEST, Span, rank

SHORTEST_HOURS = 0.0166
_INTERVAL = re.compile(r"\d{1,9}(\.\d{1,4})?")
_TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


class TimeRange(Struct, frozen=True, kw_only=True):
    """Rows whose *date* lies between *after* and *before*, both left out; texts as the API writes times."""

    date: str
    after: str
    before: str

    def holds(self, entry: Entry) -> bool:
        # The texts are of one width and zone, so they sort as the instants do; "0000-…" is before every window.
        return any(self.after < text < self.before for text in entry.dates(self.date))


class BadWindow(Exception):
    """The time parameters are refused with *status*."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


def read_window(span: Span, query: Mapping[str, str], *, version: str, now: datetime) -> TimeRange | None:
    """The window that *query* asks for; None: no limit in time.

    Raises:
        BadWindow: 400 for what cannot be read or is too short; for what is too long 416, which versions
            before 1.8.0 do not have and answer with 400.
    """
    date = query.get("dateType", span.dates[0])
    newer = date in span.newer and rank(version) < rank(NEWEST)
    if date not in span.dates or newer:
        raise BadWindow(400)
    hours = _hours(span, query, version)
    end = now
    if "startDatetime" in query:
        try:
            end = datetime.strptime(query["startDatetime"], _TIME_FORMAT).replace(tzinfo=UTC)
        except ValueError:
            raise BadWindow(400) from None
        if hours is None:
            return TimeRange(date=date, after="", before=stamp(end))
    if hours is None:
        return None
    return TimeRange(date=date, after=stamp(_rounded(end - timedelta(hours=hours))), before=stamp(_rounded(end)))


def _hours(span: Span, query: Mapping[str, str], version: str) -> float | None:
    text = query.get("interval")
    if text is None:
        return span.default
    if not _INTERVAL.fullmatch(text) or float(text) < SHORTEST_HOURS:
        raise BadWindow(400)
    if float(text) > span.longest:
        raise BadWindow(416 if rank(version) >= rank(NEWEST) else 400)
    return float(text)


def _rounded(instant: datetime) -> datetime:
    """*instant* to the nearest second."""
    return (instant + timedelta(microseconds=500_000)).replace(microsecond=0)
