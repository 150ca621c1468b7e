"""How much faster than a hand-written loop is a whole harvest, and does memory stay flat?

    python -m benchmarks.bench_harvest [--records 40000] [--rounds 5] [--long 1000000]

Runs in turn, against one loopback server of pre-rendered pages (1,000 records of about 5.9 kB): ``harvester run``
(one process, plain NDJSON out, keys, hashes, commits, manifest) and ``plain_loop`` (aiohttp + orjson, eight in
flight). Checks that both hold the same records before it reports. ``--long N`` also harvests N records once and
compares peak memory with a tenth of it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Run, machine, run_once, spread

PAGE = 1000


@contextlib.contextmanager
def pages_server(records: int) -> Iterator[str]:
    """The base URL of a server of *records* rows."""
    command = [sys.executable, "-m", "benchmarks.pages_server", str(records), str(PAGE)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()


def harvester_command(base: str, out: Path, compression: str = "none") -> list[str]:
    """The command line that harvests everything from *base* into *out*."""
    config = out.with_suffix(".toml")
    config.write_text(
        f'out = "{out}"\ncompression = "{compression}"\n'
        f'[sources.bench]\nprovider = "odata"\nbase_url = "{base}"\ntoken = "bench"\nresources = ["Property"]\n'
        "budget = { in_flight = 4 }\n"
    )
    return [sys.executable, "-m", "harvester", "run", "-c", str(config)]


def harvested(out: Path) -> tuple[int, str]:
    """Records and key digest, as the manifest says; raises when the run is not complete."""
    (path,) = out.glob("source=bench/resource=Property/run=*/_manifest.json")
    manifest = json.loads(path.read_bytes())
    assert manifest["verdict"] == "complete", manifest["reason"]
    return manifest["records"], manifest["keys"]["digest"]


def same_records(out: Path, plain: Path, records: int) -> None:
    """Both hold the same keys, and each thousandth record is equal member by member.

    Line by line: a parent that grows would be counted as its children's peak memory.
    """
    theirs = {}
    with plain.open("rb") as file:
        for number, line in enumerate(file, 1):
            row = json.loads(line)
            theirs[row["ListingKey"]] = hash(json.dumps(row)) if number % 1000 == 0 else None
    assert len(theirs) == records, f"the plain loop lost rows: {len(theirs)} of {records}"
    for shard in out.glob("source=bench/resource=Property/run=*/part-*"):
        with shard.open("rb") as file:
            for line in file:
                row = json.loads(line)
                expected = theirs.pop(row["ListingKey"])
                assert expected in {None, hash(json.dumps(row))}
    assert not theirs


def compare(records: int, rounds: int) -> None:
    """Interleaved rounds of both, then medians and the ratio of each round."""
    ours: list[Run] = []
    plain: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="bench-harvest-") as room, pages_server(records) as base:
        for number in range(rounds + 1):
            out, file = Path(room) / f"out{number}", Path(room) / "plain.ndjson"
            mine = run_once(harvester_command(base, out), log=str(Path(room) / "harvester.log"))
            other = run_once([sys.executable, "-m", "benchmarks.plain_loop", base, str(records), str(PAGE), str(file)])
            assert harvested(out)[0] == records
            if number == 0:
                same_records(out, file, records)  # a warm-up, not counted
            else:
                ours.append(mine)
                plain.append(other)
            shutil.rmtree(out)
    print(f"{machine()}; {records:,} records of about 5.9 kB, pages of {PAGE:,}, {rounds} rounds in turn")
    print("whole processes, start included    records/s (median, range)          CPU s      peak MiB")
    for name, runs in (("harvester run", ours), ("aiohttp + orjson, 8 in flight", plain)):
        rate = spread([records / run.wall for run in runs])
        cpu = statistics.median(run.cpu for run in runs)
        print(f"{name:34} {rate:34} {cpu:6.2f} {max(run.peak_mib for run in runs):12.0f}")
    ratios = [b.wall / a.wall for a, b in zip(ours, plain, strict=True)]
    print(f"harvester is {spread(ratios)} times as fast, round by round")


def long_run(records: int) -> None:
    """Peak memory of a tenth of *records* and of all of them."""
    for amount in (records // 10, records):
        with tempfile.TemporaryDirectory(prefix="bench-harvest-") as room, pages_server(amount) as base:
            out = Path(room) / "out"
            run = run_once(harvester_command(base, out, "zstd"), log=str(Path(room) / "harvester.log"))
            assert harvested(out)[0] == amount
        print(f"{amount:>9,} records (zstd): {amount / run.wall:,.0f} records/s, peak {run.peak_mib:.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--long", type=int, default=0)
    options = parser.parse_args()
    compare(options.records, options.rounds)
    if options.long:
        long_run(options.long)


if __name__ == "__main__":
    main()
