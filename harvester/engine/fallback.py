"""Which walk reads a set that offset pages cannot read."""

from __future__ import annotations

from msgspec.structs import replace

from harvester.errors import HarvesterError, OrderViolated, SeamBroken, WentRound
from harvester.model import Walk
from harvester.provider import Provider


def instead_of(provider: Provider, walk: Walk, error: HarvesterError) -> Walk | None:
    """The walk that takes the place of *walk*, which *error* ended; None: there is none.

    It has the same name and begins anew; what is held already is recognised by its key. Offset pages depend on the
    order of the server and on its rows keeping still enough, a walk by value or by the server's own links does not.
    """
    other = provider.instead.get(walk.pager)
    if other is None or not isinstance(error, SeamBroken | OrderViolated | WentRound):
        return None
    return replace(walk, pager=other, reason=f"Read by {other} instead of {walk.pager}: {error}")
