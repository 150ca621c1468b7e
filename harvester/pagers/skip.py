"""Pages by offset under an order by key, many at a time: ``$skip`` and ``$top``, or Spark's ``_skip`` and ``_limit``.

What is safe about it is decided in the engine, which lets neighbouring pages overlap and checks that they meet. This
file says a page in a request. Where the server's own next link hides an offset and repeats the order asked for, its
query is taken as it is and only the offset is moved.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from harvester.contracts import Grid
from harvester.errors import ConfigError
from harvester.model import Head, Page, PageRequest, Phase, Walk
from harvester.pagers.links import resolve, without_secrets
from harvester.pagers.odata import ODataDialect, collection, selected, with_query


@dataclass(frozen=True)
class AnyOffset:
    """Pages that may begin at any record."""

    exact: bool = True

    def lay(self, start: int, stop: int | None, size: int, overlap: int, most: int) -> Sequence[tuple[int, int]]:
        """Equal pages, each begun *overlap* records before the end of the one before; the last is cut at *stop*."""
        start, step = max(0, start), max(1, size - overlap)
        laid: list[tuple[int, int]] = []
        while len(laid) < most and (not laid or stop is None or laid[-1][0] + laid[-1][1] < stop):
            place = start + len(laid) * step
            laid.append((place, size if stop is None else min(size, max(1, stop - place))))
        return laid

    def begin(self, start: int, size: int) -> int | None:
        return size


@dataclass(frozen=True, kw_only=True)
class SkipPager:
    """Offset pages in flight together, in the order of keys; neighbours must share records, or are read again."""

    page_size: int  # largest page to ask for
    dialect: ODataDialect = field(default_factory=ODataDialect)
    may_count: bool = False  # ``$count=true`` is understood beside ``$skip``
    grid: Grid = field(default_factory=AnyOffset)

    def first(self, walk: Walk) -> PageRequest:
        """Raises ``ConfigError`` when the resource has no key: its rows have no order that stays."""
        if not walk.resource.key:
            raise ConfigError(f"{walk.resource.name} has no member to order by; name its key", path=walk.resource.name)
        size = min(walk.page_size or self.page_size, self.page_size)
        url = with_query(
            collection(walk),
            (
                ("$filter", self._filter(walk)),
                ("$orderby", self.dialect.order(walk.resource.key)),
                ("$select", selected(walk)),
                ("$expand", walk.expand or ""),
                ("$top", str(size)),
                ("$skip", "0"),
            ),
        )
        return PageRequest(url=url, size=size)

    def follow(self, walk: Walk, page: Page, heads: Sequence[Head]) -> Sequence[PageRequest]:
        return ()

    def with_size(self, walk: Walk, request: PageRequest, size: int | None) -> PageRequest:
        return request

    def fresh(self, walk: Walk, request: PageRequest, page: Page, heads: Sequence[Head]) -> Sequence[bool] | None:
        return None

    def at(self, walk: Walk, base: PageRequest, start: int, size: int, *, counted: bool) -> PageRequest:
        url = put_number(put_number(base.url, "$skip", start), "$top", size)
        if counted and not _COUNTED.search(url):
            url += "&$count=true"
        return PageRequest(url=url, size=size, headers=base.headers)

    def linked(self, walk: Walk, page: Page) -> PageRequest | None:
        if page.next_link is None:
            return None
        url = without_secrets(resolve(page.url, page.next_link))
        order = with_query("", (("$orderby", self.dialect.order(walk.resource.key)),)).removeprefix("?")
        names_order = any(_plain(part) == _plain(order) for part in url.partition("?")[2].split("&"))
        behind = (number(page.request.url, "$skip") or 0) + len(page.records) + len(page.rejected)
        if number(url, "$skip") != behind or not names_order:
            return None  # a link may repeat our own offset beside a token that tells the place
        return PageRequest(url=_COUNTED.sub("", url), size=page.request.size, headers=page.request.headers)

    def _filter(self, walk: Walk) -> str:
        conditions = []
        if walk.resource.modified:
            if walk.since:
                conditions.append(f"{walk.resource.modified} ge {self.dialect.instant(walk.since)}")
            if walk.until and walk.phase is not Phase.FULL:
                conditions.append(f"{walk.resource.modified} lt {self.dialect.instant(walk.until)}")
        return self.dialect.filter(walk, *conditions)


_COUNTED = re.compile(r"&(?:\$|%24)count=true(?=&|$)")


def number(url: str, name: str) -> int | None:
    """The whole number that *url*'s query gives as *name*; None: it gives none."""
    found = _pattern(name).search(url)
    return int(found[2]) if found else None


def put_number(url: str, name: str, value: int) -> str:
    """*url* with *value* for *name*, added at the end where it was not; every other byte stays."""
    found = _pattern(name).search(url)
    if found is None:
        return f"{url}{'&' if '?' in url else '?'}{name}={value}"
    return f"{url[: found.start(2)]}{value}{url[found.end(2) :]}"


def _pattern(name: str) -> re.Pattern[str]:
    escaped = re.escape(name).replace(r"\$", r"(?:\$|%24)")
    return re.compile(rf"([?&]{escaped}=)([0-9]{{1,12}})(?=&|$)", re.ASCII)


def _plain(parameter: str) -> str:
    """*parameter* so that two ways of writing it are equal."""
    return parameter.replace("%24", "$").replace("%20", " ").replace("+", " ").replace("%2C", ",").replace("%2c", ",")


__all__ = ["AnyOffset", "SkipPager", "number", "put_number"]
