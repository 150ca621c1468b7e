"""A ``Bench`` whose server filters, orders and counts, and whose walks are cut into windows of time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio

from harvester.engine.source import Cutting, Source
from harvester.model import Budget
from harvester.pagers.keyset import KeysetPager
from harvester.pagers.odata import ODataDialect
from harvester.planning.cutting import place, places, rows_left
from harvester.planning.lanes import useful_lanes
from harvester.provider import Cut
from tests.fakes.clock import FakeClock
from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import LakeServer
from tests.fakes.lakeside import PROVIDER
from tests.fakes.odata_table import OdataTable

_WINDOWS = KeysetPager(dialect=ODataDialect(), page_size=10, count=True)


def times(number: int) -> list[dict[str, str | int | None]]:
    """Rows a minute apart."""
    return [
        {"ListingKey": f"{n:06d}", "ModificationTimestamp": f"2026-01-01T{n // 60:02d}:{n % 60:02d}:00Z"}
        for n in range(number)
    ]


class _TableServer(LakeServer):
    def __init__(self, table: OdataTable, clock: FakeClock) -> None:
        super().__init__({}, clock)
        self._table = table

    def answer(self, url: str, number: int = -1) -> bytes:
        return self._table.body(url)


class _CutBench(Bench):
    def _source(self, resources: tuple[str, ...]) -> Source:
        source = super()._source(resources)
        cutting = Cutting(
            by_time=True,
            last=_WINDOWS.last,
            lanes=partial(useful_lanes, self.provider.budget),
            places=partial(places, self.provider),
            place=partial(place, self.provider),
            rows_left=partial(rows_left, self.provider),
        )
        return replace(
            source, blueprints=tuple(replace(each, cuttings={"windows": cutting}) for each in source.blueprints)
        )


def cut_bench(out: Path, rows: list[dict[str, str | int | None]]) -> Bench:
    """Four lanes, pages of ten."""
    bench = _CutBench(out, {})
    bench.server = _TableServer(OdataTable(rows, cap=10), bench.clock)

    async def in_turn(url: str) -> None:
        await anyio.lowlevel.checkpoint()

    bench.server.delay = in_turn
    bench.provider = replace(
        PROVIDER,
        pagers={"windows": _WINDOWS},
        full="windows",
        closing="windows",
        cuts={"windows": Cut(by_time=True, last=_WINDOWS.last)},
        budget=Budget(in_flight=4),
    )
    return bench
