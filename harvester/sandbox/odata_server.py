"""An OData server of no particular provider, with the oddities that its address names (``oddities.py``).

``<mount>/links-offset,cap-100/Property`` is served by a server whose links hold an offset and whose pages end at 100
records. All such servers show the same rows, so that one truth tells of all of them. It is served on request only.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from urllib.parse import quote, unquote

import msgspec

from harvester.sandbox import oddities, told_quotas
from harvester.sandbox.holders import number_of, several
from harvester.sandbox.odata import Collection, parse_orderby, parse_select, project, whole_number
from harvester.sandbox.odata import Order as OrderTerm
from harvester.sandbox.odata_filter import QueryError, parse_filter
from harvester.sandbox.odata_metadata import XML, as_xml
from harvester.sandbox.odata_server_data import KEYS, MODIFIED, ServerData
from harvester.sandbox.oddities import Oddities
from harvester.sandbox.quota import Quota
from harvester.sandbox.records import Row, array
from harvester.sandbox.settings import Settings
from harvester.sandbox.shelves import Shelf
from harvester.sandbox.simulator import Answer, Ask
from harvester.sandbox.skip_tokens import SkipTokens, TokenRefused
from harvester.sandbox.tokens import bearer

TOKEN = "sandbox-odata-server"
_JSON = (("Content-Type", "application/json; charset=utf-8"),)
_OPTIONS = {f"${name}" for name in oddities.OPTIONS} | {"$skiptoken", "page"}
_WRONG_BY = 7
_LONGEST_NAME = 64  # of a source
_PREFERRED = re.compile(r"odata\.maxpagesize=([1-9][0-9]{0,6})", re.ASCII)


class OdataServerOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be set of the server."""

    servers: tuple[str, ...] = ("plain",)  # the addresses that a written configuration names


