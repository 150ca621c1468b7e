"""What one IDX Broker method answers: rows of the account, narrowed by parameters, in the method's shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from harvester.sandbox.idx_account import Account
from harvester.sandbox.idx_entries import Entry, encode
from harvester.sandbox.idx_methods import LISTING_DETAIL, METHODS, NEWEST, OLDEST, Method, Target, rank
from harvester.sandbox.idx_shapes import paged, shaped
from harvester.sandbox.idx_windows import read_window
from harvester.sandbox.simulator import Ask

LINK_TAILS = ("results", "count")
"""What stands behind the id of a saved link."""


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


class Answers:
    """The methods of one account."""

    def __init__(self, account: Account, options: IdxOptions) -> None:
        self._account = account
        self._options = options

    def rows(self, target: Target, version: str) -> Sequence[Entry]:
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

    def behind(self, link: str) -> Sequence[Entry]:
        """The listings a saved link finds: every seventh one."""
        return (self._account.rows("clients/featured") or ())[int(link) % 7 :: 7]

    def describe(self, target: Target, ask: Ask) -> tuple[int, bytes]:
        """An empty PUT or POST describes the fields instead of writing; a real one is beyond the sandbox."""
        if ask.body:
            return 405, b""
        ids = self._account.ids(target.method.id) if target.method.id else ("",)
        sample = next((rows for id_ in ids if (rows := self._account.rows(target.method.name, id_))), ())
        return 200, encode({name: "string" for row in sample[:1] for name in row.members})

    def read(self, target: Target, ask: Ask, version: str) -> tuple[int, bytes]:
        """Status and JSON body of one GET request; "" is no body.

        Raises:
            BadWindow: the time parameters are refused.
        """
        method, query = target.method, dict(ask.query)
        if method.name == "clients/savedlinks" and target.primary:
            return self._saved_link(target, version)
        if not _ids_fit(target) or any(name not in query for name in method.required):
            return 400, b""
        if method.id == "idxID" and target.primary and target.primary not in self._account.ids("idxID"):
            return 400, b""
        if "filterField" in query and query["filterField"] not in method.filters:
            return 400, b""
        rows = self.rows(target, version)
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
        if rank(version) < rank(LISTING_DETAIL) or target.secondary not in LINK_TAILS:
            return 405, b""
        if all(link.text("id") != target.primary for link in links):
            return 400, b""
        found = self.behind(target.primary)
        if target.secondary == "count":
            return 200, encode(len(found))
        return (200, shaped(METHODS["clients/featured"], found)) if found else (204, b"")


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
