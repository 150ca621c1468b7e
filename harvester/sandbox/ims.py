"""IMS simulated, after its contract: odd statuses, two token lifetimes, databases as a filter that is no column."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal
from urllib.parse import parse_qsl

import msgspec

from harvester.sandbox.holders import number_of, numbered, several
from harvester.sandbox.ims_records import DATABASES, RESOURCES, Database, collection, database_rows, sizes
from harvester.sandbox.odata import Collection, Order, parse_orderby, parse_select, project, whole_number
from harvester.sandbox.odata_filter import Compare, Condition, QueryError, conjuncts, parse_filter, together
from harvester.sandbox.quota import Limit, Quota
from harvester.sandbox.records import Table, array, json_bytes, splice
from harvester.sandbox.settings import Settings
from harvester.sandbox.shelves import Shelf
from harvester.sandbox.simulator import Answer, Ask
from harvester.sandbox.tokens import Tokens, bearer

SCOPE_FIELD = "OriginatingSystemName"
_CLIENT = ("ims-demo", "ims-demo-secret")
_PARAMETERS = frozenset(("$filter", "$select", "$orderby", "$top", "$skip"))
_JSON = (("Content-Type", "application/json; charset=utf-8"),)
_WINDOW_NAMES = ((1, "second"), (60, "minute"), (3600, "hour"), (86_400, "day"))


class ImsOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be set of the IMS simulator."""

    expires_in: Annotated[int, msgspec.Meta(ge=1)] = 36_000  # seconds, as the token answer says
    absolute: bool = True  # tokens end *expires_in* after their issue
    idle: bool = True  # tokens end *idle_seconds* after their last use
    idle_seconds: Annotated[float, msgspec.Meta(gt=0)] = 9_000
    page_default: Annotated[int, msgspec.Meta(ge=1)] = 100
    page_max: Annotated[int, msgspec.Meta(ge=1)] = 5_000
    requests_per_hour: Annotated[int, msgspec.Meta(ge=1)] = 1_000
    window: Literal["sliding", "fixed", "clock", "first"] = "sliding"
    counts_refused: bool = True  # requests made while blocked count: 1050/1000
    counts_tokens: bool = True  # "all requests are tracked"
    retry_after_header: bool = True  # beside the body's retry_after


class _Refusal(Exception):
    """An answer that ends the handling of a request; no error of the sandbox."""

    def __init__(self, status: int, error: object) -> None:
        super().__init__(status)
        self.answer = Answer(status=status, headers=_JSON, body=msgspec.json.encode({"error": error}))


def _coded(message: str) -> _Refusal:
    """The error shape with an object, which IMS uses for some of its 401 answers."""
    return _Refusal(401, {"code": 401, "message": message})


