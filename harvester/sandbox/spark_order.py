"""Which rows a Spark list request is about, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from urllib.parse import urlencode

from harvester.sandbox.records import Row
from harvester.sandbox.simulator import Ask
from harvester.sandbox.spark_listings import reader, searchable
from harvester.sandbox.spark_shapes import Failure
from harvester.sandbox.sparkql import SparkQLError, compile_filter


def predicate(text: str, rows: Sequence[Row]) -> Callable[[Row], bool] | None:
    """The filter *text* compiled for *rows*; None when there is none.

    Raises:
        Failure: 1050 with ``SparkQLErrors``.
    """
    if not text:
        return None
    try:
        return compile_filter(text, searchable=searchable(rows[0] if rows else None), read=reader())
    except SparkQLError as error:
        details = [{"Token": error.token, "Message": str(error), "Status": "fatal"}]
        raise Failure(1050, f"_filter: {error}", details=details) from error


def in_order(rows: Sequence[Row], term: str) -> Sequence[Row]:
    """*rows* by one term of ``_orderby``, ``+Field`` or ``-Field``; null comes first.

    Raises:
        Failure: 1040 for a field that may not be searched by.
    """
    name = term[1:]
    if not searchable(rows[0] if rows else None)(name):
        raise Failure(1040, f"Cannot order by {name}")
    read = reader()

    def rank(row: Row) -> tuple[bool, str]:
        value = row.instant if name == "ModificationTimestamp" else read(row).get(name)
        text = f"{value:040.10f}" if isinstance(value, int | float | Decimal) else str(value)
        return (value is not None, text)

    return sorted(rows, key=rank, reverse=term[0] == "-")


def nearby(rows: Sequence[Row], query: Mapping[str, str]) -> Sequence[Row]:
    """*rows* by their distance from ``_lat`` and ``_lon``. Raises ``Failure`` (1040) without a place."""
    try:
        latitude, longitude = float(query["_lat"]), float(query["_lon"])
    except (KeyError, ValueError):
        raise Failure(1040, "_lat and _lon are required") from None
    read = reader()

    def distance(row: Row) -> float:
        fields = read(row)
        return (float(str(fields["Latitude"])) - latitude) ** 2 + (float(str(fields["Longitude"])) - longitude) ** 2

    return sorted(rows, key=distance)


def behind(rows: Sequence[Row], last: str, meets: Callable[[Row], bool] | None, count: int) -> Sequence[Row]:
    """The first *count* rows with a key above *last* that meet the condition; *rows* are ordered by key."""
    start, end = 0, len(rows)
    while start < end:
        middle = (start + end) // 2
        start, end = (middle + 1, end) if rows[middle].key <= last else (start, middle)
    if meets is None:
        return rows[start : start + count]
    found: list[Row] = []
    for row in rows[start:]:
        if meets(row):
            found.append(row)
            if len(found) == count:
                break
    return found


def bound_query(ask: Ask) -> str:
    """What a token is bound to: path and parameters, but not the page size, which may shrink on the way."""
    free = ("_skiptoken", "_limit", "_pagination")
    return f"{ask.path}?{urlencode(sorted((name, value) for name, value in ask.query if name not in free))}"
