"""Config and its sections: what a person may say, and the defaults when nothing is said.

Every field is optional unless a comment says otherwise. Durations are seconds and may be written as text
(``"2h"``, ``"1h30m"``); sizes are bytes and may be written as text (``"128MiB"``). ``load`` turns both into numbers.
A program that embeds harvester may build these Structs itself; the API runs ``check.check_config`` on whatever it gets.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Literal

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from harvester.config.secrets import SECRET_KEYS, Secret
from harvester.model import Budget, Window

MIB = 1024 * 1024

Seconds = Annotated[float, Meta(gt=0, extra={"unit": "seconds"})]
Bytes = Annotated[int, Meta(ge=1, extra={"unit": "bytes"})]
Share = Annotated[float, Meta(ge=0, lt=1)]
PageSize = Annotated[int, Meta(ge=1)]
ALL = "all"  # in the place of a list of resources: every one there is
LANGUAGES = ("en", "fr")  # of Centris (contract, section 8)
Requests = Annotated[int, Meta(ge=1)]


class BudgetConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast a credential may ask, where the user knows better than the provider's declaration.

    ``per_…`` replaces the declared window of that length and leaves the other ones, so that naming one limit never
    lifts another. ``windows`` is the whole list: it takes the place of every declared window. A ``per_…`` beside it
    replaces the window of its length in that list.
    """

    per_second: Annotated[float, Meta(gt=0)] | None = None  # 0.5: one request in two seconds
    per_minute: Requests | None = None
    per_hour: Requests | None = None
    per_day: Requests | None = None
    bytes_per_hour: Bytes | None = None
    windows: tuple[Window, ...] = ()  # every limit there is, over any periods; (): as declared
    in_flight: Annotated[int, Meta(ge=1, le=256)] | None = None  # open requests; None: as declared
    margin: Share | None = None  # share of every window never used; None: as declared
    reserve: Share | None = None  # share left to other programs on the credential; None: as declared

    def over(self, declared: Budget) -> Budget:
        """The budget to keep: this one where it speaks, *declared* where it is silent."""
        own = self._single_windows()
        replaced = {_measure(window) for window in own}
        if self.per_second is not None:
            replaced.add((1.0, False))  # also when its own window is longer, to count whole requests
        kept = tuple(window for window in self.windows or declared.windows if _measure(window) not in replaced)
        return Budget(
            windows=tuple(sorted((*own, *kept), key=lambda window: window.seconds)),
            in_flight=declared.in_flight if self.in_flight is None else self.in_flight,
            margin=declared.margin if self.margin is None else self.margin,
            reserve=declared.reserve if self.reserve is None else self.reserve,
        )

    def _single_windows(self) -> tuple[Window, ...]:
        """What the ``per_…`` keys say."""
        own: list[Window] = []
        if self.per_second is not None:
            # A window counts whole requests: 2.5 a second is 5 in 2 seconds.
            rate = Fraction(str(self.per_second)).limit_denominator(3600)
            if rate:
                own.append(Window(seconds=float(rate.denominator), requests=rate.numerator))
            else:
                own.append(Window(seconds=1.0 / self.per_second, requests=1))
        for requests, seconds in ((self.per_minute, 60.0), (self.per_hour, 3600.0), (self.per_day, 86400.0)):
            if requests is not None:
                own.append(Window(seconds=seconds, requests=requests))
        if self.bytes_per_hour is not None:
            own.append(Window(seconds=3600.0, bytes=self.bytes_per_hour))
        return tuple(own)


class ResourceConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One wanted resource. What is None or empty is taken from the source, then from the provider's declaration."""

    name: str  # required; as the provider names it: ``Property``, ``clients/featured``
    filter: str | None = None  # in the provider's filter language
    select: tuple[str, ...] = ()  # members to ask for; (): all
    expand: str | None = None
    page_size: PageSize | None = None  # records a page
    key: tuple[str, ...] = ()  # identity members, for resources the provider does not declare
    modified: str | None = None  # modification time member, likewise
    walk: str | None = None  # the pager of full walks, e.g. ``chain``
    weight: Annotated[float, Meta(gt=0, le=1000)] = 1.0  # of its share of the quota, while others wait too
    related: Annotated[tuple[str, ...], Meta(extra={"unit": ALL})] = ()  # read as sets of its records; (): the source's


class CredentialConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of several credentials of a source. All of them see the same records; each has a quota of its own."""

    name: str  # required; for people, and for the position of what was begun with it
    client_id: Secret | None = None
    client_secret: Secret | None = None
    scope: str | None = None  # None: the source's
    token: Secret | None = None
    access_key: Secret | None = None
    ancillary_key: Secret | None = None
    budget: BudgetConfig = BudgetConfig()  # over the source's, where it speaks


class SourceConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider, set up: where it is, who asks, what is wanted, how fast."""

    provider: str = ""  # "": the source is named like its provider
    base_url: str | None = None
    token_url: str | None = None
    client_id: Secret | None = None
    client_secret: Secret | None = None
    scope: str | None = None
    token: Secret | None = None
    access_key: Secret | None = None
    ancillary_key: Secret | None = None
    credentials: tuple[CredentialConfig, ...] = ()  # several, which share the work; (): the one that stands above
    api_version: str | None = None
    # Names; () and no *resource* tables: the provider's default ones. ``"all"``: what its metadata names.
    resources: Annotated[tuple[str, ...], Meta(extra={"unit": ALL})] = ()
    exclude: tuple[str, ...] = ()  # names to leave out of those that are told elsewhere
    resource: tuple[ResourceConfig, ...] = ()  # the same with settings of their own
    # Resources that are read as sets of another one's records: Media of each listing. ``"all"``: those there are.
    related: Annotated[tuple[str, ...], Meta(extra={"unit": ALL})] = ()
    page_size: PageSize | None = None
    filter: str | None = None
    select: tuple[str, ...] = ()
    expand: str | None = None
    walk: str | None = None
    # Centris: ``expand`` brings every language inside the record, ``accept-language`` reads everything once a language.
    translations: Literal["expand", "accept-language", "none"] | bool | None = None  # True: expand
    language: str | None = None  # Accept-Language, e.g. ``fr``
    languages: tuple[str, ...] | None = None  # to be read one after another; None: ``en`` and ``fr``
    readable_names: bool | None = None  # Spark RESO: encoded names in the words of its metadata
    names: dict[str, str] | None = None  # Spark RESO: what encoded names stand for, beside those of its metadata
    masked: Literal["null", "stars"] | None = None  # Spark: what becomes of values that a role may not see; None: null
    lead_horizon: Seconds | None = None  # IDX Broker: how far back leads are read
    budget: BudgetConfig = BudgetConfig()
    timeout: Seconds | None = None  # longest silence while an answer is read
    link_lifetime: Seconds | None = None  # OData: a next link dies after so long untouched; it then goes first
    credential: str | None = None  # sources with the same name here share one quota; None: told by the secret
    webhook_secret: Secret | None = None  # of those who post changes; with ``whsec_`` in front it signs them
    webhook_secret_old: Secret | None = None  # the one before, good as well while it is being replaced
    webhook_header: str = "Authorization"  # that holds the secret, where it signs nothing
    every: Seconds | None = None  # as below, for this source
    sweep_every: Seconds | None = None
    sweep_at: str | None = None

    @property
    def expands_translations(self) -> bool:
        return self.translations in (True, "expand")

    @property
    def by_language(self) -> tuple[str, ...]:
        """The languages that everything is read in, one after another; () for once in all."""
        return (self.languages or LANGUAGES) if self.translations == "accept-language" else ()

    @property
    def sharers(self) -> Mapping[str, SourceConfig]:
        """The source as each of its credentials sees it, by their names; with one credential that is ``""``."""
        return {each.name: self._seen_by(each) for each in self.credentials} or {"": self}

    def _seen_by(self, each: CredentialConfig) -> SourceConfig:
        secrets = {name: getattr(each, name) for name in SECRET_KEYS}
        return replace(self, credentials=(), scope=each.scope or self.scope, **secrets)

    def budget_of(self, credential: str, declared: Budget) -> Budget:
        """What *credential* keeps to: its own budget over the source's over what the provider has *declared*."""
        own = next((each.budget for each in self.credentials if each.name == credential), BudgetConfig())
        return own.over(self.budget.over(declared))

    @property
    def everything(self) -> bool:
        """Whether the provider's metadata decides which resources there are (``resources = "all"``)."""
        return self.resources == (ALL,)

    @property
    def wanted(self) -> tuple[ResourceConfig, ...]:
        """Every wanted resource once, names first, then the tables; a table of the same name takes the name's place."""
        tables = {table.name: table for table in self.resource}
        names = dict.fromkeys((*self.resources, *tables))
        return tuple(tables.get(name) or ResourceConfig(name=name) for name in names)


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a run needs to know; holds secrets only as masked ``Secret`` values."""

    out: str = "out"  # directory of the harvest
    sources: dict[str, SourceConfig] = field(default_factory=dict)
    compression: Literal["zstd", "gzip", "none"] = "zstd"
    shard_bytes: Bytes = 128 * MIB  # size on disk at which a shard is sealed
    commit_seconds: Seconds = 60.0  # longest time between two commits of a walk
    max_requests_at_risk: Annotated[int, Meta(ge=1)] = 25  # requests a crash may cost
    deadline: Seconds | None = None  # of the whole run; None: none
    max_wait: Seconds | None = None  # longest wait for quota; a longer one ends the run, resumable; None: any
    prove: bool = False  # list all keys when a resource has been read, and fetch what is missing
    probe_lifetime: Seconds = 7 * 86_400.0  # how long what a probe found of a server counts
    every: Seconds = 300.0  # ``sync``: from one question for changes to the next
    sweep_every: Seconds | None = None  # ``sync``: from one listing of all keys to the next; None: by *sweep_at*
    sweep_at: str | None = None  # ``sync``: time of day for it, UTC (``"03:00"``), or ``"never"``; None: none is made
    health: str | None = None  # ``sync``: address that tells whether all is current, ``"127.0.0.1:8080"``; None: none
    push_seconds: Seconds = 10.0  # ``listen``: longest time that a record waits for the run it is written to
    push_confirm: Seconds = 30.0  # ``listen``: from one look at a record that is not there to the second
    listen: str | None = None  # address that changes are posted to, ``"127.0.0.1:8081"``; None: ``listen`` has its own
    keep_tokens: bool = False  # for the next run, in *out*, readable by this user only (mode 0600)
    quota: Secret | None = None  # ``redis://…``: shares the quota with other containers; None: kept in *out*
    quota_fallback: Share = 0.0  # share of each window for this process while that server is silent; 0: nothing is sent

    def provider_of(self, source: str) -> str:
        """The name of the provider behind *source*. Raises KeyError when there is no such source."""
        return self.sources[source].provider or source


def _measure(window: Window) -> tuple[float, bool]:
    return window.seconds, window.bytes is not None
