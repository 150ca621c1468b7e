"""A harvest of the lake, a day old, that is to be swept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from harvester.engine.view import CurrentState, layers_of
from harvester.pagers.by_key import EntityByKey, FilterByKey
from harvester.store.runs import find_runs
from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import Row, listings
from tests.fakes.lakeside import PROVIDER

DAY = 86400.0
BY_KEY = replace(PROVIDER, fetchers={"by_filter": FilterByKey(), "by_entity": EntityByKey()})


async def harvested(out: Path) -> Bench:
    """A complete harvest of 95 listings, a day ago."""
    bench = Bench(out, {"Property": listings(95)})
    bench.provider = BY_KEY
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    bench.clock.advance(DAY)
    bench.mode = "sweep"
    bench.server.asked.clear()
    return bench


def rows(bench: Bench) -> list[Row]:
    return bench.server.tables["Property"]


def remove(bench: Bench, *keys: str) -> None:
    rows(bench)[:] = [row for row in rows(bench) if row["ListingKey"] not in keys]


def tombstones(bench: Bench) -> list[Row]:
    return sorted(bench.lines("Property", "deleted"), key=lambda row: str(row["key"]))


def view(bench: Bench) -> list[Row]:
    """The current state, in the order of keys."""
    layers = layers_of(bench.fs, find_runs(bench.fs, bench.out, "lake", "Property"))
    scratch = bench.out / f"scratch-{len(bench.server.asked)}"
    bench.fs.make_directory(scratch)
    state = CurrentState(bench.fs, layers, scratch)
    state.settle()
    return sorted((json.loads(line) for line in state.lines()), key=lambda row: str(row["ListingKey"]))
