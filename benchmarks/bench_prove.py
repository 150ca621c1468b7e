"""What does it take to find 500 rows that a server hid among 1,000,000?

    python -m benchmarks.bench_prove [RECORDS HIDDEN]

Runs ``harvester run --prove``, and ``--mode full`` followed by ``--mode sweep``, as processes of their own against
``rigged_server`` and prints their time and their peak memory, of which the bar is 300 MB. The answers are checked:
the manifest says how many were missing and that all of them came, ``harvester verify`` agrees.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Run, machine, run_once

_PAGE = 1000
_CONFIG = """
out = "{out}"
[sources.rigged]
provider = "spark_reso"
base_url = "http://127.0.0.1:{port}/odata"
token = "none"
resources = ["Property"]
budget = {{ windows = [{{ requests = 100000, seconds = 1 }}], in_flight = 4 }}
"""


@contextmanager
def rigged(records: int, hidden: int, directory: Path, *kind: str) -> Iterator[Path]:
    """A rigged server while the block lasts, and the configuration of a harvest of it into ``out`` beside it."""
    command = (sys.executable, "-m", "benchmarks.rigged_server", str(records), str(_PAGE), str(hidden), *kind)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            port = int(server.stdout.readline()) if server.stdout is not None else 0
            config = directory / "harvester.toml"
            config.write_text(_CONFIG.format(out=directory / "out", port=port))
            yield config
        finally:
            server.terminate()


def prove(records: int, hidden: int, directory: Path, *options: str) -> tuple[Run, dict[str, object]]:
    """Harvest a rigged server. Returns what the process took, and its manifest.

    Raises:
        RuntimeError: it did not end complete, or its shards are not what the manifest says.
    """
    log = str(directory / "run.log")
    with rigged(records, hidden, directory) as config:
        run = run_once((sys.executable, "-m", "harvester", "run", "-c", str(config), *options), log=log)
    run_once((sys.executable, "-m", "harvester", "verify", str(directory / "out")), log=log)
    manifest = next((directory / "out").rglob("_manifest.json"))
    found: dict[str, object] = json.loads(manifest.read_text())
    return run, found


def main() -> None:
    records, hidden = (int(each) for each in sys.argv[1:3]) if len(sys.argv) > 2 else (1_000_000, 500)
    print(f"{records:,} records, {hidden:,} hidden; {machine()}")
    with tempfile.TemporaryDirectory(prefix="harvester-prove-") as directory:
        run, manifest = prove(records, hidden, Path(directory), "--prove")
        show("--prove", run, manifest)
        assert manifest["records"] == records
        assert_found(manifest, hidden)
    with tempfile.TemporaryDirectory(prefix="harvester-prove-") as directory:
        place, log = Path(directory), f"{directory}/run.log"
        with rigged(records, hidden, place) as config:
            for mode in ("full", "sweep"):
                run = run_once((sys.executable, "-m", "harvester", "run", "-c", str(config), "--mode", mode), log=log)
                newest = max((place / "out").rglob("_manifest.json"))
                manifest = json.loads(newest.read_text())
                show(f"--mode {mode}", run, manifest)
        assert manifest["records"] == hidden
        assert_found(manifest, hidden)


def assert_found(manifest: dict[str, object], hidden: int) -> None:
    sweep = manifest["sweep"]
    assert isinstance(sweep, dict)
    assert (manifest["verdict"], sweep["missing"], sweep["refetched"]) == ("complete", hidden, hidden), manifest


def show(name: str, run: Run, manifest: dict[str, object]) -> None:
    print(
        f"{name:>12}  {run.wall:7.1f} s  CPU {run.cpu:7.1f} s  peak {run.peak_mib:6.1f} MiB  "
        f"{manifest['records']:,} records, {manifest['requests']:,} requests",
        flush=True,
    )


if __name__ == "__main__":
    main()
