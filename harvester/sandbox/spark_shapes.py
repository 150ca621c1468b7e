"""The ``D`` envelope of the Spark API: results, pagination, failures and their codes.

Source: Spark API contract, sections 3 and 7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from msgspec import Struct

from harvester.sandbox.records import array

JSON = (("Content-Type", "application/json; charset=utf-8"),)
MASK = b'"********"'  # "not visible for this role or type", in a field of any type

_WARNING = b',"Errors":[{"Code":1070,"Status":"Warn","Message":"A field of the selection is going to be retired"}]'


class Failure(Exception):
    """The request fails with a Spark *code*, or with a bare HTTP status where the platform has no code."""

    def __init__(self, code: int, message: str = "", *, status: int | None = None, details: Any = None) -> None:
        super().__init__(message or _KNOWN.get(code, (0, ""))[1])
        self.code = code
        self.status = status or _KNOWN[code][0]
        self.details = details  # value of SparkQLErrors; None: the member is absent


_KNOWN: Mapping[int, tuple[int, str]] = {
    404: (404, "Not Found"),
    405: (405, "Method Not Allowed"),
    1000: (401, "Invalid API key and/or request signed improperly"),
    1010: (401, "API key is disabled"),
    1016: (400, "X-SparkApi-User-Agent is required"),
    1020: (401, "Session token has expired"),
    1021: (403, "API key must be used on replication.sparkapi.com"),
    1040: (400, "Invalid parameter value"),
    1050: (400, "Invalid _filter"),
    1053: (400, "Parameter is not allowed with _skiptoken for replication"),
    1515: (503, "Request is too large; use a smaller _limit"),
    1550: (429, "Over rate limit"),
}


class PageInfo(Struct, frozen=True, kw_only=True):
    """The Pagination block."""

    total: int
    size: int
    page: int | None = None  # from 1; None: paged by offset
    offset: int = 0

    def block(self) -> bytes:
        pages = -(-self.total // self.size) if self.size else 0
        where = b'"CurrentOffset":%d' % self.offset if self.page is None else b'"CurrentPage":%d' % self.page
        return b'{"TotalRows":%d,"PageSize":%d,"TotalPages":%d,%b}' % (self.total, self.size, pages, where)


def success(
    results: Sequence[bytes] | None, *, token: str | None = None, info: PageInfo | None = None, warn: bool = False
) -> bytes:
    """A body with *results*; None leaves the member out, as ``_pagination=count`` does.

    *token* becomes ``SkipToken`` beside the results, never inside ``Pagination``.
    """
    parts = [b'{"D":{"Success":true']
    if results is not None:
        parts.append(b',"Results":' + array(results))
    if token is not None:
        parts.append(b',"SkipToken":' + orjson.dumps(token))
    if info is not None:
        parts.append(b',"Pagination":' + info.block())
    if warn:
        parts.append(_WARNING)
    parts.append(b"}}")
    return b"".join(parts)


def failure(failed: Failure) -> bytes:
    """The body of a failure."""
    told: dict[str, Any] = {"Success": False, "Code": failed.code, "Message": str(failed)}
    if failed.details is not None:
        told["SparkQLErrors"] = failed.details
    return orjson.dumps({"D": told})
