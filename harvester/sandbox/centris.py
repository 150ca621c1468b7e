"""Centris simulated, after its contract: two origins, links that hold an offset, quota headers of the long window."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated, Literal
from urllib.parse import parse_qsl, quote

import msgspec

from harvester.sandbox.centris_languages import NAVIGATION, Presenter, check_expand
from harvester.sandbox.centris_metadata import FORBIDDEN, as_json, as_xml, model
from harvester.sandbox.centris_records import KEYS, MODIFIED, CentrisData
from harvester.sandbox.holders import number_of, numbered, several
from harvester.sandbox.odata import Order, parse_orderby, parse_select, whole_number
from harvester.sandbox.odata_expand import parse_expand
from harvester.sandbox.odata_filter import QueryError, parse_filter
from harvester.sandbox.quota import Decision, Limit, Quota, period_text
from harvester.sandbox.records import Row, array, splice
from harvester.sandbox.settings import Settings
from harvester.sandbox.shelves import Shelf
from harvester.sandbox.simulator import Answer, Ask
from harvester.sandbox.stamps import instant_at, stamp
from harvester.sandbox.tokens import Tokens, bearer
from harvester.sandbox.webhooks import Change, no_changes

_ROOT = "v1/odata/"
_CLIENT = ("centris-demo", "centris-demo-secret")
_OPERATORS = frozenset(("$select", "$filter", "$orderby", "$count", "$expand", "$skip", "$top", "$format"))
_ENTITY = re.compile(r"(\w+)\('((?:[^']|'')*)'\)")
_JSON = (("Content-Type", "application/json; charset=utf-8"),)
Headers = tuple[tuple[str, str], ...]


class CentrisOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be set of the Centris simulator."""

    expires_in: Annotated[int, msgspec.Meta(ge=1)] = 3_600  # seconds a token lives
    page_size: Annotated[int, msgspec.Meta(ge=1)] = 100  # of the server's own paging, without $top
    top_max: Annotated[int, msgspec.Meta(ge=1)] = 1_000  # a larger $top is refused with 400
    per_minute: Annotated[int, msgspec.Meta(ge=1)] = 20
    per_day: Annotated[int, msgspec.Meta(ge=1)] = 5_000
    window: Literal["sliding", "fixed", "clock", "first"] = "first"
    counts_refused: bool = True
    truth: Literal["en", "fr", "both", "expand"] = "en"  # the languages a replica holds; both: each record twice


class _Refusal(Exception):
    """An answer that ends the handling of a request; no error of the sandbox."""

    def __init__(self, status: int, message: str, details: str = "", headers: Headers = ()) -> None:
        super().__init__(status)
        body = msgspec.json.encode({"message": message, "details": details or message})
        self.answer = Answer(status=status, headers=_JSON + headers, body=body)


def _is_client(name: str, secret: str) -> bool:
    number = number_of(name, _CLIENT[0])
    return number is not None and secret == numbered(_CLIENT[1], number)


