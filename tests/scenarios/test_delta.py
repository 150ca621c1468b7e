"""A second harvest brings what changed, and both together are what the provider has."""

from __future__ import annotations

import json
from typing import cast
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


@pytest.mark.parametrize("sandbox", [("--time-scale", "3600", "--records", "300")], indirect=True)
def test_a_delta_without_changes_is_one_request_for_a_resource_and_of_ims_for_each_database(
    sandbox: SandboxProcess, workplace: Workplace
) -> None:
    """Offices of IMS are too few for that: of three rows none is older than those that are read again (FAULTS T05)."""
    for _ in range(2):
        done = workplace.run("run", "-c", str(sandbox.config), "--source", "ims", "--source", "centris")
        assert done.returncode == 0, done.stderr
    asked: dict[str, list[int]] = {}
    for each in workplace.manifests():
        if each["mode"] == "delta":  # the walks', for a token is asked for beside them
            walks = cast("list[dict[str, int]]", each["walks"])
            asked[f"{each['source']} {each['resource']}"] = [walk["requests"] for walk in walks]
    assert {name: asked[f"centris {name}"] for name in ("Property", "Member", "Office")} == {
        "Property": [1],
        "Member": [1],
        "Office": [1],
    }
    assert {name: asked[f"ims {name}"] for name in ("Property", "Member")} == {
        "Property": [1, 1, 1],
        "Member": [1, 1, 1],
    }


def test_a_delta_without_a_harvest_to_go_on_from_is_status_78(sandbox: SandboxProcess, workplace: Workplace) -> None:
    done = workplace.run("run", "-c", str(sandbox.config), "--source", "spark_reso", "--mode", "delta")
    assert done.returncode == 78
    assert "--mode full" in done.stdout + done.stderr
