"""What was promised when a run began, and what came of it: one row a source that had a promise and kept to the plan."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from harvester.events import Event, Promised, ResourceFinished, ResourceStarted
from harvester.report import units


class PromiseRow(Struct, frozen=True, kw_only=True):
    """One source. Seconds count from the beginning of the run to the end of its last resource."""

    source: str
    requests_promised: int
    requests: int
    seconds_promised: float
    seconds: float


class Promises:
    """Folds events. A run that goes on with an earlier one does less than a whole harvest: it is not compared."""

    def __init__(self) -> None:
        self._promised: dict[str, Promised] = {}
        self._begun: set[tuple[str, str]] = set()
        self._requests: dict[str, int] = {}
        self._ended: dict[str, datetime] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case Promised():
                self._promised[event.source] = event
            case ResourceStarted() if event.resumed:
                self._promised.pop(event.source, None)
            case ResourceStarted():
                self._begun.add((event.source, event.resource))
            case ResourceFinished() if event.verdict not in {"complete", "incomplete"}:
                self._promised.pop(event.source, None)
            case ResourceFinished() if (event.source, event.resource) not in self._begun:
                self._promised.pop(event.source, None)  # an earlier attempt has done it
            case ResourceFinished():
                self._requests[event.source] = self._requests.get(event.source, 0) + event.requests
                self._ended[event.source] = event.at

    def rows(self) -> tuple[PromiseRow, ...]:
        """Of the sources that have ended something so far."""
        return tuple(
            PromiseRow(
                source=source,
                requests_promised=promised.requests,
                requests=self._requests[source],
                seconds_promised=promised.seconds,
                seconds=max(0.0, (self._ended[source] - promised.at).total_seconds()),
            )
            for source, promised in self._promised.items()
            if source in self._ended
        )


def promise_line(row: PromiseRow) -> str:
    """``centris: planned 15 requests in 57 s, took 16 in 58 s``."""
    return (
        f"{row.source}: planned {units.count(row.requests_promised)} requests in "
        f"{units.duration(row.seconds_promised)}, took {units.count(row.requests)} in {units.duration(row.seconds)}"
    )
