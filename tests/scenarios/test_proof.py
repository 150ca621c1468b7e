"""``harvester run --prove`` against a server that leaves rows out and does not count them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.bench_prove import prove, rigged
from tests.scenarios.conftest import PATIENCE, environment


def test_rows_that_a_server_hides_are_found_and_fetched_in_little_memory(tmp_path: Path) -> None:
    """The bar is 500 of 1,000,000 in 300 MB; ``python -m benchmarks.bench_prove`` runs it at that size."""
    run, manifest = prove(20_000, 50, tmp_path, "--prove")
    sweep = manifest["sweep"]
    assert isinstance(sweep, dict)
    assert (manifest["verdict"], manifest["records"]) == ("complete", 20_000)
    assert (sweep["missing"], sweep["refetched"], sweep["listed"]) == (50, 50, manifest["keys"])
    assert run.peak_mib < 200
    for command in (("view", "Property", "--out", "out"), ("status", "out")):
        told = subprocess.run(
            (sys.executable, "-m", "harvester", *command),
            capture_output=True,
            check=True,
            timeout=PATIENCE,
            env=environment(),
            cwd=tmp_path,
        )
        assert len(told.stdout.splitlines()) == 20_000 or command[0] == "status"


def test_without_a_sweep_nobody_could_tell(tmp_path: Path) -> None:
    """Which is why ``--prove`` exists: the count agrees with what was read."""
    _, manifest = prove(3_000, 30, tmp_path)
    assert (manifest["verdict"], manifest["records"]) == ("complete", 2_970)


def test_what_is_listed_and_never_comes_is_named_and_ends_with_status_1(tmp_path: Path) -> None:
    """Resource, span and cause: in the manifest, and in the row of the closing report."""
    with rigged(3_000, 3, tmp_path, "never") as config:
        done = subprocess.run(
            (sys.executable, "-m", "harvester", "run", "--prove", "-c", str(config)),
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=environment(),
        )
    assert done.returncode == 1
    first, last = f"{500:026d}", f"{2500:026d}"
    assert f"rigged Property: incomplete: 3 records are listed and cannot be read, keys from {first} to {last}" in (
        " ".join(done.stderr.split())
    )
    manifest = json.loads(next((tmp_path / "out").rglob("_manifest.json")).read_text())
    assert [(gap["missing"], gap["first_key"], gap["last_key"]) for gap in manifest["gaps"]] == [(3, [first], [last])]
