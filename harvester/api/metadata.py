"""What a provider says of its data, and how the records that were harvested differ from it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import PurePath

from msgspec import Struct

from harvester import providers
from harvester.api.assembly import Setup, set_up
from harvester.api.models import ToldModel, fetch_models, metadata_of
from harvester.api.ports import Ports
from harvester.config.check import check_config, check_source_names, is_resource_name
from harvester.config.schema import Config
from harvester.config.typed import unknown_key
from harvester.contracts import Fs
from harvester.data_model import DataModel, ResourceDrift, Unchecked
from harvester.engine.drift import check_run, lists_of, records_of
from harvester.errors import ArgumentError
from harvester.events import Event
from harvester.model import Headers, Response
from harvester.store.manifest import Manifest, read_manifest
from harvester.store.names import keep_names
from harvester.store.runs import RunDirectory, find_runs


class DriftReport(Struct, frozen=True, kw_only=True):
    """The records of each harvested resource held against the data model."""

    out: str
    resources: tuple[ResourceDrift, ...]
    unchecked: tuple[Unchecked, ...] = ()
    drifts: int = 0  # fields that differ, of all resources


class MetadataReport(Struct, frozen=True, kw_only=True):
    """The data model of one source; *drift* where records were held against it."""

    source: str
    provider: str
    model: DataModel
    origin: str  # the URL of the service, or the name of a file
    fetched: datetime | None = None  # aware UTC; None: it is from a file
    stale: str = ""  # why it is the model of an earlier time; "": it is not
    drift: DriftReport | None = None


async def metadata(
    config: Config,
    source: str,
    *,
    resources: Sequence[str] = (),
    check: bool = False,
    limit: int | None = None,
    file: PurePath | None = None,
    offline: bool = False,
    ports: Ports | None = None,
) -> MetadataReport:
    """Tell the data model of *source*, and with *check* how the last finished run of each resource differs from it.

    Args:
        resources: names to restrict the check to; (): all that are in the model.
        limit: records to look at, of each resource; None: all.
        file: a data model to use in the place of the provider's: CSDL as XML or JSON. Nothing is sent then.
        offline: use the last model that could be read. Nothing is sent.
    Raises:
        ConfigError, CredentialsRefused: as ``run``.
        ArgumentError: there is no such source or resource, or the provider has no data model to tell.
        ProtocolError: the data model cannot be read, and none was kept.
        StorageError: a file or shard cannot be read.
    """
    ports = ports or Ports()
    check_config(config)
    check_source_names((source,), config)
    setup = set_up(config, source)
    told = await _tell(config, source, file=file, offline=offline, ports=ports)
    known = {each.name for each in told.model.resources}
    for name in resources:
        if name not in known:
            raise ArgumentError(str(unknown_key("", name, known, what=f"the data model has no resource {name!a}")))
    drift = None
    if check:
        drift = await asyncio.to_thread(_drift, config, setup, told.model, tuple(resources), limit, ports.fs)
    return MetadataReport(
        source=source,
        provider=setup.provider.title,
        model=told.model,
        origin=setup.base_url if file is None else str(file),
        fetched=told.fetched if file is None else None,
        stale=told.stale,
        drift=drift,
    )


async def _tell(config: Config, source: str, *, file: PurePath | None, offline: bool, ports: Ports) -> ToldModel:
    if file is None:
        return (await fetch_models(config, (source,), ports=ports, sink=_silent, offline=offline))[0]
    if not ports.fs.exists(file):
        raise ArgumentError(f"--file {file}: there is no such file")
    # A file is read as what any OData service would have told.
    answer = Response(status=200, headers=Headers(), body=ports.fs.read(file), url=str(file))
    model = await asyncio.to_thread(metadata_of(providers.load("odata")).read, (answer,))
    return ToldModel(source=source, model=model, fetched=ports.clock.now())


def _drift(
    config: Config, setup: Setup, model: DataModel, only: tuple[str, ...], limit: int | None, fs: Fs
) -> DriftReport:
    out = PurePath(config.out)
    if setup.section.readable_names or setup.section.names:  # so its records name themselves
        model = model.renamed({**keep_names(fs, out, setup.name, {}), **(setup.section.names or {})})
    types = model.types_by_name()
    lists = lists_of(model, _lookup_lines(fs, out, setup.name))
    checked: list[ResourceDrift] = []
    unchecked: list[Unchecked] = []
    for resource in model.resources:
        if only and resource.name not in only:
            continue
        declared = types.get(resource.type)
        found = _last_run(fs, out, setup.name, resource.name)
        if found is None:
            if only:
                unchecked.append(Unchecked(resource=resource.name, reason=f"{out} holds no finished run of it"))
            continue
        if declared is None:
            unchecked.append(Unchecked(resource=resource.name, reason="the data model does not declare its type"))
            continue
        run, manifest = found
        asked = _selected(setup, resource.name)
        checked.append(check_run(fs, run.path, manifest, declared, lists, limit=limit, asked=asked))
    unchecked += [
        Unchecked(resource=name, reason="the data model has no such resource")
        for name in _harvested(fs, out, setup.name)
        if not only and name not in {each.name.replace("/", ".") for each in model.resources}
    ]
    if not checked and not unchecked:
        raise ArgumentError(
            f"{out} holds no finished run of {setup.name}, so there is nothing to check; `harvester run` makes one"
        )
    return DriftReport(
        out=str(out),
        resources=tuple(checked),
        unchecked=tuple(unchecked),
        drifts=sum(each.drifts for each in checked),
    )


def _last_run(fs: Fs, out: PurePath, source: str, resource: str) -> tuple[RunDirectory, Manifest] | None:
    """The last finished run that brought records, else the last finished one: a delta may have found nothing."""
    if not is_resource_name(resource):
        return None
    last = None
    for run in reversed(find_runs(fs, out, source, resource.replace("/", "."))):
        manifest = read_manifest(fs, run.path) if run.finished else None
        if manifest is not None and manifest.records:
            return run, manifest
        if manifest is not None and last is None:
            last = run, manifest
    return last


def _harvested(fs: Fs, out: PurePath, source: str) -> list[str]:
    """The resources of *source* on disk, as their directories name them."""
    prefix = "resource="
    return [name.removeprefix(prefix) for name in fs.names(out / f"source={source}") if name.startswith(prefix)]


def _lookup_lines(fs: Fs, out: PurePath, source: str) -> Iterator[bytes] | None:
    found = _last_run(fs, out, source, "Lookup")
    return None if found is None else records_of(fs, found[0].path, found[1])


def _selected(setup: Setup, resource: str) -> tuple[str, ...]:
    table = next((each for each in setup.section.resource if each.name == resource), None)
    return (table.select if table is not None else ()) or setup.section.select


def _silent(event: Event) -> None:
    """What is told is the model, not the steps to it."""
