"""Asks a server how it pages: a few requests, through the same governor as any other, each read as evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Raw

from harvester.contracts import Clock, Transport
from harvester.decode.heads import HeadReader, PageHeads
from harvester.engine.ask import open_page, send
from harvester.engine.source import Source
from harvester.errors import OriginRefused, PageTooLarge, ProtocolError, ResourceRefused
from harvester.inquiry import Inquiry, Link, Reply
from harvester.model import Page, PageRequest, Response, Walk

MOST = 6  # requests that a probe of one resource may cost

Script = Callable[[Sequence[Reply]], Inquiry | None]
"""The next question, from the replies so far; None: enough is known."""


async def interview(
    source: Source, transport: Transport, walk: Walk, script: Script, clock: Clock, *, most: int = MOST
) -> tuple[Reply, ...]:
    """Ask what *script* wants to know about the resource of *walk*, one question after another.

    A question that the server refuses is answered too: by its refusal. The first one is not, because a resource that
    cannot be had at all has no properties.

    Raises:
        HarvesterError: as ``Transport.send``; also the refusal of the first question.
    """
    replies: list[Reply] = []
    began = clock.monotonic()
    asked = 0
    if source.provider.questions is None:
        most = 1  # it can be asked for a first page, and nothing else
    while asked < most and (inquiry := script(replies)) is not None:
        request = _request(source, walk, inquiry)
        if request is None:
            replies.append(Reply(inquiry=inquiry, unasked=True))
            continue
        asked += 1
        at = clock.monotonic() - began
        try:
            response = await send(source, transport, walk, request)
            page = open_page(source, walk, request, response)
            replies.append(_reply(inquiry, walk, request, page, response, at))
        except (ResourceRefused, PageTooLarge, ProtocolError, OriginRefused) as error:
            if not replies:
                raise
            replies.append(_refusal(inquiry, error, at))
    return tuple(replies)


async def first_values(
    source: Source, transport: Transport, walk: Walk, request: PageRequest, member: str
) -> tuple[str, ...]:
    """What the records of one page hold in *member*, as text: values that another resource is walked by."""
    page = open_page(source, walk, request, await send(source, transport, walk, request))
    found = (_member(record, member) for record in page.records)
    return tuple(dict.fromkeys(str(value) for value in found if isinstance(value, str | int) and value != ""))


def _request(source: Source, walk: Walk, inquiry: Inquiry) -> PageRequest | None:
    questions = source.provider.questions
    if questions is not None:
        return questions.ask(walk, inquiry)
    is_first = inquiry == Inquiry(name=inquiry.name)
    return source.provider.pagers[walk.pager].first(walk) if is_first else None


def _reply(inquiry: Inquiry, walk: Walk, request: PageRequest, page: Page, response: Response, at: float) -> Reply:
    heads = PageHeads(page.records, HeadReader(walk.resource))
    first = _members(page.records[0]) if page.records else {}
    identity = first.get(walk.resource.key[0]) if walk.resource.key else None
    return Reply(
        inquiry=inquiry,
        selected="select=" in request.url,
        skipped=inquiry.skip > 0 and "skip=" in request.url,
        rows=len(page.records) + len(page.rejected),
        keys=tuple(heads.columns.keys),
        times=tuple(heads.columns.times),
        members=frozenset(first),
        number_key=identity is not None and bytes(identity)[:1] != b'"',
        link=None if page.next_link is None else Link(page.url, page.next_link),
        count=page.count,
        at=at,
        seconds=response.elapsed,
        bytes=len(response.body),
        wire_bytes=response.wire_bytes,
        encoding=response.headers.get("content-encoding", ""),
    )


def _refusal(inquiry: Inquiry, error: Exception, at: float) -> Reply:
    # Without the URL in front: it names every option, and the reason perhaps the one that is to blame.
    _, told, reason = str(error).partition(": status ")
    return Reply(
        inquiry=inquiry,
        refused=f"status {reason}" if told else str(error),
        status=error.status if isinstance(error, ResourceRefused) else 0,
        allowed=error.page_size if isinstance(error, PageTooLarge) else None,
        at=at,
    )


def _members(record: Raw) -> dict[str, Raw]:
    try:
        return msgspec.json.decode(record, type=dict[str, Raw])
    except (msgspec.DecodeError, RecursionError):
        return {}


def _member(record: Raw, name: str) -> object:
    raw = _members(record).get(name)
    return None if raw is None else msgspec.json.decode(raw)
