"""Whether the credentials of a source see the same records, asked before they share a harvest of them.

Where one of them sees less, each would bring other records, and what neither was asked for would be missed without a
sign of it. A count is compared where the provider tells one, else the keys of a first page. A set of credentials that
has agreed is believed for a week: what it costs is a request of each for each resource.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from harvester.contracts import Fs, Transport
from harvester.decode.heads import HeadReader
from harvester.engine.ask import ask
from harvester.engine.site import Site
from harvester.engine.source import Blueprint, Source
from harvester.engine.stopping import unless_stopped
from harvester.errors import ConfigError, CursorExpired, ProtocolError, ResourceRefused
from harvester.model import PageRequest, Resource, Walk
from harvester.store import layout

T = TypeVar("T")

_LIFETIME = timedelta(days=7)
_MOST_WALKS = 20  # of a resource that is walked once for each value of another
_ROUNDS = 3  # readings before counts that differ are said to: rows come and go between two of them
_ROWS = 50  # of a first page
_ALIKE = 0.8  # share of a first page that must be the same: rows come and go there, too

View = int | frozenset[object] | None
"""What a credential sees: a count, or the records of a first page; None: it may not look, or is told nothing."""


class _Kept(Struct, frozen=True, kw_only=True):
    """The set of credentials that has agreed last."""

    viewers: str
    at: datetime  # aware UTC


@dataclass(frozen=True, kw_only=True)
class Views:
    """Compares the credentials of one source over one resource."""

    source: Source
    resource: Resource
    transport: Transport

    async def compare(self, walks: Sequence[Walk]) -> None:
        """Look at what *walks* read through the eyes of each credential.

        Raises:
            ConfigError: two of them see different records; it names both.
            HarvesterError: the provider cannot be asked.
        """
        for walk in walks[:_MOST_WALKS]:
            question = self.source.provider.count or self.source.provider.doubt
            told = await self._compare(walk, question(walk), self._count) if question is not None else {}
            if all(view is None for view in told.values()):
                pager = self.source.provider.pager(walk.pager)
                first = pager.first(walk)
                small = pager.with_size(walk, first, min(first.size or _ROWS, _ROWS))
                await self._compare(walk, small, self._page)

    async def _compare(
        self, walk: Walk, request: PageRequest, look: Callable[[Walk, PageRequest], Awaitable[View]]
    ) -> Mapping[str, View]:
        seen: dict[str, list[View]] = {name: [] for name in self.source.credentials}
        for _ in range(_ROUNDS):
            for name in list(seen):
                try:
                    view = await look(walk, replace(request, via=name))
                except CursorExpired:
                    del seen[name]  # it is refused altogether, and the others go on without it
                else:
                    seen[name].append(view)
            differing = _differing(seen)
            if differing is None:
                return {name: views[-1] for name, views in seen.items()}
        one, other = differing or ("", "")
        what = f"{self.resource.name} ({walk.value})" if walk.value is not None else self.resource.name
        raise ConfigError(
            f"the credentials {one} and {other} of {self.source.name} do not see the same {what}: {one} sees "
            f"{_in_words(seen[one][-1])}, {other} {_in_words(seen[other][-1])}. They cannot share one harvest: give "
            "each a source of its own, or remove one.",
            path=f"sources.{self.source.name}.credentials",
        )

    async def _count(self, walk: Walk, request: PageRequest) -> View:
        try:
            return (await ask(self.source, self.transport, walk, request)).count
        except (ResourceRefused, ProtocolError):
            return None

    async def _page(self, walk: Walk, request: PageRequest) -> View:
        try:
            page = await ask(self.source, self.transport, walk, request)
        except ResourceRefused:
            return None
        if not self.resource.key:
            return frozenset(bytes(record) for record in page.records)
        read = HeadReader(self.resource).read
        return frozenset(read(record).key for record in page.records)


async def agree(
    source: Source, blueprint: Blueprint, *, site: Site, transport: Transport, values: Sequence[str] | None
) -> None:
    """Compare what the credentials of *source* see of a resource, if it has several and they have not agreed lately.

    Returns without an answer where the run is asked to stop.

    Args:
        values: of the parent resource; None: it has none.
    Raises:
        ConfigError: see ``Views.compare``. Nothing was harvested then.
    """
    loop, resource, clock = asyncio.get_running_loop(), blueprint.resource, site.clock

    async def in_thread(call: Callable[[Fs, PurePath, Source, Resource, datetime], T]) -> T:
        return await loop.run_in_executor(site.executor, call, site.fs, site.out, source, resource, clock.now())

    if not source.credentials or await in_thread(have_agreed):
        return
    views = Views(source=source, resource=resource, transport=transport)
    _, stopped = await unless_stopped(site.stop, lambda: views.compare(blueprint.walks(values, clock.now())))
    if not stopped:
        await in_thread(remember)


def have_agreed(fs: Fs, out: PurePath, source: Source, resource: Resource, now: datetime) -> bool:
    """Whether these very credentials were found to see the same not long ago. Raises ``StorageError``."""
    path = layout.views_file(out, source.name, resource.dirname)
    if not fs.exists(path):
        return False
    try:
        kept = msgspec.json.decode(fs.read(path), type=_Kept)
    except msgspec.DecodeError:
        return False
    return kept.viewers == _mark(source) and timedelta(0) <= now - kept.at < _LIFETIME


def remember(fs: Fs, out: PurePath, source: Source, resource: Resource, now: datetime) -> None:
    """They have agreed. Raises ``StorageError``."""
    path = layout.views_file(out, source.name, resource.dirname)
    fs.make_directory(path.parent, private=True)
    fs.replace(path, msgspec.json.encode(_Kept(viewers=_mark(source), at=now)), private=True)


def _mark(source: Source) -> str:
    return hashlib.blake2b(source.viewers.encode(), digest_size=16).hexdigest()


def _differing(seen: Mapping[str, Sequence[View]]) -> tuple[str, str] | None:
    """The first two that never saw the same; None: all did."""
    names = list(seen)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            if not _alike(seen[one], seen[other]):
                return one, other
    return None


def _alike(ours: Sequence[View], theirs: Sequence[View]) -> bool:
    """Whether two have seen the same, while rows came and went between their readings."""
    one, other = ours[-1], theirs[-1]
    if isinstance(one, frozenset) and isinstance(other, frozenset):
        return len(one & other) >= _ALIKE * max(len(one), len(other))
    mine = [view for view in ours if isinstance(view, int)]
    others = [view for view in theirs if isinstance(view, int)]
    if not mine or not others:
        return one is None and other is None
    return max(min(mine), min(others)) <= min(max(mine), max(others))


def _in_words(view: View) -> str:
    match view:
        case None:
            return "nothing of it"
        case int():
            return f"{view:,} records"
    return f"{len(view):,} records on its first page"
