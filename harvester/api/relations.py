"""Which resources are read as sets of another one's records, as a configuration asks for it (``related = [...]``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import structs

from harvester.config.schema import ALL, ResourceConfig, SourceConfig
from harvester.config.typed import unknown_key
from harvester.errors import ConfigError
from harvester.model import Relation, Resource
from harvester.provider import Provider


def related_to(
    name: str, section: SourceConfig, provider: Provider, configured: Sequence[ResourceConfig]
) -> tuple[tuple[ResourceConfig, ...], Mapping[str, Relation]]:
    """The configured resources of source *name* with those that come beside them, and the relations in force.

    A resource that exists only as sets is related to its parent, whether it is named as ``related`` or not.

    Raises:
        ConfigError: there is no such related resource; the message has those that there are.
    """
    chosen = {each.name for each in configured if each.name in provider.relations}
    active = {each for each in chosen if not provider.relations[each].collection}
    for number, table in enumerate(configured):
        of_source = not table.related
        path = f"sources.{name}.related" if of_source else f"sources.{name}.resource[{number}].related"
        known = {each for each, relation in provider.relations.items() if relation.parent == table.name}
        for word in table.related or section.related:
            found = known if word == ALL else {word, f"{table.name}/{word}"} & known
            if not found and (not of_source or not _known_anywhere(word, provider)):
                raise _unknown(path, word, known if not of_source else set(provider.relations), provider)
            active |= found
    if section.related and not active:
        parents = ", ".join(sorted({relation.parent for relation in provider.relations.values()}))
        raise ConfigError(
            f"nothing to relate to is harvested; add {parents} to resources", path=f"sources.{name}.related"
        )
    active -= set(section.exclude)
    added = [ResourceConfig(name=each) for each in provider.relations if each in active - chosen]
    relations = {each: provider.relations[each] for each in active}
    return (*configured, *added), relations


def put_relation(resource: Resource, relation: Relation | None, table: ResourceConfig, source: str) -> Resource:
    """*resource* as sets of another one's, where there is a *relation*.

    Raises:
        ConfigError: its table narrows it, so that no set of it would be whole.
    """
    if relation is None:
        return resource
    for key in ("filter", "expand"):
        if getattr(table, key) is not None:
            raise ConfigError(
                f"a set of {resource.name} is read whole or not at all; remove the {key}",
                path=f"sources.{source}.resource.{resource.name}",
            )
    if relation.stamped and table.select:
        raise ConfigError(
            f"{resource.name} comes inside {relation.parent}, where nothing can be selected; remove the select",
            path=f"sources.{source}.resource.{resource.name}",
        )
    return structs.replace(resource, relation=relation)


def _known_anywhere(word: str, provider: Provider) -> bool:
    names = {*provider.relations, *(each.rpartition("/")[2] for each in provider.relations)}
    return bool(provider.relations) and (word == ALL or word in names)


def _unknown(path: str, word: str, known: set[str], provider: Provider) -> ConfigError:
    if not provider.relations:
        return ConfigError(f"{provider.title} knows no related resources; ask for them with expand", path=path)
    return unknown_key(path, word, known, what=f"there is no related resource {word!a}")
