"""The paged form of newer IDX Broker answers, ``{"data": …, "total": …, "next": …}``: what comes next, is it whole.

Offset pages without a documented order promise nothing, so they are read one after another and read anew when
the total moved meanwhile (IDX Broker contract, sections 6 and 7). A total stays as it is where one record goes and
another comes, so each page begins with the last record of the one before: where it does not, records were shifted
past its offset (FAULTS P09). Versions up to 1.0.4 answer everything at once: no link and no total, and so one page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote_plus, urlencode

from msgspec import Struct
from msgspec.structs import replace

from harvester.errors import OrderViolated, ProtocolError
from harvester.model import Head, Page, Walk

_ROUNDS = 3  # how often a set that changes while it is read is begun, at most
_OFFSET = re.compile(r"([?&]offset=)([0-9]{1,9})(?=&|$)", re.ASCII)
_PLACE = frozenset({"offset", "limit"})  # say where a page lies; the link has its own


class Progress(Struct, frozen=True):
    """How far a paged set has been read; part of a cursor."""

    offset: int = 0  # records before this page, as the server returned them
    total: int | None = None  # what the first page claimed; None: nothing yet
    moved: bool = False  # a later page claimed another total
    round: int = 0  # earlier readings of the set
    doubted: bool = False  # it was empty, and this is the second look
    seam: tuple[str, ...] = ()  # identity of the record that this page begins with, which the one before ended with

    def after(self, page: Page, heads: Sequence[Head] = ()) -> Progress:
        """Where the walk stands once *page* is taken. *heads*: of its records; () where no page is to share one."""
        total = page.count if self.total is None else self.total
        moved = self.moved or (bool(page.records) and page.count is not None and page.count != total)
        known = len(heads) > 0 and not page.rejected
        moved = moved or bool(self.seam and page.records and (not known or heads[0].key != self.seam))
        last = heads[-1].key if known else None
        number = self.offset + len(page.records) - bool(self.seam and page.records)
        return Progress(number, total, moved, self.round, self.doubted, last or ())


def path_of(walk: Walk) -> str:
    """The method's path below the base URL, with the id the walk is for."""
    path = walk.resource.path or walk.resource.name
    return path if walk.value is None else path.replace("{value}", quote(walk.value, safe=""))


def own_query(walk: Walk) -> str:
    """The walk's own parameters, encoded: fields as ``rf[]=``, then the user's filter as it was written."""
    fields = urlencode([("rf[]", name) for name in walk.select])
    return "&".join(part for part in (fields, walk.filter or "") if part)


def with_query(url: str, query: str) -> str:
    """*url* with *query* added; *url* itself stays as it is, byte for byte."""
    if not query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{query}"


def following_link(page: Page, progress: Progress, query: str) -> str | None:
    """The URL of the next page, None when *page* is the last one.

    Args:
        progress: after *page*.
        query: the parameters of the first request; those the link leaves out are put on again, because the
            server does not repeat them (contract, section 6).
    Raises:
        ProtocolError: the link leads back to the page it stands on (FAULTS P01).
    """
    if page.next_link is None or not page.records:
        return None  # a total ends nothing: it may be too small; a link beyond it leads to an empty page (FAULTS P13)
    present = _names(page.next_link)
    missing = [part for part in query.split("&") if part and not _names(f"?{part}") & (present | _PLACE)]
    link = with_query(page.next_link, "&".join(missing))
    if link in {page.request.url, page.url}:
        raise ProtocolError(
            f"the server's link to the next page leads back to the same page, after {progress.offset:,} records. "
            "What was written before stays; the resource is not complete."
        )
    return link


def overlapping(link: str, progress: Progress) -> tuple[str, Progress]:
    """*link* from one record before, where it tells its place by an offset that can be moved; and what it then meets.

    Args:
        progress: after the page that named the link.
    """
    found = _OFFSET.search(link)
    if not progress.seam or found is None or int(found[2]) != progress.offset or progress.offset < 1:
        return link, replace(progress, seam=())
    return f"{link[: found.start(2)]}{progress.offset - 1}{link[found.end(2) :]}", progress


def read_again(walk: Walk, page: Page, progress: Progress) -> bool:
    """Whether a set that has ended must be read anew because it changed meanwhile; *progress*: after *page*.

    Raises:
        OrderViolated: it changed in every reading, or its records have no key by which a second reading
            could be told from the first.
    """
    short = page.count is not None and progress.offset < page.count and progress.offset > 0
    if not progress.moved and not short:
        return False
    if progress.round + 1 < _ROUNDS and walk.resource.key:
        return True
    raise OrderViolated(
        f"{walk.resource.name} changed while its pages were read: {progress.offset:,} records came, "
        f"the total said {page.count if page.count is not None else progress.total}. "
        "It cannot be called complete. Run again at a quieter time."
    )


def _names(url: str) -> frozenset[str]:
    """Parameter names of *url*'s query; ``rf[]`` and ``rf[0]`` are both ``rf``."""
    _, _, query = url.partition("?")
    names = (unquote_plus(part.partition("=")[0]) for part in query.partition("#")[0].split("&") if part)
    return frozenset(re.sub(r"\[.*\]$", "", name) for name in names)
