"""Where a provider keeps records, next link and total: a response body becomes a Page.

The body is decoded once, into ``list[msgspec.Raw]``: slices of the body that msgspec has checked to be strict JSON in
all but UTF-8, which is checked here (FAULTS D03). Numbers of any length or range stay the digits they were
(FAULTS D05, D06). Of repeated members of an envelope the last one counts, and links are read from the top level
only (FAULTS D07). A leading byte order mark is dropped; any other text around the document is refused (FAULTS D09).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct, field

from harvester.decode.complaints import complaint
from harvester.decode.lines import one_line
from harvester.decode.masked import Masks
from harvester.decode.rescue import rescue
from harvester.decode.utf8 import is_utf8
from harvester.decode.verdicts import printable
from harvester.errors import ProtocolError
from harvester.model import Action, Headers, Page, PageRequest, Rejected, Response, Walk

MAX_RECORD = 16 << 20  # bytes; a larger record is quarantined (FAULTS D11)


class _ODataBody(Struct):
    value: list[Raw]
    next_link: str | None = field(name="@odata.nextLink", default=None)
    count: Any = field(name="@odata.count", default=None)


class _ValueBody(Struct):
    value: list[Raw]


class _Pagination(Struct):
    total: Any = field(name="TotalRows", default=None)


class _D(Struct):
    results: list[Raw] | None = field(name="Results", default=None)
    skip_token: str | int | None = field(name="SkipToken", default=None)
    pagination: _Pagination | None = field(name="Pagination", default=None)


class _SparkBody(Struct):
    d: _D = field(name="D")


class ODataEnvelope:
    """``{"@odata.count": 133, "value": [...], "@odata.nextLink": "..."}``; count and link may be absent.

    Args:
        shape: makes records what they are written as, from them, their body and walk; None: they stay as they are.
    """

    def __init__(self, shape: Callable[[Sequence[Raw], bytes, Walk], Sequence[Raw]] | None = None) -> None:
        self._decode = msgspec.json.Decoder(_ODataBody).decode
        self._shape = shape

    def open(self, response: Response, request: PageRequest, walk: Walk) -> Page:
        if response.verdict.action is Action.EMPTY:
            return empty_page(response, request)
        if request.one:
            page = make_page(response, request, walk, [_entity(response, walk)], ())
        else:
            body, rejected = open_body(response, self._decode, ("value",), walk)
            page = make_page(response, request, walk, body.value, rejected, link=body.next_link, count=body.count)
        if self._shape is None:
            return page
        return msgspec.structs.replace(page, records=self._shape(page.records, response.body, walk))


class ImsEnvelope:
    """``{"value": [...]}`` and nothing else: IMS has neither links nor totals (IMS contract, section 5)."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(_ValueBody).decode

    def open(self, response: Response, request: PageRequest, walk: Walk) -> Page:
        if response.verdict.action is Action.EMPTY:
            return empty_page(response, request)
        body, rejected = open_body(response, self._decode, ("value",), walk)
        return make_page(response, request, walk, body.value, rejected)


class SparkEnvelope:
    """``{"D": {"Success": true, "Results": [...], "SkipToken": "...", "Pagination": {...}}}``.

    ``Page.next_link`` is the text of ``SkipToken``, which sits directly under ``D`` (Spark contract, section 3).
    Records with masked members are stamped with their names.

    Args:
        masks: what else is done about them; None: they become null.
    """

    def __init__(self, masks: Masks | None = None) -> None:
        self._decode = msgspec.json.Decoder(_SparkBody).decode
        self._masks = masks or Masks(nested=True)

    def open(self, response: Response, request: PageRequest, walk: Walk) -> Page:
        if response.verdict.action is Action.EMPTY:
            return empty_page(response, request)
        body, rejected = open_body(response, self._decode, ("D", "Results"), walk)
        results = body.d.results
        _check_place(results or (), walk)
        if results is None:
            # Only a count may come without Results; for a page it would read as the end of the chain.
            if "_pagination=count" not in response.url:
                raise ProtocolError(f"{walk.resource.name}: the answer holds no D.Results.")
            results = []
        token = body.d.skip_token
        total = body.d.pagination.total if body.d.pagination else None
        page = make_page(
            response, request, walk, results, rejected, link=None if token is None else str(token), count=total
        )
        return msgspec.structs.replace(page, records=self._masks.mark(page.records, response.body))


