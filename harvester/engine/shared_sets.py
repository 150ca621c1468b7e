"""Answers that bring the sets of several related resources at once: asked for once, by whoever needs one first.

The runs of related resources go through the same parents in the same order. Each of them commits for itself; an answer
that one of them got is kept until the others have taken their part of it, or there is no more room.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field

import anyio

from harvester.errors import ResourceRefused
from harvester.model import Page

_ROOM = 32 << 20  # bytes of answers that are kept
_Key = tuple[str, ...]

Send = Callable[[Sequence[str]], Awaitable[Page]]
"""Asks for the parent's record with these sets inside."""


@dataclass(slots=True)
class _Kept:
    page: Page
    waiting: set[str]  # resources that have not taken their part


@dataclass(slots=True)
class _Flight:
    names: Collection[str]  # resources whose sets the answer will bring
    landed: anyio.Event = field(default_factory=anyio.Event)


class SharedSets:
    """The answers for the related resources of one parent resource, in one harvest.

    Args:
        resources: those whose runs may read sets by parent. Each says ``join`` or ``leave`` before anything is sent.
    """

    def __init__(self, resources: Collection[str] = ()) -> None:
        self._awaited = set(resources)
        self._expands: dict[str, str] = {}
        self._needs: dict[str, Callable[[_Key], bool]] = {}
        self._ready = anyio.Event()
        self._kept: dict[_Key, _Kept] = {}
        self._bytes = 0
        self._flights: dict[_Key, _Flight] = {}
        self._say_if_ready()

    def join(self, resource: str, expand: str, needs: Callable[[_Key], bool]) -> None:
        """*resource* reads its sets inside the parents that it *needs*."""
        self._expands[resource], self._needs[resource] = expand, needs
        self._said(resource)

    def leave(self, resource: str) -> None:
        """*resource* needs nothing, or nothing more."""
        self._needs.pop(resource, None)
        self._said(resource)

    async def ask(self, mine: str, key: _Key, send: Send) -> Page:
        """The record of the parent *key*, with the set of *mine* inside.

        Raises:
            HarvesterError: as *send*. What others need beside it does not keep *mine* from its own: where the server
                refuses them together, *mine* is asked for alone.
        """
        await self._ready.wait()
        while (flight := self._flights.get(key)) is not None and mine in flight.names:
            await flight.landed.wait()
        kept = self._kept.get(key)
        if kept is not None and mine in kept.waiting:
            self._taken(key, kept, mine)
            return kept.page
        others = [name for name, needs in self._needs.items() if name != mine and needs(key)]
        if flight is not None or kept is not None or not others:  # somebody else's, without mine
            return await send((self._expands[mine],))
        return await self._ask(mine, others, key, send)

    async def _ask(self, mine: str, others: Sequence[str], key: _Key, send: Send) -> Page:
        flight = self._flights[key] = _Flight((mine, *others))
        try:
            page = await send([self._expands[name] for name in flight.names])
            self._keep(key, _Kept(page, set(others)))
        except ResourceRefused:
            page = await send((self._expands[mine],))
        finally:
            del self._flights[key]
            flight.landed.set()
        return page

    def _said(self, resource: str) -> None:
        self._awaited.discard(resource)
        self._say_if_ready()

    def _say_if_ready(self) -> None:
        if not self._awaited:
            self._ready.set()

    def _keep(self, key: _Key, kept: _Kept) -> None:
        self._kept[key] = kept
        self._bytes += kept.page.size
        while self._bytes > _ROOM and len(self._kept) > 1:
            oldest = next(iter(self._kept))
            self._bytes -= self._kept.pop(oldest).page.size

    def _taken(self, key: _Key, kept: _Kept, mine: str) -> None:
        kept.waiting.discard(mine)
        if not kept.waiting:
            del self._kept[key]
            self._bytes -= kept.page.size
