"""Records asked for one by one, by their keys: what the provider says of each now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from msgspec import structs

from harvester.contracts import Clock, Transport
from harvester.decode.heads import HeadReader, PageHeads
from harvester.engine.reader import fetch_page, told_to
from harvester.engine.source import Blueprint, Source
from harvester.errors import ProtocolError
from harvester.model import PageRequest, Phase, Walk

WALK = "h00"  # of records that were asked for because somebody said that they have changed


@dataclass(frozen=True, slots=True)
class Look:
    """What came when one record was asked for."""

    key: tuple[str, ...]
    record: bytes | None  # one JSON object, the provider's bytes; None: there is no such record
    modified: str | None  # as the provider wrote it
    size: int  # bytes of the record


def ways_to_look(source: Source, blueprint: Blueprint, now: datetime) -> tuple[tuple[Walk, ...], str]:
    """The walks that ask for records of *blueprint* by key, without keys, the best one first; if none, and why.

    Whoever says that a record has changed names it by one text; that must be its whole identity.
    """
    resource, fetchers = blueprint.resource, source.provider.fetchers
    if len(resource.key) != 1 or resource.per_value is not None:
        return (), "its records are not told apart by one key"
    if resource.by_language:
        return (), "its records are read once in each language"
    if resource.relation is not None:
        return (), "its records are read as sets of other ones"
    walks = blueprint.walks(None, now)
    if len(walks) != 1 or walks[0].value is not None:
        return (), "it is read more than once, in several languages"
    full = walks[0]
    usable = [name for name, fetcher in fetchers.items() if full.filter is None or getattr(fetcher, "filters", False)]
    if not usable:
        return (), "a filter is configured, and a record asked for by its key is not held against it"
    walk = structs.replace(full, id=WALK, phase=Phase.PUSH, until=None, enough=None, reason="")
    return tuple(structs.replace(walk, pager=name) for name in usable), ""


async def look_at(source: Source, transport: Transport, clock: Clock, walk: Walk) -> tuple[Look, ...]:
    """Ask for each of ``walk.keys``; one answer for each, in the same order.

    Raises:
        HarvesterError: as ``fetch_page``; ProtocolError when something else came than what was asked for.
    """
    pager, reader = source.provider.pager(walk.pager), HeadReader(walk.resource)
    found: dict[tuple[str, ...], Look] = {}
    asked: list[PageRequest] = [pager.first(walk)]
    while asked:
        page, response = await fetch_page(source, transport, clock, walk, asked.pop(0))
        if page.rejected:
            raise ProtocolError(f"{walk.resource.name}: a record cannot be taken: {page.rejected[0].reason}")
        heads = PageHeads(page.records, reader)
        asked.extend(told_to(each, response.via) for each in pager.follow(walk, page, heads))
        for head, record in zip(heads, page.records, strict=True):
            if head.key is None:
                raise ProtocolError(f"{walk.resource.name}: a record cannot be taken: {head.problem}")
            found[head.key] = Look(head.key, bytes(record), head.modified, len(record))
    return tuple(found.get(key) or Look(key, None, None, 0) for key in walk.keys)
