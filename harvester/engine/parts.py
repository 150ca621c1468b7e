"""The parts that a walk was cut into: which belong together, and whether they are the whole. Pure.

Parts are cut off from behind: the new part takes what lies between the cut and the old one's end, the old one ends at
the cut. A bound is text that is only ever sent to the server; here bounds are compared for equality, never for order,
because the order of text is the server's own. Whatever that order is, parts that meet leave nothing out: a record is
in the last part whose lower bound it reaches.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from msgspec.structs import replace

from harvester.model import Phase, Walk


def root_of(walk_id: str) -> str:
    """The id of the walk that was cut first, from that of any of its parts: ``w03`` from ``w03-12``."""
    return walk_id.partition("-")[0]


def part_id(root: str, taken: Iterable[str]) -> str:
    """A free id for a part of *root*."""
    used = set(taken)
    return next(name for number in range(1, len(used) + 2) if (name := f"{root}-{number}") not in used)


def lower(walk: Walk) -> str | None:
    """Where *walk* begins; None: open."""
    return walk.above if walk.since is None else walk.since


def upper(walk: Walk) -> str | None:
    """Where *walk* ends; None: open."""
    return walk.below if walk.until is None else walk.until


def ending_at(walk: Walk, bound: str, *, by_time: bool) -> Walk:
    """*walk* with an earlier end."""
    return replace(walk, until=bound) if by_time else replace(walk, below=bound)


def between(walk: Walk, name: str, low: str, high: str | None, *, by_time: bool) -> Walk:
    """The part of *walk* that begins at *low* and ends before *high* (None: open), under the id *name*."""
    if by_time:
        return replace(walk, id=name, part_of=walk.id, since=low, until=high)
    return replace(walk, id=name, part_of=walk.id, above=low, below=high)


def whole(walk: Walk) -> Walk:
    """The uncut walk that *walk* is a part of, under its own id."""
    return replace(walk, since=None, until=None, above=None, below=None, undated=False, part_of="")


def mend(walks: Sequence[Walk]) -> tuple[Walk, ...]:
    """*walks* of one root, each ending where a part was cut off from it.

    A process may die when the new part is durable and the old one's end is not. Both then hold the same end, or the
    old one none; it is given the end that it was about to get.
    """
    ends = {walk.id: upper(walk) for walk in walks if not walk.undated}
    dated = [walk for walk in walks if not walk.undated]
    moved = True
    while moved:
        moved = False
        begins = {lower(walk) for walk in dated}
        for child in dated:
            old = ends.get(child.part_of, ends[child.id])
            if child.part_of not in ends or lower(child) == old:
                continue
            # An end that no part begins at is that of the last part; an uncut walk may be without one.
            if old == ends[child.id] or (old is None and ends[child.id] not in begins):
                ends[child.part_of] = lower(child)
                moved = True
    return tuple(
        walk if walk.undated or ends[walk.id] == upper(walk) else _ended(walk, ends[walk.id], dated) for walk in walks
    )


def gap(walks: Sequence[Walk], anchors: Collection[str]) -> str:
    """What the parts of one root leave out or read twice, in words; "" when they are exactly the whole.

    The whole of a delta begins where its root does, and has no end: nothing closes it.

    Args:
        anchors: of all of them. The closing delta begins before the earliest, so the last window may end at any.
    """
    dated = [walk for walk in walks if not walk.undated]
    full = all(walk.phase is Phase.FULL for walk in walks)
    start = None if full else next((lower(walk) for walk in dated if not walk.part_of), None)
    ends = anchors if full else ()
    if len(walks) == 1 and not dated[:1]:
        return "no walk has read the records with a modification time"
    if len(dated) == 1 and not dated[0].part_of and lower(dated[0]) == start and upper(dated[0]) in {None, *ends}:
        return ""
    begins = {lower(walk): walk for walk in dated}
    if len(begins) < len(dated):
        return "two walks begin at the same place"
    at = start
    while True:
        part = begins.pop(at, None)
        if part is None:
            return f"no walk has read the records from {at} on" if at is not None else "no walk has read the first ones"
        at = upper(part)
        if at is None or (at in ends and at not in begins):
            break
    if begins:
        return f"two walks have read the records from {next(iter(begins))} on"
    by_time = any(walk.since is not None or walk.until is not None for walk in dated)
    if full and by_time and len(walks) == len(dated):
        return "no walk has read the records without a modification time"
    return ""


def _ended(walk: Walk, end: str | None, dated: Sequence[Walk]) -> Walk:
    by_time = any(each.since is not None or each.until is not None for each in dated)
    return walk if end is None else ending_at(walk, end, by_time=by_time)