class _Refusal(Exception):
    """An answer that ends the handling of a request; no error of the sandbox."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status)
        body = msgspec.json.encode({"error": {"code": str(status), "message": message}})
        self.answer = Answer(status=status, headers=_JSON, body=body)


class _Query(msgspec.Struct, frozen=True):
    """The options of a request that its server looks at."""

    filter: str
    orderby: str
    select: tuple[str, ...]
    top: int | None
    count: bool


class OdataServer:
    """The servers, their common rows, and the tokens of their links."""

    name = "odata_server"
    provider = "odata"  # whose client talks to it
    on_request = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._servers = settings.of(self.name, OdataServerOptions).servers
        for server in self._servers:
            oddities.parse(server)
        self._tokens = SkipTokens(f"{settings.seed}:{self.name}")
        self._changes = settings.rng(self.name, "changes")
        self._chance = settings.rng(self.name, "order")
        self._pages = 0
        self._quotas: dict[str, Quota] = {}

    # -------------------------------------------------------------- the simulator's interface

    def answer(self, ask: Ask) -> Answer:
        try:
            if self.holder(ask) is None:
                raise _Refusal(401, "Unauthorized")
            words, _, resource = ask.path.strip("/").partition("/")
            try:
                server = oddities.parse(words)
            except ValueError as error:
                raise _Refusal(404, str(error)) from error
            if ask.method == "GET" and resource == "$metadata":
                tables = {name: self._data.collection(name).table for name in KEYS}
                return Answer(headers=XML, body=as_xml("OdataServer", KEYS, tables))
            if ask.method != "GET" or resource not in KEYS:
                raise _Refusal(404, f"No resource {resource}; there are {', '.join(KEYS)}")
            return self._within_quota(words, server, resource, ask)
        except QueryError as error:
            return _Refusal(400, str(error)).answer
        except _Refusal as refusal:
            return refusal.answer

    def resources(self) -> Sequence[str]:
        return tuple(KEYS)

    def truth(self, resource: str) -> Iterator[bytes]:
        return (row.body for row in self._data.collection(resource).table)

    def shelves(self, resource: str) -> Sequence[Shelf]:
        return [Shelf(table=self._data.collection(resource).table, key=(KEYS[resource],), modified=MODIFIED)]

    def mutate(self, count: int) -> None:
        for _ in range(count):
            self._data.change("Property", self._changes, self._settings.clock.now())

    def expire_tokens(self) -> None:
        """Nothing: its token does not expire."""

    def holder(self, ask: Ask) -> int | None:
        return number_of(bearer(ask.headers.get("authorization")), TOKEN)

    def client_configs(self, url: str, identity_url: str) -> Mapping[str, Mapping[str, object]]:
        """A source for each of the servers asked for; its name are the oddities, or a number where they are many."""
        return {
            _source_name(server, number): several(
                {
                    "provider": self.provider,
                    "base_url": f"{url}/{server}",
                    "token": TOKEN,
                    "resources": list(KEYS),
                },
                ("token",),
                self._settings.credentials,
            )
            for number, server in enumerate(self._servers, start=1)
        }

    @cached_property
    def _data(self) -> ServerData:
        return ServerData(self._settings)

    # -------------------------------------------------------------- one page

    def _within_quota(self, words: str, server: Oddities, resource: str, ask: Ask) -> Answer:
        """The page, or a refusal that names no wait; either tells what is left."""
        if server.quota is None or not self._settings.quota:
            return self._page(server, resource, ask)
        dialect, per_minute = server.quota
        quota = self._quotas.setdefault(
            words, Quota(told_quotas.limits(per_minute), time_scale=self._settings.time_scale)
        )
        decision = quota.take(bearer(ask.headers.get("authorization")), ask.now, ask.elapsed)
        if decision.refused is not None:
            answer = msgspec.structs.replace(_Refusal(429, "Quota exceeded").answer, refused=decision.refused.name)
        else:
            answer = self._page(server, resource, ask)
        told = told_quotas.fields(dialect, decision.windows, quota, ask)
        return msgspec.structs.replace(answer, headers=(*answer.headers, *told))

    def _page(self, server: Oddities, resource: str, ask: Ask) -> Answer:
        query = _read(server, ask)
        self._churn(server, resource, query)
        collection = self._data.collection(resource)
        collection.check_select(query.select)
        condition = parse_filter(query.filter) if query.filter else None
        order = parse_orderby(query.orderby) if query.orderby else _default_order(server, resource)
        rows = collection.find(condition, order).page()
        if server.order == "chance" and not query.orderby:
            self._chance.shuffle(rows)
        size = min(server.cap, _preferred(ask) or server.cap)
        place = self._place(server, collection, rows, order, dict(ask.query), size)
        page = rows[place : place + (size if query.top is None else min(size, query.top))]
        end = place + len(page)
        parts = [b"{"]
        if query.count:
            parts.append(b'"@odata.count":%d,' % (len(rows) + (_WRONG_BY if server.count_wrong else 0)))
        parts += (b'"value":', array([project(row, query.select) if query.select else row.body for row in page]))
        left = None if query.top is None else query.top - len(page)
        if page and end < len(rows) and left != 0 and not (server.top_ends and left is not None):
            link = self._link(server, ask, page[-1], end, left, whole=size)
            if link:
                parts.append(b',"@odata.nextLink":' + msgspec.json.encode(link))
        parts.append(b"}")
        return Answer(headers=_JSON, body=b"".join(parts))

    def _churn(self, server: Oddities, resource: str, query: _Query) -> None:
        """Before the answer, so that whoever asks last has seen everything."""
        if server.churn is None or query.top == 1:
            return
        self._pages += 1
        if self._pages % server.churn == 0:
            self._data.come_or_go(resource, self._changes, self._settings.clock.now())

    def _place(
        self,
        server: Oddities,
        collection: Collection,
        rows: Sequence[Row],
        order: Sequence[OrderTerm],
        query: Mapping[str, str],
        size: int,
    ) -> int:
        """How many of *rows* come before the page that is asked for."""
        token = query.get("$skiptoken")
        if token is None:
            if "page" in query:
                return (max(1, whole_number("page", query["page"])) - 1) * size
            ignored = "skip" in server.ignores
            return 0 if ignored else whole_number("$skip", query.get("$skip", "0"))
        if server.links == "hidden":
            return whole_number("$skiptoken", b64decode(token).decode().removeprefix("offset:"))
        try:
            place = token if server.links == "key" else self._tokens.read(token, ",".join(sorted(server.refuses)))
        except TokenRefused:
            raise _Refusal(410, "The token is not known") from None
        offset, instant, key = place.split("|", 2) if server.links == "token" else ("0", "0", place)
        by_key = not order or order[0].field == collection.key[0]
        if any(term.descending for term in order) or (not by_key and order[0].field != MODIFIED):
            return int(offset)
        last = (0 if by_key else int(instant), key)
        return next(
            (number for number, row in enumerate(rows) if (0 if by_key else row.instant, row.key) > last), len(rows)
        )

    def _link(self, server: Oddities, ask: Ask, last: Row, end: int, left: int | None, *, whole: int) -> str:
        """The request again, with where to go on; "" for servers without links."""
        match server.links:
            case "offset":
                name, value = "$skip", str(end)
            case "page":
                name, value = "page", str(end // whole + 1)
            case "hidden":
                name, value = "$skiptoken", b64encode(b"offset:%d" % end).decode()
            case "key":
                name, value = "$skiptoken", last.key
            case "none":
                return ""
            case "token":
                place = f"{end}|{last.instant}|{last.key}"
                name, value = "$skiptoken", self._tokens.issue(place, ",".join(sorted(server.refuses)))
        given = {name: value} | ({} if left is None else {"$top": str(left)})
        parts = [part for part in ask.raw_query.split("&") if part and unquote(part.partition("=")[0]) not in given]
        parts += [f"{each}={quote(text, safe='')}" for each, text in given.items()]
        return f"{ask.origin}/{ask.raw_path}?{'&'.join(parts)}"


def _source_name(server: str, number: int) -> str:
    name = f"odata-{server.replace(',', '_')}"
    return name if len(name) <= _LONGEST_NAME else f"odata-server-{number}"


def _read(server: Oddities, ask: Ask) -> _Query:
    query = dict(ask.query)
    for name in query:
        if name not in _OPTIONS:
            raise _Refusal(400, f"The query option {name} is not known")
        if name.removeprefix("$") in server.refuses:
            raise _Refusal(400, f"The query option {name} is not supported")
        if name.removeprefix("$") in server.fails:
            raise _Refusal(500, "Object reference not set to an instance of an object")
    heard = {name: value for name, value in query.items() if name.removeprefix("$") not in server.ignores}
    top = whole_number("$top", heard["$top"]) if "$top" in heard else None
    if server.top_max is not None and top is not None and top > server.top_max:
        raise _Refusal(
            400,
            f"The limit of '{server.top_max}' for Top query has been exceeded. "
            f"The value from the incoming request is '{top}'.",
        )
    return _Query(
        filter=heard.get("$filter", ""),
        orderby=heard.get("$orderby", ""),
        select=parse_select(heard["$select"]) if "$select" in heard else (),
        top=top,
        count=heard.get("$count") == "true",
    )


def _preferred(ask: Ask) -> int | None:
    found = _PREFERRED.search(ask.headers.get("prefer", ""))
    return None if found is None else int(found[1])


def _default_order(server: Oddities, resource: str) -> tuple[OrderTerm, ...]:
    return (OrderTerm(MODIFIED), OrderTerm(KEYS[resource])) if server.order == "time" else ()


SIMULATOR = OdataServer
