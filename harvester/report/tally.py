"""Folds events into a Report: one row a resource, totals, and the exit status they amount to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from msgspec import Struct

from harvester.events import (
    Committed,
    CredentialLost,
    Event,
    Quarantined,
    Requested,
    ResourceFinished,
    ResourceStarted,
    RunFinished,
    RunStarted,
    SourceFailed,
    Waiting,
    Warned,
)
from harvester.report.promises import PromiseRow, Promises

COMPLETE = "complete"


class ResourceRow(Struct, frozen=True, kw_only=True):
    """What became of one resource. Sizes are bytes on disk, times seconds."""

    source: str
    resource: str
    run: str  # e.g. 20260301T120000Z
    mode: str
    verdict: str  # complete | incomplete | failed | interrupted
    reason: str  # "" when complete
    records: int  # held by the run, earlier attempts included
    bytes: int
    requests: int
    waits: float  # what its credential has waited while it was being walked; siblings wait together
    quarantined: int
    seconds: float


class SourceFailure(Struct, frozen=True, kw_only=True):
    """A source that could not be harvested at all."""

    source: str
    reason: str


class CredentialRow(Struct, frozen=True, kw_only=True):
    """One of several credentials of a source."""

    source: str
    credential: str
    requests: int
    waits: float  # seconds in which nothing was sent by it
    refused: str  # why it was not used to the end; "" when it was


class Totals(Struct, frozen=True, kw_only=True):
    """Sums over the run; ``requests`` counts what went on the wire, tokens and repeats included."""

    records: int = 0
    bytes: int = 0
    requests: int = 0
    waits: float = 0.0  # per source, overlapping waits counted once
    quarantined: int = 0


class Report(Struct, frozen=True, kw_only=True):
    """What a run did. ``exit_status`` is 0 only when there is something and all of it is complete."""

    out: str
    started: datetime | None  # aware UTC; None: the run never began
    seconds: float
    resources: tuple[ResourceRow, ...]
    failures: tuple[SourceFailure, ...]
    warnings: tuple[str, ...]  # each once, in the order they came
    totals: Totals
    exit_status: int
    credentials: tuple[CredentialRow, ...] = ()  # of sources that have several
    promises: tuple[PromiseRow, ...] = ()  # of sources that had one and ran from beginning to end

    @property
    def complete(self) -> bool:
        """Whether every resource is complete and no source failed."""
        return _all_complete(self.resources, self.failures)


@dataclass(kw_only=True)
class _Open:
    """A resource while it is being walked."""

    started: ResourceStarted
    rows: int = 0
    bytes: int = 0
    quarantined: int = 0
    waited_before: float  # by its credential, since the beginning of the run
    waits: float = 0.0  # while it was walked; counts once it has finished
    finished: ResourceFinished | None = None


class Tally:
    """A Sink that remembers. Give it every event of one run; ask ``report()`` at any time."""

    def __init__(self) -> None:
        self._out = ""
        self._started: datetime | None = None
        self._last: datetime | None = None
        self._open: dict[tuple[str, str], _Open] = {}
        self._failures: dict[str, str] = {}
        self._warnings: dict[str, None] = {}
        self._requests: dict[str, int] = {}
        self._waited_until: dict[tuple[str, str], datetime] = {}  # by source and credential
        self._waits: dict[tuple[str, str], float] = {}
        self._shares: dict[tuple[str, str], int] = {}  # requests by each of several credentials
        self._lost: dict[tuple[str, str], str] = {}
        self._end: RunFinished | None = None
        self._promises = Promises()

    def __call__(self, event: Event) -> None:
        self._promises(event)
        self._last = event.at if self._last is None else max(event.at, self._last)
        match event:
            case Requested():
                self._requests[event.source] = self._requests.get(event.source, 0) + 1
                if event.credential:
                    owner = event.source, event.credential
                    self._shares[owner] = self._shares.get(owner, 0) + 1
            case CredentialLost():
                self._lost[event.source, event.credential] = event.reason
                rest = ", ".join(event.left) or "nobody"
                message = f"the credential {event.credential} is refused, {rest} took over its work"
                self._warnings[f"{event.source}: {message}: {event.reason}"] = None
            case Committed():
                if row := self._open.get((event.source, event.resource)):
                    row.rows += event.rows
                    row.bytes += event.bytes
            case Waiting():
                self._wait(event)
            case Quarantined():
                if row := self._open.get((event.source, event.resource)):
                    row.quarantined += 1
            case ResourceStarted():
                self._open[event.source, event.resource] = self._begun(event)
            case ResourceFinished():
                self._finish(event)
            case SourceFailed():
                self._failures[event.source] = event.reason
            case Warned():
                self._warnings[f"{event.source}: {event.message}"] = None
            case RunStarted():
                self._out, self._started = event.out, event.at
            case RunFinished():
                self._end = event

    def report(self) -> Report:
        """What is known so far. A resource without an end counts as interrupted."""
        rows = tuple(_row(key, row, self._waits_of(key[0], row)) for key, row in self._open.items())
        failures = tuple(SourceFailure(source=source, reason=reason) for source, reason in self._failures.items())
        return Report(
            out=self._out,
            started=self._started,
            seconds=self._seconds(),
            resources=rows,
            failures=failures,
            warnings=tuple(self._warnings),
            totals=Totals(
                records=sum(row.records for row in rows),
                bytes=sum(row.bytes for row in rows),
                requests=sum(self._requests.values()),
                waits=sum(self._waited(source) for source in dict.fromkeys(source for source, _ in self._waits)),
                quarantined=sum(row.quarantined for row in rows),
            ),
            exit_status=self._exit_status(rows, failures),
            credentials=tuple(
                CredentialRow(
                    source=source,
                    credential=name,
                    requests=self._shares.get((source, name), 0),
                    waits=self._waited_by(source, name),
                    refused=self._lost.get((source, name), ""),
                )
                for source, name in sorted({*self._shares, *self._lost})
            ),
            promises=self._promises.rows(),
        )

    def _exit_status(self, rows: tuple[ResourceRow, ...], failures: tuple[SourceFailure, ...]) -> int:
        """What the run said, but never 0 over a gap: the rows are the evidence."""
        if self._end is not None and self._end.exit_status:
            return self._end.exit_status
        return 0 if self._end is not None and _all_complete(rows, failures) else 1

    def _seconds(self) -> float:
        if self._end is not None:
            return self._end.seconds
        if self._started is None or self._last is None:
            return 0.0
        return max(0.0, (self._last - self._started).total_seconds())

    def _finish(self, event: ResourceFinished) -> None:
        key = event.source, event.resource
        if key not in self._open:
            # Failed before its start was announced, for example refused while it was being planned.
            started = ResourceStarted(
                at=event.at, source=key[0], resource=key[1], run=event.run, mode="", resumed=False
            )
            self._open[key] = self._begun(started)
        row = self._open[key]
        row.finished, row.waits = event, self._waits_of(event.source, row)

    def _begun(self, started: ResourceStarted) -> _Open:
        return _Open(started=started, waited_before=self._waited(started.source))

    def _wait(self, event: Waiting) -> None:
        # Several workers report the same pause: only what reaches beyond the last one is new.
        owner = event.source, event.credential
        begin = max(event.at, self._waited_until.get(owner, event.at))
        if event.until <= begin:
            return
        self._waited_until[owner] = event.until
        self._waits[owner] = self._waits.get(owner, 0.0) + (event.until - begin).total_seconds()

    def _waits_of(self, source: str, row: _Open) -> float:
        # A credential that begins to work while others wait makes it less.
        return max(0.0, self._waited(source) - row.waited_before)

    def _waited(self, source: str) -> float:
        """Seconds a source has waited until now. Of several credentials, the one that waited least was at work."""
        names = {name for owner, name in {*self._shares, *self._waits} if owner == source}
        return min((self._waited_by(source, name) for name in names), default=0.0)

    def _waited_by(self, source: str, name: str) -> float:
        """The same of one credential: what is announced beyond the last event is still to come."""
        owner = source, name
        if owner not in self._waits or self._last is None:
            return 0.0
        still = (self._waited_until[owner] - self._last).total_seconds()
        return self._waits[owner] - max(0.0, still)


def _row(key: tuple[str, str], row: _Open, waits_so_far: float) -> ResourceRow:
    source, resource = key
    end = row.finished
    if end is None:
        return ResourceRow(
            source=source,
            resource=resource,
            run=row.started.run,
            mode=row.started.mode,
            verdict="interrupted",
            reason="the run ended before this resource did; run the same command again to go on",
            records=row.started.records + row.rows,
            bytes=row.bytes,
            requests=0,
            waits=waits_so_far,
            quarantined=row.quarantined,
            seconds=0.0,
        )
    return ResourceRow(
        source=source,
        resource=resource,
        run=end.run,
        mode=row.started.mode,
        verdict=end.verdict,
        reason=end.reason,
        records=end.records,
        bytes=end.bytes,
        requests=end.requests,
        waits=row.waits,
        quarantined=end.quarantined,
        seconds=end.seconds,
    )


def _all_complete(rows: tuple[ResourceRow, ...], failures: tuple[SourceFailure, ...]) -> bool:
    # A run that held nothing has proven nothing.
    return bool(rows) and not failures and all(row.verdict == COMPLETE for row in rows)
