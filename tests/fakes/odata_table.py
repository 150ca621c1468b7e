"""A small OData collection in memory: answers the requests of pagers, and can change between two of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from msgspec import Struct

from harvester.contracts import Pager
from harvester.decode.envelopes import ODataEnvelope
from harvester.decode.heads import HeadReader, PageHeads
from harvester.model import Headers, Page, PageRequest, Resource, Response, Walk

Row = dict[str, str | int | None]
_COMPARISON = re.compile(r"(\w+) (eq|ne|gt|ge|lt|le) ('(?:[^']|'')*'|[^ ()]+)(?: and |$)")
_BASE = "https://api.example/odata/"
_ANY = Resource(name="Property")


class OdataTable:
    """Rows, and how the server treats requests. Values compare as Python does; null is nothing's equal but null's.

    ``count``: how many it says there are (FAULTS P13); ``cap``: most rows of a page; ``short``: a page cut to so
    many rows now and then (FAULTS P04); ``nulls_first``: where null sorts.
    """

    def __init__(self, rows: list[Row], *, cap: int = 1000, nulls_first: bool = True) -> None:
        self.rows = rows
        self.cap = cap
        self.nulls_first = nulls_first
        self.ignore: frozenset[str] = frozenset()  # parameters the server does not look at (FAULTS P15)
        self.short: Callable[[int], int] = lambda size: size
        self.count: Callable[[int, int], int] = lambda all_rows, of_page: all_rows
        self.asked: list[dict[str, str]] = []

    def answer(self, request: PageRequest) -> Page:
        response = Response(status=200, headers=Headers(), body=self.body(request.url), url=_BASE + request.url)
        return ODataEnvelope().open(response, request, Walk(id="w00", resource=_ANY, pager=""))

    def body(self, url: str) -> bytes:
        """The answer to *url* as it goes over the wire."""
        query = dict(parse_qsl(url.partition("?")[2], keep_blank_values=True))
        self.asked.append(query)
        for name in self.ignore:
            query.pop(name, None)
        rows = [row for row in self.rows if self._meets(row, query.get("$filter", ""))]
        for term in reversed(query.get("$orderby", "").split(",")):
            if member := term.removesuffix(" asc").removesuffix(" desc"):
                rows.sort(
                    key=lambda row, name=member: self._rank(row.get(name)),  # type: ignore[misc]
                    reverse=term.endswith(" desc"),
                )
        start = int(query.get("$skip", "0"))
        size = min(int(query.get("$top", "1000")), self.cap)
        page = rows[start : start + size]
        document: dict[str, object] = {"value": page[: self.short(len(page))]}
        if query.get("$count") == "true":
            document["@odata.count"] = self.count(len(rows), len(page))
        return json.dumps(document).encode()

    def _rank(self, value: str | int | None) -> tuple[bool, str | int]:
        return (value is not None, value or "") if self.nulls_first else (value is None, value or "")

    def _meets(self, row: Mapping[str, str | int | None], text: str) -> bool:
        while text:
            found = _COMPARISON.match(text)
            assert found, f"the fake cannot read {text!r}"
            text = text[found.end() :]
            member, operator, literal = found.groups()
            if not _holds(row.get(member), operator, _read(literal)):
                return False
        return True


class Read(Struct):
    """What a walk brought."""

    keys: list[tuple[str, ...]]  # of fresh rows, in order
    requests: int


def read_all(
    pager: Pager, walk: Walk, table: OdataTable, *, between: Callable[[], None] = lambda: None, most: int = 500
) -> Read:
    """Walk *table* to its end; *between* runs after each answer."""
    read = Read(keys=[], requests=0)
    reader = HeadReader(walk.resource)
    todo = [pager.first(walk)]
    while todo:
        request = todo.pop(0)
        page = table.answer(request)
        read.requests += 1
        assert read.requests <= most, "the walk does not end"
        heads = PageHeads(page.records, reader)
        fresh = pager.fresh(walk, request, page, heads)
        todo.extend(pager.follow(walk, page, heads))
        read.keys += [
            head.key or (bytes(record).decode(),)
            for index, (record, head) in enumerate(zip(page.records, heads, strict=True))
            if fresh is None or fresh[index]
        ]
        between()
    return read


def _read(literal: str) -> str | int | None:
    if literal == "null":
        return None
    if literal.startswith("'"):
        return literal[1:-1].replace("''", "'")
    return int(literal) if literal.lstrip("-").isdigit() else literal


def _holds(value: str | int | None, operator: str, wanted: str | int | None) -> bool:
    if value is None or wanted is None:
        return {"eq": value is wanted, "ne": value is not wanted}.get(operator, False)
    left, right = (value, wanted) if type(value) is type(wanted) else (str(value), str(wanted))
    return {
        "eq": left == right,
        "ne": left != right,
        "gt": left > right,  # type: ignore[operator]
        "ge": left >= right,  # type: ignore[operator]
        "lt": left < right,  # type: ignore[operator]
        "le": left <= right,  # type: ignore[operator]
    }[operator]
