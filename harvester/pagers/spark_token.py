"""Spark's ``_skiptoken`` chain: each page tells the token of the next (Spark contract, section 5)."""

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
from harvester.pagers.loops import Trail, digest
from harvester.pagers.odata import collection, with_query
from harvester.pagers.resize import resized

MAX_EMPTY = 3
"""Empty pages in a row that end a chain although each tells a new token: one alone may be a gap (FAULTS P05)."""


class _State(Struct, frozen=True, omit_defaults=True):
    token: str = ""
    trail: Trail = Trail()
    held: str = ""  # digest of a page whose token did not move on; this request repeats it
    empty: int = 0  # pages without records in a row, each with another token
    ends: Ends = Ends()


@dataclass(frozen=True, kw_only=True)
class SparkTokenPager:
    """The token chain, in the order of keys, which does not change while it is read; pages come one after another."""

    page_size: int = 200
    page_sizes: Mapping[str, int] = field(default_factory=dict)  # by resource, where it is not *page_size*
    expand_in_full: bool = False  # ``_expand`` is not listed as allowed in full walks (contract, section 4)

    def first(self, walk: Walk) -> PageRequest:
        """Raises ``ConfigError`` when the walk has a filter or expansion that this phase does not allow."""
        if walk.phase in {Phase.FULL, Phase.SWEEP}:
            expand = "" if self.expand_in_full else walk.expand
            for name, value in (("filter", walk.filter), ("expand", expand)):
                if value:
                    raise ConfigError(
                        f"{walk.resource.name} takes no {name} in a {walk.phase} run: the provider allows only "
                        f"_skiptoken and _select there. Remove the {name}, or choose a walk that sends it",
                        path=name,
                    )
        own = self.page_sizes.get(walk.resource.name, self.page_size)
        return self._ask(walk, min(walk.page_size or own, own), _State())

    def follow(self, walk: Walk, page: Page, heads: Sequence[Head]) -> Sequence[PageRequest]:
        check_since(walk, heads, parameter="_filter")
        check_window(walk, heads, parameter="_filter")
        token = page.next_link
        state = _read(page.request.state)
        size = page.request.size or self.page_size
        if token is None:
            if not state.ends.is_worth_a_look(walk, page):
                return ()
            return (replace(page.request, state=_write(replace(state, ends=state.ends.again(page)))),)
        if not page.records and not page.rejected:
            if token == state.token or state.empty + 1 >= MAX_EMPTY:
                return ()
            return (self._ask(walk, size, _State(token, state.trail, empty=state.empty + 1, ends=state.ends)),)
        if token == state.token:
            if state.held:
                raise ProtocolError(f"{walk.resource.name}: the skip token does not move on although records come.")
            # Asked once more before it is held against the server.
            return (self._ask(walk, size, _State(token, state.trail, _rows(page), ends=state.ends)),)
        here = digest(token.encode())
        if here == state.trail.link:
            raise WentRound(f"{walk.resource.name}: the skip tokens go round in a circle.")
        trail = state.trail.step(here, _rows(page))
        if trail.repeats >= 3:
            raise WentRound(f"{walk.resource.name}: the same records come again under ever new skip tokens.")
        return (self._ask(walk, size, _State(token, trail, ends=state.ends.after(page))),)

    def with_size(self, walk: Walk, request: PageRequest, size: int | None) -> PageRequest:
        return resized(request, size, parameter="_limit")

    def fresh(self, walk: Walk, request: PageRequest, page: Page, heads: Sequence[Head]) -> Sequence[bool] | None:
        state = _read(request.state)
        again = (bool(state.held) and state.held == _rows(page)) or state.ends.is_repeated(page)
        return [False] * len(page.records) if again else None

    def ending(self, walk: Walk, page: Page) -> Ending:
        state = _read(page.request.state)
        # The end as the provider tells it: nothing more behind the place that was asked from (contract, section 5).
        if not page.records and not page.rejected and page.next_link and page.next_link == state.token:
            return Ending.SHOWN
        return state.ends.ending(walk, page)

    def how_many(self, walk: Walk) -> PageRequest:
        """Outside the token chain, whose last page may come without a token (section 3)."""
        query = (("_filter", _filter(walk)), ("_pagination", "count"), ("_limit", "1"))
        return PageRequest(url=with_query(collection(walk), query), size=1)

    def _ask(self, walk: Walk, size: int, state: _State) -> PageRequest:
        url = with_query(
            collection(walk),
            (
                ("_filter", _filter(walk)),
                ("_select", ",".join(walk.select)),
                ("_expand", walk.expand or ""),
                ("_limit", str(size)),
            ),
        )
        token = with_query("", (("_skiptoken", state.token),)).removeprefix("?") or "_skiptoken="
        via = "" if state.token else None
        return PageRequest(url=f"{url}&{token}", state=_write(state) if state.token else "", size=size, via=via)


def _filter(walk: Walk) -> str:
    """SparkQL: what changed since, and the user's own filter in parentheses."""
    parts = []
    if walk.resource.modified:
        member = walk.resource.modified.rpartition(".")[2]
        if walk.undated:
            parts.append(f"{member} Eq NULL")
        if walk.since:  # of a part of everything, the window begins with it
            parts.append(f"{member} {'Ge' if walk.phase is Phase.FULL else 'Gt'} {walk.since}")
        if walk.until:
            parts.append(f"{member} Lt {walk.until}")
    if walk.filter:
        parts.append(f"({walk.filter})")
    return " And ".join(parts)


def _rows(page: Page) -> str:
    records = page.records
    return digest(bytes(records[0]), bytes(records[-1]), b"%d" % len(records)) if records else ""


def _read(state: str) -> _State:
    return msgspec.json.decode(state, type=_State) if state else _State()


def _write(state: _State) -> str:
    return msgspec.json.encode(state).decode()
