"""A Transport that serves rows of the Lakeside provider from memory, with faults on order."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Collection
from urllib.parse import parse_qs, unquote, urlsplit

from harvester.contracts import Sink
from harvester.errors import HarvesterError, ResourceRefused
from harvester.events import Requested
from harvester.model import Action, Headers, Request, Response, Verdict
from tests.fakes.clock import FakeClock

Row = dict[str, object]
Before = Callable[[int, str], HarvesterError | None]


async def at_once(url: str) -> None:
    """No delay."""


class LakeServer:
    """Key-ordered collections in pages of at most ``page`` rows, or of ``$top`` where that is less.

    What goes wrong, and what happens meanwhile, is told by functions that may be exchanged at any time:

    ``before(number, url)`` is called with each request, in order from 0; it may change rows, or return an error.
    ``delay(url)`` is awaited before the answer. ``claim(url)`` is the ``@odata.count`` of an answer; None: it has
    none, but an honest one where it is asked for and the server ``counts``. ``body(number, body)`` may spoil it.
    ``hidden(url)`` are keys that the answer leaves out. Answers to URLs that ``drops(number, url)`` names lack their
    next link.
    """

    def __init__(self, tables: dict[str, list[Row]], clock: FakeClock, *, page: int = 10) -> None:
        self.tables, self.page, self.clock = tables, page, clock
        self.asked: list[str] = []
        self.before: Before = lambda number, url: None
        self.delay: Callable[[str], Awaitable[None]] = at_once
        self.claim: Callable[[str], int | None] = lambda url: None
        self.body: Callable[[int, bytes], bytes] = lambda number, body: body
        self.hidden: Callable[[str], Collection[str]] = lambda url: ()
        self.drops: Callable[[int, str], bool] = lambda number, url: False
        self.counts = True
        self.ignores_filter = False
        self.tells_time = True  # in the Date of its answers

    def connect(self, sink: Sink) -> _Lane:
        return _Lane(self, sink)

    def answer(self, url: str, number: int = -1) -> bytes:
        parts = urlsplit(url)
        table = unquote(parts.path.removeprefix("/odata/"))
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        entity = ""
        if table.endswith("')"):
            table, _, entity = table.removesuffix("')").partition("('")
        if table not in self.tables:
            raise ResourceRefused(f"404 {table}", status=404)
        hidden = self.hidden(url)
        rows = sorted(self.tables[table], key=_key)
        rows = [row for row in rows if _key(row) not in hidden]
        if entity:
            return self._entity(table, rows, entity)
        if " eq " in query.get("$filter", "") and not self.ignores_filter:
            named = set(re.findall(r"eq '([^']*)'", query["$filter"]))
            rows = [row for row in rows if _key(row) in named]
        elif "$filter" in query and not self.ignores_filter:
            since, _, until = query["$filter"].partition(" gt ")[2].partition(" and ")
            bound = until.rpartition(" lt ")[2] or "9999"
            rows = [row for row in rows if since < str(row.get("ModificationTimestamp")) < bound]
        number_of_all = len(rows)
        after = query.get("$skiptoken", "")
        rows = [row for row in rows if _key(row) > after][int(query.get("$skip", "0")) :]
        size = min(self.page, int(query.get("$top", self.page)))
        wanted = query.get("$select", "").split(",") if "$select" in query else None
        shown = [{name: row[name] for name in row if wanted is None or name in wanted} for row in rows[:size]]
        body: dict[str, object] = {"value": shown}
        claimed = self.claim(url)
        if claimed is None and self.counts and query.get("$count") == "true":
            claimed = number_of_all
        if claimed is not None:
            body["@odata.count"] = claimed
        if len(rows) > size and not self.drops(number, url):
            last = next(iter(rows[size - 1].values()))
            kept = "".join(f"{name}={value}&" for name, value in query.items() if name not in {"$skiptoken"})
            body["@odata.nextLink"] = f"{table.rpartition('/')[2]}?{kept}$skiptoken={last}".replace(" ", "%20")
        return json.dumps(body, ensure_ascii=False).encode()

    def _entity(self, table: str, rows: list[Row], key: str) -> bytes:
        found = next((row for row in rows if _key(row) == key), None)
        if found is None:
            raise ResourceRefused(f"404 {table}('{key}')", status=404)
        return json.dumps({"@odata.context": f"$metadata#{table}/$entity", **found}, ensure_ascii=False).encode()


def _key(row: Row) -> str:
    return str(next(iter(row.values())))


class _Lane:
    def __init__(self, server: LakeServer, sink: Sink) -> None:
        self._server, self._sink = server, sink

    async def send(self, request: Request) -> Response:
        server = self._server
        number = len(server.asked)
        server.asked.append(request.url)
        await server.delay(request.url)
        self._sink(Requested(at=server.clock.now(), source="lake", status=200))
        failure = server.before(number, request.url)
        if failure is not None:
            raise failure
        body = server.body(number, server.answer(request.url, number))
        date = server.clock.now().strftime("%a, %d %b %Y %H:%M:%S GMT")
        return Response(
            status=200,
            headers=Headers([*([("Date", date)] if server.tells_time else []), ("Content-Type", "application/json")]),
            body=body,
            url=request.url,
            verdict=Verdict(action=Action.USE),
        )


def failing_at(numbers: Collection[int], error: HarvesterError) -> Before:
    """A ``LakeServer.before`` that answers the requests of these *numbers* with *error*."""
    return lambda number, url: error if number in numbers else None


def failing_on(part: str, error: HarvesterError) -> Before:
    """A ``LakeServer.before`` that answers every request whose URL holds *part* with *error*."""
    return lambda number, url: error if part in url else None


def listings(count: int, start: int = 0) -> list[Row]:
    """Rows with keys in order and a modification time each."""
    return [
        {
            "ListingKey": f"{index:06d}",
            "ModificationTimestamp": f"2026-01-{1 + index % 28:02d}T00:00:00Z",
            "Remarks": "château à vendre " + "x" * 40,
        }
        for index in range(start, start + count)
    ]


def offices(count: int) -> list[Row]:
    """Rows with keys in order and no modification time."""
    return [{"OfficeKey": f"{index:03d}"} for index in range(count)]
