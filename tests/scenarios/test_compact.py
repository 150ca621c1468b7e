"""``harvester compact`` from outside: five providers, killed again and again, while others read the files."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import duckdb
import polars as pl
import pytest
from backports import zstd

from harvester.api.view import view
from tests.scenarios.conftest import SandboxProcess, Workplace
from tests.scenarios.test_delta import PROVIDERS, mutate

KILLS = 6
RECORDS = "source=*/resource=*/**/part-*.ndjson.zst"


def views(workplace: Workplace, resources: list[tuple[str, str]]) -> dict[tuple[str, str], list[bytes]]:
    """What ``harvester view`` tells, in this process."""
    found = {}
    for source, resource in resources:
        lines: list[bytes] = []
        assert view(workplace.out, resource, source=source, write=lines.append).whole
        found[source, resource] = sorted(b"".join(lines).split(b"\n")[:-1])
    return found


def keep_current(sandbox: SandboxProcess, workplace: Workplace) -> list[tuple[str, str]]:
    """A full harvest, deltas and a sweep of all five, with changes between; the resources there are."""
    for mode in ("full", "delta", "sweep"):
        done = workplace.run("run", "-c", str(sandbox.config), "--mode", mode, "--allow-purge")
        assert done.returncode in (0, 1), done.stderr
        mutate(sandbox, 60)
    told = json.loads(workplace.run("status", "--json").stdout)
    return [(row["source"], row["resource"]) for row in told["resources"] if row["verdict"] == "complete"]


@pytest.mark.parametrize("sandbox", [("--time-scale", "3600", "--records", "200")], indirect=True)
def test_after_compacting_everything_is_as_it_was_and_goes_on(sandbox: SandboxProcess, workplace: Workplace) -> None:
    resources = keep_current(sandbox, workplace)
    assert {source for source, _ in resources} == set(PROVIDERS)
    watched = [pair for pair in resources if pair[1] in {"Property", "listings", "Member", "clients/featured", "leads"}]
    before = views(workplace, watched)
    shards = len(list(workplace.out.glob(RECORDS)))
    merged = workplace.run("compact")
    assert merged.returncode == 0, merged.stderr
    assert "ims Property: " in merged.stdout
    assert views(workplace, watched) == before
    assert len(list(workplace.out.glob(RECORDS))) < shards
    planned = workplace.run("compact", "--fold", "--dry-run")
    assert "would become about 1 run" in planned.stdout
    folded = workplace.run("compact", "--fold", "--json")
    assert folded.returncode == 0, folded.stderr
    rows = {(row["source"], row["resource"]): row for row in json.loads(folded.stdout)["resources"]}
    assert all(rows[pair]["runs_after"] == 1 for pair in watched)
    assert views(workplace, watched) == before
    checked = workplace.run("verify", "out")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for source, resource in [pair for pair in watched if pair[1] == "Property"]:
        lines = [json.loads(line) for line in before[source, resource]]
        here = workplace.out / f"source={source}" / f"resource={resource}"
        found = pl.read_ndjson(sorted(here.glob("run=*/part-*.ndjson.zst")), infer_schema_length=None)
        assert len(found) == len(lines)
        with duckdb.connect() as connection:
            query = "SELECT count(*) FROM read_ndjson(?)"
            counted = connection.execute(query, [f"{here}/**/*.ndjson.zst"]).fetchone()
        assert counted == (len(lines),)
    for mode in ("delta", "sweep"):
        done = workplace.run("run", "-c", str(sandbox.config), "--mode", mode, "--allow-purge")
        assert done.returncode == 0, done.stderr
    told = workplace.run("verify", str(workplace.out), "--against", sandbox.url, "--json")
    compared = [each for each in json.loads(told.stdout)["runs"] if each["compared"]]
    assert [each for each in compared if each["missing"]] == []
    assert len(compared) >= len(watched)


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", [("--time-scale", "3600", "--records", "3000")], indirect=True)
def test_killed_again_and_again_it_loses_nothing_and_comes_to_its_end(
    sandbox: SandboxProcess, workplace: Workplace
) -> None:
    """FAULTS R01, F08: kill -9 at any moment; a reader of the files never misses a record."""
    chance = random.Random(5)
    for mode in ("full", "delta", "sweep"):
        done = workplace.run(
            "run", "-c", str(sandbox.config), "--source", "spark_reso", "--mode", mode, "--allow-purge"
        )
        assert done.returncode in (0, 1), done.stderr
        mutate(sandbox, 40)
    resources = [("spark_reso", "Property"), ("spark_reso", "Media")]
    before = views(workplace, resources)
    kills = 0
    for attempt in range(4 * KILLS):
        if kills == KILLS:
            break
        process = workplace.start("compact", "--target", f"{10 + attempt}MB", *(("--fold",) if attempt % 2 else ()))
        try:
            process.communicate(timeout=chance.uniform(0.3, 1.5))
            continue
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
        assert set(before["spark_reso", "Property"]) <= set(
            _lines(workplace.out / "source=spark_reso/resource=Property")
        )
    for options in ((), ("--fold",)):
        done = workplace.run("compact", *options)
        assert done.returncode == 0, done.stderr
    assert views(workplace, resources) == before
    assert sorted(_lines(workplace.out / "source=spark_reso/resource=Property")) == before["spark_reso", "Property"]
    assert workplace.run("verify", "out").returncode == 0
    left = [path for path in (workplace.out / "_harvester" / "compact").rglob("*") if path.is_file()]
    assert left == []


def _lines(resource: Path) -> list[bytes]:
    """What a glob finds now."""
    shards = resource.glob("run=*/part-*.ndjson.zst")
    return [line for shard in shards for line in zstd.decompress(shard.read_bytes()).split(b"\n")[:-1]]


@pytest.mark.parametrize("sandbox", [("--time-scale", "60", "--records", "2000")], indirect=True)
def test_it_keeps_away_from_a_harvest_that_runs(sandbox: SandboxProcess, workplace: Workplace) -> None:
    """FAULTS R09."""
    assert workplace.run("run", "-c", str(sandbox.config), "--source", "ims").returncode == 0
    process = workplace.start("run", "-c", str(sandbox.config), "--source", "ims", "--mode", "full")
    try:
        while b'"run_started"' not in (workplace.directory / "run.jsonl").read_bytes():
            assert process.poll() is None
        done = workplace.run("compact")
        assert done.returncode == 79, done.stdout
        assert "another harvest" in done.stderr
    finally:
        process.kill()
        process.communicate()
