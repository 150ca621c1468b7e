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
from harvester.config.check import check_config, check_resource_names, check_secrets, check_source_names, check_webhooks
from harvester.config.schema import Config, SourceConfig
from harvester.config.secrets import SecretStore, SourceCredential, configured_secrets, credential_path
from harvester.contracts import Auth, Judge, Sink, Transport
from harvester.engine.source import Blueprint, Source
from harvester.errors import ConfigError
from harvester.governor.governor import Governor, Ticket
from harvester.governor.learned import keep_learned, read_learned
from harvester.governor.meter import Meter
from harvester.model import Budget, Request, Response
from harvester.planning.lanes import together
from harvester.provider import Provider, SourceFacts
from harvester.store import layout
from harvester.store.token_file import TokenFile, binding_of
from harvester.wire.lanes import Lanes
from harvester.wire.limits import Timeouts
from harvester.wire.metered import Metered
from harvester.wire.origin import Origin
from harvester.wire.stack import Way, build_for_tokens, build_shared
from harvester.wire.transport import AiohttpTransport

_RISKED_SHARE = 0.05  # of the shortest window: a crash may cost that much of it


@dataclass(frozen=True, kw_only=True)
class Setup:
    """One source, checked and declared, before anything is opened."""

    name: str
    section: SourceConfig
    provider: Provider
    budgets: Mapping[str, Budget]  # of its credentials, by their names; "": it has one only
    origin: Origin

    @property
    def budget(self) -> Budget:
        """What all its credentials may do together, for estimates."""
        return together(tuple(self.budgets.values()))

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
        secrets = frozenset(configured_secrets(next(iter(section.sharers.values()))))
        facts = SourceFacts(
            api_version=section.api_version,
            secrets=secrets,
            masked=section.masked,
            names=section.names if section.names is not None else {} if section.readable_names else None,
        )
        provider = provider.for_source(facts)
    base_url = section.base_url or provider.base_url
    if base_url is None:
        raise ConfigError(f"{provider.title} needs the URL of the service", path=f"sources.{name}.base_url")
    check_secrets(name, section, provider.auth.secrets(), provider.auth.takes())
    check_webhooks(name, section, posts=provider.push is not None)
    return Setup(
        name=name,
        section=section,
        provider=provider,
        budgets={each: section.budget_of(each, provider.budget) for each in section.sharers},
        origin=Origin.parse(base_url, path=f"sources.{name}.base_url"),
    )


