"""The Spark API, simulated: listings and their siblings in the ``D`` envelope, by page number or by token chain.

Source: Spark API contract; its simulator checklist is section 11.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from random import Random
from typing import Literal
from zlib import crc32

import orjson
from msgspec import Struct
from msgspec.structs import replace

from harvester.sandbox.holders import several
from harvester.sandbox.property_fields import money
from harvester.sandbox.quota import Limit, Quota
from harvester.sandbox.records import Row, Table, splice
from harvester.sandbox.settings import Settings
from harvester.sandbox.shelves import Shelf
from harvester.sandbox.simulator import Answer, Ask
from harvester.sandbox.skip_tokens import SkipTokens, TokenRefused
from harvester.sandbox.spark_keys import KEYS, SparkKey, holder_of, read_key
from harvester.sandbox.spark_listings import masked_names, served, sub_resource
from harvester.sandbox.spark_market import Market
from harvester.sandbox.spark_order import behind, bound_query, in_order, nearby, predicate
from harvester.sandbox.spark_query import (
    ORDINARY_LIMIT,
    REPLICATION_LIMIT,
    REPLICATION_LIMITS,
    ListQuery,
    read_list_query,
)
from harvester.sandbox.spark_records import (
    account_table,
    contact_table,
    custom_field_table,
    field_table,
    group_table,
    listing_row,
    open_house_table,
    saved_search_table,
    system_table,
    updated_row,
)
from harvester.sandbox.spark_related import EXPANSIONS, SUB_RESOURCES
from harvester.sandbox.spark_shapes import JSON, MASK, Failure, PageInfo, failure, success
from harvester.sandbox.stamps import instant_at, stamp

_SHARES = {"my/listings": 50, "office/listings": 10, "company/listings": 5}  # one listing in so many is theirs
_RELATED = tuple(f"listings/{kind.lower()}" for kind in EXPANSIONS)
_VERSION = re.compile(r"v\d{1,2}/(.+)")


class SparkOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the platform has done one way or another, and what a test wants to see."""

    per_second: int = 10  # no limit is published; this one is the sandbox's own
    throttle_status: Literal[429, 503] = 429
    retry_after: bool = False  # whether a refusal names a wait
    wrong_host: bool = False  # every request came to a host that is not for replication
    user_agent: bool = False  # X-SparkApi-User-Agent is demanded, as it used to be
    errors_with_200: bool = False  # failures come as Success:false with status 200
    warnings: bool = False  # successes carry an Errors member
    strict: bool = True  # replication chains refuse parameters their phase does not allow
    expand_in_full: bool = False
    end: Literal["empty", "missing"] = "empty"  # last token: leads to an empty page, or is not given
    heavy: int | None = None  # a page of more rows than this is too large (1515)
    truth: Literal["null", "stars"] = "null"  # what the replica has in the place of masked values


