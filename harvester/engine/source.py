"""A configured provider, ready to be harvested: what the engine needs of it, and nothing secret."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from harvester.contracts import Sink, Transport
from harvester.engine.balance import LEAST_PAGES
from harvester.engine.reconcile import Reconcile
from harvester.engine.shared_sets import SharedSets
from harvester.model import PageRequest, Resource, Walk
from harvester.provider import Provider
from harvester.store.manifest import Manifest
from harvester.store.splits import Splits
from harvester.wire.origin import Origin

Changes = Callable[[Sequence[Manifest], Sequence[Walk]], tuple[Walk, ...] | None]
"""From the finished runs of these settings, oldest first, and the full walks: the walks that bring what changed. None:
there is nothing to go on from."""


@dataclass(frozen=True, kw_only=True)
class Cutting:
    """How the walks of a resource are cut into parts, in full runs and in deltas. Pure; from the planner."""

    by_time: bool  # into windows of time; False: into ranges of keys
    last: Callable[[Walk], PageRequest] | None  # asks for the record that comes last; None: there is no way
    lanes: Callable[[float], int]  # from the pages that are still to come: how many walks are of use
    # Of the whole walk, by what the last run learned, for so many parts, with the end of the last (None: open).
    places: Callable[[Walk, Splits, int, str | None], tuple[str, ...]]
    # From the walk, the order value it has reached, its end (None: open), the share of the way at which to cut, and
    # what was learned. None: nowhere.
    place: Callable[[Walk, str, str | None, float, Splits | None], str | None]
    rows_left: Callable[[Walk, str, str | None, Splits], float]  # from walk, value, end and what was learned
    # From how many records there are, parts and now: asks how many are older than an instant, and says where to cut.
    # None: only by what was learned, and while a walk is under way.
    sound: Callable[[int, int, datetime], Generator[str, int | None, tuple[str, ...]]] | None = None
    least_pages: float = LEAST_PAGES  # of a part
    running: bool = True  # walks under way may be cut; False: only before they begin


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """How one resource is walked. The functions are pure and come from the planner."""

    resource: Resource
    # From the parent's values (None: it has no parent) and the instant the walks begin.
    walks: Callable[[Sequence[str] | None, datetime], tuple[Walk, ...]]
    close: Callable[[Walk, str | None, str | None], Walk | None]  # from a full walk, its anchor and its end
    count: Callable[[Walk], PageRequest] | None  # asks only how many there are; None: the provider cannot say
    fingerprint: str  # of everything that decides which records belong to the run
    implied: bool = False
    cuttings: Mapping[str, Cutting] = field(default_factory=dict)  # by walk; those that are not named stay whole
    doubts: Mapping[str, str] = field(default_factory=dict)  # by walk: why one that was not planned may miss something
    # For finished runs, oldest first, which of them *changes* needs.
    essential: Callable[[Sequence[Manifest]], Sequence[bool]] = lambda runs: [True] * len(runs)
    changes: Changes | None = None  # None: the resource is read whole each time
    reconcile: Reconcile | None = None  # None: its keys cannot be listed
    doubt: str = ""  # why a run that meets no failure may still miss something; "" when it may not
    gap: str = ""  # why its walks cannot reach everything, whatever is proved by them; "" when they can


@dataclass(frozen=True, kw_only=True)
class Source:
    """One provider with its origin and its way to the wire."""

    name: str
    provider: Provider
    origin: Origin
    connect: Callable[[Sink], Transport]  # a stack whose events go to the sink; governor and session are shared
    blueprints: tuple[Blueprint, ...]  # parents before the resources that need their values
    requests_at_risk: int  # pages that may have to be fetched again after a crash
    most_at_risk: int = 25  # the same as configured, whatever the shortest window of the quota
    workers: int = 4  # walks worked on at a time
    weights: Mapping[str, float] = field(default_factory=dict)  # of resources that share the quota; others have 1
    link_lifetime: float | None = None  # seconds for which a next link lives untouched; None: it does not die
    shared_sets: SharedSets = field(default_factory=SharedSets)  # of one harvest
    credentials: tuple[str, ...] = ()  # names of those that share its work; (): it has one only
    viewers: str = ""  # marks the set of them, without telling any; a set that has agreed need not be compared again
    party: str = ""  # of resources that are harvested by themselves, in their own time; "": all of the source together

    @property
    def note(self) -> str:
        """Names what is kept of a harvest under way; a dot is in no name of a source."""
        return f"{self.name}.{self.party}" if self.party else self.name