@dataclass(frozen=True, kw_only=True)
class Holder:
    """One credential of a source."""

    name: str  # "": the source has one only
    credential: SourceCredential
    identity: str  # what its quota belongs to
    budget: Budget


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A source that will be opened: what it harvests and with which secrets."""

    setup: Setup
    blueprints: tuple[Blueprint, ...]
    holders: tuple[Holder, ...]  # its credentials, one at least

    @property
    def name(self) -> str:
        return self.setup.name

    @property
    def identities(self) -> tuple[str, ...]:
        """What the quotas of its credentials belong to."""
        return tuple(holder.identity for holder in self.holders)


def holders_of(setup: Setup, secrets: SecretStore) -> tuple[Holder, ...]:
    """The credentials of a source, read.

    Raises:
        ConfigError: one cannot be read, or two of them are the same, so that they have one quota.
    """
    holders: dict[str, Holder] = {}
    for name, budget in setup.budgets.items():
        credential = secrets.credential(setup.name, name)
        _check_endpoint(setup, credential)
        identity = secrets.identity(setup.name, host_of(setup.origin), name)
        holder = Holder(name=name, credential=credential, identity=identity, budget=budget)
        twin = holders.setdefault(identity, holder)
        if twin is not holder:
            raise ConfigError(
                f"is the same credential as {twin.name}, and has the same quota; name each of them once",
                path=credential_path(setup.name, name),
            )
    return tuple(holders.values())


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
            chosen.append(Chosen(setup=setup, blueprints=blueprints, holders=holders_of(setup, secrets)))
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
            for holder in each.holders:
                if holder.identity not in governors:
                    meter = Meter(_sharers(holder.identity, chosen), ports.clock, sink)
                    governors[holder.identity] = await _governor(config, each, holder, ports, meter, opened), meter
            connect = await _connect(config, each, governors, ports, sink, opened)
            several = len(each.holders) > 1
            ready.append(
                Source(
                    name=setup.name,
                    provider=setup.provider,
                    origin=setup.origin,
                    connect=connect,
                    blueprints=each.blueprints,
                    requests_at_risk=at_risk(setup.budget, config.max_requests_at_risk),
                    most_at_risk=config.max_requests_at_risk,
                    workers=2 * setup.budget.in_flight,
                    weights=setup.weights,
                    link_lifetime=setup.section.link_lifetime or setup.provider.link_lifetime,
                    credentials=tuple(holder.name for holder in each.holders) if several else (),
                    viewers="|".join((setup.base_url, *sorted(each.identities))) if several else "",
                )
            )
        yield tuple(ready)


def _sharers(identity: str, chosen: Sequence[Chosen]) -> list[tuple[str, str]]:
    """The sources that use a credential, each with its own name for it."""
    return [(each.name, holder.name) for each in chosen for holder in each.holders if holder.identity == identity]


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


async def _governor(
    config: Config, chosen: Chosen, holder: Holder, ports: Ports, meter: Meter, opened: AsyncExitStack
) -> Governor:
    setup, identity = chosen.setup, holder.identity
    ledger = await opened.enter_async_context(open_ledger(config, identity, holder.budget, ports))
    lessons = Path(layout.quota_file(PurePath(config.out)))
    governor = Governor(
        holder.budget,
        ports.clock,
        name=setup.provider.title,
        source=setup.name,
        ledger=ledger,
        sink=meter,
        max_wait=config.max_wait,
        ends_in=config.deadline,
        default_pause=setup.provider.default_pause,
        learned=read_learned(lessons, identity) if ports.keeps_state else (),
        teach=partial(keep_learned, lessons, identity) if ports.keeps_state else None,
    )
    meter.read(governor.usage)
    return governor


async def _connect(
    config: Config,
    chosen: Chosen,
    governors: Mapping[str, tuple[Governor, Meter]],
    ports: Ports,
    sink: Sink,
    opened: AsyncExitStack,
) -> Callable[[Sink], Transport]:
    setup = chosen.setup
    lanes = Lanes(sink)
    ways: dict[Way[Ticket], Callable[[], float]] = {}
    for holder in chosen.holders:
        governor, _ = governors[holder.identity]
        transport = await opened.enter_async_context(_transport(setup, holder, setup.origin, ports))
        auth = await _auth(config, setup, holder, governor, ports, lanes, opened)
        ways[Way(name=holder.name, transport=transport, auth=auth, governor=governor)] = governor.next_free
    stack = build_shared(
        ways,
        source=setup.name,
        origin=setup.origin,
        judge=_judge(setup.provider),
        signals=setup.provider.signals,
        clock=ports.clock,
        rng=ports.rng,
        sink=lanes.sink,
    )

    def look() -> None:
        for identity in chosen.identities:
            governors[identity][1].look()

    return partial(lanes.open, Metered(stack, look))


async def _auth(
    config: Config,
    setup: Setup,
    holder: Holder,
    governor: Governor,
    ports: Ports,
    lanes: Lanes,
    opened: AsyncExitStack,
) -> Auth:
    scheme, credential, path = setup.provider.auth, holder.credential, f"sources.{setup.name}.token_url"
    endpoint = scheme.token_endpoint(credential)
    if endpoint is None:
        return scheme.bind(credential, _NoTokens(), ports.clock, None)
    to_tokens = await opened.enter_async_context(_transport(setup, holder, Origin.parse(endpoint, path=path), ports))
    tokens = build_for_tokens(
        to_tokens,
        source=setup.name,
        signals=setup.provider.signals,
        governor=governor if scheme.tokens_count else None,
        clock=ports.clock,
        sink=lanes.sink,
        credential=holder.name,
    )
    keeper = None
    if config.keep_tokens:
        owner = "\0".join(credential.reveal(name) or "" for name in scheme.takes())
        binding = binding_of(endpoint, credential.scope or "", owner)
        name = ".".join(each for each in (setup.name, holder.name) if each)
        keeper = TokenFile(ports.fs, layout.token_file(PurePath(config.out), name), binding)
    auth = scheme.bind(credential, tokens, ports.clock, keeper)
    opened.push_async_callback(auth.close)  # before the connection that its token request is on
    return auth


def _judge(provider: Provider) -> Judge:
    metadata = provider.metadata
    return provider.judge if metadata is None else partial(metadata.judge, otherwise=provider.judge)


def _transport(setup: Setup, holder: Holder, origin: Origin, ports: Ports) -> AiohttpTransport:
    return AiohttpTransport(
        origin,
        ports.clock,
        ports.resolver,
        timeouts=replace(Timeouts(), read=setup.section.timeout or setup.provider.timeout),
        connections=holder.budget.in_flight,
    )


class _NoTokens:
    """The token transport of schemes that send no token request."""

    async def send(self, request: Request) -> Response:
        raise ConfigError(f"this auth scheme sends no token requests, but asked for {request.method}")
