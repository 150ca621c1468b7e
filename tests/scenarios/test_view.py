"""``harvester view`` from outside: the provider's bytes, files that other tools read, a reader that goes away."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest

from tests.scenarios.conftest import HARVESTER, SandboxProcess, Workplace, end, environment, serve


@pytest.fixture(scope="module")
def harvest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SandboxProcess, Workplace]]:
    """A harvest of two providers, and a second one on top of it, whatever kind it is."""
    directory = tmp_path_factory.mktemp("view")
    sandbox, workplace = serve(directory, "--time-scale", "3600", "--records", "600"), Workplace(directory)
    try:
        for _ in range(2):
            done = workplace.run("run", "-c", str(sandbox.config), "--source", "ims", "--source", "spark_reso")
            assert done.returncode == 0, done.stderr
        yield sandbox, workplace
    finally:
        end(sandbox)


@pytest.mark.parametrize(("source", "resource"), [("ims", "Property"), ("spark_reso", "Media")])
def test_standard_output_is_the_truth_byte_for_byte(
    harvest: tuple[SandboxProcess, Workplace], source: str, resource: str
) -> None:
    sandbox, workplace = harvest
    done = workplace.run("view", resource, "--source", source)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.encode().split(b"\n")[:-1]) == sorted(sandbox.truth(source, resource))
    assert f"{source} {resource}: " in done.stderr


def test_files_can_be_read_by_others(harvest: tuple[SandboxProcess, Workplace]) -> None:
    sandbox, workplace = harvest
    keys = sorted(json.loads(line)["ListingKey"] for line in sandbox.truth("spark_reso", "Property"))
    for name in ("listings.parquet", "listings.duckdb", "listings.ndjson"):
        done = workplace.run("view", "Property", "--source", "spark_reso", "--to", name, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["records"] == 600
    directory = workplace.directory
    assert sorted(pl.read_parquet(directory / "listings.parquet")["ListingKey"].to_list()) == keys
    with duckdb.connect(str(directory / "listings.duckdb")) as connection:
        assert [row[0] for row in connection.execute("SELECT ListingKey FROM Property ORDER BY 1").fetchall()] == keys
    assert workplace.run("view", "Property", "--source", "spark_reso", "--to", "listings.parquet").returncode == 2


def test_a_reader_that_goes_away_ends_it_quietly(harvest: tuple[SandboxProcess, Workplace]) -> None:
    """FAULTS R08."""
    command = (*HARVESTER, "view", "Property", "--source", "spark_reso")
    with subprocess.Popen(
        command, cwd=harvest[1].directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read()
        assert process.wait(60) == 141
    assert told == b""
    assert not list(Path(harvest[1].out, "_harvester").glob("view"))
