"""``harvester metadata`` from outside: what is told, what drift looks like, and what hostile metadata comes to."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.rich_metadata import XML
from tests.scenarios.conftest import SandboxProcess, Workplace, end, serve

FAULTS = [
    {"match": {"provider": "centris", "resource": name, "path": "$top"}, "fault": f"schema:{change}", "times": 99}
    for name, change in (("Office", "new"), ("Property", "missing"), ("Property", "retyped"))
]


@pytest.fixture(scope="module")
def harvest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SandboxProcess, Workplace]]:
    """Centris with records that are not what its metadata says, and Spark RESO as it should be."""
    directory = tmp_path_factory.mktemp("metadata")
    faults = directory / "faults.json"
    faults.write_text(json.dumps(FAULTS))
    sandbox = serve(directory, "--time-scale", "3600", "--records", "200", "--faults", str(faults))
    workplace = Workplace(directory)
    try:
        done = workplace.run("run", "-c", str(sandbox.config), "--source", "centris", "--source", "spark_reso")
        assert done.returncode == 0, done.stderr
        yield sandbox, workplace
    finally:
        end(sandbox)


def told(workplace: Workplace, *arguments: str, status: int = 0) -> Any:
    done = workplace.run("metadata", "-c", "sandbox.toml", "--json", *arguments)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


def test_resources_keys_types_and_navigation_are_told(harvest: tuple[SandboxProcess, Workplace]) -> None:
    workplace = harvest[1]
    model = told(workplace, "spark_reso")["model"]
    assert {each["name"] for each in model["resources"]} == {
        "Property", "Member", "Office", "Media", "Room", "Unit", "OpenHouse",
    }  # fmt: skip
    listing = next(each for each in model["types"] if each["name"].endswith(".Property"))
    assert listing["key"] == ["ListingKey"]
    assert {each["name"] for each in listing["navigation"]} >= {"Media", "Room", "Unit", "OpenHouse"}
    shown = workplace.run("metadata", "spark_reso", "-c", "sandbox.toml").stdout
    assert "Property" in shown
    assert "ListingKey" in shown
    assert "7 resources" in shown


def test_json_is_asked_of_a_provider_that_offers_it(harvest: tuple[SandboxProcess, Workplace]) -> None:
    """Centris contract, section 3."""
    sandbox, workplace = harvest
    model = told(workplace, "centris")["model"]
    assert {"Property", "Association"} <= {each["name"] for each in model["resources"]}
    asked = [str(entry["path"]) for entry in sandbox.log("centris") if "$metadata" in str(entry["path"])]
    assert asked
    assert all(path.endswith("$metadata?$format=application/json") for path in asked)


def test_fields_are_shown_with_readable_names_and_values(harvest: tuple[SandboxProcess, Workplace]) -> None:
    """Encoded names by the annotations of the metadata (Spark RESO contract, section 9)."""
    shown = harvest[1].run("metadata", "spark_reso", "-c", "sandbox.toml", "--resource", "Media").stdout
    assert "b__cGhvdG8- (Photo)" in shown
    assert "leads to" not in shown
    shown = harvest[1].run("metadata", "spark_reso", "-c", "sandbox.toml", "--resource", "Property").stdout
    assert "leads to list of Media" in shown


def test_records_that_are_what_they_should_be_show_no_drift(harvest: tuple[SandboxProcess, Workplace]) -> None:
    drift = told(harvest[1], "spark_reso", "--check", "--offline")["drift"]
    assert drift["drifts"] == 0
    counted = {each["resource"]: each["records"] for each in drift["resources"]}
    assert counted["Property"] == 200
    assert all(field["fill_rate"] <= 1 for each in drift["resources"] for field in each["fields"])


def test_drift_is_told_as_json_and_in_words_with_status_1(harvest: tuple[SandboxProcess, Workplace]) -> None:
    """FAULTS D11."""
    drift = told(harvest[1], "centris", "--check", status=1)["drift"]
    found = {
        (each["resource"], field["name"]): field["drift"]
        for each in drift["resources"]
        for field in each["fields"]
        if field["drift"]
    }
    assert found == {
        ("Office", "SandboxNewField"): ["new"],
        ("Property", "ListPrice"): ["retyped"],
        ("Property", "StandardStatus"): ["missing"],
    }
    done = harvest[1].run("metadata", "centris", "-c", "sandbox.toml", "--check")
    assert done.returncode == 1
    assert "Office SandboxNewField: is not declared" in done.stdout
    assert "Property ListPrice: is declared as Decimal, but text in 200" in done.stdout
    assert "3 fields differ from the data model" in done.stdout


def test_no_more_than_the_limit_is_looked_at_and_that_is_said(harvest: tuple[SandboxProcess, Workplace]) -> None:
    drift = told(harvest[1], "centris", "--check", "--limit", "20", "--resource", "Property", status=1)["drift"]
    assert [(each["records"], each["of"]) for each in drift["resources"]] == [(20, 200)]
    done = harvest[1].run("metadata", "centris", "-c", "sandbox.toml", "--check", "--limit", "20")
    assert "the first ones of each run" in done.stdout


def test_records_can_be_held_against_a_file(harvest: tuple[SandboxProcess, Workplace]) -> None:
    sandbox, workplace = harvest
    asked = len(sandbox.log())
    (workplace.directory / "own.xml").write_bytes(XML.replace(b"Listings", b"Office").replace(b'"Id"', b'"OfficeKey"'))
    drift = told(workplace, "spark_reso", "--check", "--file", "own.xml", "--resource", "Office", status=1)["drift"]
    fields = {field["name"]: field["drift"] for field in drift["resources"][0]["fields"]}
    assert fields["Price"] == ["missing"]
    assert fields["OfficeKey"] == ["too_long"]  # 26 digits where the file says 20
    assert len(sandbox.log()) == asked


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("ims",), 2, "has no metadata"),
        (("idx_broker",), 2, "has no metadata"),
        (("nobody",), 2, "there is no source 'nobody'"),
        (("centris", "--resource", "Propertie"), 2, 'did you mean "Property"'),
        (("centris", "--limit", "5"), 2, "needs --check"),
        (("centris", "--file", "nowhere.xml"), 2, "there is no such file"),
        (("centris", "--offline", "--file", "a"), 2, "one of them"),
        (("spark", "--check"), 2, "holds no finished run of spark"),
    ],
)
def test_what_cannot_be_told_is_refused_in_words(
    harvest: tuple[SandboxProcess, Workplace], arguments: tuple[str, ...], status: int, message: str
) -> None:
    done = harvest[1].run("metadata", "-c", "sandbox.toml", *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr


def test_spark_tells_its_fields_in_lists_of_its_own(harvest: tuple[SandboxProcess, Workplace]) -> None:
    model = told(harvest[1], "spark")["model"]
    assert [each["name"] for each in model["resources"]] == ["listings"]
    standard = next(each for each in model["types"] if each["name"] == "Spark.StandardFields")
    assert "ListPrice" in {each["name"] for each in standard["fields"]}


# ------------------------------------------------------------------ hostile metadata


@pytest.fixture
def hostile(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workplace]:
    faults = tmp_path / "faults.json"
    rule = {"match": {"provider": "spark_reso", "path": "$metadata"}, "fault": request.param, "times": 99}
    faults.write_text(json.dumps([rule]))
    sandbox = serve(tmp_path, "--time-scale", "3600", "--records", "20", "--faults", str(faults))
    yield Workplace(tmp_path)
    end(sandbox)


@pytest.mark.parametrize(
    "hostile", ["xml:bomb", "xml:quadratic", "xml:xxe", "xml:dtd", "xml:deep", "xml:big=80", "xml:utf16"], indirect=True
)
def test_hostile_metadata_is_refused_within_bounds(hostile: Workplace) -> None:
    """FAULTS M01, M02: status 65 and one paragraph, no file shown, and no more memory than the largest answer takes."""
    command = [*_limited(900 << 20), "metadata", "spark_reso", "-c", "sandbox.toml"]
    done = subprocess.run(command, cwd=hostile.directory, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 65, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "root:" not in done.stderr
    assert len(done.stderr) < 500


def _limited(memory: int) -> list[str]:
    """``harvester`` with an address space of *memory* bytes."""
    code = (
        "import resource, sys; "
        f"resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory})); "
        "from harvester.cli.main import main; main(sys.argv[1:])"
    )
    return [sys.executable, "-c", code]
