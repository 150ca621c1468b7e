"""Asks a server how it pages: a few requests, through the same governor as any other, each read as evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio
import msgspec
from msgspec import Raw

from harvester.contracts import Clock, Sink, Transport
from harvester.decode.heads import HeadReader, PageHeads
from harvester.engine.ask import open_page, send
from harvester.engine.source import Source
from harvester.errors import GiveUpError, Locked, PageTooLarge, ResourceRefused, StorageError
from harvester.events import Event, Repeated
from harvester.inquiry import Inquiry, Link, Reply
from harvester.model import Page, PageRequest, Response, Walk

MOST = 6  # requests that a probe of one resource may cost

_FAULT = ": status 5"  # in the reason of an event: neither a pause for the quota nor a broken connection

Connect = Callable[[Sink], Transport]
"""A way to the wire whose events go to the sink: ``Source.connect``, or one that listens as well."""

Script = Callable[[Sequence[Reply]], Inquiry | None]
"""The next question, from the replies so far; None: enough is known."""


async def interview(
    source: Source, connect: Connect, walk: Walk, script: Script, clock: Clock, *, most: int = MOST
) -> tuple[Reply, ...]:
    """Ask what *script* wants to know about the resource of *walk*, one question after another.

    A question that the server refuses is answered too: by its refusal. So is one that it fails on (5xx): some servers
    know no other answer to what they do not support, and asking again would cost many requests. The first question
    is neither, because a resource that cannot be had at all has no properties.

    Args:
        connect: gives a transport whose events go to the sink.

    Raises:
        HarvesterError: as ``Transport.send``; also the refusal of the first question.
    """
    replies: list[Reply] = []
    watch = _Watch()
    transport = connect(watch.see)
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
        with anyio.CancelScope() as scope:
            watch.scope, watch.fault = (scope if replies else None), ""
            try:
                response = await send(source, transport, walk, request)
                page = open_page(source, walk, request, response)
                replies.append(_reply(inquiry, walk, request, page, response, at))
            except (StorageError, Locked):
                raise
            except GiveUpError as error:
                if not replies:
                    raise
                replies.append(_refusal(inquiry, error, at))
        if watch.fault:
            replies.append(Reply(inquiry=inquiry, refused=_reason(watch.fault), failed=True, at=at))
    return tuple(replies)


class _Watch:
    """Ends a question when the server fails on it, before it is asked again."""

    def __init__(self) -> None:
        self.scope: anyio.CancelScope | None = None  # of the question under way; None: it may be repeated
        self.fault = ""  # the failure that ended it

    def see(self, event: Event) -> None:
        if self.scope is not None and isinstance(event, Repeated) and _FAULT in event.reason:
            self.fault = event.reason
            self.scope.cancel()


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
        keys=tuple(key or None for key in heads.columns.keys),
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


def _reason(message: str) -> str:
    """Without the URL in front: it names every option, and the reason perhaps the one that is to blame."""
    _, told, reason = message.partition(": status ")
    return f"status {reason}" if told else message


def _refusal(inquiry: Inquiry, error: Exception, at: float) -> Reply:
    return Reply(
        inquiry=inquiry,
        refused=_reason(str(error)),
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
