"""How current each resource is, folded from the events of a harvest that is repeated: for ``/health`` and people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec import Struct

from harvester.contracts import Clock
from harvester.events import (
    Event,
    PageFetched,
    Pushed,
    Requested,
    ResourceFinished,
    ResourceStarted,
    RoundFinished,
    RoundResult,
    RoundStarted,
    SourceFailed,
    Waiting,
    WindowUse,
)

INTERVALS = 3
"""How many intervals old the last success of a resource may be."""

COMPLETE = "complete"
FULL, SWEEP = "full", "sweep"  # modes of rounds that see all keys


class ResourceHealth(Struct, frozen=True, kw_only=True):
    """One resource. Times are aware UTC, durations seconds."""

    source: str
    resource: str
    current: bool  # its last success is not older than ``INTERVALS`` intervals
    mode: str  # of the last round: full | delta | sweep; "": none has ended
    verdict: str  # of the last round: complete | incomplete | failed | interrupted; "": none has ended
    reason: str  # "" when complete
    last_success: datetime | None  # None: there was none, in no earlier process either
    age: float | None  # since then
    watermark: str | None  # where the next delta starts, the provider's text; None: it has no such question, or none
    lag: float | None  # of the watermark behind now; None: it cannot be told
    under_way: str  # mode of the round that runs now; "": none does
    listed: datetime | None  # when a round that saw all keys ended: a sweep, or a first harvest; None: not known
    unswept: str  # why the last sweep is not complete, so that deletions may not be known; "": it is, or none was made
    taken: int  # records that the round which runs now has taken
    next_round: datetime | None  # None: one runs now, or there will be none
    failures: int  # rounds in a row that were not whole
    rounds: int  # that ended in this process
    requests: int  # of all its rounds in this process
    changes: int  # records and tombstones that were new in them
    changed: int  # rounds that brought any


class SourceHealth(Struct, frozen=True, kw_only=True):
    """One source and its resources."""

    source: str
    current: bool  # all of its resources are
    every: float  # interval of its rounds
    stopped: str  # why it is not asked any more; "" while it is
    paused_until: datetime | None  # nothing is sent before, because of its quota
    pause_reason: str
    window: str  # use of the tightest window, "12/20 in 60 s"; "": none is known
    requests: int  # put on the wire in this process, repeats and tokens included
    resources: tuple[ResourceHealth, ...]


class Health(Struct, frozen=True, kw_only=True):
    """All there is to tell at one moment."""

    status: str  # current | stale
    at: datetime
    started: datetime
    sources: tuple[SourceHealth, ...]
    push: tuple[Struct, ...] = ()  # how what is posted stands, by source; (): nobody listens

    @property
    def current(self) -> bool:
        return self.status == "current"


@dataclass(kw_only=True)
class _Resource:
    """What is remembered of one; instants on the monotonic clock."""

    mode: str = ""
    verdict: str = ""
    reason: str = ""
    success: tuple[datetime, float] | None = None  # wall and monotonic
    watermark: str | None = None
    listed: datetime | None = None
    unswept: str = ""
    under_way: str = ""
    next_at: float | None = None
    failures: int = 0
    rounds: int = 0
    requests: int = 0
    records: int = 0  # taken by the round that runs now
    changes: int = 0
    changed: int = 0


@dataclass(kw_only=True)
class _Source:
    every: float
    stopped: str = ""
    paused_until: float = 0.0
    pause_reason: str = ""
    window: str = ""
    requests: int = 0
    resources: dict[str, _Resource] = field(default_factory=dict)


class Pulse:
    """A Sink. What it remembers does not grow with the rounds."""

    def __init__(self, clock: Clock, instant: Callable[[str], datetime | None]) -> None:
        """*instant* reads a watermark; None: it cannot be read."""
        self._clock, self._instant = clock, instant
        self._started = clock.now()
        self._sources: dict[str, _Source] = {}
        self.pushes: Callable[[], Sequence[Struct]] = tuple  # how what is posted stands

    def expect(self, source: str, every: float, resources: Iterable[str] = ()) -> None:
        """*source* is to be kept current. Call it again when its resources are known."""
        known = self._sources.setdefault(source, _Source(every=every))
        for name in resources:
            known.resources.setdefault(name, _Resource())

    def recall(
        self, source: str, resource: str, *, success: datetime, watermark: str | None, listed: datetime | None
    ) -> None:
        """An earlier process left *resource* complete at *success*, and saw all its keys at *listed*."""
        found = self._sources[source].resources[resource]
        age = max(0.0, (self._clock.now() - success).total_seconds())
        found.success, found.watermark = (success, self._clock.monotonic() - age), watermark
        found.listed = listed

    def stop(self, source: str, reason: str) -> None:
        """*source* is not asked any more."""
        self._sources[source].stopped = reason

    def __call__(self, event: Event) -> None:
        match event:
            case Requested():
                if found := self._sources.get(event.source):
                    found.requests += 1
            case PageFetched():
                if resource := self._resource(event.source, event.resource):
                    resource.records += event.records
            case Waiting():
                if found := self._sources.get(event.source):
                    found.paused_until = self._clock.monotonic() + event.seconds
                    found.pause_reason = event.reason
            case WindowUse():
                if found := self._sources.get(event.source):
                    found.window = f"{event.used}/{event.limit} in {event.seconds:g} s"
            case RoundStarted():
                for name in event.resources:
                    if resource := self._resource(event.source, name):
                        resource.under_way, resource.next_at, resource.records = event.mode, None, 0
            case ResourceStarted():
                if resource := self._resource(event.source, event.resource):
                    resource.under_way = event.mode
            case ResourceFinished():
                if resource := self._resource(event.source, event.resource):
                    resource.requests += event.requests
            case Pushed():
                if resource := self._resource(event.source, event.resource):
                    resource.changes += event.records + event.gone
            case RoundFinished():
                for result in event.results:
                    if resource := self._resource(event.source, result.resource):
                        self._end(resource, event, result)
            case SourceFailed():
                if found := self._sources.get(event.source):
                    found.pause_reason = event.reason

    def _resource(self, source: str, name: str) -> _Resource | None:
        found = self._sources.get(source)
        return None if found is None else found.resources.get(name)

    def _end(self, resource: _Resource, event: RoundFinished, result: RoundResult) -> None:
        now = self._clock.monotonic()
        resource.under_way = ""
        resource.next_at = None if event.next_in is None else now + event.next_in
        resource.failures = event.failures
        resource.rounds += 1
        resource.changes += result.changes
        resource.changed += result.changes > 0
        resource.mode = result.mode or resource.mode
        resource.verdict, resource.reason = result.verdict, result.reason
        if result.mode == SWEEP and result.verdict not in {COMPLETE, "interrupted"}:
            resource.unswept = result.reason
        if result.verdict == COMPLETE and result.mode in {FULL, SWEEP}:
            resource.listed, resource.unswept = event.at, ""
        if result.verdict == COMPLETE:
            resource.success = event.at, now
            resource.watermark = result.watermark or resource.watermark

    # -------------------------------------------------------------- telling

    def health(self) -> Health:
        """What is known now."""
        sources = tuple(self._source_health(name, source) for name, source in tuple(self._sources.items()))
        current = bool(sources) and all(source.current for source in sources)
        return Health(
            status="current" if current else "stale",
            at=self._clock.now(),
            started=self._started,
            sources=sources,
            push=tuple(self.pushes()),
        )

    def _source_health(self, name: str, source: _Source) -> SourceHealth:
        now = self._clock.monotonic()
        paused = source.paused_until > now
        resources = tuple(
            self._resource_health(name, each, resource, source) for each, resource in tuple(source.resources.items())
        )
        return SourceHealth(
            source=name,
            current=not source.stopped and bool(resources) and all(each.current for each in resources),
            every=source.every,
            stopped=source.stopped,
            paused_until=self._wall(source.paused_until) if paused else None,
            pause_reason=source.pause_reason if paused or not resources else "",
            window=source.window,
            requests=source.requests,
            resources=resources,
        )

    def _resource_health(self, source: str, name: str, found: _Resource, owner: _Source) -> ResourceHealth:
        age = None if found.success is None else self._clock.monotonic() - found.success[1]
        instant = None if found.watermark is None else self._instant(found.watermark)
        return ResourceHealth(
            source=source,
            resource=name,
            current=age is not None and age <= INTERVALS * owner.every,
            mode=found.mode,
            verdict=found.verdict,
            reason=found.reason,
            last_success=None if found.success is None else found.success[0],
            age=age,
            watermark=found.watermark,
            lag=None if instant is None else (self._clock.now() - instant).total_seconds(),
            under_way=found.under_way,
            listed=found.listed,
            unswept=found.unswept,
            next_round=None if found.next_at is None else self._wall(found.next_at),
            failures=found.failures,
            rounds=found.rounds,
            requests=found.requests,
            taken=found.records if found.under_way else 0,
            changes=found.changes,
            changed=found.changed,
        )

    def _wall(self, moment: float) -> datetime:
        return self._clock.now() + timedelta(seconds=moment - self._clock.monotonic())
