"""Pages that name the next one: each link is followed as the provider wrote it, until there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from harvester.errors import ConfigError, ProtocolError, WentRound
from harvester.model import Ending, Head, Page, PageRequest, Phase, Walk
from harvester.pagers.bounds import check_since, check_window
from harvester.pagers.ends import Ends
from harvester.pagers.links import resolve, without_secrets
from harvester.pagers.loops import Trail, digest
from harvester.pagers.odata import ODataDialect, collection, selected, with_query
from harvester.pagers.resize import resized

MAX_EMPTY = 20  # empty pages with a link in a row (FAULTS P05)
MAX_REPEATS = 3  # times the same rows may come again under a new link (FAULTS P03)

_UNCOUNTED = frozenset({Phase.SWEEP, Phase.REPAIR})

EVERYTHING = frozenset({"filter", "expand"})


class _State(Struct, frozen=True, omit_defaults=True):
    """The chain's own part of a cursor."""

    trail: Trail = Trail()
    empty: int = 0  # pages without records since the last one with some
    ends: Ends = Ends()


@dataclass(frozen=True, kw_only=True)
class ChainPager:
    """Server links, followed byte for byte; the order is the server's own, so pages come one after another.

    *allowed* lists what may be sent besides ``$select`` in a phase; a phase that is not listed takes everything.
    """

    page_size: int | None = None  # largest page to ask for; None: the server decides
    page_size_parameter: str | None = None  # "$top" where a link still comes then (never Centris, contract section 5)
    prefer_page_size: bool = False  # ask with ``Prefer: odata.maxpagesize``, which changes no result set
    dialect: ODataDialect = field(default_factory=ODataDialect)
    allowed: Mapping[Phase, frozenset[str]] = field(default_factory=dict)
    since: str = "gt"  # operator of the lower bound in a delta
    count: bool = False  # ask the first page of a walk for the total, unless it lists keys or repairs

    def first(self, walk: Walk) -> PageRequest:
        """Raises ``ConfigError`` when the walk has a filter or expansion that this phase does not allow."""
        allowed = self.allowed.get(walk.phase, EVERYTHING)
        for name, value in (("filter", walk.filter), ("expand", walk.expand)):
            if value and name not in allowed:
                raise ConfigError(
                    f"{walk.resource.name} takes no {name} in a {walk.phase} run: the provider refuses it. "
                    f"Remove the {name}, or choose a walk that sends it",
                    path=name,
                )
        size = walk.page_size or self.page_size
        url = with_query(
            collection(walk),
            (
                ("$filter", self._filter(walk)),
                ("$select", selected(walk)),
                ("$expand", walk.expand or ""),
                ("$count", "true" if self.count and walk.phase not in _UNCOUNTED else ""),
                (self.page_size_parameter or "", str(size) if size and self.page_size_parameter else ""),
            ),
        )
        prefer = (("Prefer", f"odata.maxpagesize={size}"),) if size and self.prefer_page_size else ()
        return PageRequest(url=url, size=size if self.page_size_parameter else None, headers=prefer)

    def follow(self, walk: Walk, page: Page, heads: Sequence[Head]) -> Sequence[PageRequest]:
        check_since(walk, heads, parameter="$filter")
        check_window(walk, heads, parameter="$filter")
        if page.next_link is None:
            return self._once_more(walk, page)
        url = without_secrets(resolve(page.url, page.next_link))
        if url in {page.url, page.request.url}:
            raise ProtocolError(f"{walk.resource.name}: the next link of a page leads to the page itself.")
        state = _read(page.request.state)
        here = digest(url.encode())
        if here == state.trail.link:
            raise WentRound(f"{walk.resource.name}: the next links go round in a circle.")
        records = page.records
        rows = digest(bytes(records[0]), bytes(records[-1]), b"%d" % len(records)) if records else ""
        trail = state.trail.step(here, rows)
        if trail.repeats >= MAX_REPEATS:
            raise WentRound(f"{walk.resource.name}: the same records come again under ever new links.")
        empty = 0 if records or page.rejected else state.empty + 1
        if empty > MAX_EMPTY:
            raise ProtocolError(f"{walk.resource.name}: {empty} empty pages in a row, each with a next link.")
        return (
            PageRequest(
                url=url,
                state=_write(_State(trail, empty, state.ends.after(page))),
                size=page.request.size,
                headers=page.request.headers,
                via="",
            ),
        )

    def with_size(self, walk: Walk, request: PageRequest, size: int | None) -> PageRequest:
        return resized(request, size, parameter=self.page_size_parameter) if self.page_size_parameter else request

    def fresh(self, walk: Walk, request: PageRequest, page: Page, heads: Sequence[Head]) -> Sequence[bool] | None:
        return [False] * len(page.records) if _read(request.state).ends.is_repeated(page) else None

    def ending(self, walk: Walk, page: Page) -> Ending:
        return _read(page.request.state).ends.ending(walk, page)

    def how_many(self, walk: Walk) -> PageRequest:
        query = (("$filter", self._filter(walk)), ("$count", "true"), ("$top", "1"))
        return PageRequest(url=with_query(collection(walk), query), size=1)

    def _once_more(self, walk: Walk, page: Page) -> Sequence[PageRequest]:
        """*page* again where it may have lost its link; a loss that does not last costs nothing but this request."""
        state = _read(page.request.state)
        if not state.ends.is_worth_a_look(walk, page):
            return ()
        return (replace(page.request, state=_write(replace(state, ends=state.ends.again(page)))),)

    def _filter(self, walk: Walk) -> str:
        conditions = []
        if walk.resource.modified:
            if walk.undated:
                conditions.append(f"{walk.resource.modified} eq null")
            if walk.since:  # of a part of everything, the window begins with it
                operator = "ge" if walk.phase is Phase.FULL else self.since
                conditions.append(f"{walk.resource.modified} {operator} {self.dialect.instant(walk.since)}")
            if walk.until:
                conditions.append(f"{walk.resource.modified} lt {self.dialect.instant(walk.until)}")
        return self.dialect.filter(walk, *conditions)


def _read(state: str) -> _State:
    return msgspec.json.decode(state, type=_State) if state else _State()


def _write(state: _State) -> str:
    return msgspec.json.encode(state).decode()
