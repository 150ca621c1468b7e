"""What a position is worth: after a page in the wrong order nothing. An anchor is the earliest time that was told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from harvester.engine.frontier import Frontier
from harvester.engine.position import Position
from harvester.errors import HarvesterError, OrderViolated, ProtocolError, WentRound
from harvester.model import Page, PageRequest
from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import failing_at, listings

FIRST = PageRequest(url="Property")


def page(hour: int, minute: int) -> Page:
    return Page(request=FIRST, url="Property", records=(), served_at=datetime(2026, 3, 1, hour, minute, tzinfo=UTC))


def test_a_clock_that_is_set_back_takes_the_anchor_with_it() -> None:
    """FAULTS T06: what changes from then on has times before those of the first page."""
    position = Position(frontier=Frontier((FIRST,)))
    for hour, minute in ((12, 0), (11, 50), (11, 55)):
        position.meet(page(hour, minute), anchored=False)
    assert (position.anchor, position.reached) == ("2026-03-01T11:50:00Z", "2026-03-01T11:55:00Z")


@pytest.mark.parametrize(
    ("error", "begins"),
    [
        (OrderViolated("records come out of order"), 0),
        (WentRound("the next links go round in a circle"), 0),
        (ProtocolError("the next link leads to the page itself"), 3),
    ],
)
async def test_a_walk_whose_order_was_wrong_begins_anew_in_the_next_attempt(
    out: Path, error: HarvesterError, begins: int
) -> None:
    """FAULTS P02, P15: its position proves nothing. Other failures go on where they stood."""
    bench = Bench(out, {"Property": listings(95)})
    bench.server.before = failing_at({3}, error)
    assert (await bench.run("Property"))["Property"].verdict == "failed"
    asked = len(bench.server.asked)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert bench.server.asked[asked] == bench.server.asked[begins]
    assert bench.keys("Property") == [f"{i:06d}" for i in range(95)]
