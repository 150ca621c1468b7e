"""A run of what was pushed is there as a whole or not at all, whenever the machine stops."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from harvester.engine.looks import Look, ways_to_look
from harvester.engine.push_run import write_push
from harvester.errors import StorageError
from harvester.store.runs import find_all_runs
from harvester.store.verify import verify_run
from tests.fakes.executors import InlineExecutor
from tests.fakes.fs import MemoryFs, PowerLoss
from tests.fakes.lake_bench import Bench
from tests.fakes.swept_lake import BY_KEY

LOOKS = [
    Look(("1",), b'{"ListingKey":"1","ModificationTimestamp":"2026-03-01T00:00:00Z"}', "2026-03-01T00:00:00Z", 65),
    Look(("2",), None, None, 0),
]
OUT = PurePosixPath("/out")


def write(fs: MemoryFs) -> str:
    bench = Bench(Path("/out"), {"Property": []}, fs=fs)
    bench.provider = BY_KEY
    source = bench.source("Property")
    walks, _ = ways_to_look(source, source.blueprints[0], bench.clock.now())
    taken = frozenset(run.name for run in find_all_runs(fs, OUT))
    manifest = write_push(
        bench.site(InlineExecutor()),
        source,
        source.blueprints[0],
        walks[0],
        LOOKS,
        requests=2,
        started=datetime(2026, 3, 1, tzinfo=UTC),
        taken=taken,
    )
    return manifest.run


def prepared() -> MemoryFs:
    fs = MemoryFs()
    fs.make_directory(OUT / "_harvester", private=True)
    return fs


def test_after_a_loss_of_power_inside_any_system_call_there_is_no_half_of_one() -> None:
    """FAULTS F04, F05, R01: another harvest would take it for one that is to be gone on with."""
    calls, whole = 0, 0
    while True:
        fs = prepared()
        fs.disk.power = calls
        try:
            write(fs)
        except PowerLoss:
            ended = False
        else:
            ended = True
        after = fs.crash(calls)
        runs = find_all_runs(after, OUT)
        assert all(run.finished and verify_run(after, run.path).matches for run in runs), calls
        assert len(runs) == 1 if ended else len(runs) <= 1
        again = write(after)  # the notices are still in the inbox
        assert [run.name for run in find_all_runs(after, OUT)][-1] == again
        assert all(verify_run(after, run.path).matches for run in find_all_runs(after, OUT))
        whole += len(runs)
        calls += 1
        if ended:
            break
    assert calls > 40
    assert whole >= 1


@pytest.mark.parametrize("operation", ["fsync", "rename", "link", "write"])
def test_a_disk_that_fails_leaves_nothing_that_a_reader_sees(operation: str) -> None:
    """FAULTS F01, F03."""
    for nth in range(1, 4):
        fs = prepared()
        fs.fail(operation, nth=nth)
        try:
            write(fs)
        except StorageError:
            assert find_all_runs(fs, OUT) == () or operation == "fsync"
        assert all(verify_run(fs, run.path).matches for run in find_all_runs(fs, OUT))
