"""How servers page, found out by asking them: for the command, and once before a run of a server without a contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import PurePath

import anyio
from msgspec import Struct

from harvester.api.assembly import Chosen, assemble, choose
from harvester.api.discovery import discover
from harvester.api.ports import Ports
from harvester.api.probing import (
    Found,
    NothingToProbe,
    Prober,
    ProfileBook,
    follow,
    followed,
    is_probed,
    named_walk,
    strategy_for,
    unknown_strategy,
)
from harvester.api.selection import wanted_of
from harvester.config.schema import Config
from harvester.contracts import Sink
from harvester.engine.site import Outcome
from harvester.engine.source import Blueprint, Source
from harvester.engine.stopping import unless_stopped
from harvester.errors import (
    CredentialsRefused,
    GiveUpError,
    HarvesterError,
    OrderViolated,
    ProtocolError,
    RepeatError,
)
from harvester.events import Event, Probed, Warned
from harvester.planning.plan import Wanted
from harvester.planning.profile import Finding, Profile
from harvester.planning.strategy import Strategy, choose_strategy
from harvester.store import layout

_DECISIVE = frozenset({"next link", "$filter", "$orderby", "page cap", "two reads agree"})


class ProbedResource(Struct, frozen=True, kw_only=True):
    """One resource: what was found and what follows from it."""

    resource: str
    implied: bool  # not asked for, but needed by another resource
    walk: str  # name of the strategy; "" when it could not be probed
    reason: str  # one sentence
    fixed: str  # the walk that the contract or the configuration fixes, which a run takes; "": the probe decides
    closing: str | None  # walk that reads what changes meanwhile; None: it cannot be asked for, or need not
    doubt: str  # why a run may miss something though it meets no failure; "" when it may not
    page_size: int | None  # to be asked for; None: the walk's own
    requests: int  # that the answers cost, now or when they were found
    at: datetime | None  # aware UTC, when it was found out
    kept: bool  # nothing was asked now
    findings: tuple[Finding, ...]
    profile: Profile | None
    problem: str = ""  # why it could not be probed; "" when it could


class ProbedSource(Struct, frozen=True, kw_only=True):
    """One source and its resources, in the order of the configuration."""

    source: str
    provider: str
    base_url: str
    resources: tuple[ProbedResource, ...]


class ProbeReport(Struct, frozen=True, kw_only=True):
    """What was found out. ``whole`` is False when a resource could not be probed."""

    out: str
    sources: tuple[ProbedSource, ...]

    @property
    def whole(self) -> bool:
        return not any(resource.problem for source in self.sources for resource in source.resources)


async def probe(
    config: Config,
    *,
    sources: Sequence[str] = (),
    resources: Sequence[str] = (),
    refresh: bool = False,
    ports: Ports | None = None,
) -> ProbeReport:
    """Ask each resource's server how it pages, with at most six requests each; what is kept is not asked for again.

    Args:
        sources, resources: names to restrict it to; (): all that are configured.
        refresh: ask again, whatever is kept.
    Raises:
        ConfigError, ArgumentError: as ``run``.
        CredentialsRefused, WaitError: nothing more can be asked of a source.
        StorageError: the output directory cannot be used.
    """
    ports = ports or Ports()
    config = (await discover(config, sources, ports=ports)).config
    chosen = choose(config, sources, resources, ports)
    ports.fs.make_directory(layout.state_directory(PurePath(config.out)), private=True)
    told = []
    async with assemble(config, chosen, ports=ports, sink=_silent) as ready:
        for each, source in zip(chosen, ready, strict=True):
            prober = Prober(source, _book(config, each, ports), ports, _silent)
            wanted = _wanted(each, resources)
            found = [await _probed(each, item, prober, refresh=refresh) for item in wanted]
            told.append(
                ProbedSource(
                    source=each.name,
                    provider=each.setup.provider.title,
                    base_url=each.setup.base_url,
                    resources=tuple(found),
                )
            )
    return ProbeReport(out=config.out, sources=tuple(told))


async def settle(
    config: Config,
    chosen: Sequence[Chosen],
    ready: Sequence[Source],
    *,
    resources: Sequence[str] = (),
    ports: Ports,
    sink: Sink,
    stop: anyio.Event,
) -> tuple[Source, ...]:
    """*ready* with every walk chosen that a probe has to choose. Servers not known yet are asked, side by side.

    A server that cannot be asked leaves its resources in doubt: its run may succeed, but is not called complete.
    """
    settled = list(ready)

    async def one(number: int, each: Chosen, source: Source) -> None:
        settled[number] = await _settled(config, each, source, resources, ports, sink, stop)

    async with anyio.create_task_group() as tasks:
        for number, (each, source) in enumerate(zip(chosen, ready, strict=True)):
            if source.provider.probed:
                tasks.start_soon(one, number, each, source)
    return tuple(settled)


class KnownServer(Struct, frozen=True, kw_only=True):
    """What a kept profile decides for one resource."""

    found: Found
    strategy: Strategy

    def follow(self, wanted: Wanted) -> Wanted:
        return follow(wanted, self.strategy)

    def decisive(self) -> Iterator[str]:
        """What was seen of the server, in words, as far as walks depend on it."""
        for finding in self.found.profile.findings:
            if finding.about in _DECISIVE:
                yield f"{finding.about} {finding.found} ({finding.seen})"


def known_servers(config: Config, each: Chosen, wanted: Sequence[Wanted], ports: Ports) -> dict[str, KnownServer]:
    """What is known without asking, by resource, where runs ask."""
    book = _book(config, each, ports)
    provider, budget = each.setup.provider, each.setup.budget
    known = {}
    for item in wanted:
        found = book.read(item) if is_probed(provider, item) else None
        if found is not None:
            strategy = strategy_for(provider, item, found.profile, budget)
            known[item.resource.name] = KnownServer(found=found, strategy=strategy)
    return known


def forget_surprises(
    config: Config, chosen: Sequence[Chosen], settled: Sequence[Source], outcomes: Sequence[Outcome], ports: Ports
) -> None:
    """Drop what is kept of servers that turned out to be otherwise than it says, so that they are asked again.

    A resource of the same name of another source may be asked again with it; that costs six requests.
    """
    surprising = {
        outcome.resource
        for outcome in outcomes
        if outcome.verdict == "incomplete" or isinstance(outcome.error, OrderViolated | ProtocolError)
    }
    for each, source in zip(chosen, settled, strict=True):
        foreseen = {blueprint.resource.name for blueprint in source.blueprints if blueprint.doubt}
        for item in _wanted(each, ()):
            name = item.resource.name
            if name in surprising and name not in foreseen and is_probed(each.setup.provider, item):
                _book(config, each, ports).forget(item)


def doubts_of(sources: Sequence[Source], ports: Ports) -> Iterator[Event]:
    """A warning for each resource whose records may not be all, although no failure is met."""
    for source in sources:
        for blueprint in source.blueprints:
            told = "; ".join(filter(None, (blueprint.gap, blueprint.doubt)))
            if told:
                message = f"{blueprint.resource.name} may lack records: {told}"
                yield Warned(at=ports.clock.now(), source=source.name, message=message)


async def _settled(
    config: Config,
    each: Chosen,
    source: Source,
    resources: Sequence[str],
    ports: Ports,
    sink: Sink,
    stop: anyio.Event,
) -> Source:
    provider, budget = each.setup.provider, each.setup.budget
    prober = Prober(source, _book(config, each, ports), ports, sink)
    wanted = {item.resource.name: item for item in _wanted(each, resources)}
    blueprints: list[Blueprint] = []
    for blueprint in source.blueprints:
        item = wanted[blueprint.resource.name]
        if not is_probed(provider, item):
            blueprints.append(blueprint)
            continue
        requests = 0
        try:
            found, stopped = await unless_stopped(stop, lambda item=item: prober.probe(item))  # type: ignore[misc]
        except HarvesterError as error:
            strategy = unknown_strategy(provider, item, error)
        else:
            if stopped or found is None:
                return source
            strategy = strategy_for(provider, item, found.profile, budget)
            requests = found.profile.requests if found.asked else 0
        sink(_event(source.name, blueprint, strategy, requests, ports))
        blueprints.append(followed(blueprint, provider, item, strategy, budget))
    return replace(source, blueprints=tuple(blueprints))


async def _probed(each: Chosen, item: Wanted, prober: Prober, *, refresh: bool) -> ProbedResource:
    provider = each.setup.provider
    fixed = named_walk(item) or ("" if is_probed(provider, item) else provider.full)
    found: Found | None = None
    problem = ""
    try:
        found = await prober.probe(item, refresh=refresh)
    except CredentialsRefused:
        raise
    except (GiveUpError, RepeatError, NothingToProbe) as error:
        problem = str(error)
    strategy = taken = None
    if found is not None:
        strategy = choose_strategy(provider, item.resource, found.profile, each.setup.budget)
        taken = (
            strategy_for(provider, item, found.profile, each.setup.budget) if is_probed(provider, item) else strategy
        )
    return ProbedResource(
        resource=item.resource.name,
        implied=item.implied,
        walk="" if strategy is None else strategy.walk,
        reason="" if strategy is None else strategy.reason,
        fixed=fixed,
        closing=None if strategy is None or found is None or not found.profile.dated else strategy.closing,
        doubt="" if taken is None else taken.doubt,
        page_size=None if taken is None else follow(item, taken).page_size,
        requests=0 if found is None else found.profile.requests,
        at=None if found is None else found.at,
        kept=found is not None and not found.asked,
        findings=() if found is None else found.profile.findings,
        profile=None if found is None else found.profile,
        problem=problem,
    )


def _event(source: str, blueprint: Blueprint, strategy: Strategy, requests: int, ports: Ports) -> Event:
    return Probed(
        at=ports.clock.now(),
        source=source,
        resource=blueprint.resource.name,
        walk=strategy.walk,
        reason=strategy.reason,
        doubt=strategy.doubt,
        requests=requests,
    )


def _book(config: Config, each: Chosen, ports: Ports) -> ProfileBook:
    setup = each.setup
    return ProfileBook(
        each.name,
        setup.provider,
        setup.base_url,
        out=PurePath(config.out),
        lifetime=config.probe_lifetime,
        ports=ports,
    )


def _wanted(each: Chosen, resources: Sequence[str]) -> tuple[Wanted, ...]:
    everything = wanted_of(each.name, each.setup.section, each.setup.provider, resources)
    return tuple(item for item in everything if item.resource.relation is None or item.resource.relation.collection)


def _silent(event: Event) -> None:
    """A probe tells its result, not its steps."""
