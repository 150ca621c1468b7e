"""What happened, as frozen Structs. The engine emits them, ``report`` folds them, the CLI prints them.

Tagged with ``event`` when written as JSON. Times are aware UTC, durations seconds, sizes bytes.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Event(Struct, frozen=True, kw_only=True, tag_field="event"):
    """Root of all events."""

    at: datetime


class SourceEvent(Event, frozen=True, kw_only=True):
    source: str


class ResourceEvent(SourceEvent, frozen=True, kw_only=True):
    resource: str


class RunStarted(Event, frozen=True, kw_only=True, tag="run_started"):
    sources: tuple[str, ...]
    out: str


class ResourceStarted(ResourceEvent, frozen=True, kw_only=True, tag="resource_started"):
    run: str  # e.g. 20260301T120000Z
    mode: str
    resumed: bool  # an unfinished run is continued
    records: int = 0  # already committed by the earlier attempt
    walks: int = 1  # that read the resource as a whole, each of them counted for itself


class Counted(ResourceEvent, frozen=True, kw_only=True, tag="counted"):
    """The provider has said how many records a walk will bring; told once for each walk that it counts."""

    walk: str
    expected: int


class PageFetched(ResourceEvent, frozen=True, kw_only=True, tag="page_fetched"):
    walk: str
    records: int  # new ones, after duplicates and quarantine
    duplicates: int
    bytes: int  # decoded body
    seconds: float  # from admission to the last byte


class Requested(SourceEvent, frozen=True, kw_only=True, tag="requested"):
    """One request went on the wire, whatever became of it (tokens and repeats included)."""

    status: int  # 0: no answer
    credential: str = ""  # by which it went; "": the source has one only


class Waiting(SourceEvent, frozen=True, kw_only=True, tag="waiting"):
    """Nothing is sent for this credential until *until*."""

    credential: str = ""  # "": the source has one only
    seconds: float
    until: datetime
    reason: str  # e.g. "window 20 per 60 s is full", "429 Retry-After 41"


class Repeated(SourceEvent, frozen=True, kw_only=True, tag="repeated"):
    """A request failed and will be sent again after *seconds*."""

    reason: str
    attempt: int
    seconds: float


class Quarantined(ResourceEvent, frozen=True, kw_only=True, tag="quarantined"):
    walk: str
    reason: str


class ListingBegun(ResourceEvent, frozen=True, kw_only=True, tag="listing_begun"):
    """All keys of the resource are listed now, as often as it has been done in this attempt."""

    round: int  # from 1; 0: once more, to confirm what has gone


class Compared(ResourceEvent, frozen=True, kw_only=True, tag="compared"):
    """A listing of the provider's keys has been held against the keys that are held."""

    round: int  # from 1
    listed: int
    missing: int  # listed and not held; they are fetched now
    differing: int  # held in another version
    gone: int  # held and not listed


class Committed(ResourceEvent, frozen=True, kw_only=True, tag="committed"):
    walk: str
    number: int
    rows: int
    bytes: int  # on disk


class WindowUse(Event, frozen=True, kw_only=True, tag="window_use"):
    """How much of a credential's tightest window is used."""

    source: str
    used: int
    limit: int
    seconds: float
    credential: str = ""  # "": the source has one only


class ResourceFinished(ResourceEvent, frozen=True, kw_only=True, tag="resource_finished"):
    run: str
    verdict: str  # complete | incomplete | failed | interrupted
    reason: str  # "" when complete
    records: int
    bytes: int
    requests: int
    quarantined: int
    seconds: float


class Promised(SourceEvent, frozen=True, kw_only=True, tag="promised"):
    """What the run of a source will need, by rehearsal, as earlier runs and the quota ledger tell."""

    requests: int
    bytes: int | None  # on the wire; None: not known
    seconds: float  # from now until its last resource has ended
    binding: str  # what will be waited for longest; "" when nothing


class SourceFailed(SourceEvent, frozen=True, kw_only=True, tag="source_failed"):
    reason: str


class CredentialLost(SourceEvent, frozen=True, kw_only=True, tag="credential_lost"):
    """The provider refuses one of several credentials; the others go on with its work."""

    credential: str
    reason: str
    left: tuple[str, ...]  # the names of those that are not refused


class Probed(ResourceEvent, frozen=True, kw_only=True, tag="probed"):
    """How a resource will be read, as a probe of its server decides."""

    walk: str
    reason: str
    doubt: str  # why the run may miss something though it meets no failure; "" when it may not
    requests: int  # that it cost; 0: the server was probed before


class Listening(Event, frozen=True, kw_only=True, tag="listening"):
    """This process can be asked over HTTP."""

    purpose: str  # health
    url: str


class Pushed(ResourceEvent, frozen=True, kw_only=True, tag="pushed"):
    """Records that the provider said had changed were asked for and are in a run."""

    run: str
    records: int
    gone: int  # of those that were said to have changed there are no more
    requests: int
    waiting: int  # records of the source that were announced and are in no run yet


class RoundStarted(SourceEvent, frozen=True, kw_only=True, tag="round_started"):
    """``sync`` asks a part of a source once more."""

    resources: tuple[str, ...]
    mode: str  # auto | sweep; what was begun before is finished as it was begun


class RoundResult(Struct, frozen=True, kw_only=True):
    """What a round did to one resource."""

    resource: str
    mode: str  # full | delta | sweep; "": it was not begun
    verdict: str  # complete | incomplete | failed | interrupted
    reason: str  # "" when complete
    changes: int  # records and tombstones that were not held before
    watermark: str | None  # where the next delta starts, the provider's text; None: not moved


class RoundFinished(SourceEvent, frozen=True, kw_only=True, tag="round_finished"):
    results: tuple[RoundResult, ...]
    seconds: float
    failures: int  # rounds in a row that were not whole; 0: this one was
    next_in: float | None  # seconds until the next one; None: there will be none


class Warned(SourceEvent, frozen=True, kw_only=True, tag="warned"):
    message: str


class RunFinished(Event, frozen=True, kw_only=True, tag="run_finished"):
    exit_status: int
    seconds: float
