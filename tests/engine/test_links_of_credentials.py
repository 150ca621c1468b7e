"""A link that one of several credentials was told is followed by that one, wherever pages are read beside a walk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
from msgspec.structs import replace as changed

from harvester.contracts import Transport
from harvester.engine.frontier import Frontier
from harvester.engine.looks import look_at
from harvester.engine.set_reader import SetReader
from harvester.engine.source import Source
from harvester.engine.suspicion import Suspicion
from harvester.errors import CursorExpired
from harvester.model import Phase, Relation, Request, Resource, Response, Walk
from harvester.pagers.sets import SetsByParent
from harvester.store.keys import identity
from harvester.wire.errands import errand
from tests.fakes.clock import FakeClock
from tests.fakes.lake_bench import Bench
from tests.fakes.swept_lake import BY_KEY
from tests.fakes.transport import answer

PHOTOS = Resource(
    name="Media",
    key=("MediaKey",),
    relation=Relation(parent="Property", parent_key=("ListingKey",), member="ResourceRecordKey", path="Media"),
)


class TwoPages:
    """Every answer has a second page, whose link is told to whoever asked; keeps by whom each request was to go."""

    def __init__(self, row: Callable[[int], str]) -> None:
        self._row = row
        self.vias: list[str | None] = []
        self.lost = 0  # links that are followed in vain

    async def send(self, request: Request) -> Response:
        via = errand().via
        self.vias.append(via)
        second = "skiptoken" in request.url
        if second and self.lost:
            self.lost -= 1
            raise CursorExpired("its credential is refused")
        link = "" if second else ',"@odata.nextLink":"https://api.lakeside.example/odata/next?skiptoken=1"'
        body = f'{{"value":[{self._row(2 if second else 1)}]{link}}}'
        return changed(answer(body=body.encode(), url=request.url), via=via or "second")


def listing(number: int) -> str:
    return f'{{"ListingKey":"{number}","ModificationTimestamp":"2026-03-01T00:00:00Z"}}'


def photo(number: int) -> str:
    return f'{{"MediaKey":"{number}","ResourceRecordKey":"7"}}'


def prepared(out: Path) -> tuple[Source, Walk]:
    """A source with two credentials, and the walk that asks for listings 1 and 2 by their keys."""
    bench = Bench(out, {"Property": []})
    bench.provider = BY_KEY
    source = replace(bench.source("Property"), credentials=("first", "second"))
    resource = source.blueprints[0].resource
    walk = Walk(id="x00", resource=resource, pager="by_filter", phase=Phase.REPAIR, keys=(("1",), ("2",)))
    return source, walk


async def read_set(source: Source, transport: Transport) -> list[bytes]:
    walk = Walk(id="w00", resource=PHOTOS, pager="sets", keys=(("7",),))
    pager = SetsByParent()
    async with anyio.create_task_group() as tasks:
        reader = SetReader(
            walk,
            Frontier([pager.first(walk)]),
            pager,
            source=source,
            transport=transport,
            clock=FakeClock(),
            tasks=tasks,
            lanes=1,
        )
        fetched = await reader.next()
    assert fetched is not None
    assert fetched.unread is None
    return [bytes(record) for record in fetched.page.records]


async def test_the_pages_of_a_set_are_asked_for_by_one_credential(out: Path) -> None:
    source, _ = prepared(out)
    transport = TwoPages(photo)
    assert len(await read_set(source, transport)) == 2
    assert transport.vias == [None, "second"]


async def test_a_set_whose_credential_is_lost_within_it_is_begun_anew_with_another(out: Path) -> None:
    """FAULTS S10: it is whole, and no record comes twice."""
    source, _ = prepared(out)
    transport = TwoPages(photo)
    transport.lost = 1
    assert len(await read_set(source, transport)) == 2
    assert transport.vias == [None, "second", None, "second"]


async def test_what_is_looked_at_because_somebody_said_that_it_changed(out: Path) -> None:
    source, walk = prepared(out)
    transport = TwoPages(listing)
    looks = await look_at(source, transport, FakeClock(), walk)
    assert [look.record is not None for look in looks] == [True, True]
    assert transport.vias == [None, "second"]


async def test_what_is_asked_because_a_listing_may_leave_something_out(out: Path) -> None:
    source, walk = prepared(out)
    transport = TwoPages(listing)
    reconcile = source.blueprints[0].reconcile
    assert reconcile is not None
    full = changed(walk, phase=Phase.FULL, keys=(), pager="chain")
    suspicion = Suspicion(source, reconcile, transport, [full], times=False)
    assert await suspicion.alive([(identity((key,)), None) for key in "12"]) == ("1",)
    assert transport.vias == [None, "second"]
