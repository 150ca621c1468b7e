"""Provider: the declaration of one provider, complete in one file of ``providers/``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harvester.contracts import AuthScheme, Envelope, Judge, Metadata, Pager, SignalReader
from harvester.model import Budget, PageRequest, Resource, Walk


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


@dataclass(frozen=True, kw_only=True)
class Provider:
    """How one API dialect is asked, read, judged and limited.

    ``closing`` names the pager that reads what changed since an instant; None: the provider has no such
    question and full runs end without a closing delta. ``anchor`` asks for the instant before the first
    request when the provider's data, not its ``Date``, must tell it (IMS section 8); ``count`` asks only how
    many records there are, where the contract allows that.
    """

    name: str
    title: str  # for people: "Centris Data Distribution"
    base_url: str | None  # None: must be configured
    auth: AuthScheme
    resources: tuple[Resource, ...]
    pagers: Mapping[str, Pager]
    full: str  # default pager of full walks
    look_back: frozenset[str] = frozenset()  # pagers that go back in time from ``walk.until``
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
    counts_pages: bool = False  # the first page of a full walk tells the count, so that it need not be asked for
    headers: tuple[tuple[str, str], ...] = ()  # on every data request
    metadata: Metadata | None = None  # where it tells its data model; None: it does not
    open_resources: bool = False  # names outside *resources* may be configured (OData)
    describe: Callable[[str], Resource] = by_convention  # members of a resource outside *resources*
    options: frozenset[str] = field(default_factory=frozenset)  # source keys that only some providers take
    timeout: float = 60.0  # read timeout, seconds
    default_pause: float = 1.0  # seconds of silence after a refusal that names none; doubles up to a minute
    for_source: Callable[[SourceFacts], Provider] | None = None  # a declaration that depends on its source
