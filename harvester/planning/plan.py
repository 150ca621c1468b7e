"""What a run will do: which resources, by which walks, in which order, and why. Pure; opens nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct, structs

from harvester.errors import ConfigError
from harvester.model import Phase, Relation, Resource, Walk
from harvester.planning.closing import write_instant
from harvester.provider import SETS, Provider


class Wanted(Struct, frozen=True, kw_only=True):
    """A resource as the configuration asks for it."""

    resource: Resource
    select: tuple[str, ...] = ()
    filter: str | None = None
    expand: str | None = None
    page_size: int | None = None
    pager: str | None = None  # a strategy named by the user; None: the provider's own choice
    horizon: float | None = None  # seconds
    headers: tuple[tuple[str, str], ...] = ()
    implied: bool = False  # not asked for, but another resource cannot be walked without it


def with_parents(provider: Provider, wanted: Iterable[Wanted], configured: Iterable[Wanted] = ()) -> tuple[Wanted, ...]:
    """*wanted* with every resource that another one takes its values from, parents first.

    IMS needs ``Database`` before ``Property``; IDX Broker ``mls/approvedmls`` before ``mls/cities``.

    Args:
        configured: how resources that are not among *wanted* are to be read if they are needed.
    Raises:
        ConfigError: a parent is filtered or narrowed so that the values cannot be read from it.
    """
    asked = {item.resource.name: item for item in wanted}
    known = {resource.name: Wanted(resource=resource) for resource in provider.resources}
    known |= {item.resource.name: item for item in configured}
    ordered: dict[str, Wanted] = {}

    def place(item: Wanted) -> None:
        needs = item.resource.needs
        if needs is not None and needs not in ordered:
            place(asked.get(needs) or structs.replace(known[needs], implied=True))
        if item.resource.relation is not None:
            item = _related(item, item.resource.relation, ordered[item.resource.relation.parent])
        parent = item.resource.per_value
        if parent is not None:
            holder = ordered[parent.resource]
            if holder.select and parent.member not in holder.select:
                raise ConfigError(
                    f"{holder.resource.name} is selected without {parent.member}, which {item.resource.name} needs. "
                    f"Add {parent.member} to its select list.",
                    path=holder.resource.name,
                )
        ordered.setdefault(item.resource.name, item)

    for item in asked.values():
        place(item)
    return tuple(ordered.values())


def _related(item: Wanted, relation: Relation, holder: Wanted) -> Wanted:
    """*item* as related to the records of *holder*, whose members are as they are configured.

    Raises:
        ConfigError: *holder* is narrowed so that nothing in its records tells when a set changes.
    """
    own = structs.replace(relation, parent_key=holder.resource.key, modified=holder.resource.modified)
    if holder.select and not any(_is_selected(name, holder.select) for name in own.telling):
        raise ConfigError(
            f"{holder.resource.name} is selected without {' or '.join(own.telling)}, by which it is seen that its "
            f"{item.resource.name} has changed. Add that to its select list.",
            path=holder.resource.name,
        )
    return structs.replace(item, resource=structs.replace(item.resource, relation=own))


def _is_selected(name: str, select: Sequence[str]) -> bool:
    return name in select or name.partition(".")[0] in select or name.rpartition(".")[2] in select


def full_walks(provider: Provider, wanted: Wanted, values: Sequence[str] | None, now: datetime) -> tuple[Walk, ...]:
    """The walks that read a whole resource: one, or one per value of its parent, or per language.

    Args:
        values: the parent's values in the order they were found; None for a resource without a parent.
        now: aware UTC; where walks that look back in time begin.
    """
    relation = wanted.resource.relation
    if relation is not None and not relation.collection:
        return (_through_sets(wanted, relation),)
    pager = wanted.pager or wanted.resource.walk or provider.full
    if pager not in provider.pagers:
        known = ", ".join(sorted(provider.pagers))
        raise ConfigError(f"{provider.name} has no walk {pager!r}; it has {known}.", path="walk")
    reason = _first_sentence(type(provider.pagers[pager]).__doc__)
    if pager in provider.cuts:
        parts = "windows of the modification time" if provider.cuts[pager].by_time else "ranges of the key"
        reason += f" Cut into {parts}, as many side by side as the quota can feed."
    resource = wanted.resource
    scopes: Sequence[str | None] = values if values is not None else (None,)
    if resource.by_language:
        scopes = resource.languages
    return tuple(
        Walk(
            id=f"w{index:02d}",
            resource=wanted.resource,
            pager=pager,
            phase=Phase.FULL,
            value=value,
            until=write_instant(now, provider.timestamps) if pager in provider.look_back else None,
            enough=write_instant(now, provider.timestamps) if wanted.resource.modified else None,
            horizon=wanted.horizon,
            page_size=_smaller(wanted.page_size, wanted.resource.page_size),
            select=wanted.select,
            filter=wanted.filter,
            expand=wanted.expand,
            headers=(*wanted.headers, ("Accept-Language", value)) if resource.by_language and value else wanted.headers,
            reason=reason,
        )
        for index, value in enumerate(scopes)
    )


def _through_sets(wanted: Wanted, relation: Relation) -> Walk:
    """Stands for the walks through sets, which are planned when the parents are known."""
    return Walk(
        id="a000000",
        resource=wanted.resource,
        pager=SETS,
        phase=Phase.SETS,
        page_size=wanted.page_size,
        select=wanted.select,
        reason=f"The set of each of {relation.parent}, one request for all that are wanted of it.",
    )


def _smaller(asked: int | None, allowed: int | None) -> int | None:
    sizes = [size for size in (asked, allowed) if size is not None]
    return min(sizes) if sizes else None


def _first_sentence(text: str | None) -> str:
    """Of a docstring, without its marks for code: people read it in a table."""
    return " ".join((text or "").strip().split("\n\n")[0].replace("``", "").split())
