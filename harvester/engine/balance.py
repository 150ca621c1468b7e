"""Which walk is cut next, so that nobody stands idle: a function of where the walks are. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

LEAST_PAGES = 3.0  # fewer are read sooner than shared
UNKNOWN_AFTER = 4  # pages without a cut until a walk that nobody can measure is taken for a long one


class Stand(Struct, frozen=True, kw_only=True):
    """Where one walk stands."""

    walk: str
    left: float | None  # pages still to come; None: not known
    pages: int  # that came since it began or was cut
    full: bool  # the last page was as large as any: more will come


def choose(stands: Sequence[Stand], lanes: int) -> str | None:
    """The walk to cut in two; None: none.

    Args:
        stands: of the walks under way.
        lanes: how many may be of use at once.
    """
    if not stands or len(stands) >= lanes:
        return None
    known = [stand for stand in stands if stand.left is not None]
    share = sum(stand.left or 0.0 for stand in known) / lanes
    fat = max(known, key=lambda stand: stand.left or 0.0, default=None)
    if fat is not None and (fat.left or 0.0) >= max(LEAST_PAGES, share):
        return fat.walk
    unknown = [stand for stand in stands if stand.left is None and stand.full and stand.pages >= UNKNOWN_AFTER]
    return max(unknown, key=lambda stand: stand.pages).walk if unknown else None
