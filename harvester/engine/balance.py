"""Which walk is cut next, so that nobody stands idle: a function of where the walks are. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

LEAST_PAGES = 4.0  # fewer are read sooner than shared
UNDER_WAY = 2.0  # pages that a walk has asked for beyond the last one it took: they stay with it
UNKNOWN_AFTER = 4  # pages without a cut until a walk that nobody can measure is taken for a long one


class Stand(Struct, frozen=True, kw_only=True):
    """Where one walk stands."""

    walk: str
    left: float | None  # pages still to come; None: not known
    pages: int  # that came since it began or was cut
    full: bool  # the last page was as large as any: more will come


def choose(stands: Sequence[Stand], lanes: int) -> Stand | None:
    """The walk to cut; None: none.

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
        return fat
    unknown = [stand for stand in stands if stand.left is None and stand.full and stand.pages >= UNKNOWN_AFTER]
    return max(unknown, key=lambda stand: stand.pages) if unknown else None


def shares(left: float | None, idle: int) -> tuple[float, ...]:
    """Where to cut what is left of a walk, as shares (0 to 1) of the way to its end.

    What is under way stays with it; of the rest everybody gets as much.

    Args:
        left: pages; None: not known.
        idle: lanes without a walk, at least 1.
    """
    if left is None:
        return (0.5,)
    rest = max(0.0, left - UNDER_WAY)
    parts = max(1, min(idle, int(rest / LEAST_PAGES)))
    if not rest:
        return (0.9,)
    return tuple((UNDER_WAY + rest * part / (parts + 1)) / left for part in range(1, parts + 1))
