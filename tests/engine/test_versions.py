"""Every version of a record is written, and none of them twice."""

from __future__ import annotations

import json
from pathlib import Path

from harvester.errors import ConnectionFailed, CursorExpired
from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import failing_at, listings, offices


async def test_a_second_change_within_the_same_second_is_written(out: Path) -> None:
    """FAULTS T08: the closing delta brings other content under the same modification time."""
    rows = [{**row, "ModificationTimestamp": "2026-03-01T12:00:00Z"} for row in listings(30)]
    bench = Bench(out, {"Property": rows})

    def before(number: int, url: str) -> None:
        if number == 2:
            rows[0]["Remarks"] = "changed"

    bench.server.before = before
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert len(bench.lines("Property")) == 31
    assert "changed" in [row["Remarks"] for row in bench.lines("Property")]


async def test_two_records_of_one_key_and_time_are_both_written(out: Path) -> None:
    """FAULTS P11: which of them is the right one is not ours to say."""
    rows = listings(15)
    rows.append({**rows[3], "Remarks": "another record under the same key"})
    bench = Bench(out, {"Property": rows}, page=20)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert len(bench.lines("Property")) == 16
    keys = bench.manifest("Property").keys
    assert keys is not None
    assert keys.number == 15


async def test_pretty_printed_records_are_known_again_by_the_next_attempt(out: Path) -> None:
    """FAULTS D01, P10: as they were written they are on one line, as they come they are on many."""
    bench = Bench(out, {"Office": offices(35)})
    bench.server.body = lambda number, body: json.dumps(json.loads(body), indent=2).encode()
    bench.server.before = failing_at({2}, ConnectionFailed("died"))
    assert (await bench.run("Office"))["Office"].verdict == "failed"
    bench.server.before = failing_at({3}, CursorExpired("410"))
    assert (await bench.run("Office"))["Office"].verdict == "complete"
    assert bench.keys("Office") == [f"{i:03d}" for i in range(35)]
