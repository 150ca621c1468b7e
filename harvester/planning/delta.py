"""What changed since the last success: where each scope of a resource stands, and the walks that go on. Pure.

A watermark is text, taken before the first request of a run that succeeded: the provider's ``Date`` or data, never
this machine's clock (FAULTS T06). A failed or incomplete delta moves none (T09), so the next one reads its span again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

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
            moved = {**_begun(run.walks, Phase.FULL), **_moved(found.watermarks, run.walks)}
            found = Standing(run=run.run, full=found.full, watermarks={**found.watermarks, **moved})
    return found


def delta_walk(provider: Provider, full: Walk, standing: Standing) -> Walk | None:
    """The walk that brings what changed in the scope of *full* since *standing*.

    None when the provider cannot be asked for it (no modification time, or no such question), or when the scope is
    new: then *full* itself is to be walked.
    """
    if provider.closing is None or full.resource.modified is None or full.value not in standing.watermarks:
        return None
    return as_delta(
        full,
        pager=provider.closing,
        since=since_text(standing.watermarks[full.value], provider.overlap, provider.timestamps),
    )


def as_delta(full: Walk, *, pager: str, since: str) -> Walk:
    """*full* as a delta from *since*; ``enough`` stays, so that a busy feed is not read for ever."""
    return Walk(
        id=f"d{full.id[1:]}",
        resource=full.resource,
        pager=pager,
        phase=Phase.DELTA,
        value=full.value,
        since=since,
        enough=full.enough,
        page_size=full.page_size,
        select=full.select,
        filter=full.filter,
        expand=full.expand,
        headers=full.headers,
        reason=f"what changed since {since}: the last success, less the provider's overlap",
    )


def _begun(walks: Sequence[WalkEvidence], phase: Phase) -> dict[str | None, str | None]:
    """The earliest beginning of the walks of *phase*, by scope: each had its own first request."""
    begun: dict[str | None, str | None] = {}
    for walk in walks:
        if walk.phase == phase:
            begun[walk.value] = _earlier(begun[walk.value], walk.anchor) if walk.value in begun else walk.anchor
    return begun


def _moved(held: Mapping[str | None, str | None], walks: Sequence[WalkEvidence]) -> dict[str | None, str | None]:
    """Watermarks after a complete delta; one that met nothing and was told no time leaves its scope where it was."""
    moved: dict[str | None, str | None] = {}
    for walk in walks:
        if walk.phase == Phase.DELTA:
            # Where only data tell the time (IMS), the largest value received is where the next one starts.
            told = walk.anchor if walk.anchor is not None else walk.watermark
            moved[walk.value] = _later(held.get(walk.value), told)
    return moved


def _earlier(one: str | None, other: str | None) -> str | None:
    """None is the beginning of time: a walk that began on nothing has seen nothing."""
    if one is None or other is None:
        return None
    return min(one, other, key=_order)


def _later(one: str | None, other: str | None) -> str | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other, key=_order)


def _order(text: str) -> tuple[bool, str, str]:
    """By instant to the second, then by text; what cannot be read comes first, so that it never moves anything on."""
    moment = read_instant(text)
    return (moment is not None, moment.isoformat() if moment is not None else "", text)
