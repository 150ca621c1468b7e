"""Joins the parts: from a configuration to sources that can be harvested."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath

from harvester import providers
from harvester.api.ledger import open_ledger, quota_url
from harvester.api.ports import Ports
from harvester.api.selection import blueprints_of, wanted_of
from harvester.config.check import check_config, check_resource_names, check_secrets, check_source_names
from harvester.config.schema import Config, SourceConfig
from harvester.config.secrets import SecretStore, SourceCredential, configured_secrets
from harvester.contracts import Auth, Judge, Sink, Transport
from harvester.engine.source import Blueprint, Source
from harvester.errors import ConfigError
from harvester.governor.governor import Governor
from harvester.governor.learned import keep_learned, read_learned
from harvester.governor.meter import Meter
from harvester.model import Budget, Request, Response
from harvester.provider import Provider, SourceFacts
from harvester.store import layout
from harvester.store.token_file import TokenFile, binding_of
from harvester.wire.lanes import Lanes
from harvester.wire.limits import Timeouts
from harvester.wire.metered import Metered
from harvester.wire.origin import Origin
from harvester.wire.stack import build, build_for_tokens
from harvester.wire.transport import AiohttpTransport

_RISKED_SHARE = 0.05  # of the shortest window: a crash may cost that much of it


@dataclass(frozen=True, kw_only=True)
class Setup:
    """One source, checked and declared, before anything is opened."""

    name: str
    section: SourceConfig
    provider: Provider
    budget: Budget
    origin: Origin

    @property
    def base_url(self) -> str:
        return self.origin.url

    @property
    def weights(self) -> Mapping[str, float]:
        """Of resources, while they share the quota; those not named have 1."""
        return {table.name: table.weight for table in self.section.resource}


def set_up(config: Config, name: str) -> Setup:
    """Check source *name* against its provider.

    Raises:
        ConfigError: unknown provider, missing base URL, a secret that is missing or not used; the message has the path
            of the key.
    """
    section = config.sources[name]
    try:
        provider = providers.load(config.provider_of(name))
    except ConfigError as error:
        raise ConfigError(str(error).removeprefix("provider: "), path=f"sources.{name}.provider") from error
    if provider.for_source is not None:
        secrets = frozenset(configured_secrets(section))
        provider = provider.for_source(SourceFacts(api_version=section.api_version, secrets=secrets))
    base_url = section.base_url or provider.base_url
    if base_url is None:
        raise ConfigError(f"{provider.title} needs the URL of the service", path=f"sources.{name}.base_url")
    check_secrets(name, section, provider.auth.secrets(), provider.auth.takes())
    return Setup(
        name=name,
        section=section,
        provider=provider,
        budget=section.budget.over(provider.budget),
        origin=Origin.parse(base_url, path=f"sources.{name}.base_url"),
    )


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A source that will be opened: what it harvests and with which secrets."""

    setup: Setup
    blueprints: tuple[Blueprint, ...]
    credential: SourceCredential
    identity: str  # what its quota belongs to

    @property
    def name(self) -> str:
        return self.setup.name


def choose(config: Config, names: Sequence[str], resources: Sequence[str], ports: Ports) -> tuple[Chosen, ...]:
    """Check everything that can be checked before anything is opened, created or sent.

    Args:
        resources: names to restrict each source to; a source that has none of them is left out.
    Raises:
        ConfigError: with the path of the key.
        ArgumentError: one of *names* or *resources* is not configured; the nearest that is is in the message.
    """
    check_config(config)
    check_source_names(names, config)
    quota_url(config, ports)
    secrets = SecretStore(config, environment=ports.environment, fs=ports.fs)
    chosen = []
    setups = [set_up(config, name) for name in names or config.sources]
    if resources:
        check_resource_names(resources, {name for setup in setups for name in _configured(setup)})
    for setup in setups:
        blueprints = blueprints_of(setup.name, setup.section, setup.provider, setup.base_url, resources, setup.budget)
        if blueprints:
            credential = secrets.credential(setup.name)
            _check_endpoint(setup, credential)
            identity = secrets.identity(setup.name, host_of(setup.origin))
            chosen.append(Chosen(setup=setup, blueprints=blueprints, credential=credential, identity=identity))
    return tuple(chosen)


def _configured(setup: Setup) -> list[str]:
    return [
        wanted.resource.name for wanted in wanted_of(setup.name, setup.section, setup.provider) if not wanted.implied
    ]


