"""How much faster than a hand-written loop is a whole harvest, and does memory stay flat?

    python -m benchmarks.bench_harvest [--records 100000] [--rounds 5] [--long 1000000]

Runs in turn, against one loopback server of pre-rendered pages (1,000 records of about 6 kB): ``harvester run``
(one process, plain NDJSON out, keys, hashes, commits, manifest) and ``plain_loop`` (aiohttp + orjson, eight in
flight). A first round is checked, not timed: both must hold the same records, or nothing is reported. Whole
processes are timed, start and end included. On a machine that does other work, trust the ratio of CPU seconds more
than that of the clock. ``--long N`` also harvests a tenth of N records and then N, and compares peak memory.
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
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Run, machine, run_once, spread

PAGE = 1000


@dataclass(frozen=True)
class Served:
    """A server that is running, and what it told of its data."""

    base: str
    record_bytes: int
    not_ascii: float


@contextlib.contextmanager
def pages_server(records: int) -> Iterator[Served]:
    """A server of *records* rows, ended with the block."""
    command = [sys.executable, "-m", "benchmarks.pages_server", str(records), str(PAGE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port, size, share = process.stdout.readline().split()
            yield Served(f"http://127.0.0.1:{port}", int(size), float(share))
        finally:
            process.terminate()


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
    """Interleaved rounds of both, then each round, medians, ranges and ratios."""
    ours: list[Run] = []
    plain: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="bench-harvest-") as room, pages_server(records) as served:
        print(f"{machine()}; {records:,} records of {served.record_bytes:,} bytes on average, pages of {PAGE:,};")
        print(f"{served.not_ascii:.0%} of the records hold text beyond ASCII; output on the disk of {room}")
        for number in range(rounds + 1):
            out, file = Path(room) / f"out{number}", Path(room) / "plain.ndjson"
            mine = run_once(harvester_command(served.base, out), log=str(Path(room) / "harvester.log"))
            loop = [sys.executable, "-m", "benchmarks.plain_loop", served.base, str(records), str(PAGE), str(file)]
            other = run_once(loop)
            assert harvested(out)[0] == records
            if number == 0:
                same_records(out, file, records)
                print("checked: both hold the same records", flush=True)
            else:
                ours.append(mine)
                plain.append(other)
                print(
                    f"round {number}: {records / mine.wall:,.0f} against {records / other.wall:,.0f} records/s, "
                    f"{other.wall / mine.wall:.2f} times; CPU {other.cpu / mine.cpu:.2f} times",
                    flush=True,
                )
            shutil.rmtree(out)
    print("whole processes, start included    records/s (median, range)              CPU s      peak MiB")
    for name, runs in (("harvester run", ours), ("aiohttp + orjson, 8 in flight", plain)):
        rate = spread([records / run.wall for run in runs])
        cpu = statistics.median(run.cpu for run in runs)
        print(f"{name:34} {rate:38} {cpu:6.2f} {max(run.peak_mib for run in runs):12.0f}")
    for what, ratios in (
        ("records/s", [b.wall / a.wall for a, b in zip(ours, plain, strict=True)]),
        ("CPU seconds", [b.cpu / a.cpu for a, b in zip(ours, plain, strict=True)]),
    ):
        print(f"ratio of {what}, round by round: {spread(ratios, 2)}")


def long_run(records: int) -> None:
    """Peak memory of a tenth of *records* and of all of them."""
    for compression in ("none", "zstd"):
        peaks = []
        for amount in (records // 10, records):
            with tempfile.TemporaryDirectory(prefix="bench-harvest-") as room, pages_server(amount) as served:
                out = Path(room) / "out"
                run = run_once(harvester_command(served.base, out, compression), log=str(Path(room) / "harvester.log"))
                assert harvested(out)[0] == amount
            peaks.append(run.peak_mib)
            print(
                f"{amount:>9,} records ({compression}): {amount / run.wall:,.0f} records/s, peak {run.peak_mib:.0f} MiB"
            )
        print(f"peak memory of {records:,} against {records // 10:,} records: {peaks[1] / peaks[0]:.2f} times")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--long", type=int, default=0)
    options = parser.parse_args()
    compare(options.records, options.rounds)
    if options.long:
        long_run(options.long)


if __name__ == "__main__":
    main()
