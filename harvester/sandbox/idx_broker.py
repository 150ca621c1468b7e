"""IDX Broker, simulated: components and methods, six response shapes, an hourly allowance, XML by preference.

Source: IDX Broker contract; its simulator checklist is section 11. The API stands for one account that is a partner
as well, so that one pair of keys reaches every component.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from harvester.sandbox.idx_account import Account
from harvester.sandbox.idx_dictionaries import DEFAULT_LIST
from harvester.sandbox.idx_entries import Entry, encode
from harvester.sandbox.idx_methods import (
    COMPONENTS,
    LISTING_DETAIL,
    METHODS,
    NEWEST,
    OLDEST,
    Method,
    Shape,
    Target,
    effective_version,
    find,
    names,
    rank,
)
from harvester.sandbox.idx_shapes import as_xml, paged, shaped
from harvester.sandbox.idx_windows import BadWindow, read_window
from harvester.sandbox.quota import Limit, Quota
from harvester.sandbox.records import splice
from harvester.sandbox.settings import Settings
from harvester.sandbox.simulator import Answer, Ask

ACCESS_KEY = "sandbox-access-key-001"
SECOND_ACCESS_KEY = "sandbox-access-key-002"  # the same account, an allowance of its own
CLIENT_ACCESS_KEY = "sandbox-access-key-003"  # belongs to no partner: nothing of ``partners`` for it
ANCILLARY_KEY = "sandbox-ancillary-0001"

_PARTNER_KEYS = (ACCESS_KEY, SECOND_ACCESS_KEY)
_KEYS = (*_PARTNER_KEYS, CLIENT_ACCESS_KEY)

_UNLIMITED = 10**9
_WEEK = 7 * 86_400  # seconds; the longest window there is for leads
_LINK_TAILS = ("results", "count")


class IdxOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can differ between accounts, and limits that a test wants low."""

    version: str = OLDEST  # the account's preference, for requests that name none
    retired: tuple[str, ...] = ()  # versions that were active once
    format: Literal["xml", "json"] = "xml"  # the account's preference, for requests that name none
    per_hour: int = 250
    per_hour_ancillary: int = 750
    hour: Literal["rolling", "clock"] = "rolling"
    max_rows: int = 5_000  # more rows in one answer of a partner's aggregate or of lead traffic are 413
    page_rows: int | None = None  # rows a page of 1.8.0, and most leads of any version; None: 50 listings, 500 leads
    lead_days: float = 6.0  # how far back leads go


