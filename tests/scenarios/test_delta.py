"""A second harvest brings what changed, and both together are what the provider has."""

from __future__ import annotations

import json
from urllib.request import Request, urlopen

import pytest

from tests.scenarios.conftest import SandboxProcess, Workplace

PROVIDERS = ("centris", "idx_broker", "ims", "spark", "spark_reso")


def mutate(sandbox: SandboxProcess, count: int) -> None:
    url = f"{sandbox.url}/_sandbox/mutate?count={count}"
    with urlopen(Request(url, method="POST")) as answer:  # noqa: S310 - loopback
        answer.read()


@pytest.mark.parametrize("sandbox", [("--time-scale", "3600", "--records", "300")], indirect=True)
def test_after_a_delta_no_living_record_of_any_provider_is_missing(
    sandbox: SandboxProcess, workplace: Workplace
) -> None:
    """FAULTS T01, T02, T03: inserted, updated and deleted rows of all five; a deletion is found by a sweep only."""
    for round_ in range(3):
        done = workplace.run("run", "-c", str(sandbox.config))
        assert done.returncode == 0, done.stderr
        mutate(sandbox, 150 if round_ < 2 else 0)
        if round_ == 1:
            done = workplace.run("run", "-c", str(sandbox.config), "--mode", "delta")
            assert done.returncode == 0, done.stderr
    modes = {(str(each["source"]), str(each["mode"])) for each in workplace.manifests()}
    assert modes >= {(provider, mode) for provider in PROVIDERS for mode in ("full", "delta")}
    told = workplace.run("verify", str(workplace.out), "--against", sandbox.url, "--json")
    runs = [each for each in json.loads(told.stdout)["runs"] if each["compared"]]
    assert [each for each in runs if each["missing"]] == []
    changed = [each for each in runs if each["records"] and each["resource"] in {"Property", "listings"}]
    assert len(changed) >= 4


@pytest.mark.parametrize("sandbox", [("--time-scale", "3600", "--records", "300")], indirect=True)
def test_a_delta_costs_a_small_part_of_what_a_full_harvest_costs(sandbox: SandboxProcess, workplace: Workplace) -> None:
    sources = ("--source", "spark_reso", "--source", "spark")
    for _ in range(2):
        assert workplace.run("run", "-c", str(sandbox.config), *sources).returncode == 0
    deltas = [each for each in workplace.manifests() if each["mode"] == "delta" and each["resource"] != "openhouses"]
    assert {each["resource"] for each in deltas} >= {"Property", "Media", "listings"}
    assert {each["requests"] for each in deltas} == {1}
    assert {each["records"] for each in deltas} == {0}


def test_a_delta_without_a_harvest_to_go_on_from_is_status_78(sandbox: SandboxProcess, workplace: Workplace) -> None:
    done = workplace.run("run", "-c", str(sandbox.config), "--source", "spark_reso", "--mode", "delta")
    assert done.returncode == 78
    assert "--mode full" in done.stdout + done.stderr
