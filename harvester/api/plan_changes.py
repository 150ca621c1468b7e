"""The plan of a run that does not read everything: a delta, or a sweep of all keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from harvester.api.assembly import Setup
from harvester.api.ports import Ports
from harvester.api.rehearsal import Job
from harvester.model import Phase, Walk
from harvester.planning.changes import Usual, least_of_listing, usual
from harvester.planning.forecast import Measured
from harvester.planning.reconcile import listing_walks
from harvester.store.manifest import Manifest
from harvester.store.renewals import read_renewal

History = Sequence[tuple[Manifest, int]]
"""Finished runs of a resource, oldest first, with how many runs each stands for."""


def history_of(out: PurePath, source: str, dirname: str, manifests: Sequence[Manifest], ports: Ports) -> History:
    """*manifests* and the runs after them that left no directory."""
    runs = [(manifest, 1) for manifest in manifests]
    renewal = read_renewal(ports.fs, out, source, dirname, manifests[-1].run if manifests else "")
    if renewal is not None and not renewal.held_in:
        runs.append((renewal.manifest, renewal.rounds))
    return runs


def expected(
    kind: str, history: History, walk: Walk, walks: int, records: int | None, setup: Setup, ports: Ports
) -> tuple[Usual | None, int]:
    """What runs of *kind* usually take, and what this one takes at least.

    Args:
        walk: any full walk of the resource. *walks*: how many there are.
        records: that the replica holds, or the provider counts; None: not known.
    """
    told = usual(history, kind)
    if kind == Phase.DELTA:
        return told, walks
    (listing,) = listing_walks(setup.provider, [walk], ports.clock.now(), "s")
    first = setup.provider.pagers[listing.pager].first(listing)
    return told, least_of_listing(records, first.size or listing.page_size, walks)


def job_of(setup: Setup, name: str, after: str | None, requests: int, mean: Measured, seconds: float) -> Job:
    """*requests* one after another. *seconds*: of a request, while none was measured."""
    return Job(
        source=setup.name,
        resource=name,
        after=after,
        stages=((requests,),),
        workers=2 * setup.budget.in_flight,
        latency=seconds if mean.seconds is None else mean.seconds,
        page_bytes=0 if mean.wire_bytes is None else round(mean.wire_bytes),
        weight=setup.weights.get(name, 1.0),
    )
