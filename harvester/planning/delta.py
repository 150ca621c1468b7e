"""What changed since the last success: where each scope of a resource stands, and the walks that go on. Pure.

A watermark is text, taken before the first request of a run that succeeded: the provider's ``Date`` or data, never
this machine's clock (FAULTS T06). A failed or incomplete delta moves none (T09), so the next one reads its span again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct, structs

from harvester.model import Phase, Walk
from harvester.planning.closing import read_instant, since_text
from harvester.provider import Provider
from harvester.store.manifest import Manifest, WalkEvidence


class Standing(Struct, frozen=True, kw_only=True):
    """Where a replica of one resource stands after its finished runs."""

    run: str  # the newest run it rests on
    full: str  # the full run that began it
    watermarks: Mapping[str | None, str | None]  # by scope; None as text: the scope was empty, everything is a change


def standing_of(runs: Sequence[Manifest]) -> Standing | None:
    """Where *runs* of one resource, oldest first, leave the replica; None: no complete full run is among them.

    A full run that is incomplete is no ground for deltas: what it lacks may never change again.
    """
    found: Standing | None = None
    for run in runs:
        if run.verdict != "complete":
            continue
        if run.mode == Phase.FULL:
            found = Standing(run=run.run, full=run.run, watermarks=_begun(run.walks, Phase.FULL))
        elif run.mode == Phase.DELTA and found is not None:
            moved = {**_begun(run.walks, Phase.FULL), **_moved(run.walks, found.watermarks)}
            found = Standing(run=run.run, full=found.full, watermarks={**found.watermarks, **moved})
    return found


def essential(runs: Sequence[Manifest]) -> tuple[bool, ...]:
    """For each of *runs*, oldest first, whether ``standing_of`` needs it to tell the same watermarks: the last full
    one, the newest, and those that set the watermark of a scope."""
    setters: dict[str | None, set[int]] = {}
    standing: Standing | None = None
    ground = newest = -1
    for place, run in enumerate(runs):
        if run.verdict != "complete" or run.mode not in {Phase.FULL, Phase.DELTA}:
            continue
        if run.mode == Phase.FULL:
            standing, ground, setters = standing_of([run]), place, {}
        if standing is None:
            continue
        newest = place
        if run.mode == Phase.DELTA:
            moved = {**_begun(run.walks, Phase.FULL), **_moved(run.walks, standing.watermarks)}
            # What an empty answer says depends on what was known before.
            unsure = {walk.value for walk in run.walks if walk.empty}
            for scope, watermark in moved.items():
                if scope not in standing.watermarks or standing.watermarks[scope] != watermark:
                    setters[scope] = {place, *setters.get(scope, ())} if scope in unsure else {place}
            standing = structs.replace(standing, watermarks={**standing.watermarks, **moved})
    needed = {ground, newest, *(place for places in setters.values() for place in places)}
    return tuple(place in needed for place in range(len(runs)))


def delta_walks(provider: Provider, runs: Sequence[Manifest], full: Sequence[Walk]) -> tuple[Walk, ...] | None:
    """The walks of a delta, one for each of *full*; None: there is nothing to go on from, everything must be read.

    A scope that is new since *runs* is walked whole. So is one that cannot be asked for changes, but only what
    changed of it is written: its records have an identity, or they could not be told from each other.

    Args:
        runs: the finished runs of the resource with the settings of *full*, oldest first.
    """
    standing = standing_of(runs)
    if standing is None:
        return None
    return tuple(_delta_walk(provider, walk, standing) for walk in full)


def _delta_walk(provider: Provider, full: Walk, standing: Standing) -> Walk:
    if full.value not in standing.watermarks:
        return full
    name = f"n{full.id[1:]}"  # what is new; c, d and e are rounds of the closing delta
    if full.resource.name in provider.look_back_changes and full.pager in provider.look_back:
        return _looking_back(provider, full, name, standing.watermarks[full.value])
    if provider.closing is None or full.resource.modified is None:
        reason = "the whole again, of which only changes are written: the provider cannot be asked for them"
        return structs.replace(full, id=name, phase=Phase.DELTA, reason=reason)
    since = since_text(standing.watermarks[full.value], provider.overlap, provider.timestamps)
    return Walk(
        id=name,
        resource=full.resource,
        pager=_pager(provider, full, provider.closing),
        phase=Phase.DELTA,
        value=full.value,
        since=since,
        known=standing.watermarks[full.value],
        enough=full.enough,  # a feed that changes faster than it answers would be read for ever
        page_size=full.page_size,
        select=full.select,
        filter=full.filter,
        expand=full.expand,
        headers=full.headers,
        counted=full.counted,
        reason=f"what changed since {since}: the last success, less the provider's overlap",
    )


def _looking_back(provider: Provider, full: Walk, name: str, watermark: str | None) -> Walk:
    """*full* back to *watermark*, less the overlap; None: as far as ever."""
    since = since_text(watermark, provider.overlap, provider.timestamps)
    if watermark is None:
        return structs.replace(full, id=name, phase=Phase.DELTA, reason="as far back as ever: no watermark is known")
    return structs.replace(
        full,
        id=name,
        phase=Phase.DELTA,
        since=since,
        reason=f"what changed since {since}: the last success, less the provider's overlap",
    )


def _pager(provider: Provider, full: Walk, closing: str) -> str:
    """What reads the changes: the pager that closes full walks, or one that can be cut into windows where those are cut
    as well, so that many changes are read side by side."""
    by_time = [name for name, cut in provider.cuts.items() if cut.by_time]
    if full.pager not in provider.cuts or not by_time or closing in by_time:
        return closing
    return full.pager if full.pager in by_time else by_time[0]


def _begun(walks: Sequence[WalkEvidence], phase: Phase) -> dict[str | None, str | None]:
    """The earliest beginning of the walks of *phase*, by scope: each had its own first request."""
    begun: dict[str | None, str | None] = {}
    for walk in walks:
        if walk.phase == phase:
            begun[walk.value] = _earlier(begun[walk.value], walk.anchor) if walk.value in begun else walk.anchor
    return begun


def _moved(walks: Sequence[WalkEvidence], was: Mapping[str | None, str | None]) -> dict[str | None, str | None]:
    """Watermarks after a complete delta; one that was told no time it can read leaves its scope where it was.

    One that brought nothing moves it no later than it *was*: to ask for an empty span once more costs nothing, and an
    empty page may be the answer to another request (FAULTS H11). What it hid comes with the next delta.

    A watermark may go back: a server whose clock is set back stamps what changes next with times that were read
    before (FAULTS T06).
    """
    moved: dict[str | None, str | None] = {}
    begins = {(walk.value, walk.since) for walk in walks if walk.phase == Phase.DELTA and walk.since is not None}
    for walk in walks:
        if walk.phase == Phase.DELTA and walk.anchor is not None and read_instant(walk.anchor) is not None:
            # One that looks back from this machine's clock has seen nothing behind it, whatever the server's is.
            # A window that another one goes on from has seen to its share.
            ends = walk.until is not None and (walk.value, walk.until) not in begins
            anchor = _earlier(walk.anchor, walk.until) if ends else walk.anchor
            if walk.empty and walk.until is None:
                anchor = _earlier(anchor, was.get(walk.value))
            moved[walk.value] = _earlier(moved.get(walk.value, anchor), anchor)
    return moved


def _earlier(one: str | None, other: str | None) -> str | None:
    """None is the beginning of time: a walk that began on nothing has seen nothing."""
    if one is None or other is None:
        return None
    return min(one, other, key=_order)


def _order(text: str) -> tuple[bool, str, str]:
    """By instant to the second, then by text; what cannot be read comes first, so that it never moves anything on."""
    moment = read_instant(text)
    return (moment is not None, moment.isoformat() if moment is not None else "", text)
