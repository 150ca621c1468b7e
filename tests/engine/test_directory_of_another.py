"""An output directory keeps to the provider whose records it holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import listings
from tests.fakes.lakeside import PROVIDER


async def test_records_of_another_provider_are_not_put_under_the_same_source(out: Path) -> None:
    bench = Bench(out, {"Property": listings(15)})
    await bench.run("Property")
    bench.provider = replace(PROVIDER, name="other")
    outcome = (await bench.run("Property"))[""]
    assert outcome.verdict == "failed"
    assert "holds records of the provider lakeside" in outcome.reason
    assert len(bench.runs("Property")) == 1
