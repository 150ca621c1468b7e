"""Records asked for by their keys: several with one filter, or one after another by their own path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

import msgspec
from msgspec import Struct

from harvester.errors import FilterIgnored, ProtocolError
from harvester.model import Head, Page, PageRequest, Walk
from harvester.pagers.links import resolve, without_secrets
from harvester.pagers.odata import ODataDialect, collection, selected, with_query
from harvester.pagers.resize import resized

_LONGEST_FILTER = 1500  # characters before they are encoded: URLs beyond some 8,000 are refused in many places


class _State(Struct, frozen=True, omit_defaults=True):
    done: int = 0  # keys of the walk that earlier requests asked for
    asked: int = 0  # keys that this one asks for


@dataclass(frozen=True, kw_only=True)
class FilterByKey:
    """A few keys a request, joined with ``or``; what the filter does not name must not come."""

    dialect: ODataDialect = field(default_factory=ODataDialect)
    numbers: frozenset[str] = field(default_factory=frozenset)  # identity members that hold integers
    most: int = 25  # keys a request
    ask_for: bool = False  # send $top: without it the server's page may be smaller than what is asked for
    filters: bool = True  # the user's own filter is kept

    def first(self, walk: Walk) -> PageRequest:
        return self._ask(walk, 0)

    def follow(self, walk: Walk, page: Page, heads: Sequence[Head]) -> Sequence[PageRequest]:
        state = _read(page.request.state)
        wanted = frozenset(walk.keys[state.done : state.done + state.asked])
        if any(head.key is not None and head.key not in wanted for head in heads):
            raise FilterIgnored("the server does not keep to a filter that names keys")
        if page.next_link is not None and page.records:
            url = without_secrets(resolve(page.url, page.next_link))
            if url in {page.url, page.request.url}:
                raise ProtocolError(f"{walk.resource.name}: the next link of a page leads to the page itself.")
            return (msgspec.structs.replace(page.request, url=url, via=""),)
        done = state.done + state.asked
        return (self._ask(walk, done),) if done < len(walk.keys) else ()

    def with_size(self, walk: Walk, request: PageRequest, size: int | None) -> PageRequest:
        return resized(request, size)

    def fresh(self, walk: Walk, request: PageRequest, page: Page, heads: Sequence[Head]) -> Sequence[bool] | None:
        return None

    def _ask(self, walk: Walk, done: int) -> PageRequest:
        terms: list[str] = []
        length = 0
        for key in walk.keys[done : done + self.most]:
            term = self._term(walk, key)
            length += len(term) + 4
            if terms and length > _LONGEST_FILTER:
                break
            terms.append(term)
        condition = terms[0] if len(terms) == 1 else f"({' or '.join(terms)})"
        url = with_query(
            collection(walk),
            (
                ("$filter", self.dialect.filter(walk, condition)),
                ("$select", selected(walk)),
                ("$expand", walk.expand or ""),
                ("$top", str(max(2, len(terms))) if self.ask_for else ""),
            ),
        )
        return PageRequest(url=url, state=_text(_State(done, len(terms))), size=len(terms) if self.ask_for else None)

    def _term(self, walk: Walk, key: Sequence[str]) -> str:
        parts = [
            f"{member} eq {value if member in self.numbers else self.dialect.text(value)}"
            for member, value in zip(walk.resource.key, key, strict=True)
        ]
        return parts[0] if len(parts) == 1 else f"({' and '.join(parts)})"


@dataclass(frozen=True, kw_only=True)
class EntityByKey:
    """One record a request, at a path of its own: ``Property('14689588')``, or ``listings/2010…`` where *slash*."""

    slash: bool = False
    select: str = "$select"  # name of the parameter
    expand: str = "$expand"
    most: int = 1
    filters: bool = False  # there is no filter on a record by its path

    def first(self, walk: Walk) -> PageRequest:
        return self._ask(walk, 0)

    def follow(self, walk: Walk, page: Page, heads: Sequence[Head]) -> Sequence[PageRequest]:
        done = _read(page.request.state).done + 1
        asked = walk.keys[done - 1]
        if any(head.key != asked for head in heads):
            raise ProtocolError(f"{walk.resource.name}: another record came than the one asked for (FAULTS H11).")
        return (self._ask(walk, done),) if done < len(walk.keys) else ()

    def with_size(self, walk: Walk, request: PageRequest, size: int | None) -> PageRequest:
        return request

    def fresh(self, walk: Walk, request: PageRequest, page: Page, heads: Sequence[Head]) -> Sequence[bool] | None:
        return None

    def _ask(self, walk: Walk, done: int) -> PageRequest:
        url = with_query(
            collection(walk) + self._path(walk, walk.keys[done]),
            (
                (self.select, ",".join(walk.select) if self.slash else selected(walk)),
                (self.expand, walk.expand or ""),
            ),
        )
        return PageRequest(url=url, state=_text(_State(done, 1)), one=True)

    def _path(self, walk: Walk, key: Sequence[str]) -> str:
        if self.slash:
            return "/" + quote(key[0], safe="")
        values = ["'" + quote(value.replace("'", "''"), safe="") + "'" for value in key]
        if len(values) == 1:
            return f"({values[0]})"
        return "(" + ",".join(f"{m}={v}" for m, v in zip(walk.resource.key, values, strict=True)) + ")"


def _read(state: str) -> _State:
    return msgspec.json.decode(state, type=_State)


def _text(state: _State) -> str:
    return msgspec.json.encode(state).decode()