class IdxBroker:
    """One account behind three access keys; see the module."""

    name = "idx_broker"

    def __init__(self, settings: Settings) -> None:
        self._options = settings.of(self.name, IdxOptions)
        self._clock = settings.clock
        self._limited = settings.quota
        self._account = Account(settings, lead_days=self._options.lead_days)
        self._quotas = {
            "": self._hourly(settings, self._options.per_hour),
            ANCILLARY_KEY: self._hourly(settings, self._options.per_hour_ancillary),
        }

    def _hourly(self, settings: Settings, requests: int) -> Quota:
        """An allowance for each access key; accesses are counted even when nothing is limited."""
        kind: Literal["clock", "sliding"] = "clock" if self._options.hour == "clock" else "sliding"
        most = requests if settings.quota else _UNLIMITED
        limit = Limit(name=f"{requests} per hour", requests=most, seconds=3600.0, kind=kind)
        return Quota((limit,), time_scale=settings.time_scale)

    # -------------------------------------------------------------- the simulator's interface

    def answer(self, ask: Ask) -> Answer:
        key = ask.headers.get("accesskey", "")
        ancillary = ask.headers.get("ancillarykey", "")
        if not key:
            return Answer(status=406)
        if key not in _KEYS or ancillary not in self._quotas:
            return Answer(status=401)
        asked = ask.headers.get("apiversion")
        version = effective_version(NEWEST if asked in self._options.retired else asked, self._options.version)
        decision = self._quotas[ancillary].take(key, ask.now, ask.elapsed)
        headers = (("Hourly-Access-Key-Usage", str(decision.windows[0].used)), ("Api-Version", version))
        if decision.refused is not None:
            return Answer(status=412, headers=headers, refused=decision.refused.name)
        status, body = self._respond(ask, version, partner=bool(ancillary) or key in _PARTNER_KEYS)
        if not body:
            return Answer(status=status, headers=headers)
        wanted = ask.headers.get("outputtype") or ask.headers.get("outputformat") or self._options.format
        if wanted.lower() == "json":
            return Answer(status=status, headers=(*headers, ("Content-Type", "application/json")), body=body)
        return Answer(status=status, headers=(*headers, ("Content-Type", "application/xml")), body=as_xml(body))

    def resources(self) -> Sequence[str]:
        """Every method, of any version, that can be read whole."""
        methods = (name for name, method in METHODS.items() if method.harvested)
        return (*methods, *(f"clients/savedlinks/{tail}" for tail in _LINK_TAILS))

    def truth(self, resource: str) -> Iterator[bytes]:
        """Records of a method, by its name; of one id with the id behind the name: ``clients/cities/lakefront``.

        A method that is asked once per id gives the records of all ids, each stamped with its id. Nothing lists
        the lists of zip codes, so that ``clients/zipcodes`` means the list every account has. The credentials in
        ``partners/clients`` are left out: no replica may hold them.
        """
        stem, _, tail = resource.rpartition("/")
        if stem == "clients/savedlinks" and tail in _LINK_TAILS:
            for link in self._account.rows(stem) or ():
                for record in self._linked(link.text("id"), tail):
                    yield splice(record, "_savedlinkID", link.members["id"])
            return
        target = find(resource, NEWEST) or find(resource, LISTING_DETAIL) or find(resource, OLDEST)
        if target is None:
            raise KeyError(resource)
        method = target.method
        if method.name == "partners/clients":
            yield from (_without_key(client) for client in self._rows(target, OLDEST))
            return
        if method.name == "clients/zipcodes" and not target.primary:
            target = Target(method=method, primary=DEFAULT_LIST)
        if method.stamp and not target.primary:
            for id_ in self._account.ids(method.id):
                for record in _records(method, self._account.rows(method.name, id_) or ()):
                    yield splice(record, method.stamp, encode(id_))
        else:
            yield from _records(method, self._rows(target, OLDEST))

    def client_config(self, url: str, identity_url: str) -> Mapping[str, object]:
        """The source a client needs for this simulator; leads as far back as there are any."""
        source: dict[str, object] = {
            "provider": self.name,
            "base_url": url,
            "access_key": ACCESS_KEY,
            "ancillary_key": ANCILLARY_KEY,
            "lead_horizon": _WEEK * max(1, math.ceil((self._options.lead_days + 1) / 7)),
        }
        if self._limited:
            source["budget"] = {"windows": self._windows()}
        return source

    def _windows(self) -> list[dict[str, float]]:
        """The allowance as a budget. A scaled hour has its own window; the real one must not be tighter than that."""
        quota = self._quotas[ANCILLARY_KEY]
        [limit], scaled = quota.limits, quota.budget()
        whole: dict[str, float] = {"requests": int(limit.requests * 3600 / quota.seconds(limit)), "seconds": 3600}
        return scaled if quota.seconds(limit) == 3600 else [*scaled, whole]

    def mutate(self, count: int) -> None:
        self._account.mutate(count, self._clock.now())

    def expire_tokens(self) -> None:
        """Nothing: the keys do not expire."""

    # -------------------------------------------------------------- one request

    def _respond(self, ask: Ask, version: str, *, partner: bool) -> tuple[int, bytes]:
        """Status and JSON body of an admitted request; an empty body has no content type either."""
        component, _, rest = ask.path.strip("/").partition("/")
        if component not in COMPONENTS:
            return (409 if rank(version) < rank(NEWEST) else 404), b""
        if component == "partners" and not partner:
            return 405, b""
        if rest == "listcomponents":
            return 200, encode([name for name in COMPONENTS if partner or name != "partners"])
        if rest == "listmethods":
            return 200, encode(list(names(component, version)))
        target = find(ask.path, version)
        if target is None or (target.method.partner and "ancillarykey" not in ask.headers):
            return 405, b""
        if ask.method in ("POST", "PUT"):
            return self._describe(target, ask)
        if ask.method != "GET":
            return 405, b""
        try:
            return self._read(target, ask, version)
        except BadWindow as refusal:
            return refusal.status, b""

    def _describe(self, target: Target, ask: Ask) -> tuple[int, bytes]:
        """An empty PUT or POST describes the fields instead of writing; a real one is beyond the sandbox."""
        if ask.body:
            return 405, b""
        ids = self._account.ids(target.method.id) if target.method.id else ("",)
        sample = next((rows for id_ in ids if (rows := self._account.rows(target.method.name, id_))), ())
        return 200, encode({name: "string" for row in sample[:1] for name in row.members})

    def _read(self, target: Target, ask: Ask, version: str) -> tuple[int, bytes]:
        method, query = target.method, dict(ask.query)
        if method.name == "clients/savedlinks" and target.primary:
            return self._saved_link(target, version)
        if not _ids_fit(target) or any(name not in query for name in method.required):
            return 400, b""
        if method.id == "idxID" and target.primary and target.primary not in self._account.ids("idxID"):
            return 400, b""
        if "filterField" in query and query["filterField"] not in method.filters:
            return 400, b""
        rows = self._rows(target, version)
        if method.span is not None and not (method.id_optional and target.primary):
            window = read_window(method.span, query, version=version, now=ask.now)
            rows = rows if window is None else [row for row in rows if window.holds(row)]
        if "filterField" in query and "filterValue" in query:
            rows = [row for row in rows if row.text(query["filterField"]) == query["filterValue"]]
        if query.get("clientChunk", "1") != "1" and method.name.startswith("partners/aggregated"):
            # A chunk is 400 clients; the sandbox has fewer, so every later chunk is empty.
            rows = ()
        fields = _fields(ask.query, rows)
        if method.paged and rank(version) >= rank(NEWEST) and not target.primary:
            return self._page(method, rows, fields, query, url=f"{ask.origin}/{ask.path.strip('/')}")
        if method.capped and len(rows) > self._options.max_rows:
            return 413, b""
        if method.cut and not target.primary:
            rows = rows[: self._options.page_rows or method.paged]
        body = shaped(method, rows, fields)
        return (200 if body else 204), body

    def _page(
        self, method: Method, rows: Sequence[Entry], fields: Sequence[str], query: Mapping[str, str], *, url: str
    ) -> tuple[int, bytes]:
        most = self._options.page_rows or method.paged
        offset, limit = query.get("offset", "0"), query.get("limit", str(most))
        if not (offset.isascii() and offset.isdigit() and limit.isascii() and limit.isdigit()) or int(limit) < 1:
            return 400, b""
        size = min(int(limit), most)
        return 200, paged(method, rows, fields=fields, offset=int(offset), limit=size, url=url)

    def _saved_link(self, target: Target, version: str) -> tuple[int, bytes]:
        """``savedlinks/<id>/results`` and ``…/count``, of the versions that have them."""
        links = self._account.rows("clients/savedlinks") or ()
        if rank(version) < rank(LISTING_DETAIL) or target.secondary not in _LINK_TAILS:
            return 405, b""
        if all(link.text("id") != target.primary for link in links):
            return 400, b""
        found = self._behind(target.primary)
        if target.secondary == "count":
            return 200, encode(len(found))
        return (200, shaped(METHODS["clients/featured"], found)) if found else (204, b"")

    def _linked(self, link: str, tail: str) -> Iterator[bytes]:
        """Results or count of a saved link as a replica keeps them."""
        if tail == "count":
            yield b'{"value":%d}' % len(self._behind(link))
        else:
            yield from _records(METHODS["clients/featured"], self._behind(link))

    def _behind(self, link: str) -> Sequence[Entry]:
        """The listings a saved link finds: every seventh one."""
        return (self._account.rows("clients/featured") or ())[int(link) % 7 :: 7]

    def _rows(self, target: Target, version: str) -> Sequence[Entry]:
        """The rows behind a target, before any parameter; empty when the entity does not exist."""
        method = target.method
        if method.name == "clients/apiversion":
            return (Entry("", {"value": encode(version)}),)
        if method.name == "clients/listing":
            listing = self._account.listing(target.primary, target.secondary)
            return () if listing is None else (listing,)
        if method.name == "leads/lead" and target.primary:
            leads = self._account.rows("leads/lead") or ()
            return [lead for lead in leads if lead.text("id") == target.primary]
        rows = self._account.rows(method.name, target.primary) or ()
        if target.secondary:
            return [row for row in rows if row.text(method.second) == target.secondary]
        return rows


