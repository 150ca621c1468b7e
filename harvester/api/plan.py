"""What a run would do, before it does it: walks, requests, time under the quota."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from msgspec import Struct

from harvester.api.assembly import Setup, assemble, choose
from harvester.api.ports import Ports
from harvester.api.selection import wanted_of
from harvester.config.schema import Config
from harvester.contracts import Transport
from harvester.engine.ask import count
from harvester.engine.source import Source
from harvester.errors import HarvesterError
from harvester.events import Event
from harvester.model import Walk
from harvester.planning.forecast import Forecast, forecast, requests_for
from harvester.planning.plan import Wanted, full_walks
from harvester.provider import Provider
from harvester.store.manifest import Manifest, read_manifest
from harvester.store.runs import find_runs

_SECONDS_A_REQUEST = 0.8  # until a source has been measured


class PlannedResource(Struct, frozen=True, kw_only=True):
    """How one resource would be read."""

    resource: str
    walk: str  # name of the strategy
    reason: str  # why it is safe
    walks: int | None  # how many; None: as many as its parent has values, which no earlier run tells
    records: int | None  # expected; None: nobody can tell before it is walked
    evidence: str  # where *records* is from
    requests: int | None
    implied: bool  # not asked for, but needed by another resource


class PlannedSource(Struct, frozen=True, kw_only=True):
    """One source: its resources and what they cost together."""

    source: str
    provider: str
    base_url: str
    windows: tuple[str, ...]  # in words; (): the terms name no limit
    in_flight: int
    resources: tuple[PlannedResource, ...]
    forecast: Forecast  # of the requests that are known
    complete: bool  # False: some resources could not be estimated, so the forecast is a lower bound
    problem: str = ""  # why counting failed; "" when it did not


class PlanReport(Struct, frozen=True, kw_only=True):
    """What ``run`` would do with the same configuration."""

    out: str
    sources: tuple[PlannedSource, ...]
    counted: bool  # providers were asked for their counts


async def plan(
    config: Config,
    *,
    offline: bool = False,
    sources: Sequence[str] = (),
    resources: Sequence[str] = (),
    ports: Ports | None = None,
) -> PlanReport:
    """Plan a full harvest.

    Records are estimated from the provider's own count where its contract has one (one request a resource), else
    from the last finished run.

    Args:
        offline: send nothing; estimate from earlier runs only.
    Raises:
        ConfigError: as ``run``.
    """
    ports = ports or Ports()
    chosen = choose(config, sources, resources, ports)
    names = tuple(each.name for each in chosen)
    setups = {each.name: each.setup for each in chosen}
    wanted = {name: wanted_of(name, setups[name].section, setups[name].provider, resources) for name in names}
    counts: dict[tuple[str, str], int | None] = {}
    problems: dict[str, str] = {}
    if not offline:
        ports.fs.make_directory(PurePath(config.out) / "_harvester", private=True)
        async with assemble(config, chosen, ports=ports, sink=_silent) as ready:
            for source in ready:
                try:
                    await _count(source, wanted[source.name], ports, counts)
                except HarvesterError as error:
                    problems[source.name] = str(error)
    return PlanReport(
        out=config.out,
        sources=tuple(
            _planned(config, setups[name], wanted[name], counts, problems.get(name, ""), ports)
            for name in names
            if wanted[name]
        ),
        counted=not offline,
    )


async def _count(
    source: Source, wanted: Sequence[Wanted], ports: Ports, counts: dict[tuple[str, str], int | None]
) -> None:
    ask = source.provider.count
    if ask is None:
        return
    transport: Transport = source.connect(_silent)
    for item in wanted:
        if item.resource.per_value is None and item.filter is None:
            walk = full_walks(source.provider, item, None, ports.clock.now())[0]
            counts[source.name, item.resource.name] = await count(source, transport, walk, ask(walk))


def _planned(
    config: Config,
    setup: Setup,
    wanted: Sequence[Wanted],
    counts: dict[tuple[str, str], int | None],
    problem: str,
    ports: Ports,
) -> PlannedSource:
    planned = tuple(_resource(config, setup, item, counts, ports) for item in wanted)
    known = [item.requests for item in planned if item.requests is not None]
    return PlannedSource(
        source=setup.name,
        provider=setup.provider.title,
        base_url=setup.base_url,
        windows=tuple(
            f"{window.requests:,} requests per {window.seconds:g} s"
            if window.requests is not None
            else f"{window.bytes:,} bytes per {window.seconds:g} s"
            for window in setup.budget.windows
        ),
        in_flight=setup.budget.in_flight,
        resources=planned,
        forecast=forecast(sum(known), setup.budget, seconds_per_request=_SECONDS_A_REQUEST),
        complete=len(known) == len(planned),
        problem=problem,
    )


def _resource(
    config: Config, setup: Setup, item: Wanted, counts: dict[tuple[str, str], int | None], ports: Ports
) -> PlannedResource:
    provider, resource = setup.provider, item.resource
    last = _last_run(config, setup.name, resource.dirname, ports)
    values = None if resource.per_value is None else _earlier_values(last)
    walk = full_walks(provider, item, [""] if resource.per_value else None, ports.clock.now())[0]
    number = len(values) if values is not None else 1 if resource.per_value is None else None
    records, evidence = counts.get((setup.name, resource.name)), "the provider's count"
    if records is None:
        records, evidence = (last.records, f"run {last.run}") if last is not None else (None, "")
    return PlannedResource(
        resource=resource.name,
        walk=walk.pager,
        reason=walk.reason,
        walks=number,
        records=records,
        evidence=evidence,
        requests=_requests(provider, walk, records, number, last),
        implied=item.implied,
    )


def _requests(
    provider: Provider, walk: Walk, records: int | None, walks: int | None, last: Manifest | None
) -> int | None:
    """Requests of a full walk: pages, the page that proves the end, the closing delta and the counts."""
    if last is not None and records == last.records:
        return last.requests  # measured, which is better than reckoned
    first = provider.pagers[walk.pager].first(walk)
    size = first.size or walk.page_size
    if records is None or walks is None:
        # A snapshot is one request whatever it holds; anything else depends on how much there is.
        return walks if size is None and provider.count is None else None
    if size is None:
        return None
    pages = requests_for(records, size, ends_on_empty=True)
    beside = walks * (
        (provider.closing is not None and walk.resource.modified is not None) + (provider.anchor is not None)
    )
    return None if pages is None else pages + (walks - 1) + beside + (provider.count is not None)


def _earlier_values(last: Manifest | None) -> list[str] | None:
    """The parent's values as the last finished run walked them; None: no run tells."""
    if last is None:
        return None
    return [walk.value for walk in last.walks if walk.phase == "full" and walk.value is not None]


def _last_run(config: Config, source: str, dirname: str, ports: Ports) -> Manifest | None:
    finished = [run for run in find_runs(ports.fs, PurePath(config.out), source, dirname) if run.finished]
    return read_manifest(ports.fs, finished[-1].path) if finished else None


def _silent(event: Event) -> None:
    """A plan tells its result, not its steps."""
