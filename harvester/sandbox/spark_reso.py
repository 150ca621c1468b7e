"""The Spark RESO Web API, simulated: seven resources in token chains, with the rules of the replication phases.

Source: Spark RESO contract; its simulator checklist is section 10.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Literal

import orjson
from msgspec import Meta, Struct
from msgspec.structs import replace

from harvester.sandbox.holders import several
from harvester.sandbox.odata import Collection, project, whole_number
from harvester.sandbox.odata_expand import Expand
from harvester.sandbox.odata_filter import QueryError, predicate
from harvester.sandbox.quota import Limit, Quota
from harvester.sandbox.records import Row, Table, array, render
from harvester.sandbox.settings import Settings
from harvester.sandbox.shelves import Shelf
from harvester.sandbox.simulator import Answer, Ask
from harvester.sandbox.skip_tokens import SkipTokens, TokenRefused
from harvester.sandbox.spark_keys import KEYS as ACCESS_KEYS
from harvester.sandbox.spark_keys import SparkKey, holder_of, read_key
from harvester.sandbox.spark_market import Market
from harvester.sandbox.spark_order import behind
from harvester.sandbox.spark_reso_metadata import field_types, metadata, readable
from harvester.sandbox.spark_reso_query import (
    ORDINARY_TOP,
    REPLICATION_TOP,
    ResoQuery,
    bound_query,
    next_link,
    read_query,
)
from harvester.sandbox.spark_reso_tables import KEYS, MODIFIED, RELATED, ResoTables
from harvester.sandbox.spark_shapes import JSON, Failure, failure

_BASE = re.compile(r"(?:Version/\d+/)?Reso/(?:Dictionary/[\d.]+/)?OData(?:/(?P<below>.*))?")
_ENTITY = re.compile(r"(?P<name>\w+)\('(?P<key>(?:[^']|'')*)'\)(?:/(?P<related>\w+))?")
_XML = (("Content-Type", "application/xml; charset=utf-8"), ("OData-Version", "4.0"))
_CUSTOM_FIELDS = b'[{"b__RXhhbXBsZQ--":"b__WWVz","Main_Builder\'s Model":"Craftsman"}]'
_FRACTIONS = (0, 0, 7)  # digits of fraction in modification times


class SparkResoOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the platform has done one way or another, and what a test wants to see."""

    per_second: int = 10  # no limit is published; this one is the sandbox's own
    throttle_status: Literal[429, 503] = 429
    retry_after: bool = False  # whether a refusal names a wait
    wrong_host: bool = False  # every request came to a host that is not for replication
    errors: Literal["error", "D"] = "error"  # envelope of failures
    strict: bool = True  # replication keys get only the options of their phase
    expand_in_full: bool = False
    nested: Annotated[int, Meta(ge=1)] | None = None  # a set inside a record is cut behind so many, with a link to more
    readable: bool = False  # the replica has the words of the metadata in the place of encoded names
    forget: Literal[400, 404, 410] | None = None  # status for tokens of an earlier run; None: they still hold


