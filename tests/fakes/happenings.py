"""Events of an imagined run, each with the fields a test does not care about filled in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from harvester.events import (
    Committed,
    Counted,
    PageFetched,
    Requested,
    ResourceFinished,
    ResourceStarted,
    RunFinished,
    RunStarted,
    Waiting,
)

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
RUN = "20260301T120000Z"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def run_started(sources: tuple[str, ...] = ("ims",)) -> RunStarted:
    return RunStarted(at=START, sources=sources, out="out")


def run_finished(exit_status: int = 0, seconds: float = 60.0) -> RunFinished:
    return RunFinished(at=at(seconds), exit_status=exit_status, seconds=seconds)


def started(resource: str = "Property", source: str = "ims", *, records: int = 0, walks: int = 1) -> ResourceStarted:
    return ResourceStarted(
        at=START,
        source=source,
        resource=resource,
        run=RUN,
        mode="full",
        resumed=records > 0,
        records=records,
        walks=walks,
    )


def finished(
    resource: str = "Property", source: str = "ims", *, verdict: str = "complete", reason: str = "", records: int = 100
) -> ResourceFinished:
    return ResourceFinished(
        at=at(50),
        source=source,
        resource=resource,
        run=RUN,
        verdict=verdict,
        reason=reason,
        records=records,
        bytes=1000,
        requests=7,
        quarantined=2,
        seconds=50.0,
    )


def counted(expected: int, walk: str = "w00", resource: str = "Property", source: str = "ims") -> Counted:
    return Counted(at=START, source=source, resource=resource, walk=walk, expected=expected)


def page(records: int = 10, resource: str = "Property", source: str = "ims", seconds: float = 1.0) -> PageFetched:
    return PageFetched(
        at=at(seconds),
        source=source,
        resource=resource,
        walk="w00",
        records=records,
        duplicates=0,
        bytes=100,
        seconds=0.1,
    )


def committed(rows: int, resource: str = "Property", source: str = "ims") -> Committed:
    return Committed(at=at(2), source=source, resource=resource, walk="w00", number=1, rows=rows, bytes=10 * rows)


def requested(source: str = "ims", status: int = 200) -> Requested:
    return Requested(at=at(1), source=source, status=status)


def waiting(begin: float, seconds: float, source: str = "ims", reason: str = "429 Retry-After 41") -> Waiting:
    return Waiting(at=at(begin), source=source, seconds=seconds, until=at(begin + seconds), reason=reason)
