"""The data models of sources: asked for through the governor like everything else, and kept for the next time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePath

from msgspec import Struct

from harvester.api.assembly import Chosen, assemble, holders_of, set_up
from harvester.api.ports import Ports
from harvester.config.check import check_config, check_source_names
from harvester.config.schema import Config
from harvester.config.secrets import SecretStore
from harvester.contracts import Metadata, Sink
from harvester.data_model import DataModel
from harvester.engine.source import Source
from harvester.errors import ArgumentError, GiveUpError, RepeatError, WaitError
from harvester.model import Request
from harvester.provider import Provider
from harvester.store import layout
from harvester.store.models import KeptModel, keep, read_kept


class ToldModel(Struct, frozen=True, kw_only=True):
    """The data model of a source."""

    source: str
    model: DataModel
    fetched: datetime  # aware UTC
    stale: str = ""  # why it is the one of an earlier day; "": it was told just now


async def fetch_models(
    config: Config, names: Sequence[str], *, ports: Ports, sink: Sink, offline: bool = False
) -> tuple[ToldModel, ...]:
    """The data model of each source of *names*, which must have one to tell.

    Where the provider cannot be reached, throttles, or tells what cannot be read, the last good model counts.

    Args:
        offline: send nothing, use what is kept.
    Raises:
        ConfigError, CredentialsRefused: as ``run``.
        ArgumentError: a provider has no data model to tell.
        HarvesterError: why there is none, where none was kept either.
    """
    check_config(config)
    check_source_names(names, config)
    out = PurePath(config.out)
    chosen = _chosen(config, names, ports)
    told = []
    if offline:
        for each in chosen:
            kept = read_kept(ports.fs, out, each.name, each.setup.base_url)
            if kept is None:
                raise ArgumentError(f"no data model of {each.name} is kept in {out} yet; ask for it without --offline")
            told.append(_told(each.name, kept, "nothing was asked of the provider"))
        return tuple(told)
    ports.fs.make_directory(layout.state_directory(out), private=True)
    async with assemble(config, chosen, ports=ports, sink=sink) as sources:
        for source, each in zip(sources, chosen, strict=True):
            base_url = each.setup.base_url
            try:
                kept = KeptModel(base_url=base_url, fetched=ports.clock.now(), model=await _ask(source, sink))
            except (RepeatError, GiveUpError, WaitError) as error:
                earlier = read_kept(ports.fs, out, source.name, base_url)
                if earlier is None:
                    raise
                told.append(_told(source.name, earlier, str(error)))
            else:
                keep(ports.fs, out, source.name, kept)
                told.append(_told(source.name, kept))
    return tuple(told)


def metadata_of(provider: Provider) -> Metadata:
    """How *provider* tells its data model. Raises ``ArgumentError`` where it does not."""
    if provider.metadata is None:
        raise ArgumentError(
            f"{provider.title} has no metadata: its API does not tell its data model. `harvester providers` lists its "
            "resources; with --file its records can be held against a data model of your own."
        )
    return provider.metadata


def _chosen(config: Config, names: Sequence[str], ports: Ports) -> list[Chosen]:
    secrets = SecretStore(config, environment=ports.environment, fs=ports.fs)
    chosen = []
    for name in names:
        setup = set_up(config, name)
        metadata_of(setup.provider)
        chosen.append(Chosen(setup=setup, blueprints=(), holders=holders_of(setup, secrets)))
    return chosen


async def _ask(source: Source, sink: Sink) -> DataModel:
    metadata = metadata_of(source.provider)
    transport = source.connect(sink)
    answers = []
    for request in metadata.requests():
        own = {name.lower() for name, _ in request.headers}
        others = tuple(header for header in source.provider.headers if header[0].lower() not in own)
        url = source.origin.resolve(request.url)
        answers.append(await transport.send(Request(url=url, headers=(*others, *request.headers))))
    # Off the loop: a large document takes seconds, and other sources may be at work on it.
    return await asyncio.to_thread(metadata.read, answers)


def _told(source: str, kept: KeptModel, stale: str = "") -> ToldModel:
    return ToldModel(source=source, model=kept.model, fetched=kept.fetched, stale=stale)