class Spark:
    """One MLS as the Spark API shows it; see the module."""

    name = "spark"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._options = settings.of(self.name, SparkOptions)
        self._tokens = SkipTokens(f"{settings.seed}:spark")
        limits = (Limit(name="per second", requests=self._options.per_second, seconds=1.0),) if settings.quota else ()
        self._quota = Quota(limits, time_scale=settings.time_scale)

    # -------------------------------------------------------------- the simulator's interface

    def answer(self, ask: Ask) -> Answer:
        options = self._options
        try:
            key = read_key(ask.headers, wrong_host=options.wrong_host, user_agent=options.user_agent)
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
            return Answer(headers=JSON, body=self._respond(ask, key), paused=decision.paused)
        except Failure as failed:
            return replace(self._failed(failed), paused=decision.paused)

    def _failed(self, failed: Failure) -> Answer:
        return Answer(
            status=200 if self._options.errors_with_200 else failed.status, headers=JSON, body=failure(failed)
        )

    def resources(self) -> Sequence[str]:
        return ("listings", *_SHARES, *self._tables, *_RELATED)

    def truth(self, resource: str) -> Iterator[bytes]:
        """Records as a replica keeps them: the API's bytes, masked fields empty, and their names in front.

        ``listings/<Id>/<sub-resource>`` gives the related records of one listing, ``listings/<sub-resource>`` those of
        all, each with the key of its listing.
        """
        parts = resource.split("/")
        if len(parts) == 3 and parts[0] == "listings" and parts[2] in SUB_RESOURCES:
            yield from sub_resource(self._listing(parts[1]), SUB_RESOURCES[parts[2]], self._settings.seed)
            return
        if resource in _RELATED:
            kind = SUB_RESOURCES[parts[1]]
            for row in self._listings.by_key:
                owner = orjson.dumps(row.key)
                for record in sub_resource(row, kind, self._settings.seed):
                    yield splice(record, "_ListingKey", owner)
            return
        for row in self._rows(resource):
            names = masked_names(row)
            yield self._marked(row.body, names) if names else row.body

    def _marked(self, body: bytes, names: Sequence[str]) -> bytes:
        for name in names if self._options.truth == "null" else ():
            label = orjson.dumps(name)
            body = body.replace(label + b":" + MASK, label + b":null", 1)
        return splice(body, "_masked", orjson.dumps(names))

    def shelves(self, resource: str) -> Sequence[Shelf]:
        if resource == "listings":
            return [Shelf(table=self._listings, key=("Id",), modified="StandardFields.ModificationTimestamp")]
        if resource not in self._tables:  # a share of the listings
            return []
        dated = resource in ("accounts", "contacts")
        return [Shelf(table=self._tables[resource], key=("Id",), modified="ModificationTimestamp" if dated else None)]

    def mutate(self, count: int) -> None:
        """Change listings: inserts 40 %, updates 50 %, deletes 10 %. Updates move the price and some related sets."""
        rng = self._market.changes
        for _ in range(count):
            choice = rng.random()
            if choice < 0.4 or len(self._listings) < 2:
                self._listings.put(listing_row(self._market.insert(), rng))
                continue
            row = self._listings.by_key[rng.randrange(len(self._listings))]
            if choice < 0.9:
                instant = instant_at(self._settings.clock.now())
                price = money(rng, 45_000, 2_400_000)
                changed = [kind for kind in EXPANSIONS if self._set_changes.random() < 1 / 3]
                self._listings.put(updated_row(row, stamp(instant), instant - instant % 10**9, price, changed))
            else:
                self._listings.remove(row.key)

    def expire_tokens(self) -> None:
        """Nothing: personal access tokens do not expire."""

    def client_config(self, url: str, identity_url: str) -> Mapping[str, object]:
        """The source a client needs for this simulator."""
        source: dict[str, object] = {"provider": self.name, "base_url": f"{url}/v1", "token": KEYS["replication"].token}
        if self._settings.quota:
            source["budget"] = {"windows": self._quota.budget()}
        return several(source, ("token",), self._settings.credentials)

    def holder(self, ask: Ask) -> int | None:
        return holder_of(ask)

    # -------------------------------------------------------------- the data

    @cached_property
    def _set_changes(self) -> Random:
        """A stream of its own: the listings change as they always did."""
        return self._settings.rng(self.name, "sets")

    @cached_property
    def _market(self) -> Market:
        return Market(self._settings, self.name)

    @cached_property
    def _listings(self) -> Table:
        rng = self._settings.rng(self.name, "dress")
        return Table(listing_row(listing, rng) for listing in self._market.listings())

    @cached_property
    def _tables(self) -> Mapping[str, Table]:
        """Every collection but the listings, by path."""
        return {
            "accounts": account_table(self._market),
            "contacts": contact_table(self._settings),
            "openhouses": open_house_table(self._settings, self._listings),
            "standardfields": field_table(self._listings),
            "customfields": custom_field_table(),
            "customfields/groups": group_table(),
            "savedsearches": saved_search_table(),
            "system": system_table(),
        }

    def _rows(self, path: str) -> Sequence[Row]:
        """The rows of a collection by key; raises ``KeyError`` when there is no such collection."""
        if path == "listings":
            return self._listings.by_key
        if path in _SHARES:
            return [row for row in self._listings.by_key if crc32(row.key.encode()) % _SHARES[path] == 0]
        return self._tables[path].by_key

    def _listing(self, key: str) -> Row:
        row = self._listings.get(key)
        if row is None:
            raise Failure(404)
        return row

    # -------------------------------------------------------------- one request

    def _respond(self, ask: Ask, key: SparkKey) -> bytes:
        if ask.method != "GET":
            raise Failure(405)
        match = _VERSION.fullmatch(ask.path.strip("/"))
        if match is None:
            raise Failure(404)
        parts = match[1].split("/")
        match parts:
            case ["listings", "nearby"]:
                return self._list(ask, key, "listings", nearby(self._listings.by_key, dict(ask.query)))
            case ["listings", id_]:
                return self._single(ask, self._listing(id_))
            case ["listings", id_, name] if name in SUB_RESOURCES:
                found = sub_resource(self._listing(id_), SUB_RESOURCES[name], self._settings.seed)
                return success(found, warn=self._options.warnings)
            case ["contacts", id_, "listings", *rest]:
                return self._of_contact(ask, key, id_, rest)
        path = match[1]
        if path in _SHARES or path == "listings" or path in self._tables:
            return self._list(ask, key, path, self._rows(path))
        collection, _, id_ = path.rpartition("/")
        row = self._tables[collection].get(id_) if collection in self._tables else None
        if row is None:
            raise Failure(404)
        return self._single(ask, row)

    def _of_contact(self, ask: Ask, key: SparkKey, contact: str, rest: Sequence[str]) -> bytes:
        """Listings of a contact: a few that its key picks."""
        if contact not in self._tables["contacts"] or len(rest) > 1:
            raise Failure(404)
        mark = crc32(contact.encode()) % 40
        rows = [row for row in self._listings.by_key if crc32(row.key.encode()) % 40 == mark]
        if not rest:
            return self._list(ask, key, "listings", rows)
        if rest[0] == "nearby":
            return self._list(ask, key, "listings", nearby(rows, dict(ask.query)))
        row = next((each for each in rows if each.key == rest[0]), None)
        if row is None:
            raise Failure(404)
        return self._single(ask, row)

    def _single(self, ask: Ask, row: Row) -> bytes:
        query = read_list_query(ask.query, most=ORDINARY_LIMIT, strict=False, expand_in_full=True)
        body = served(row, select=query.select, expand=query.expand, seed=self._settings.seed)
        return success([body], warn=self._options.warnings)

    def _list(self, ask: Ask, key: SparkKey, path: str, rows: Sequence[Row]) -> bytes:
        kind = "listings" if path in _SHARES else path
        most = REPLICATION_LIMITS.get(kind, REPLICATION_LIMIT) if key.replication else ORDINARY_LIMIT
        query = read_list_query(
            ask.query,
            most=most,
            strict=self._options.strict and key.replication,
            expand_in_full=self._options.expand_in_full,
        )
        heavy = self._options.heavy
        if heavy is not None and query.limit > heavy:
            raise Failure(1515)
        meets = predicate(query.filter, rows)
        if query.token is not None:
            return self._chained(ask, query, rows, meets)
        found = rows if meets is None else [row for row in rows if meets(row)]
        for term in reversed(query.orderby):
            found = in_order(found, term)
        start = query.skip if query.skip is not None else ((query.page or 1) - 1) * query.limit
        return self._page(query, found[start : start + query.limit], total=len(found), start=start)

    def _chained(self, ask: Ask, query: ListQuery, rows: Sequence[Row], meets: Callable[[Row], bool] | None) -> bytes:
        """The page behind a token. The end is an empty page with the token it was asked with, or no token."""
        bound = bound_query(ask)
        last = ""
        if query.token:
            try:
                last = self._tokens.read(query.token, bound)
            except TokenRefused:
                raise Failure(1040, "_skiptoken is not one of this query") from None
        found = behind(rows, last, meets, query.limit + 1)
        page = found[: query.limit]
        token: str | None = self._tokens.issue(page[-1].key, bound) if page else query.token
        if self._options.end == "missing" and len(found) <= query.limit:
            token = None
        total = (len(rows) if meets is None else sum(map(meets, rows))) if query.counted else 0
        return self._page(query, page, total=total, start=0, token=token)

    def _page(
        self, query: ListQuery, rows: Sequence[Row], *, total: int, start: int, token: str | None = None
    ) -> bytes:
        info = None
        if query.counted:
            info = PageInfo(
                total=total, size=query.limit, page=query.page if query.skip is None else None, offset=start
            )
        bodies = [served(row, select=query.select, expand=query.expand, seed=self._settings.seed) for row in rows]
        return success(None if query.bare else bodies, token=token, info=info, warn=self._options.warnings)


SIMULATOR = Spark
