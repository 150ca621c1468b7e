"""What a run would do, before it does it: walks, requests, time under the quota."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path, PurePath

import anyio
from msgspec import Struct, structs

from harvester.api.assembly import Chosen, Holder, Setup, assemble, choose
from harvester.api.discovery import discover
from harvester.api.ledger import look_into_ledger
from harvester.api.modes import MODES
from harvester.api.plan_changes import History, expected, history_of, job_of
from harvester.api.ports import Ports
from harvester.api.probe import KnownServer, known_servers, settle
from harvester.api.rehearsal import MOST_REQUESTS, Account, Job, Rehearsal, rehearse_shared
from harvester.api.selection import wanted_of
from harvester.config.schema import Config
from harvester.contracts import Transport
from harvester.engine.ask import count
from harvester.engine.source import Source
from harvester.errors import ArgumentError, HarvesterError
from harvester.events import Event
from harvester.governor.learned import read_learned
from harvester.model import Budget, Phase
from harvester.planning.changes import REMEMBERED, kind_of
from harvester.planning.delta import standing_of
from harvester.planning.forecast import Forecast, Measured, measured, stages_of
from harvester.planning.plan import Wanted, full_walks
from harvester.provider import SETS
from harvester.report import units
from harvester.store import layout
from harvester.store.manifest import Manifest, read_manifest
from harvester.store.runs import find_runs

_SECONDS_A_REQUEST = 0.8  # until a source has been measured

_REASONS: dict[str, str] = {
    Phase.DELTA: "what changed since the last complete run, less an overlap",
    Phase.SWEEP: "all keys are listed, and what differs is fetched again",
}

Counts = dict[tuple[str, str], int | None]
"""Records of (source, resource) as the provider counts them; None: it does not say."""


class PlannedResource(Struct, frozen=True, kw_only=True):
    """How one resource would be read."""

    resource: str
    walk: str  # name of the strategy
    reason: str  # why it is safe
    walks: int | None  # how many; None: as many as its parent has values, which no earlier run tells
    records: int | None  # expected; None: nobody can tell before it is walked
    evidence: str  # where *records* is from
    requests: int | None
    bytes: int | None  # bodies on the wire; None: not known
    seconds: float | None  # from now until it has ended; None: *requests* is not known
    implied: bool  # not asked for, but needed by another resource
    mode: str = Phase.FULL  # full | delta | sweep; "": the run would refuse it
    least: int | None = None  # requests it takes at least; None: *requests* is the estimate of all
    delta: bool = False  # a run in mode auto would bring only what changed since the last harvest
    doubt: str = ""  # why the run may miss something though it meets no failure; "" when it may not
    probed: datetime | None = None  # aware UTC, when a probe found what decides the walk; None: none did
    seen: tuple[str, ...] = ()  # what it found


class PlannedCredential(Struct, frozen=True, kw_only=True):
    """One of several credentials that share the work of a source."""

    credential: str
    windows: tuple[str, ...]  # in words
    in_flight: int


class PlannedSource(Struct, frozen=True, kw_only=True):
    """One source: its resources and what they cost together."""

    source: str
    provider: str
    base_url: str
    windows: tuple[str, ...]  # in words; (): the terms name no limit
    kept_back: float  # share of every window that is not used: margin and reserve
    in_flight: int
    resources: tuple[PlannedResource, ...]
    forecast: Forecast  # of the requests that are known
    complete: bool  # False: some resources could not be estimated, so the forecast is a lower bound
    measured: bool  # how long a request takes is known from an earlier run, not assumed
    problem: str = ""  # why counting failed; "" when it did not
    credentials: tuple[PlannedCredential, ...] = ()  # (): it has one only; *windows* are then what they allow together


class PlanReport(Struct, frozen=True, kw_only=True):
    """What ``run`` would do with the same configuration."""

    out: str
    at: datetime  # aware UTC, when it was made; seconds count from here
    sources: tuple[PlannedSource, ...]
    counted: bool  # providers were asked for their counts


async def plan(
    config: Config,
    *,
    offline: bool = False,
    sources: Sequence[str] = (),
    resources: Sequence[str] = (),
    mode: str = "auto",
    ports: Ports | None = None,
) -> PlanReport:
    """Plan what ``run`` would do, and rehearse it: the governor itself says how long the quota makes it last.

    Records are estimated from the provider's own count where its contract has one (one request a resource), else
    from the last finished run. So are requests, their time and their size. What the quota ledger says is spent is
    spent in the rehearsal too. A server without a contract that is not known yet is probed first.

    How much has changed nobody knows before: what a delta or a sweep needs is told by the last ones, and what it needs
    at least.

    Args:
        offline: send nothing; estimate from earlier runs only.
        mode: of the run: ``auto``, ``full``, ``delta`` or ``sweep``.
    Raises:
        ConfigError: as ``run``.
        StorageError: the quota ledger, or the server that keeps it, cannot be read.
    """
    ports = ports or Ports()
    if mode not in MODES:
        raise ArgumentError(f"there is no mode {mode!r}; there is {', '.join(MODES)}")
    config = (await discover(config, sources, ports=ports, offline=offline)).config
    chosen = choose(config, sources, resources, ports)
    counts: Counts = {}
    problems: dict[str, str] = {}
    if not offline:
        ports.fs.make_directory(PurePath(config.out) / "_harvester", private=True)
        wanted = {each.name: _wanted(each, resources) for each in chosen}
        async with assemble(config, chosen, ports=ports, sink=_silent) as ready:
            await settle(config, chosen, ready, resources=resources, ports=ports, sink=_silent, stop=anyio.Event())
            for source in ready:
                try:
                    items = _to_count(config, source.name, wanted[source.name], mode, ports)
                    await _count(source, items, ports, counts)
                except HarvesterError as error:
                    problems[source.name] = str(error)
    planned = plan_sources(config, chosen, ports, resources=resources, counts=counts, mode=mode)
    return PlanReport(
        out=config.out,
        at=ports.clock.now(),
        sources=tuple(structs.replace(each, problem=problems.get(each.source, "")) for each in planned),
        counted=not offline,
    )


def plan_sources(
    config: Config,
    chosen: Sequence[Chosen],
    ports: Ports,
    *,
    resources: Sequence[str] = (),
    counts: Counts | None = None,
    most: int = MOST_REQUESTS,
    mode: str = Phase.FULL,
) -> tuple[PlannedSource, ...]:
    """Plan *chosen* from what is on disk and from *counts*. Sends nothing; blocks while it rehearses.

    *most*: requests of one credential to rehearse one by one.
    """
    drafts = [_draft(config, each, _wanted(each, resources), counts or {}, ports, mode) for each in chosen]
    rehearsals: dict[str, Rehearsal] = {}
    for troupe in troupes(chosen):
        rehearsal = _rehearse(config, [draft for draft in drafts if draft.chosen.name in troupe], ports, most)
        rehearsals |= dict.fromkeys(troupe, rehearsal)
    return tuple(_planned(draft, rehearsals[draft.chosen.name]) for draft in drafts)


def troupes(chosen: Sequence[Chosen]) -> list[frozenset[str]]:
    """The names of the sources that share a credential, or are linked by others that do."""
    found: list[tuple[frozenset[str], frozenset[str]]] = []  # names, identities
    for each in chosen:
        names, identities = frozenset({each.name}), frozenset(each.identities)
        for other in [known for known in found if known[1] & identities]:
            found.remove(other)
            names, identities = names | other[0], identities | other[1]
        found.append((names, identities))
    return [names for names, _ in found]


async def _count(source: Source, wanted: Sequence[Wanted], ports: Ports, counts: Counts) -> None:
    ask = source.provider.count
    if ask is None:
        return
    transport: Transport = source.connect(_silent)
    for item in wanted:
        if item.resource.per_value is None and item.filter is None:
            walk = full_walks(source.provider, item, None, ports.clock.now())[0]
            if walk.pager == SETS:
                continue
            counts[source.name, item.resource.name] = await count(source, transport, walk, ask(walk))


class _Drafted(Struct, frozen=True):
    """A resource before the rehearsal."""

    planned: PlannedResource
    job: Job | None  # None: how many requests it needs is not known


class _Draft(Struct, frozen=True):
    """A source before the rehearsal."""

    chosen: Chosen
    resources: tuple[_Drafted, ...]
    measured: bool


def _to_count(config: Config, source: str, wanted: Sequence[Wanted], mode: str, ports: Ports) -> list[Wanted]:
    """Those of *wanted* of which everything is read or listed: a count tells nothing of what changed."""
    finished = {item.resource.name: _finished(config, source, item.resource.dirname, ports) for item in wanted}
    kinds = _kinds(wanted, finished, mode)
    return [item for item in wanted if kinds[item.resource.name] in {Phase.FULL, Phase.SWEEP}]


def _kinds(wanted: Sequence[Wanted], finished: Mapping[str, Sequence[Manifest]], mode: str) -> dict[str, str]:
    """What a run in *mode* does with each resource."""
    deltas = goes_on(wanted, finished)
    parents = {item.resource.per_value.resource for item in wanted if item.resource.per_value is not None}
    return {
        name: kind_of(mode, goes_on=name in deltas, keyed=bool(item.resource.key) and name not in parents)
        for item in wanted
        for name in (item.resource.name,)
    }


def _draft(config: Config, chosen: Chosen, wanted: Sequence[Wanted], counts: Counts, ports: Ports, mode: str) -> _Draft:
    setup = chosen.setup
    known = known_servers(config, chosen, wanted, ports)
    wanted = [known[name].follow(item) if (name := item.resource.name) in known else item for item in wanted]
    finished = {item.resource.name: _finished(config, setup.name, item.resource.dirname, ports) for item in wanted}
    runs = {name: _last_full(manifests) for name, manifests in finished.items()}
    deltas, kinds = goes_on(wanted, finished), _kinds(wanted, finished, mode)
    mean = measured([run for run in runs.values() if run is not None])
    drafted = []
    for item in wanted:
        name = item.resource.name
        draft = _told(_resource(setup, item, runs[name], mean, counts, ports), known.get(name), delta=name in deltas)
        if kinds[name] != Phase.FULL:
            out = PurePath(config.out)
            history = history_of(out, setup.name, item.resource.dirname, finished[name], ports)
            draft = _changes(draft.planned, kinds[name], history, item, setup, ports)
        drafted.append(draft)
    return _Draft(chosen, tuple(drafted), mean.seconds is not None)


def _changes(
    planned: PlannedResource, kind: str, history: History, item: Wanted, setup: Setup, ports: Ports
) -> _Drafted:
    """The plan of a delta or a sweep, where *planned* is that of reading everything."""
    if not kind:
        refused = "there is no complete harvest with these settings to go on from; run with --mode full first"
        changed = structs.replace(planned, mode="", records=None, requests=None, bytes=None, walks=None, doubt=refused)
        return _Drafted(structs.replace(changed, evidence=""), None)
    walk = full_walks(setup.provider, item, [""] if item.resource.per_value else None, ports.clock.now())[0]
    told, least = expected(kind, history, walk, planned.walks or 1, planned.records, setup, ports)
    requests = least if told is None else max(least, told.requests)
    mean = measured([manifest for manifest, _ in history[-REMEMBERED:]])
    changed = structs.replace(
        planned,
        mode=kind,
        records=None if told is None else told.records,
        requests=requests,
        least=least if told is None or least < requests else None,
        bytes=None if mean.wire_bytes is None else round(requests * mean.wire_bytes),
        evidence="" if told is None else f"the last {units.number_of(told.runs, kind)}",
        reason=_REASONS[kind],
    )
    return _Drafted(changed, job_of(setup, planned.resource, item.resource.needs, requests, mean, _SECONDS_A_REQUEST))


def _resource(
    setup: Setup, item: Wanted, last: Manifest | None, mean: Measured, counts: Counts, ports: Ports
) -> _Drafted:
    provider, resource = setup.provider, item.resource
    values = None if resource.per_value is None else _earlier_values(last)
    if resource.by_language:
        values = list(resource.languages)
    walk = full_walks(provider, item, [""] if resource.per_value else None, ports.clock.now())[0]
    number = len(values) if values is not None else 1 if resource.per_value is None else None
    records, evidence = counts.get((setup.name, resource.name)), "the provider's count"
    if records is not None and resource.by_language:
        records *= len(resource.languages)
    if records is None:
        records, evidence = (last.records, f"run {last.run}") if last is not None else (None, "")
    stages = stages_of(provider, walk, records, number, last)
    requests = None if stages is None else sum(map(sum, stages))
    own = measured([last] if last is not None else [])
    seconds = own.seconds if own.seconds is not None else mean.seconds
    size = own.wire_bytes if own.wire_bytes is not None else mean.wire_bytes
    planned = PlannedResource(
        resource=resource.name,
        walk=walk.pager,
        reason=walk.reason,
        walks=number,
        records=records,
        evidence=evidence,
        requests=requests,
        bytes=None if requests is None or size is None else round(requests * size),
        seconds=None,
        implied=item.implied,
    )
    if stages is None:
        return _Drafted(planned, None)
    job = Job(
        source=setup.name,
        resource=resource.name,
        after=resource.needs,
        stages=stages,
        workers=2 * setup.budget.in_flight,  # as ``assemble`` gives the engine
        latency=_SECONDS_A_REQUEST if seconds is None else seconds,
        page_bytes=0 if size is None else round(size),
        weight=setup.weights.get(resource.name, 1.0),
    )
    return _Drafted(planned, job)


def goes_on(wanted: Sequence[Wanted], finished: Mapping[str, Sequence[Manifest]]) -> frozenset[str]:
    """The resources of which a run in mode auto brings what changed since *finished*, runs by resource."""
    parents = {item.resource.per_value.resource for item in wanted if item.resource.per_value is not None}
    return frozenset(
        item.resource.name
        for item in wanted
        if item.resource.key
        and item.resource.name not in parents
        and standing_of(finished[item.resource.name]) is not None
    )


def _told(drafted: _Drafted, known: KnownServer | None, *, delta: bool) -> _Drafted:
    """*drafted*, with what a probe decided and saw, and whether a run would do less."""
    drafted = _Drafted(structs.replace(drafted.planned, delta=delta), drafted.job)
    if known is None:
        return drafted
    planned = structs.replace(
        drafted.planned,
        reason=known.strategy.reason,
        doubt=known.strategy.doubt,
        probed=known.found.at,
        seen=tuple(known.decisive()),
    )
    return _Drafted(planned, drafted.job)


def _rehearse(config: Config, drafts: Sequence[_Draft], ports: Ports, most: int) -> Rehearsal:
    """All sources that share credentials at once, each credential under its first budget: so they will run."""
    now = ports.clock.now()
    accounts: dict[str, Account] = {}
    for draft in drafts:
        for holder in draft.chosen.holders:
            if holder.identity not in accounts:
                accounts[holder.identity] = _account(config, draft.chosen, holder, ports)
    numbers = {identity: number for number, identity in enumerate(accounts)}
    return rehearse_shared(
        [
            structs.replace(each.job, accounts=tuple(numbers[identity] for identity in draft.chosen.identities))
            for draft in drafts
            for each in draft.resources
            if each.job is not None
        ],
        tuple(accounts.values()),
        start=now,
        most=most,
    )


def _account(config: Config, chosen: Chosen, holder: Holder, ports: Ports) -> Account:
    account = Account(budget=holder.budget, default_pause=chosen.setup.provider.default_pause)
    if not ports.keeps_state:
        return account
    return structs.replace(
        account,
        journal=look_into_ledger(config, holder.identity, ports),
        learned=read_learned(Path(layout.quota_file(PurePath(config.out))), holder.identity),
    )


def _planned(draft: _Draft, rehearsal: Rehearsal) -> PlannedSource:
    setup = draft.chosen.setup
    ends = {end.resource: end.seconds for end in rehearsal.endings if end.source == setup.name}
    planned = tuple(structs.replace(each.planned, seconds=ends.get(each.planned.resource)) for each in draft.resources)
    sizes = [each.bytes for each in planned if each.requests is not None]
    return PlannedSource(
        source=setup.name,
        provider=setup.provider.title,
        base_url=setup.base_url,
        windows=_in_words(setup.budget),
        kept_back=min(1.0, setup.budget.margin + setup.budget.reserve),
        in_flight=setup.budget.in_flight,
        resources=planned,
        forecast=Forecast(
            requests=sum(each.requests or 0 for each in planned),
            bytes=None if None in sizes else sum(size or 0 for size in sizes),
            seconds=max(ends.values(), default=0.0),
            binding=rehearsal.binding,
            waited=rehearsal.waited,
        ),
        # Of what nothing is known but the least, the sum is a lower bound as well.
        complete=all(each.requests is not None and each.requests != each.least for each in planned),
        measured=draft.measured,
        credentials=tuple(
            PlannedCredential(credential=name, windows=_in_words(budget), in_flight=budget.in_flight)
            for name, budget in setup.budgets.items()
            if name
        ),
    )


def _in_words(budget: Budget) -> tuple[str, ...]:
    return tuple(
        units.quota(window.requests, "requests", window.seconds)
        if window.requests is not None
        else units.quota(window.bytes or 0, "bytes", window.seconds)
        for window in budget.windows
    )


def _wanted(chosen: Chosen, resources: Sequence[str]) -> tuple[Wanted, ...]:
    return wanted_of(chosen.name, chosen.setup.section, chosen.setup.provider, resources)


def _earlier_values(last: Manifest | None) -> list[str] | None:
    """The parent's values as the last finished run walked them; None: no run tells."""
    if last is None:
        return None
    # Once each: a walk may have been cut into parts.
    return list(dict.fromkeys(walk.value for walk in last.walks if walk.phase == "full" and walk.value is not None))


def _finished(config: Config, source: str, dirname: str, ports: Ports) -> list[Manifest]:
    """The finished runs of a resource, oldest first."""
    runs = [run for run in find_runs(ports.fs, PurePath(config.out), source, dirname) if run.finished]
    return [manifest for run in runs if (manifest := read_manifest(ports.fs, run.path)) is not None]


def _last_full(manifests: Sequence[Manifest]) -> Manifest | None:
    """What read everything last: what a delta needed says nothing about that."""
    return next((manifest for manifest in reversed(manifests) if manifest.mode == Phase.FULL), None)


def _silent(event: Event) -> None:
    """A plan tells its result, not its steps."""