class CentrisSimulator:
    """Centris on loopback; ``identity`` answers for its identity provider."""

    name = "centris"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._options = options = settings.of(self.name, CentrisOptions)
        limits = [
            Limit(name="1m", requests=options.per_minute, seconds=60, kind=options.window),
            Limit(name="1d", requests=options.per_day, seconds=86_400, kind=options.window),
        ]
        self._quota = Quota(
            limits if settings.quota else (), time_scale=settings.time_scale, counts_refused=options.counts_refused
        )
        self._tokens = Tokens(settings.rng(self.name, "tokens"), issuer="accounts", lifetime=options.expires_in)
        self._data = CentrisData(settings)
        self._presenter = Presenter(self._data, seed=settings.seed)
        self._rng = settings.rng(self.name, "changes")
        self.changes = no_changes()
        self._resets: dict[str, tuple[float, str]] = {}  # of the long window of each client: when, and as it was told

    def answer(self, ask: Ask) -> Answer:
        quota: Headers = ()
        try:
            if ask.method != "GET" or not ask.path.startswith(_ROOT):
                raise _Refusal(404, "Not found")
            client = self._tokens.client_of(bearer(ask.headers.get("authorization")), ask.elapsed)
            if client is None:
                raise _Refusal(401, "Unauthorized", headers=(("WWW-Authenticate", "Bearer"),))
            decision = self._quota.take(client, ask.now, ask.elapsed)
            if decision.refused is not None:
                return self._throttled(client, decision.refused, decision, ask)
            quota = self._quota_headers(client, decision, ask)
            answer = self._route(ask)
        except _Refusal as refusal:
            answer = refusal.answer
        return msgspec.structs.replace(answer, headers=answer.headers + quota)

    def identity(self, ask: Ask) -> Answer:
        """The identity provider's token endpoint."""
        if (ask.method, ask.path) != ("POST", "connect/token"):
            return Answer(status=404, headers=_JSON, body=b'{"error":"not_found"}')
        form = dict(parse_qsl(ask.body.decode("utf-8", "replace"), keep_blank_values=True))
        is_form = ask.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        problem = ""
        if not is_form or not form.get("grant_type"):
            problem = "invalid_request"
        elif form["grant_type"] != "client_credentials":
            problem = "unsupported_grant_type"
        elif not _is_client(form.get("client_id", ""), form.get("client_secret", "")):
            problem = "invalid_client"
        if problem:
            return Answer(status=400, headers=_JSON, body=msgspec.json.encode({"error": problem}), token=True)
        granted = {
            "access_token": self._tokens.issue(form["client_id"], ask.elapsed),
            "expires_in": self._options.expires_in,
            "token_type": "Bearer",
        }
        return Answer(headers=_JSON, body=msgspec.json.encode(granted), token=True)

    def resources(self) -> Sequence[str]:
        return tuple(KEYS)

    def truth(self, resource: str) -> Iterator[bytes]:
        rows, told = self._data.collection(resource).table, self._options.truth
        if told == "en":
            return (row.body for row in rows)
        expands = parse_expand("Translations") if told == "expand" and "Translations" in NAVIGATION[resource] else ()
        write = partial(self._presenter.write, resource, select=(), expands=expands)
        if told == "both":
            return (
                splice(write(row, french=locale == b'"fr"'), "_locale", locale)
                for locale in (b'"en"', b'"fr"')
                for row in rows
            )
        return (write(row, french=told == "fr") for row in rows)

    def shelves(self, resource: str) -> Sequence[Shelf]:
        return [Shelf(table=self._data.collection(resource).table, key=(KEYS[resource],), modified=MODIFIED)]

    def mutate(self, count: int) -> None:
        for _ in range(count):
            resource = self._rng.choices(("Property", "Member", "Office", "OpenHouse"), (14, 3, 1, 2))[0]
            key = self._data.mutate(resource, self._rng, self._settings.clock.now())
            self.changes.append(Change(resource, key))

    def entity_path(self, change: Change) -> str:
        key = quote(change.key.replace("'", "''"), safe="")
        return f"{_ROOT}{change.resource}('{key}')"

    def expire_tokens(self) -> None:
        self._tokens.expire_all()

    def holder(self, ask: Ask) -> int | None:
        if ask.method == "POST":
            form = dict(parse_qsl(ask.body.decode("utf-8", "replace")))
            return number_of(form.get("client_id", ""), _CLIENT[0])
        client = self._tokens.issued_to(bearer(ask.headers.get("authorization")))
        return None if client is None else number_of(client, _CLIENT[0])

    def client_config(self, url: str, identity_url: str) -> Mapping[str, object]:
        source = {
            "provider": self.name,
            "base_url": f"{url}/v1/odata",
            "token_url": f"{identity_url}/connect/token",
            "client_id": _CLIENT[0],
            "client_secret": _CLIENT[1],
            "budget": {"windows": self._quota.budget(), "in_flight": 4},
        }
        return several(source, ("client_id", "client_secret"), self._settings.credentials)

    def _quota_headers(self, client: str, decision: Decision, ask: Ask) -> Headers:
        """Only the longest window is told, so a large rest does not mean that there is room."""
        if not decision.windows:
            return ()
        usage = max(decision.windows, key=lambda each: each.limit.seconds)
        told = self._resets.get(client)
        if told is None or told[0] != usage.reset:  # one window has one Reset, to the last digit
            at = ask.now + timedelta(seconds=max(0.0, usage.reset - ask.elapsed))
            told = self._resets[client] = (usage.reset, stamp(instant_at(at) + 600, 7))
        return (
            ("X-Rate-Limit-Limit", period_text(self._quota.seconds(usage.limit))),
            ("X-Rate-Limit-Remaining", str(usage.remaining)),
            ("X-Rate-Limit-Reset", told[1]),
        )

    def _throttled(self, client: str, limit: Limit, decision: Decision, ask: Ask) -> Answer:
        wait = max(1, math.ceil(decision.wait))
        self._quota.announce(client, ask.elapsed, ask.elapsed + wait)
        details = (
            f"Quota exceeded. Maximum allowed: {limit.requests} per {period_text(self._quota.seconds(limit))}."
            f" Please try again in {wait} second(s)."
        )
        refusal = _Refusal(429, "Quota excedeed", details, (("Retry-After", str(wait)),))
        return msgspec.structs.replace(refusal.answer, refused=limit.name, paused=decision.paused)

    def _route(self, ask: Ask) -> Answer:
        below = ask.path.removeprefix(_ROOT)
        query: dict[str, str] = {}
        for name, value in ask.query:  # in the request's order; of a repeated operator the first counts
            query.setdefault(name, value)
        if unknown := next((name for name in query if name not in _OPERATORS), None):
            raise _Refusal(400, f"The query parameter '{unknown}' is not supported.")
        if below == "$metadata":
            if query.get("$format") == "application/json":
                return Answer(headers=_JSON, body=as_json(model(self._data)))
            return Answer(headers=(("Content-Type", "application/xml"),), body=as_xml(model(self._data)))
        entity = _ENTITY.fullmatch(below)
        resource = entity[1] if entity else below
        if resource == FORBIDDEN:
            raise _Refusal(403, "Forbidden", f"No access to {resource}")
        if resource not in KEYS:
            raise _Refusal(404, "Not found", f"No resource {resource}")
        try:
            if entity is None:
                return self._collection(resource, query, ask)
            row = self._data.row(resource, entity[2].replace("''", "'"))
            if row is None:
                raise _Refusal(404, "Not found", f"No {resource} with this key")
            return Answer(headers=_JSON, body=self._write(resource, [row], query, ask)[0])
        except QueryError as exc:
            raise _Refusal(400, "Invalid query", str(exc)) from exc

    def _collection(self, resource: str, query: Mapping[str, str], ask: Ask) -> Answer:
        source = self._data.collection(resource)
        condition = parse_filter(query["$filter"]) if "$filter" in query else None
        order = parse_orderby(query["$orderby"]) if "$orderby" in query else (Order(MODIFIED), Order(KEYS[resource]))
        skip = whole_number("$skip", query.get("$skip", "0"))
        top = whole_number("$top", query["$top"]) if "$top" in query else None
        if top is not None and top > self._options.top_max:
            raise QueryError(f"The limit of '{self._options.top_max}' for $top is exceeded")
        found = source.find(condition, order)
        rows = found.page(skip, self._options.page_size if top is None else top)
        body = [b"{"]
        if query.get("$count") == "true":
            body.append(b'"@odata.count":%d,' % len(found))
        body += (b'"value":', array(self._write(resource, rows, query, ask)))
        end = skip + len(rows)
        if top is None and end < len(found):
            body.append(b',"@odata.nextLink":' + msgspec.json.encode(_next_link(resource, query, end, ask)))
        body.append(b"}")
        return Answer(headers=_JSON, body=b"".join(body))

    def _write(self, resource: str, rows: Sequence[Row], query: Mapping[str, str], ask: Ask) -> list[bytes]:
        select = parse_select(query["$select"]) if "$select" in query else ()
        self._data.collection(resource).check_select(select)
        expands = parse_expand(query["$expand"]) if "$expand" in query else ()
        check_expand(resource, expands)
        french = ask.headers.get("accept-language", "").lower().startswith("fr")
        if not (select or expands or french):
            return [row.body for row in rows]
        write = self._presenter.write
        return [write(resource, row, french=french, select=select, expands=expands) for row in rows]


def _next_link(resource: str, query: Mapping[str, str], skip: int, ask: Ask) -> str:
    """The request's own operators, values percent-encoded, names raw, with the offset behind them."""
    kept = [f"{name}={quote(value, safe='')}" for name, value in query.items() if name != "$skip"]
    return f"{ask.origin}/{_ROOT}{resource}?" + "&".join([*kept, f"$skip={skip}"])


SIMULATOR = CentrisSimulator
