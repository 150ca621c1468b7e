"""Which pages of a walk are still to be made durable: the point it is safe to resume from."""

from __future__ import annotations

from collections.abc import Iterable

from harvester.model import PageRequest


class Frontier:
    """Requests whose pages are not yet in a shard, oldest first.

    A page leaves when its records are written, and only then do the pages it named take its place: so the
    cursor of a commit never holds both a page and one that would be asked for again by following it.
    """

    def __init__(self, requests: Iterable[PageRequest]) -> None:
        self._open = dict.fromkeys(requests)

    @property
    def cursor(self) -> tuple[PageRequest, ...]:
        """What to send again after a restart; empty: the walk has ended."""
        return tuple(self._open)

    def settle(self, request: PageRequest, followers: Iterable[PageRequest]) -> None:
        """*request*'s page is written; *followers* are what it proved to exist."""
        del self._open[request]
        self._open.update(dict.fromkeys(followers))

    def restart(self, request: PageRequest) -> None:
        """Begin again at *request*: the server no longer knows any other position."""
        self._open = {request: None}