@asynccontextmanager
async def assemble(
    config: Config, chosen: Sequence[Chosen], *, ports: Ports, sink: Sink
) -> AsyncIterator[tuple[Source, ...]]:
    """Open what the sources need; everything is closed at the end of the block. Sends nothing.

    Sources whose credential is the same share one governor, and so one quota.
    """
    governors: dict[str, tuple[Governor, Meter]] = {}
    async with AsyncExitStack() as opened:
        ready = []
        for each in chosen:
            setup = each.setup
            if each.identity not in governors:
                sharers = [other.name for other in chosen if other.identity == each.identity]
                meter = Meter(sharers, ports.clock, sink)
                governors[each.identity] = await _governor(config, each, ports, meter, opened), meter
            connect = await _connect(config, each, *governors[each.identity], ports, sink, opened)
            ready.append(
                Source(
                    name=setup.name,
                    provider=setup.provider,
                    origin=setup.origin,
                    connect=connect,
                    blueprints=each.blueprints,
                    requests_at_risk=at_risk(setup.budget, config.max_requests_at_risk),
                    workers=2 * setup.budget.in_flight,
                    weights=setup.weights,
                    link_lifetime=setup.section.link_lifetime or setup.provider.link_lifetime,
                )
            )
        yield tuple(ready)


def at_risk(budget: Budget, most: int) -> int:
    """Requests whose pages may be lost by a crash: *most*, or 5 % of the shortest window if that is less."""
    limits = [window for window in budget.windows if window.requests is not None]
    if not limits:
        return most
    shortest = min(limits, key=lambda window: window.seconds)
    return max(1, min(most, math.floor((shortest.requests or 0) * _RISKED_SHARE)))


def _check_endpoint(setup: Setup, credential: SourceCredential) -> None:
    """Raises ConfigError, with the whole path of the key, when the way of a source to its token is not configured."""
    try:
        setup.provider.auth.token_endpoint(credential)
    except ConfigError as error:
        message = str(error).removeprefix(f"{error.path}: ")
        raise ConfigError(message, path=f"sources.{setup.name}.{error.path}") from error


def host_of(origin: Origin) -> str:
    """Scheme, host and port: what a credential is valid for."""
    return f"{origin.scheme}://{origin.host}:{origin.port}"


async def _governor(config: Config, chosen: Chosen, ports: Ports, meter: Meter, opened: AsyncExitStack) -> Governor:
    setup = chosen.setup
    ledger = await opened.enter_async_context(open_ledger(config, chosen.identity, setup.budget, ports))
    lessons = Path(layout.quota_file(PurePath(config.out)))
    governor = Governor(
        setup.budget,
        ports.clock,
        name=setup.provider.title,
        source=setup.name,
        ledger=ledger,
        sink=meter,
        max_wait=config.max_wait,
        ends_in=config.deadline,
        default_pause=setup.provider.default_pause,
        learned=read_learned(lessons, chosen.identity) if ports.keeps_state else (),
        teach=partial(keep_learned, lessons, chosen.identity) if ports.keeps_state else None,
    )
    meter.read(governor.usage)
    return governor


async def _connect(
    config: Config,
    chosen: Chosen,
    governor: Governor,
    meter: Meter,
    ports: Ports,
    sink: Sink,
    opened: AsyncExitStack,
) -> Callable[[Sink], Transport]:
    setup, credential = chosen.setup, chosen.credential
    provider = setup.provider
    lanes = Lanes(sink)
    transport = await opened.enter_async_context(_transport(setup, setup.origin, ports))
    endpoint = provider.auth.token_endpoint(credential)
    tokens: Transport = _NoTokens()
    if endpoint is not None:
        path = f"sources.{setup.name}.token_url"
        to_tokens = await opened.enter_async_context(_transport(setup, Origin.parse(endpoint, path=path), ports))
        tokens = build_for_tokens(
            to_tokens,
            source=setup.name,
            signals=provider.signals,
            governor=governor if provider.auth.tokens_count else None,
            clock=ports.clock,
            sink=lanes.sink,
        )
    keeper = None
    if config.keep_tokens and endpoint is not None:
        owner = "\0".join(credential.reveal(name) or "" for name in provider.auth.takes())
        binding = binding_of(endpoint, credential.scope or "", owner)
        keeper = TokenFile(ports.fs, layout.token_file(PurePath(config.out), setup.name), binding)
    auth: Auth = provider.auth.bind(credential, tokens, ports.clock, keeper)
    stack = build(
        transport,
        source=setup.name,
        origin=setup.origin,
        judge=_judge(provider),
        signals=provider.signals,
        auth=auth,
        governor=governor,
        clock=ports.clock,
        rng=ports.rng,
        sink=lanes.sink,
    )
    return partial(lanes.open, Metered(stack, meter.look))


def _judge(provider: Provider) -> Judge:
    metadata = provider.metadata
    return provider.judge if metadata is None else partial(metadata.judge, otherwise=provider.judge)


def _transport(setup: Setup, origin: Origin, ports: Ports) -> AiohttpTransport:
    return AiohttpTransport(
        origin,
        ports.clock,
        ports.resolver,
        timeouts=replace(Timeouts(), read=setup.section.timeout or setup.provider.timeout),
        connections=setup.budget.in_flight,
    )


class _NoTokens:
    """The token transport of schemes that send no token request."""

    async def send(self, request: Request) -> Response:
        raise ConfigError(f"this auth scheme sends no token requests, but asked for {request.method}")