class SparkReso:
    """One MLS as the RESO surface shows it; see the module."""

    name = "spark_reso"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._options = settings.of(self.name, SparkResoOptions)
        # A server that forgets seals tokens with the instant of its start, so that those of another run are unknown.
        run = settings.clock.now().isoformat() if self._options.forget else ""
        self._tokens = SkipTokens(f"{settings.seed}:spark_reso:{run}")
        limits = (Limit(name="per second", requests=self._options.per_second, seconds=1.0),) if settings.quota else ()
        self._quota = Quota(limits, time_scale=settings.time_scale)

    # -------------------------------------------------------------- the simulator's interface

    def answer(self, ask: Ask) -> Answer:
        options = self._options
        try:
            key = read_key(ask.headers, wrong_host=options.wrong_host, user_agent=False)
        except Failure as failed:
            return self._failed(failed)
        decision = self._quota.take(key.name, ask.now, ask.elapsed)
        if decision.refused is not None:
            throttled = self._failed(Failure(1550, status=options.throttle_status))
            headers = throttled.headers
            if options.retry_after:
                wait = int(decision.wait) + 1
                self._quota.announce(key.name, ask.elapsed, ask.elapsed + wait)
                headers = (*headers, ("Retry-After", str(wait)))
            return replace(throttled, headers=headers, refused=decision.refused.name, paused=decision.paused)
        try:
            return replace(self._respond(ask, key), paused=decision.paused)
        except QueryError as error:
            return replace(self._failed(Failure(1040, str(error))), paused=decision.paused)
        except Failure as failed:
            return replace(self._failed(failed), paused=decision.paused)

    def _failed(self, failed: Failure) -> Answer:
        if self._options.errors == "D":
            return Answer(status=failed.status, headers=JSON, body=failure(failed))
        body = orjson.dumps({"error": {"code": failed.code, "message": str(failed)}})
        return Answer(status=failed.status, headers=JSON, body=body)

    def resources(self) -> Sequence[str]:
        return tuple(KEYS)

    def truth(self, resource: str) -> Iterator[bytes]:
        """Records as served; ``Property('<key>')/Media`` gives those of one listing."""
        match = _ENTITY.fullmatch(resource)
        if match is not None and match["related"] in RELATED:
            rows: Sequence[Row] = self._data.of_listing(match["related"], match["key"])
        else:
            rows = self._data.tables[resource].by_key
        for row in rows:
            yield readable(row.body) if self._options.readable else row.body

    def shelves(self, resource: str) -> Sequence[Shelf]:
        return [Shelf(table=self._data.tables[resource], key=(KEYS[resource],), modified=MODIFIED)]

    def mutate(self, count: int) -> None:
        self._data.mutate(count)

    def expire_tokens(self) -> None:
        """Nothing: personal access tokens do not expire."""

    def client_config(self, url: str, identity_url: str) -> Mapping[str, object]:
        """The source a client needs for this simulator."""
        token = ACCESS_KEYS["replication"].token
        source: dict[str, object] = {"provider": self.name, "base_url": f"{url}/Reso/OData", "token": token}
        if self._settings.quota:
            source["budget"] = {"windows": self._quota.budget()}
        return several(source, ("token",), self._settings.credentials)

    def holder(self, ask: Ask) -> int | None:
        return holder_of(ask)

    # -------------------------------------------------------------- the data

    @cached_property
    def _data(self) -> ResoTables:
        return ResoTables(self._settings, Market(self._settings, self.name, fractions=_FRACTIONS))

    @cached_property
    def _fields(self) -> Mapping[str, frozenset[str]]:
        """Members of each resource. A resource is homogeneous, so that a few rows tell all."""
        return {name: frozenset(field_types(table.by_key[:10])) for name, table in self._data.tables.items()}

    # -------------------------------------------------------------- one request

    def _respond(self, ask: Ask, key: SparkKey) -> Answer:
        match = _BASE.fullmatch(ask.path.strip("/"))
        if match is None:
            raise Failure(404)
        if ask.method != "GET":
            raise Failure(405)
        below = match["below"] or ""
        if below == "$metadata":
            return Answer(headers=_XML, body=metadata(self._data.tables))
        if below in self._data.tables:
            return self._list(ask, key, below, self._data.tables[below].by_key)
        entity = _ENTITY.fullmatch(below)
        if entity is None or entity["name"] not in self._data.tables:
            raise Failure(404)
        row = self._data.tables[entity["name"]].get(entity["key"].replace("''", "'"))
        if row is None:
            raise Failure(404)
        related = entity["related"]
        if related is None:
            return self._single(ask, entity["name"], row)
        if entity["name"] != "Property" or related not in RELATED:
            raise Failure(404)
        return self._list(ask, key, related, self._data.of_listing(related, row.key))

    def _single(self, ask: Ask, name: str, row: Row) -> Answer:
        query = self._read(ask, ORDINARY_TOP, name, strict=False)
        context = b'{"@odata.context":%b,' % orjson.dumps(f"{_root(ask)}/$metadata#{name}/$entity")
        return Answer(headers=JSON, body=context + self._served(query, name, row, _root(ask))[1:])

    def _read(self, ask: Ask, most: int, name: str, *, strict: bool) -> ResoQuery:
        return read_query(
            ask,
            most=most,
            strict=strict,
            expand_in_full=self._options.expand_in_full,
            fields=self._fields[name],
            modified=MODIFIED,
        )

    def _list(self, ask: Ask, key: SparkKey, name: str, rows: Sequence[Row]) -> Answer:
        most = REPLICATION_TOP if key.replication else ORDINARY_TOP
        query = self._read(ask, most, name, strict=self._options.strict and key.replication)
        meets = None if query.condition is None else predicate(query.condition, modified=MODIFIED)
        link: str | None = None
        if query.order or query.skip:
            found = self._selected(query, name, rows)
            page = found[query.skip : query.skip + query.top]
            if query.skip + query.top < len(found):
                link = next_link(ask, "$skip", str(query.skip + query.top))
        else:
            chained = behind(rows, self._last_key(ask, query), meets, query.top + 1)
            page = chained[: query.top]
            if page and len(chained) > query.top:
                link = next_link(ask, "$skiptoken", self._tokens.issue(page[-1].key, bound_query(ask)))
        parts = [b'{"@odata.context":', orjson.dumps(f"{_root(ask)}/$metadata#{name}{_selection(query)}")]
        if query.count:
            parts.append(b',"@odata.count":%d' % (len(rows) if meets is None else sum(map(meets, rows))))
        parts.append(b',"value":' + array(self._served(query, name, row, _root(ask)) for row in page))
        if link is not None:
            parts.append(b',"@odata.nextLink":' + orjson.dumps(link))
        parts.append(b"}")
        return Answer(headers=JSON, body=b"".join(parts))

    def _last_key(self, ask: Ask, query: ResoQuery) -> str:
        """The key behind which the chain goes on; "" at its start."""
        if not query.token:
            return ""
        try:
            return self._tokens.read(query.token, bound_query(ask))
        except TokenRefused:
            status = self._options.forget or 400
            raise Failure(1040, "$skiptoken is not one of this query", status=status) from None

    def _selected(self, query: ResoQuery, name: str, rows: Sequence[Row]) -> Sequence[Row]:
        """Rows in an order of the caller's own: only for keys that do not replicate."""
        collection = Collection(Table(rows), key=(KEYS[name],), modified=MODIFIED, fields=self._fields[name])
        return collection.find(query.condition, query.order).page()

    def _served(self, query: ResoQuery, name: str, row: Row, root: str) -> bytes:
        if not query.expand:
            return project(row, query.select) if query.select else row.body
        members = row.rendered()
        if query.select:
            members = {field: value for field, value in members.items() if field in query.select}
        for each in query.expand:
            members |= self._expanded(each, name, row, root)
        return render(members)

    def _expanded(self, expand: Expand, name: str, row: Row, root: str) -> dict[str, bytes]:
        """One navigation of a listing; ``CustomFields`` is a list whose first element is the object."""
        if name == "Property" and expand.name == "CustomFields":
            return {expand.name: _CUSTOM_FIELDS}
        if name != "Property" or expand.name not in RELATED or expand.expand:
            raise QueryError(f"Cannot expand {expand.name}")
        unknown = [field for field in expand.select if field not in self._fields[expand.name]]
        if unknown:
            raise QueryError(f"Unknown field {unknown[0]} in $expand")
        rows = self._data.of_listing(expand.name, row.key)
        cut = self._options.nested
        link = {}
        if expand.top:
            rows = rows[: whole_number("$top", expand.top)]
        elif cut is not None and len(rows) > cut:
            rows = rows[:cut]
            more = f"{root}/{name}('{row.key}')/{expand.name}?$skip={cut}"
            link = {f"{expand.name}@odata.nextLink": orjson.dumps(more)}
        records = (project(each, expand.select) if expand.select else each.body for each in rows)
        return {expand.name: array(records), **link}


def _root(ask: Ask) -> str:
    """The service root, as the request named it."""
    path, mark, _ = ask.path.partition("OData")
    return f"{ask.origin}/{path}{mark}"


def _selection(query: ResoQuery) -> str:
    return f"({','.join(query.select)})" if query.select else ""


SIMULATOR = SparkReso
