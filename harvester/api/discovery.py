"""What the metadata of a provider decides before a run: which resources there are (``resources = "all"``), with their
real keys, and what encoded names stand for (``readable_names``)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from msgspec import Struct, field, structs

from harvester import providers
from harvester.api.models import ToldModel, fetch_models
from harvester.api.ports import Ports
from harvester.config.check import check_config, check_source_names, is_resource_name
from harvester.config.schema import Config, ResourceConfig, SourceConfig
from harvester.data_model import DeclaredResource, DeclaredType
from harvester.errors import ArgumentError, ConfigError, HarvesterError
from harvester.events import Event, ResourceFinished, SourceFailed, Warned
from harvester.provider import Provider
from harvester.store import layout
from harvester.store.names import keep_names

_ENCODED = "b__"  # begins names that are encoded (Spark RESO contract, section 9)


class Discovery(Struct, frozen=True, kw_only=True):
    """A configuration whose every resource has a name."""

    config: Config
    events: tuple[Event, ...] = ()  # what the questions to the providers were, to be published with those of the run
    failures: Mapping[str, HarvesterError] = field(default_factory=dict)  # why a source is not in *config* any more

    @property
    def refused(self) -> bool:
        """Whether the metadata names a resource that cannot be harvested: a run without it is not complete."""
        return any(isinstance(event, ResourceFinished) for event in self.events)

    def found(self, names: Sequence[str] = ()) -> tuple[str, ...]:
        """Those of *names*, or of all, whose resources are known. Raises the first failure where there are none."""
        found = tuple(name for name in names or self.config.sources if name not in self.failures)
        if not found and self.failures:
            raise next(iter(self.failures.values()))
        return found


async def discover(
    config: Config,
    names: Sequence[str] = (),
    *,
    ports: Ports,
    offline: bool = False,
    tolerant: bool = False,
) -> Discovery:
    """Ask the metadata of every source whose resources or names it is to tell. Sends nothing without one.

    Tables of the configuration for single resources stay in force, also for ones the metadata does not name.

    Args:
        names: sources to restrict it to; (): all.
        offline: send nothing, go by the last data model that could be read.
        tolerant: a source whose metadata cannot be had is left out and told in ``failures``, so that others go on.
    Raises:
        ConfigError: a provider cannot tell what it has.
        HarvesterError: its metadata cannot be had, and none was kept.
    """
    if not any(section.everything or section.readable_names for section in config.sources.values()):
        return Discovery(config=config)
    check_config(config)
    check_source_names(names, config)
    sections = dict(config.sources)
    asked = [name for name in names or sections if sections[name].everything or sections[name].readable_names]
    declared = {name: _provider(config, name) for name in asked if sections[name].everything}
    events: list[Event] = []
    told: list[ToldModel] = []
    failures: dict[str, HarvesterError] = {}
    for name in asked:
        try:
            told += await fetch_models(config, [name], ports=ports, sink=events.append, offline=offline)
        except (ConfigError, ArgumentError):
            raise
        except HarvesterError as error:
            if not tolerant:
                raise
            failures[name] = error
            events.append(SourceFailed(at=ports.clock.now(), source=name, reason=str(error)))
    sections = {name: section for name, section in sections.items() if name not in failures}
    for each in told:
        refusals: dict[str, str] = {}
        if sections[each.source].readable_names:
            sections[each.source] = await asyncio.to_thread(_named, sections[each.source], each, config, ports)
        if each.source in declared:
            sections[each.source], refusals = _expanded(sections[each.source], each, declared[each.source])
        at = ports.clock.now()
        if each.stale and not offline:
            message = f"the data model of {each.fetched:%Y-%m-%d %H:%M} UTC is used: {each.stale}"
            events.append(Warned(at=at, source=each.source, message=message))
        events += [
            ResourceFinished(
                at=at,
                source=each.source,
                resource=name,
                run="",
                verdict="failed",
                reason=reason,
                records=0,
                bytes=0,
                requests=0,
                quarantined=0,
                seconds=0.0,
            )
            for name, reason in refusals.items()
        ]
    return Discovery(config=structs.replace(config, sources=sections), events=tuple(events), failures=failures)


def _named(section: SourceConfig, told: ToldModel, config: Config, ports: Ports) -> SourceConfig:
    """The section with what the metadata says that encoded names stand for; its own word counts first."""
    kept = keep_names(ports.fs, PurePath(config.out), told.source, told.model.readable(_ENCODED))
    return structs.replace(section, names={**kept, **(section.names or {})})


def _provider(config: Config, name: str) -> Provider:
    provider = providers.load(config.provider_of(name))
    if provider.metadata is None or not provider.open_resources:
        raise ConfigError(
            f'{provider.title} does not tell which resources it has, so "all" means nothing here; name them. '
            f"It has {', '.join(each.name for each in provider.resources if not each.private)}",
            path=f"sources.{name}.resources",
        )
    return provider


def _expanded(section: SourceConfig, told: ToldModel, provider: Provider) -> tuple[SourceConfig, dict[str, str]]:
    """The section with a table for each resource, and why those that the metadata also names are not among them."""
    tables = {table.name: table for table in section.resource}
    types = told.model.types_by_name()
    refusals: dict[str, str] = {}
    seen = {_dirname(name).casefold() for name in tables}
    for resource in told.model.resources:
        name = resource.name
        if name in section.exclude:
            continue
        declared = types.get(resource.type)
        table = tables.get(name)
        problem = _problem(resource, declared, table)
        if not problem and table is None and _dirname(name).casefold() in seen:
            problem = "its name differs from another one's only in case, and they would share a directory"
        if problem:
            refusals[name] = f"{problem}. Leave it out with exclude, or give it a table of its own"
            tables.pop(name, None)
            continue
        seen.add(_dirname(name).casefold())
        tables[name] = _table(table or ResourceConfig(name=name), resource, declared, section, provider)
    return structs.replace(section, resources=(), exclude=(), resource=tuple(tables.values())), refusals


def _problem(resource: DeclaredResource, declared: DeclaredType | None, table: ResourceConfig | None) -> str:
    """Why *resource* cannot be harvested; "": it can."""
    if not _can_be_directory(resource.name):
        return "its name cannot become a directory"
    if (declared is None or not declared.key) and not (table is not None and table.key):
        return "the metadata declares no key for it"
    return ""


def _can_be_directory(name: str) -> bool:
    """Names that a server chose become paths only by the allow-lists of configurations and of disks (FAULTS M03)."""
    try:
        layout.resource_directory(PurePath(), "source", _dirname(name))
    except ConfigError:
        return False
    return is_resource_name(name)


def _dirname(name: str) -> str:
    return name.replace("/", ".")


def _table(
    table: ResourceConfig,
    resource: DeclaredResource,
    declared: DeclaredType | None,
    section: SourceConfig,
    provider: Provider,
) -> ResourceConfig:
    """*table* with what the metadata knows of the resource, where the table is silent itself."""
    if declared is None:
        return table
    key = table.key or declared.key
    modified = table.modified if table.modified is not None else resource.modified or ""
    texts = {each.name for each in declared.fields if each.type == "Edm.String"}
    walk = table.walk
    # A keyset goes by the key where there is no time to go by, and writes it as text.
    if walk is None and provider.full == "keyset" and not modified and key[0] not in texts:
        walk = "chain" if "chain" in provider.pagers else None
    expand = table.expand
    # Asked of a resource without translations, the service refuses the whole request (Centris contract, section 8).
    told = {each.name for each in declared.navigation}
    if expand is None and section.expands_translations and "Translations" not in told:
        expand = section.expand or ""
    return structs.replace(table, key=key, modified=modified, walk=walk, expand=expand)
