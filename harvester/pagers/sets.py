"""Sets of related records, one parent after another: by a path of their own, or inside the parent's record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from harvester.errors import ProtocolError
from harvester.model import Head, Page, PageRequest, Relation, Walk
from harvester.pagers.links import resolve, without_secrets
from harvester.pagers.odata import with_query
from harvester.pagers.resize import resized


@dataclass(frozen=True, kw_only=True)
class SetsByParent:
    """The set of each parent, whole: ``Property('2010…')/Media``, or ``listings/2010…?_expand=Photos`` where *slash*.

    A set is small. Where its path is asked, the total is asked for with it, so that a link which is left out is seen
    (FAULTS P06).
    """

    slash: bool = False
    select: str = "$select"  # name of the parameter
    expand: str = "$expand"
    narrow: bool = True  # ask for nothing of the parent but its key
    page_size: int | None = None  # of a set by its path; None: the server decides

    def first(self, walk: Walk) -> PageRequest:
        return self.at(walk, 0)

    def at(self, walk: Walk, place: int) -> PageRequest:
        return PageRequest(url=self._parent(walk, place), state=str(place))

    def place_of(self, request: PageRequest) -> int:
        return int(request.state)

    def alone(self, walk: Walk, place: int) -> PageRequest:
        relation = _relation(walk)
        size = walk.page_size or self.page_size
        url = with_query(
            f"{self._parent(walk, place)}/{relation.path}",
            (
                (self.select, _selected(walk)),
                ("$count", "true"),
                ("$top", str(size) if size else ""),
            ),
        )
        return PageRequest(url=url, state=str(place), size=size)

    def inside(self, walk: Walk, place: int, names: Sequence[str]) -> PageRequest:
        url = with_query(
            self._parent(walk, place),
            (
                (self.select, ",".join(_relation(walk).parent_key) if self.narrow else ""),
                (self.expand, ",".join(names)),
            ),
        )
        return PageRequest(url=url, state=str(place), one=not self.slash)

    def follow(self, walk: Walk, page: Page, heads: Sequence[Head]) -> Sequence[PageRequest]:
        """The next page of the same set; none: nothing leads on."""
        if page.next_link is None:
            return ()
        url = without_secrets(resolve(page.url, page.next_link))
        if url in {page.url, page.request.url}:
            raise ProtocolError(f"{walk.resource.name}: the next link of a page leads to the page itself.")
        return (msgspec.structs.replace(page.request, url=url, via=""),)

    def with_size(self, walk: Walk, request: PageRequest, size: int | None) -> PageRequest:
        return resized(request, size) if request.size else request

    def fresh(self, walk: Walk, request: PageRequest, page: Page, heads: Sequence[Head]) -> Sequence[bool] | None:
        return None

    def _parent(self, walk: Walk, place: int) -> str:
        relation, key = _relation(walk), walk.keys[place]
        if self.slash:
            return f"{relation.parent}/{quote(key[0], safe='')}"
        values = ["'" + quote(value.replace("'", "''"), safe="") + "'" for value in key]
        if len(values) > 1:
            values = [f"{name}={value}" for name, value in zip(relation.parent_key, values, strict=True)]
        return f"{relation.parent}({','.join(values)})"


def _selected(walk: Walk) -> str:
    """The user's members, and those without which a record cannot be told from others; "" for all."""
    if not walk.select:
        return ""
    relation = _relation(walk)
    needed = [*walk.resource.key, walk.resource.modified or "", relation.member, relation.of or ""]
    return ",".join(dict.fromkeys(name for name in (*walk.select, *needed) if name))


def _relation(walk: Walk) -> Relation:
    if walk.resource.relation is None:
        raise ValueError(f"{walk.resource.name} is no related resource")
    return walk.resource.relation
