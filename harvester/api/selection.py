"""What a configured source asks for, as blueprints the engine can build from."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator, Sequence
from functools import partial

import msgspec

from harvester.api.relations import put_relation, related_to
from harvester.config.check import check_languages, check_options, check_resource, check_walks
from harvester.config.schema import ResourceConfig, SourceConfig
from harvester.engine.balance import LEAST_PAGES
from harvester.engine.reconcile import Reconcile
from harvester.engine.source import Blueprint, Changes, Cutting
from harvester.errors import ConfigError
from harvester.model import Budget, Relation, Resource
from harvester.planning.closing import closing_walk
from harvester.planning.cutting import place, places, rows_left
from harvester.planning.delta import delta_walks, essential
from harvester.planning.lanes import useful_lanes
from harvester.planning.plan import Wanted, full_walks, with_parents
from harvester.planning.reconcile import listing_walks, moved_walks, purges, repair_walks, ways_of_repair
from harvester.planning.sounding import soundings
from harvester.provider import Provider
from harvester.store import layout

# Pages of a part that is a chain of its own: it ends with a page that is not full, and one more where only that shows
# the end. So its parts take a tenth more requests at most.
_LEAST_OF_A_CHAIN = 15.0


def wanted_of(name: str, section: SourceConfig, provider: Provider, only: Sequence[str] = ()) -> tuple[Wanted, ...]:
    """The resources of source *name*, parents first.

    Args:
        only: names to restrict the source to; (): all that are configured, or the provider's default ones.
    Raises:
        ConfigError: an unknown resource, option or walk; the path and the nearest known name are in the message.
    """
    check_options(name, section, provider.options)
    check_languages(name, section)
    check_walks(name, section, provider.pagers)
    known = {resource.name: resource for resource in provider.resources}
    configured = section.wanted or tuple(
        ResourceConfig(name=resource.name) for resource in provider.resources if resource.default
    )
    configured = tuple(each for each in configured if each.name not in section.exclude)
    if not configured:
        raise ConfigError(
            f"{provider.title} has no resources of its own: name those to harvest", path=f"sources.{name}.resources"
        )
    for each in configured:
        if not provider.open_resources:
            check_resource(name, each.name, known)
    configured, relations = related_to(name, section, provider, configured)
    layout.check_distinct((each.name.replace("/", ".") for each in configured), path=f"sources.{name}.resources")
    everything = [_wanted(name, section, each, known, provider, relations.get(each.name)) for each in configured]
    for wanted in everything:
        _check_reach(name, section, provider, wanted)
    chosen = [each for each in everything if not only or each.resource.name in only]
    return with_parents(provider, chosen, everything)


def blueprints_of(
    name: str,
    section: SourceConfig,
    provider: Provider,
    base_url: str,
    only: Sequence[str] = (),
    budget: Budget | None = None,
) -> tuple[Blueprint, ...]:
    """What the engine builds source *name* from. *budget*: what it keeps to; None: what the provider declares."""
    prints: dict[str, str] = {}
    blueprints = []
    everything = wanted_of(name, section, provider, only)
    parents = {each.resource.per_value.resource for each in everything if each.resource.per_value is not None}
    for wanted in everything:
        parent = wanted.resource.needs
        prints[wanted.resource.name] = fingerprint(
            provider, base_url, wanted, prints[parent] if parent is not None else ""
        )
        blueprints.append(
            Blueprint(
                resource=wanted.resource,
                walks=partial(full_walks, provider, wanted),
                close=partial(closing_walk, provider),
                count=provider.count if _countable(wanted) else None,
                fingerprint=prints[wanted.resource.name],
                implied=wanted.implied,
                essential=essential,
                changes=_changes(provider, wanted.resource, parents),
                cuttings=cuttings_of(provider, wanted, budget or provider.budget),
                reconcile=Reconcile(
                    listings=partial(listing_walks, provider),
                    elsewhere=partial(moved_walks, provider),
                    ways=partial(ways_of_repair, provider),
                    repairs=partial(repair_walks, provider),
                    purges=partial(purges, provider),
                    beyond=provider.beyond,
                ),
            )
        )
    return tuple(blueprints)


def _changes(provider: Provider, resource: Resource, parents: Container[str]) -> Changes | None:
    """How deltas of *resource* are planned; None: it is read whole each time.

    Records without identity cannot be told from each other. And whoever takes its values from a resource needs all of
    them, not those that are new.
    """
    return partial(delta_walks, provider) if resource.key and resource.name not in parents else None


def cuttings_of(provider: Provider, wanted: Wanted, budget: Budget) -> dict[str, Cutting]:
    """How the walk of *wanted* is cut, and those that may take its place; a walk that is not named stays whole."""
    found: dict[str, Cutting] = {}
    walk = wanted.pager or wanted.resource.walk or provider.full
    # Where full walks are cut, deltas are.
    by_time = [name for name, cut in provider.cuts.items() if cut.by_time] if walk in provider.cuts else []
    for name in dict.fromkeys((*_in_turn(provider, walk), *by_time)):
        cut = provider.cuts.get(name)
        if cut is not None and (wanted.resource.modified if cut.by_time else wanted.resource.key):
            found[name] = Cutting(
                by_time=cut.by_time,
                last=cut.last,
                lanes=partial(useful_lanes, budget),
                places=partial(places, provider),
                place=partial(place, provider),
                rows_left=partial(rows_left, provider),
                sound=partial(soundings, style=provider.timestamps) if cut.at_once else None,
                least_pages=_LEAST_OF_A_CHAIN if cut.at_once else LEAST_PAGES,
                running=not cut.at_once,
            )
    return found


def _in_turn(provider: Provider, walk: str) -> Iterator[str]:
    """*walk*, and what is tried after it."""
    name: str | None = walk
    while name is not None:
        yield name
        name = provider.instead.get(name)


def fingerprint(provider: Provider, base_url: str, wanted: Wanted, parent: str = "") -> str:
    """Equal for two runs exactly when they may be one: everything that decides which records a run holds.

    *parent*: the fingerprint of the resource whose values it is walked by; "" when there is none.
    """
    resource = wanted.resource
    facts = (
        provider.name,
        base_url,
        resource.name,
        resource.path,
        resource.key,
        resource.modified,
        sorted(wanted.select),
        wanted.filter,
        wanted.expand,
        wanted.pager or resource.walk or provider.full,
        wanted.headers,
        wanted.horizon,
        provider.headers,  # the API version among them
        parent,
        *provider.shape,
        *([resource.languages] if resource.by_language else []),
        *([resource.relation] if resource.relation is not None else []),
    )
    return hashlib.blake2b(msgspec.json.encode(facts), digest_size=16).hexdigest()


def _wanted(
    name: str,
    section: SourceConfig,
    each: ResourceConfig,
    known: dict[str, Resource],
    provider: Provider,
    relation: Relation | None,
) -> Wanted:
    resource = known.get(each.name)
    if resource is None:
        resource = provider.describe(each.name)
    changes: dict[str, object] = {}
    if each.key:
        changes["key"] = each.key
    if each.modified is not None:
        changes["modified"] = each.modified or None
    if changes:
        resource = msgspec.structs.replace(resource, **changes)
    headers = (("Accept-Language", section.language),) if section.language is not None else ()
    own = section.language or provider.language
    expand = each.expand if each.expand is not None else _expand(section)
    several = section.by_language if relation is None else ()  # a set is read once, in the provider's language
    changes = {
        "languages": several or ((own,) if own else ()),
        "by_language": bool(several),
        "translated": section.expands_translations and "Translations" in (expand or ""),
    }
    resource = msgspec.structs.replace(resource, **changes)
    if relation is not None:  # what narrows its parents narrows it
        resource = put_relation(resource, relation, each, name)
        return Wanted(
            resource=resource,
            select=each.select,
            page_size=each.page_size or section.page_size,
            pager=each.walk,
            headers=headers,
        )
    return Wanted(
        resource=resource,
        select=each.select or section.select,
        filter=each.filter if each.filter is not None else section.filter,
        expand=expand,
        page_size=each.page_size or section.page_size,
        pager=each.walk or section.walk,
        horizon=section.lead_horizon,
        headers=headers,
    )


def _check_reach(name: str, section: SourceConfig, provider: Provider, wanted: Wanted) -> None:
    """Raises ConfigError for a walk that looks back in time where the resource's own does not, or the other way round.

    One reaches back to the horizon only, and the other asks once without an interval: each answers a part of what a
    resource of the other kind holds, and nothing in that answer tells so (IDX Broker contract, section 4).
    """
    own = wanted.resource.walk or provider.full
    asked = wanted.pager or own
    if (asked in provider.look_back) != (own in provider.look_back):
        path = f"sources.{name}.{'walk' if section.walk == asked else 'resource'}"
        raise ConfigError(
            f"{wanted.resource.name} is read by the walk {own!r}; {asked!r} would lose records", path=path
        )


def _expand(section: SourceConfig) -> str | None:
    """``translations = true`` is the expansion that brings every language inside the record (Centris, section 8)."""
    if not section.expands_translations:
        return section.expand
    return f"{section.expand},Translations" if section.expand else "Translations"


def _countable(wanted: Wanted) -> bool:
    """A count of everything says nothing about a filtered walk."""
    return wanted.filter is None
