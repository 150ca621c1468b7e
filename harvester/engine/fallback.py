"""Which walk reads a set that another one cannot read."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from harvester.engine.parts import root_of, whole
from harvester.errors import CursorExpired, HarvesterError, OrderViolated, ResourceRefused, SeamBroken, WentRound
from harvester.model import Phase, Walk
from harvester.provider import Provider

_NOT_SO = frozenset({400, 501})  # what is asked for is refused, not the resource
_STANDS_IN = "Read by "


def instead_of(provider: Provider, walk: Walk, error: HarvesterError, avoid: Collection[str] = ()) -> Walk | None:
    """The whole walk that takes the place of *walk*, or of all that it was cut into; None: there is none.

    It begins anew; what is held already is recognised by its key. Offset pages depend on the order of the server and
    on its rows keeping still enough, windows of time on its order and its filter, a walk by the server's own links on
    neither. So one after the other is tried.

    Args:
        error: which ended *walk*.
        avoid: names of walks that are not to be taken.
    """
    if not _is_of_the_walk(error):
        return None
    if walk.phase is Phase.DELTA and walk.pager in provider.look_back and walk.since is not None:
        return replace(walk, since=None, reason=f"as far back as ever, of which only changes are written: {error}")
    if walk.phase in {Phase.CLOSING, Phase.DELTA}:  # no other walk asks what changed
        return None
    other = provider.instead.get(walk.pager)
    while other is not None and other in avoid:
        other = provider.instead.get(other)
    if other is None:
        return None
    before = f" {walk.reason}" if walk.reason.startswith(_STANDS_IN) else ""
    reason = f"{_STANDS_IN}{other} instead of {walk.pager}: {error}{before}"
    return replace(whole(walk), id=root_of(walk.id), pager=other, reason=reason)


def _is_of_the_walk(error: HarvesterError) -> bool:
    """Whether another walk may do better."""
    if isinstance(error, ResourceRefused):
        return error.status in _NOT_SO
    return isinstance(error, SeamBroken | OrderViolated | WentRound | CursorExpired)
