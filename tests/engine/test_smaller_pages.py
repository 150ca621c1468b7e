"""A page that is too large is asked for again in smaller parts, from where it began (FAULTS S09, P16)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harvester.errors import PageTooLarge
from harvester.model import Head, Page, PageRequest, Walk
from harvester.pagers.chain import ChainPager
from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import failing_at, listings

EVERY_KEY = [f"{i:06d}" for i in range(95)]


async def test_a_page_refused_while_the_one_before_it_is_written_comes_in_smaller_parts(out: Path) -> None:
    bench = Bench(out, {"Property": listings(95)})
    bench.server.before = failing_at({3}, PageTooLarge("413", page_size=5))
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert "$top=5&$skiptoken=000029" in bench.server.asked[4]
    assert bench.keys("Property") == EVERY_KEY


class CutAnswers(ChainPager):
    """Ten records are as many as an answer can hold, so there may have been more: as with the lead windows of IDX."""

    def follow(self, walk: Walk, page: Page, heads: Sequence[Head]) -> Sequence[PageRequest]:
        if len(page.records) == 10:
            raise PageTooLarge("the answer is as long as answers can be")
        return super().follow(walk, page, heads)


async def test_a_page_that_the_pager_finds_cut_comes_in_smaller_parts(out: Path) -> None:
    """IDX Broker contract, leads: no status tells it, only the length of the answer."""
    bench = Bench(out, {"Property": listings(95)})
    bench.provider = replace(bench.provider, pagers={"chain": CutAnswers(page_size=16, page_size_parameter="$top")})
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert bench.keys("Property") == EVERY_KEY
