"""The vocabulary: values that travel between the rooms. Frozen, without behaviour beyond small derivations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Raw, Struct

# ------------------------------------------------------------------ what is replicated


class PerValue(Struct, frozen=True, kw_only=True):
    """A resource that must be walked once for each value of a member of another resource's records.

    IMS walks ``Property`` once per ``Database.OriginatingSystemName``; IDX Broker asks ``mls/cities/<idxID>``
    once per ``mls/approvedmls.id``.
    """

    resource: str  # the parent, harvested first
    member: str  # the member of its records that holds the value (string or integer)
    stamp: str  # member spliced into every record of this walk, holding the value


class Relation(Struct, frozen=True, kw_only=True):
    """Records that belong to those of another resource, and are replaced as a set: the photos of a listing.

    A set is read from its own path, or inside the parent's record where *expand* names it there.
    """

    parent: str  # the resource whose records they belong to, harvested first
    parent_key: tuple[str, ...]  # its identity members
    member: str  # of a related record: holds the parent's key
    stamped: bool = False  # they do not tell their parent: *member* is spliced into each of them
    of: str | None = None  # member that names the resource they belong to, where it may be another one
    path: str | None = None  # of one set, behind the parent's record: ``Media``; None: it has none
    expand: str | None = None  # name by which the parent's record brings the set; None: it does not
    inside: str = ""  # where the set is in that record; a dot descends
    most: int | None = None  # a set inside a record that has as many members may have been cut; None: none is
    changes: tuple[str, ...] = ()  # the parent's members that move with the set; (): those of *modified*
    modified: str | None = None  # the parent's modification time member
    collection: bool = True  # all sets can be read together, as a resource

    @property
    def telling(self) -> tuple[str, ...]:
        """The parent's members by which it is seen that a set has changed."""
        return self.changes or ((self.modified,) if self.modified else ())


class Resource(Struct, frozen=True, kw_only=True):
    """A collection of a provider.

    Member names are as in the record; a dot descends (``StandardFields.ModificationTimestamp``).
    """

    name: str  # ``Property``, ``clients/featured``
    path: str | None = None  # below the base URL when it differs from the name; ``{value}`` is the PerValue value
    key: tuple[str, ...] = ()  # identity members, in order; (): no identity of its own, the record's bytes decide
    modified: str | None = None  # modification time member; None: the provider has none
    per_value: PerValue | None = None
    page_size: int | None = None  # largest page the provider allows here; None: the pager's own
    walk: str | None = None  # name of the pager for full walks; None: the provider's default
    default: bool = True  # harvested when the configuration names no resources
    private: bool = False  # holds credentials or personal data: masked or only on request
    relation: Relation | None = None  # its records are sets of another resource's; None: they stand for themselves
    languages: tuple[str, ...] = ()  # of its values; (): nobody says
    by_language: bool = False  # it is walked once for each of *languages*, and a key is one record in each
    translated: bool = False  # its records hold their texts in other languages, too

    @property
    def needs(self) -> str | None:
        """The resource of the same source whose run must have ended before one of this begins; None: it needs none."""
        if self.per_value is not None:
            return self.per_value.resource
        return self.relation.parent if self.relation is not None else None

    @property
    def dirname(self) -> str:
        """The name in paths on disk: a slash becomes a dot."""
        return self.name.replace("/", ".")