class ImsSimulator:
    """IMS on loopback."""

    name = "ims"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._options = options = settings.of(self.name, ImsOptions)
        limit = Limit(name="1h", requests=options.requests_per_hour, seconds=3600, kind=options.window)
        self._quota = Quota(
            [limit] if settings.quota else [], time_scale=settings.time_scale, counts_refused=options.counts_refused
        )
        self._tokens = Tokens(
            settings.rng(self.name, "tokens"),
            issuer=self.name,
            lifetime=options.expires_in if options.absolute else None,
            idle=options.idle_seconds if options.idle else None,
        )
        self._databases = {
            name: Database(settings, name, size) for name, size in zip(DATABASES, sizes(settings.records), strict=True)
        }
        self._catalogue = collection("Database", database_rows(settings))
        self._changes = settings.rng(self.name, "changes")

    def answer(self, ask: Ask) -> Answer:
        try:
            if (ask.method, ask.path) == ("POST", "authorization/token"):
                return self._grant(ask)
            resource = ask.path.removeprefix("v1/")
            if ask.method != "GET" or resource == ask.path or resource not in self.resources():
                raise _Refusal(404, "Resource can not be found")
            client = self._authorize(ask)
            throttled = self._throttle(client, ask)
            return throttled or self._page(resource, ask)
        except _Refusal as refusal:
            return refusal.answer

    def resources(self) -> Sequence[str]:
        return ("Database", *RESOURCES)

    def truth(self, resource: str) -> Iterator[bytes]:
        if resource == "Database":
            yield from (row.body for row in self._catalogue.table)
            return
        for name, database in self._databases.items():
            label = json_bytes(name)
            yield from (splice(row.body, SCOPE_FIELD, label) for row in database.collection(resource).table)

    def shelves(self, resource: str) -> Sequence[Shelf]:
        if resource == "Database":
            return [Shelf(table=self._catalogue.table, key=self._catalogue.key)]
        found = [database.collection(resource) for database in self._databases.values()]
        return [Shelf(table=each.table, key=each.key, modified=each.modified) for each in found]

    def mutate(self, count: int) -> None:
        rng = self._changes
        for _ in range(count):
            name = rng.choices(DATABASES, (6, 3, 1))[0]
            resource = rng.choices(RESOURCES, (16, 3, 1))[0]
            self._databases[name].mutate(resource, rng, self._settings.clock.now())

    def expire_tokens(self) -> None:
        self._tokens.expire_all()

    def holder(self, ask: Ask) -> int | None:
        if ask.method == "POST":
            form = dict(parse_qsl(ask.body.decode("utf-8", "replace")))
            return number_of(form.get("client_id", ""), _CLIENT[0])
        client = self._tokens.issued_to(bearer(ask.headers.get("authorization")))
        return None if client is None else number_of(client, _CLIENT[0])

    def client_config(self, url: str, _identity_url: str) -> Mapping[str, object]:
        source = {
            "provider": self.name,
            "base_url": url,
            "token_url": f"{url}/authorization/token",
            "client_id": _CLIENT[0],
            "client_secret": _CLIENT[1],
            "budget": {"windows": self._quota.budget(), "in_flight": 4},
        }
        return several(source, ("client_id", "client_secret"), self._settings.credentials)

    def _grant(self, ask: Ask) -> Answer:
        """The token endpoint: a form of four fields, refused with 400 whatever is wrong."""
        if not ask.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return _token_error("A form is required")
        form = dict(parse_qsl(ask.body.decode("utf-8", "replace"), keep_blank_values=True))
        for field in ("client_id", "client_secret", "scope", "grant_type"):
            if not form.get(field):
                return _token_error(f"{field} is required")
        if form["scope"] != "api" or form["grant_type"] != "client_credentials":
            return _token_error("Invalid scope or grant_type")
        number = number_of(form["client_id"], _CLIENT[0])
        if number is None or form["client_secret"] != numbered(_CLIENT[1], number):
            return _token_error("Invalid credentials")
        if self._options.counts_tokens and (throttled := self._throttle(form["client_id"], ask)):
            return msgspec.structs.replace(throttled, token=True)
        granted = {
            "access_token": self._tokens.issue(form["client_id"], ask.elapsed),
            "token_type": "Bearer",
            "expires_in": self._options.expires_in,
            "scope": "api",
        }
        return Answer(headers=_JSON, body=msgspec.json.encode(granted), token=True)

    def _authorize(self, ask: Ask) -> str:
        """The client of a request; without a valid token IMS answers 403, not 401."""
        token = bearer(ask.headers.get("authorization"))
        if not token:
            raise _Refusal(403, "Bearer Token is missing")
        client = self._tokens.client_of(token, ask.elapsed)
        if client is None:
            raise _Refusal(403, "Bearer Token is invalid")
        return client

    def _throttle(self, client: str, ask: Ask) -> Answer | None:
        """Count the request; the 429 answer when it is one too many."""
        decision = self._quota.take(client, ask.now, ask.elapsed)
        if decision.refused is None:
            return None
        wait = max(1, math.ceil(decision.wait))
        self._quota.announce(client, ask.elapsed, ask.elapsed + wait)
        usage = decision.windows[0]
        period = self._quota.seconds(usage.limit)
        # A scaled hour is told as the next longer unit: a client that believes the text is never too fast.
        unit = next((name for size, name in _WINDOW_NAMES if size >= period), "day")
        used = max(usage.used, usage.limit.requests + 1)
        body = {
            "error": f"Rate limit exceeded: {used}/{usage.limit.requests} requests per {unit}",
            "retry_after": wait,
        }
        headers = _JSON + ((("Retry-After", str(wait)),) if self._options.retry_after_header else ())
        return Answer(
            status=429,
            headers=headers,
            body=msgspec.json.encode(body),
            refused=decision.refused.name,
            paused=decision.paused,
        )

    def _page(self, resource: str, ask: Ask) -> Answer:
        query: dict[str, str] = {}
        for name, value in ask.query:  # of a repeated parameter the first counts
            if name not in _PARAMETERS:
                raise _Refusal(400, f"Parameter {name} is not supported")
            query.setdefault(name, value)
        try:
            condition = parse_filter(query["$filter"]) if "$filter" in query else None
            source, condition = self._source(resource, condition)
            # No default order is documented. This one changes with the data, as bad luck would have it.
            order = parse_orderby(query["$orderby"]) if "$orderby" in query else _default_order(resource)
            select = parse_select(query["$select"]) if "$select" in query else ()
            top = whole_number("$top", query.get("$top", str(self._options.page_default)))
            skip = whole_number("$skip", query.get("$skip", "0"))
            if top > self._options.page_max:
                raise _Refusal(401, f"$top value can not exceed {self._options.page_max}")
            source.check_select(select)
            rows = source.find(condition, order).page(skip, top)
        except QueryError as exc:
            if exc.problem == "syntax":
                raise _Refusal(400, str(exc)) from exc
            raise _coded(f"Column {exc.field} is not allowed.") from exc
        records = [project(row, select) for row in rows] if select else [row.body for row in rows]
        return Answer(headers=_JSON, body=b'{"value":' + array(records) + b"}")

    def _source(self, resource: str, condition: Condition | None) -> tuple[Collection, Condition | None]:
        """The rows meant by the scope filter, and what is left of the condition."""
        if resource == "Database":
            return self._catalogue, condition
        parts = conjuncts(condition)
        for number, part in enumerate(parts):
            if isinstance(part, Compare) and part.field == SCOPE_FIELD and part.op == "eq":
                rest = together(parts[:number] + parts[number + 1 :])
                database = self._databases.get(str(part.value))
                if database is None:  # not one of the client's databases: nothing to see
                    return collection(resource, Table()), rest
                return database.collection(resource), rest
        raise _coded(f"{SCOPE_FIELD} must be sent")


def _default_order(resource: str) -> tuple[Order, ...]:
    return () if resource == "Database" else (Order("ModificationTimestamp"),)


def _token_error(message: str) -> Answer:
    return Answer(status=400, headers=_JSON, body=msgspec.json.encode({"error": message}), token=True)


SIMULATOR = ImsSimulator
