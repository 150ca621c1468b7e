"""What a run will do: which resources, by which walks, in which order, and why. Pure; opens nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct, structs

from harvester.errors import ConfigError
from harvester.model import Phase, Resource, Walk
from harvester.planning.closing import write_instant
from harvester.provider import Provider


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
        parent = item.resource.per_value
        if parent is not None and parent.resource not in ordered:
            place(asked.get(parent.resource) or structs.replace(known[parent.resource], implied=True))
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


def full_walks(provider: Provider, wanted: Wanted, values: Sequence[str] | None, now: datetime) -> tuple[Walk, ...]:
    """The walks that read a whole resource: one, or one per value of its parent.

    Args:
        values: the parent's values in the order they were found; None for a resource without a parent.
        now: aware UTC; where walks that look back in time begin.
    """
    pager = wanted.pager or wanted.resource.walk or provider.full
    if pager not in provider.pagers:
        known = ", ".join(sorted(provider.pagers))
        raise ConfigError(f"{provider.name} has no walk {pager!r}; it has {known}.", path="walk")
    reason = _first_sentence(type(provider.pagers[pager]).__doc__)
    if pager in provider.cuts:
        parts = "windows of the modification time" if provider.cuts[pager].by_time else "ranges of the key"
        reason += f" Cut into {parts}, as many side by side as the quota can feed."
    scopes: Sequence[str | None] = values if values is not None else (None,)
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
            headers=wanted.headers,
            reason=reason,
        )
        for index, value in enumerate(scopes)
    )


def _smaller(asked: int | None, allowed: int | None) -> int | None:
    sizes = [size for size in (asked, allowed) if size is not None]
    return min(sizes) if sizes else None


def _first_sentence(text: str | None) -> str:
    """Of a docstring, without its marks for code: people read it in a table."""
    return " ".join((text or "").strip().split("\n\n")[0].replace("``", "").split())