def _entity(response: Response, walk: Walk) -> Raw:
    """The record of an answer that is one, without the context that OData puts before its members.

    The record's own members stay the bytes they have in a collection, so that both are one version.
    """
    body = response.body.removeprefix(b"\xef\xbb\xbf")
    try:
        _decode_object(body)
        problem = "" if is_utf8(body) else "it is not UTF-8"
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        problem = complaint(error)
    if problem:
        raise ProtocolError(f"{walk.resource.name}: the answer is no record: {problem}.")
    found = _CONTEXT.match(body)
    return Raw(b"{" + body[found.end() :]) if found else Raw(body)


_CONTEXT = re.compile(rb'\s*\{\s*"@odata\.context"\s*:\s*"(?:[^"\\]|\\.)*"\s*,\s*')


class _AnyObject(Struct):
    """Any JSON object."""


_decode_object = msgspec.json.Decoder(_AnyObject).decode

_PLACE = re.compile(rb'\{\s*"ResourceUri"\s*:\s*"([^"]*)"')


def _check_place(records: Sequence[Raw], walk: Walk) -> None:
    """Raises ``ProtocolError`` when the records say that they live elsewhere: another request's answer (FAULTS H11)."""
    found = _PLACE.match(records[0]) if records else None
    name = walk.resource.name.rpartition("/")[2]
    if found is not None and name not in found[1].decode("utf-8", "replace").replace("\\/", "/").split("/"):
        raise ProtocolError(f"{walk.resource.name}: a page of {printable(found[1].decode(errors='replace'))} came.")


# ------------------------------------------------------------------ pieces for every envelope

BodyT = TypeVar("BodyT")


def empty_page(response: Response, request: PageRequest) -> Page:
    """The page of an answer that is legitimately without records (204)."""
    return Page(request=request, url=response.url, records=(), served_at=served_at(response.headers))


def open_body(
    response: Response, decode: Callable[[bytes], BodyT], path: Sequence[str], walk: Walk
) -> tuple[BodyT, tuple[Rejected, ...]]:
    """Decode the body; records of the array at *path* that are not strict JSON in UTF-8 are cut out and returned.

    Raises:
        ProtocolError: the body is not this envelope, even without its bad records (FAULTS D08, D09, D12).
    """
    body = response.body.removeprefix(b"\xef\xbb\xbf")
    rejected: tuple[Rejected, ...] = ()
    try:
        if is_utf8(body):
            return decode(body), rejected
        problem = "it is not UTF-8"
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        problem = complaint(error)
    rescued = rescue(body, path)
    if rescued is not None:
        try:
            if is_utf8(rescued.body):
                return decode(rescued.body), rescued.rejected
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            problem = complaint(error)
    raise ProtocolError(f"{walk.resource.name}: a page of {len(body):,} bytes cannot be read: {problem}.")


def make_page(
    response: Response,
    request: PageRequest,
    walk: Walk,
    records: Sequence[Raw],
    rejected: tuple[Rejected, ...] = (),
    *,
    link: str | None = None,
    count: object = None,
) -> Page:
    """The page of decoded *records*. An empty *link* is none; a *count* that is no whole number says nothing.

    Raises:
        ProtocolError: a record is not an object (FAULTS D12).
    """
    if {memoryview(record)[0] for record in records} - {_BRACE}:
        raise ProtocolError(f"{walk.resource.name}: the list of records holds something that is not an object.")
    if len(response.body) > MAX_RECORD and any(len(memoryview(record)) > MAX_RECORD for record in records):
        reason = f"larger than {MAX_RECORD:,} bytes"
        views = [memoryview(record) for record in records]
        rejected += tuple(Rejected(bytes(view), reason) for view in views if len(view) > MAX_RECORD)
        records = [record for record in records if len(memoryview(record)) <= MAX_RECORD]
    return Page(
        request=request,
        url=response.url,
        records=one_line(records, response.body),
        next_link=link or None,
        count=whole_number(count),
        rejected=rejected,
        served_at=served_at(response.headers),
        size=len(response.body),
    )


def whole_number(value: object) -> int | None:
    """*value* when it is a count; None for texts, fractions and negative numbers (FAULTS P13)."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def served_at(headers: Headers) -> datetime | None:
    """The answer's ``Date`` in aware UTC; None when it is absent or unreadable."""
    text = headers.get("date")
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


_BRACE = 0x7B
