"""Provider: the declaration of one provider, complete in one file of ``providers/``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from harvester.contracts import AuthScheme, Envelope, Judge, Metadata, Pager, SetPager, SignalReader
from harvester.inquiry import Questions
from harvester.model import Budget, Notice, PageRequest, Relation, Resource, Walk

Guard = Callable[[bytes, Mapping[str, str], datetime], str | None]
"""From the body and headers (names in lower case) of a post, and the time (aware UTC): None when it is not from who it
says, else the id by which it is told when it comes again; "" when nothing vouches for one."""


def by_convention(name: str) -> Resource:
    """A resource that is known by name only, as the RESO dictionary names its members: ``Media`` has ``MediaKey``,
    and ``Property``, whose records are listings, has ``ListingKey``."""
    key = "ListingKey" if name == "Property" else f"{name}Key"
    return Resource(name=name, key=(key,), modified="ModificationTimestamp")


@dataclass(frozen=True, kw_only=True)
class SourceFacts:
    """What a declaration may depend on, of the source that uses it. Holds no secret."""

    api_version: str | None = None  # as configured; None: the provider's default
    secrets: frozenset[str] = frozenset()  # names of the configured secrets
    names: Mapping[str, str] | None = None  # readable ones, by the encoded ones they stand for; None: not wanted
    masked: str | None = None  # what becomes of masked values: ``null`` or ``stars``; None: the provider's default


@dataclass(frozen=True, kw_only=True)
class KeyListing:
    """How a provider lists the keys of a resource, for sweeps."""

    pager: str | None = None  # None: that of the full walk
    times: bool = True  # together with the modification time; False: the contract names the key alone
    whole: bool = False  # there is no narrower form than the records themselves
    select: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by resource, where not its identity members
    # By resource, those in which its records may be when it lists them no more; all of them have the same key.
    elsewhere: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How the full walks of a pager may be cut into parts that are read side by side."""

    by_time: bool  # into windows of the modification time; False: into ranges of the first identity member
    last: Callable[[Walk], PageRequest] | None = None  # asks for the record that comes last; None: there is no way
    at_once: bool = False  # only before they begin: a link goes on in the very walk that it was told for


SETS = "sets"
"""The name of the pager that reads sets; no walk of the configuration has it."""


@dataclass(frozen=True, kw_only=True)
class Repair:
    """One way to read records again that a sweep has shown to be missing."""

    fetcher: str  # its name; "": everything once more
    requests: int  # it takes about so many


@dataclass(frozen=True, kw_only=True)
class Push:
    """How a provider posts what has changed."""

    # Raises ProtocolError when the body holds no notices.
    read: Callable[[bytes], Sequence[Notice]]
    # From the secrets that are good now, and the header that holds a shared one; raises ConfigError for a bad one.
    guard: Callable[[Sequence[str], str], Guard]
    repeatable: float = 600.0  # seconds for which a signed post, kept by somebody, would be believed again


@dataclass(frozen=True, kw_only=True)
class Provider:
    """How one API dialect is asked, read, judged and limited.

    ``closing`` names the pager that reads what changed since an instant; None: the provider has no such
    question and full runs end without a closing delta. ``anchor`` asks for the instant before the first
    request when the provider's data, not its ``Date``, must tell it (IMS section 8); ``count`` asks only how
    many records there are, where the contract allows that; ``beyond`` asks for what lies behind so many records:
    no answer to it proves that there are no more. ``fetchers`` read records by their keys, the best way first.
    """

    name: str
    title: str  # for people: "Centris Data Distribution"
    base_url: str | None  # None: must be configured
    auth: AuthScheme
    resources: tuple[Resource, ...]
    pagers: Mapping[str, Pager]
    full: str  # default pager of full walks
    look_back: frozenset[str] = frozenset()  # pagers that go back in time from ``walk.until``
    look_back_changes: frozenset[str] = frozenset()  # resources of these of which a delta looks back to its watermark
    cuts: Mapping[str, Cut] = field(default_factory=dict)  # pagers whose walks may be cut into parts
    envelope: Envelope
    judge: Judge
    signals: SignalReader
    budget: Budget
    source: str  # where these rules come from
    closing: str | None = None
    overlap: float = 300.0  # seconds a delta starts before its watermark
    timestamps: str = "iso"  # how instants are written in filters: iso (with Z), zoneless, spaced
    anchor: Callable[[Walk], PageRequest] | None = None
    count: Callable[[Walk], PageRequest] | None = None
    beyond: Callable[[Walk, int], PageRequest] | None = None
    listing: KeyListing = KeyListing()
    fetchers: Mapping[str, Pager] = field(default_factory=dict)
    relations: Mapping[str, Relation] = field(default_factory=dict)  # by resource: whose sets its records are
    sets: SetPager | None = None  # reads the set of one record after another
    doubts: Mapping[str, str] = field(default_factory=dict)  # pagers that may lose rows without a sweep, and why
    doubt: Callable[[Walk], PageRequest] | None = None  # asks how many, only where a walk's end proves nothing
    counts_pages: bool = False  # the first page of a full walk tells the count, so that it need not be asked for
    questions: Questions | None = None  # what a probe may ask; None: nothing but a first page
    probed: bool = False  # no contract tells how it pages: a probe before the first run chooses the walk
    headers: tuple[tuple[str, str], ...] = ()  # on every data request
    metadata: Metadata | None = None  # where it tells its data model; None: it does not
    open_resources: bool = False  # names outside *resources* may be configured (OData)
    describe: Callable[[str], Resource] = by_convention  # members of a resource outside *resources*
    push: Push | None = None  # None: it posts nothing
    language: str = ""  # of values, where no other is asked for; "": nobody says
    shape: tuple[str, ...] = ()  # how records are changed before they are written; () for not at all
    options: frozenset[str] = field(default_factory=frozenset)  # source keys that only some providers take
    timeout: float = 60.0  # read timeout, seconds
    link_lifetime: float | None = None  # seconds for which a next link lives untouched; None: it does not die
    instead: Mapping[str, str] = field(default_factory=dict)  # by pager: the one that reads what offsets cannot
    default_pause: float = 1.0  # seconds of silence after a refusal that names none; doubles up to a minute
    for_source: Callable[[SourceFacts], Provider] | None = None  # a declaration that depends on its source

    def pager(self, name: str) -> Pager:
        """The pager that a walk names: of ``pagers``, one of ``fetchers``, or that of sets."""
        if name == SETS and self.sets is not None:
            return self.sets
        return self.fetchers[name] if name in self.fetchers else self.pagers[name]
