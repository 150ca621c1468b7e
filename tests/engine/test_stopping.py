"""Asked to stop, a harvest ends in good order, and the next attempt goes on (FAULTS R02)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from harvester.model import PageRequest
from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import at_once, listings


async def test_asked_to_stop_it_commits_what_it_has_and_goes_on_next_time(out: Path) -> None:
    bench = Bench(out, {"Property": listings(95)}, at_risk=100)

    def before(number: int, url: str) -> None:
        if number == 4:
            bench.stop.set()

    bench.server.before = before
    assert (await bench.run("Property"))["Property"].verdict == "interrupted"
    held = len(bench.lines("Property"))
    assert held >= 30
    bench.stop = anyio.Event()
    asked = len(bench.server.asked)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert len(bench.server.asked) - asked <= 10 - held // 10 + 2
    assert bench.keys("Property") == [f"{i:06d}" for i in range(95)]


@pytest.mark.parametrize(("question", "nth"), [("anchor", 1), ("count", 1), ("count", 2)])
async def test_a_question_that_waits_for_its_answer_is_dropped(out: Path, question: str, nth: int) -> None:
    """What is asked beside the pages may wait for its quota as long as any of them."""
    bench = Bench(out, {"Property": listings(35)})
    bench.provider = replace(bench.provider, anchor=lambda walk: PageRequest(url="Property?anchor"))
    bench.count = lambda walk: PageRequest(url="Property?count")
    bench.server.claim = lambda url: 35 if "count" in url else None
    waiting = anyio.Event()

    async def delay(url: str) -> None:
        if question in url and sum(question in each for each in bench.server.asked) == nth:
            waiting.set()
            await anyio.sleep_forever()

    bench.server.delay = delay
    async with bench.under_way("Property") as outcomes:
        await waiting.wait()
        bench.stop.set()
    assert outcomes["Property"].verdict == "interrupted"
    bench.stop, bench.server.delay = anyio.Event(), at_once
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert bench.keys("Property") == [f"{i:06d}" for i in range(35)]