def _records(method: Method, rows: Sequence[Entry]) -> Iterator[bytes]:
    """*rows* as a replica keeps them: with the stamp of the key or scalar they would otherwise lose."""
    for each in rows:
        if method.shape in (Shape.SCALAR, Shape.SINGLE):
            yield b'{"value":' + each.members["value"] + b"}"
        elif method.shape is Shape.KEYED:
            yield splice(each.body(), "_key", encode(each.key))
        else:
            yield each.body()


def _without_key(client: Entry) -> bytes:
    """A partner's client without its API key: credentials are no data (contract, section 9)."""
    return client.body([name for name in client.members if name != "apiKey"])


def _ids_fit(target: Target) -> bool:
    """Whether the path has as many ids as the method takes."""
    method = target.method
    if target.secondary and not method.second:
        return False
    if not method.id:
        return not target.primary
    return bool(target.primary) or method.id_optional


def _fields(query: Sequence[tuple[str, str]], rows: Sequence[Entry]) -> Sequence[str]:
    """Member names asked for with ``rf[]``; unknown ones are ignored, and with none left everything is answered."""
    asked = [value for name, value in query if name == "rf" or name.startswith("rf[")]
    known = rows[0].members if rows else {}
    return () if "*" in asked else [name for name in asked if name in known]


SIMULATOR = IdxBroker
