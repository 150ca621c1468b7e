"""Finds out how the resources of one open source are paged, or remembers what was found before."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import PurePath

import msgspec
from msgspec import Struct, structs

from harvester.api.ports import Ports
from harvester.api.selection import cuttings_of
from harvester.contracts import Sink, Transport
from harvester.engine.probe import first_values, interview
from harvester.engine.source import Blueprint, Source
from harvester.errors import HarvesterError
from harvester.events import Event
from harvester.model import Budget, Resource, Walk
from harvester.planning.closing import closing_walk
from harvester.planning.delta import delta_walks
from harvester.planning.dialogue import next_inquiry
from harvester.planning.plan import Wanted, full_walks
from harvester.planning.profile import FORMAT, Profile
from harvester.planning.reading import read_profile
from harvester.planning.strategy import PROVE, Strategy, choose_strategy, kept_strategy
from harvester.provider import Provider
from harvester.store.profiles import ProfileFile


class Found(Struct, frozen=True, kw_only=True):
    """What is known of one resource."""

    profile: Profile
    at: datetime  # aware UTC, when it was found out
    asked: bool  # just now; False: it was kept


class ProfileBook:
    """The kept profiles of one source. Reads and writes files; sends nothing."""

    def __init__(
        self, source: str, provider: Provider, base_url: str, *, out: PurePath, lifetime: float, ports: Ports
    ) -> None:
        self._source, self._provider, self._base_url = source, provider, base_url
        self._out, self._lifetime, self._ports = out, lifetime, ports

    def read(self, wanted: Wanted) -> Found | None:
        """What is known of *wanted*; None: nothing, or nothing that still counts."""
        kept = self._file(wanted).read(Profile, self._ports.clock.now(), self._lifetime)
        return None if kept is None else Found(profile=kept[0], at=kept[1], asked=False)

    def keep(self, wanted: Wanted, found: Found) -> None:
        """Raises ``StorageError``. What was found of an empty resource, or in the middle of faults, is not kept."""
        if found.profile.rows and not found.profile.faults:
            self._file(wanted).keep(found.profile, found.at)

    def forget(self, wanted: Wanted) -> None:
        self._file(wanted).forget()

    def _file(self, wanted: Wanted) -> ProfileFile:
        resource = wanted.resource
        facts = (
            *(FORMAT, self._provider.name, self._base_url),
            *(resource.name, resource.path, resource.key, resource.modified),
            *(wanted.select, wanted.filter, wanted.expand, wanted.headers, self._provider.headers),
        )
        binding = hashlib.blake2b(msgspec.json.encode(facts), digest_size=16).hexdigest()
        return ProfileFile(self._ports.fs, self._out, self._source, resource.dirname, binding=binding)


class Prober:
    """Asks one source, through its governor."""

    def __init__(self, source: Source, book: ProfileBook, ports: Ports, sink: Sink) -> None:
        self._source, self._book, self._ports, self._sink = source, book, ports, sink
        self._values: dict[tuple[str, str], str | None] = {}  # one value of a parent's member

    async def probe(self, wanted: Wanted, *, refresh: bool = False) -> Found:
        """What is known of *wanted*, asked for where it is not known yet, and kept.

        Args:
            refresh: ask in any case.
        Raises:
            HarvesterError: the resource cannot be had, or its server not be reached.
        """
        known = None if refresh else self._book.read(wanted)
        if known is not None:
            return known
        walk = await self._walk(wanted)
        replies = await interview(self._source, self._connect, walk, next_inquiry, self._ports.clock)
        found = Found(profile=read_profile(replies), at=self._ports.clock.now(), asked=True)
        self._book.keep(wanted, found)
        return found

    def _connect(self, listener: Sink) -> Transport:
        """A way to the wire whose events *listener* hears before they are told on."""

        def both(event: Event) -> None:
            listener(event)
            self._sink(event)

        return self._source.connect(both)

    async def _walk(self, wanted: Wanted) -> Walk:
        """A walk of *wanted*; of those for the values of a parent, the one for any value."""
        values = await self._any_value(wanted.resource)
        return full_walks(self._source.provider, wanted, values, self._ports.clock.now())[0]

    async def _any_value(self, resource: Resource) -> tuple[str, ...] | None:
        parent = resource.per_value
        if parent is None:
            return None
        place = parent.resource, parent.member
        if place not in self._values:
            holder = next(b.resource for b in self._source.blueprints if b.resource.name == parent.resource)
            walk = await self._walk(Wanted(resource=holder))
            pager = self._source.provider.pagers[walk.pager]
            transport = self._source.connect(self._sink)
            values = await first_values(self._source, transport, walk, pager.first(walk), parent.member)
            self._values[place] = values[0] if values else None
        value = self._values[place]
        if value is None:
            raise NothingToProbe(f"{parent.resource} holds no {parent.member} to ask {resource.name} for")
        return (value,)


class NothingToProbe(HarvesterError):
    """A resource is asked for by the values of another one, which has none."""


def unknown_strategy(provider: Provider, wanted: Wanted, error: HarvesterError) -> Strategy:
    """The strategy for a server that could not be probed: the one there would be anyway, which nothing speaks for."""
    why = f"how the server pages could not be found out ({error})"
    return Strategy(
        walk=named_walk(wanted) or provider.full, reason=why, closing=provider.closing, doubt=f"{why}; {PROVE}"
    )


def followed(blueprint: Blueprint, provider: Provider, wanted: Wanted, strategy: Strategy, budget: Budget) -> Blueprint:
    """*blueprint*, with its walks as *strategy* says. Its fingerprint stays: the records of the run are the same."""
    chosen = follow(wanted, strategy)
    told = replace(provider, closing=strategy.closing)

    def walks(*args: object) -> tuple[Walk, ...]:
        made = full_walks(provider, chosen, *args)  # type: ignore[arg-type]
        return tuple(structs.replace(walk, reason=strategy.reason, counted=strategy.counted) for walk in made)

    return replace(
        blueprint,
        resource=chosen.resource,
        walks=walks,
        close=partial(closing_walk, told),
        changes=None if blueprint.changes is None else partial(delta_walks, told),
        doubt=strategy.doubt,
        doubts=strategy.doubts,
        cuttings=cuttings_of(provider, chosen, budget),
        gap=strategy.gap,
        count=blueprint.count if strategy.counted else None,
    )


def follow(wanted: Wanted, strategy: Strategy) -> Wanted:
    """*wanted* as *strategy* has it read."""
    resource = wanted.resource if strategy.dated else structs.replace(wanted.resource, modified=None)
    return structs.replace(
        wanted, resource=resource, pager=strategy.walk, page_size=wanted.page_size or strategy.page_size
    )


def is_probed(provider: Provider, wanted: Wanted) -> bool:
    """Whether a run asks how *wanted* is paged: no contract tells. A walk that the user names is kept, and judged."""
    return provider.probed and wanted.resource.per_value is None


def named_walk(wanted: Wanted) -> str:
    """The walk that the configuration or the provider's contract names for *wanted*; "": none."""
    return wanted.pager or wanted.resource.walk or ""


def strategy_for(provider: Provider, wanted: Wanted, profile: Profile, budget: Budget) -> Strategy:
    """How a run reads *wanted*: as it is told to, else as *profile* advises."""
    walk = named_walk(wanted)
    if walk:
        return kept_strategy(provider, wanted.resource, profile, walk)
    return choose_strategy(provider, wanted.resource, profile, budget)