class Window(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A hard limit: at most *requests* (or *bytes*) in any *seconds*."""

    seconds: Annotated[float, Meta(gt=0)]
    requests: Annotated[int, Meta(ge=1)] | None = None
    bytes: Annotated[int, Meta(ge=1)] | None = None


class Budget(Struct, frozen=True, kw_only=True):
    """How fast one credential may ask, as the provider's terms (or the user) state it."""

    windows: tuple[Window, ...] = ()
    in_flight: Annotated[int, Meta(ge=1, le=256)] = 4  # open requests, not connections
    margin: Annotated[float, Meta(ge=0, lt=1)] = 0.0  # share of every window never used, against miscounts
    reserve: Annotated[float, Meta(ge=0, lt=1)] = 0.0  # share left to other programs on the credential


# ------------------------------------------------------------------ walks and pages


class Phase(StrEnum):
    """Why a walk is made; providers allow other parameters in each (Spark RESO section 3)."""

    FULL = "full"
    CLOSING = "closing"  # the delta that ends a full run, from the instant before its first request
    DELTA = "delta"
    SWEEP = "sweep"
    REPAIR = "repair"  # records that a sweep showed to be missing or different, fetched again
    PUSH = "push"  # records that the provider said had changed, fetched one by one
    SETS = "sets"  # the related records of one parent after another


class Ending(StrEnum):
    """What a page that names no next one shows of the end of its walk (FAULTS P06)."""

    OPEN = "open"  # nothing: the link may be missing
    LIKELY = "likely"  # by its form it is the last one: shorter than all before it
    SHOWN = "shown"  # nothing can be behind it


class Walk(Struct, frozen=True, kw_only=True):
    """One ordered way through (a part of) a resource; the unit of work and of resume. Holds no secret."""

    id: str  # ``w00``; names the log directory and the shards
    resource: Resource
    pager: str  # name of the strategy in ``Provider.pagers``
    phase: Phase = Phase.FULL
    value: str | None = None  # the PerValue value this walk is for (IMS database, idxID)
    since: str | None = None  # lower bound on the modification time, text as the provider writes it
    known: str | None = None  # a modification time that was met before and is not below *since*, text; None: none
    until: str | None = None  # upper bound, text
    above: str | None = None  # lower bound on the first identity member, inclusive, text; None: none
    below: str | None = None  # upper bound on it, exclusive
    undated: bool = False  # only the rows without a modification time, which no window holds
    part_of: str = ""  # id of the walk that this one was cut from; "": of none
    enough: str | None = None  # instant that a walk in the order of time need not go beyond; no bound, text
    horizon: float | None = None  # seconds to look back where a provider has no "everything" (lead windows)
    page_size: int | None = None  # as configured or learned; None: the pager's default
    select: tuple[str, ...] = ()
    filter: str | None = None  # the user's own filter, in the provider's language
    expand: str | None = None
    headers: tuple[tuple[str, str], ...] = ()  # e.g. Accept-Language
    whole: bool = False  # a listing of whole records, which are compared by what they say
    keys: tuple[tuple[str, ...], ...] = ()  # only these records, or sets of these parents, by identity; (): all
    as_new_as: str = ""  # of sets: the newest run of the parent resource that was known when they were asked for
    counted: bool = True  # the server is known or believed to count; False: it does not, or it counts wrongly
    reason: str = ""  # one sentence for ``plan``: why this strategy


class PageRequest(Struct, frozen=True, kw_only=True):
    """One page to ask for; also the cursor: a committed walk resumes by sending its next PageRequest again."""

    url: str  # relative to the source's base URL, or absolute and byte for byte as the provider linked it
    state: str = ""  # the pager's own JSON, opaque to everyone else
    size: int | None = None  # records asked for; None: the server decides
    headers: tuple[tuple[str, str], ...] = ()
    one: bool = False  # the answer is a record, not a collection; that there is none is an answer, too
    # The credential that was told this link or token, and alone may go on with it; "": the only one there was. None:
    # the position is a value, which any credential may ask for.
    via: str | None = None


class Head(Struct, frozen=True):
    """What the engine knows of a record without building it."""

    key: tuple[str, ...] | None  # identity values as text; None: absent, null or empty (FAULTS P14)
    modified: str | None  # as the provider wrote it; None: absent or null
    problem: str = ""  # why *key* is None


class Rejected(Struct, frozen=True):
    """A record that cannot be taken; it goes to quarantine with its reason."""

    record: bytes
    reason: str


class Page(Struct, frozen=True, kw_only=True):
    """One decoded response."""

    request: PageRequest
    url: str  # as sent
    records: Sequence[Raw]  # one JSON object each, the provider's bytes
    next_link: str | None = None  # as the provider wrote it, unresolved
    count: int | None = None  # total the provider claims; a hint, never a proof (FAULTS P13)
    rejected: tuple[Rejected, ...] = ()
    served_at: datetime | None = None  # the response's ``Date``, aware UTC
    size: int = 0  # bytes of the decoded body


# ------------------------------------------------------------------ requests and answers


class Headers(Mapping[str, str]):
    """Response headers: names in lower case; repeated fields joined with ``, `` (RFC 9110, 5.3)."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        grouped: dict[str, list[str]] = {}
        for name, value in fields:
            grouped.setdefault(name.lower(), []).append(value)
        self._fields = grouped

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._fields[name.lower()])

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def all(self, name: str) -> Sequence[str]:
        """Every field line of *name*, in order; empty when absent."""
        return tuple(self._fields.get(name.lower(), ()))


class Request(Struct, frozen=True, kw_only=True):
    """One request to put on the wire. *url* is absolute and sent byte for byte."""

    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    def __repr__(self) -> str:
        """Without header values, query and body: they may hold credentials (FAULTS E04)."""
        names = ", ".join(name for name, _ in self.headers)
        return f"Request({self.method} {self.url.partition('?')[0]}, headers: {names or 'none'})"


class Action(StrEnum):
    """What an answer asks of the client; the provider's contract decides (``Judge``)."""

    USE = "use"  # decode it
    EMPTY = "empty"  # a legitimate answer without records (204)
    THROTTLED = "throttled"  # pause the credential, then the same request again
    RENEW = "renew"  # the token is refused: renew once, repeat once
    REFUSED = "refused"  # the credential is refused: stop the source
    SKIP = "skip"  # this resource cannot be had: fail it, the others go on
    FAULT = "fault"  # the server failed: repeat with back-off
    OUTAGE = "outage"  # maintenance: repeat with long back-off
    SHRINK = "shrink"  # the page is too large: ask for fewer records
    EXPIRED = "expired"  # the cursor is no longer known
    GONE = "gone"  # the one record asked for does not exist
    BROKEN = "broken"  # not an answer of this provider: protocol error


class Verdict(Struct, frozen=True, kw_only=True):
    """A judged answer. *reason* is for people and holds no secret."""

    action: Action
    reason: str = ""
    wait: float | None = None  # seconds the answer asks to wait; None: it names none
    page_size: int | None = None  # with SHRINK: the size the server allows; None: halve


class Response(Struct, frozen=True, kw_only=True):
    """A whole answer: status, headers and the decoded body. *verdict* is filled in by ``wire.judged``."""

    status: int
    headers: Headers
    body: bytes
    url: str  # as sent
    wire_bytes: int = 0  # body bytes before decompression
    elapsed: float = 0.0  # seconds from send to the last byte
    framed: bool = True  # a length or chunks told the end of the body; False: only the connection's end did
    via: str = ""  # name of the credential that got it; "": the source has one only
    verdict: Verdict = Verdict(action=Action.USE)


# ------------------------------------------------------------------ quota


class WindowSignal(Struct, frozen=True, kw_only=True):
    """What one answer says about one window. Absent fields are None and say nothing about the limit."""

    name: str = ""  # policy name, "" when the dialect has none
    seconds: float | None = None  # length of the window
    limit: int | None = None  # requests (or bytes) it allows
    used: int | None = None
    remaining: int | None = None
    resets_in: float | None = None  # seconds from the answer, already corrected by its own Date
    resets_at: float | None = None  # the same instant on the server's own clock, in seconds: tells its windows apart
    unit: str = "requests"  # or "bytes"


class RateSignal(Struct, frozen=True, kw_only=True):
    """What one answer says about the caller's allowance."""

    refused: bool = False  # the request was turned away for quota reasons
    retry_after: float | None = None  # seconds; nothing may be sent before
    windows: tuple[WindowSignal, ...] = ()
    open_at_most: int | None = None  # requests that may be under way at once; None: it does not say
    evidence: str = ""  # the header or text it was read from, for ``quota`` and the logs; no secret


# ------------------------------------------------------------------ push


class Notice(Struct, frozen=True, kw_only=True):
    """What a provider pushed: a record may have changed. A hint, never data (Centris contract, section 9)."""

    resource: str  # as the provider names it
    key: str  # of the record, as text
    url: str | None = None  # where the record is said to be; not trusted, its origin is checked before it is asked
    event: str = ""  # number or name of the event, for people; "" when it has none
    at: datetime | None = None  # when it was received, aware UTC
