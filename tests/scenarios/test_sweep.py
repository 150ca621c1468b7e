"""``harvester run --mode sweep`` from outside: the view has the provider's keys, and only what is gone is buried."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast
from urllib.request import Request, urlopen

import pytest

from tests.scenarios.conftest import SandboxProcess, Workplace

KEYS = {
    ("centris", "Property"): ("ListingKey",),
    ("ims", "Property"): ("OriginatingSystemName", "ListingId"),
    ("spark", "listings"): ("Id",),
    ("spark_reso", "Media"): ("MediaKey",),
}
LISTINGS = ("clients/featured", "clients/soldpending", "clients/supplemental")


def keys(lines: list[bytes], members: tuple[str, ...]) -> set[tuple[str, ...]]:
    return {tuple(str(json.loads(line)[member]) for member in members) for line in lines}


def mutate(sandbox: SandboxProcess, provider: str, count: int) -> None:
    url = f"{sandbox.url}/_sandbox/mutate?provider={provider}&count={count}"
    with urlopen(Request(url, method="POST")) as answer:  # noqa: S310 - loopback
        answer.read()


@pytest.mark.parametrize("sandbox", [("--time-scale", "3600", "--records", "400")], indirect=True)
def test_after_a_sweep_the_replica_has_the_providers_keys(sandbox: SandboxProcess, workplace: Workplace) -> None:
    names = [option for source, _ in KEYS for option in ("--source", source)]
    assert workplace.run("run", "-c", str(sandbox.config), *names).returncode == 0
    before = {at: keys(sandbox.truth(*at), members) for at, members in KEYS.items()}
    for source in {source for source, _ in KEYS}:
        mutate(sandbox, source, 60)
    done = workplace.run("run", "-c", str(sandbox.config), "--mode", "sweep", *names)
    assert done.returncode == 0, done.stdout + done.stderr
    for (source, resource), members in KEYS.items():
        truth = keys(sandbox.truth(source, resource), members)
        shown = workplace.run("view", resource, "--source", source)
        assert keys(shown.stdout.encode().split(b"\n")[:-1], members) == truth
        swept = next(
            manifest
            for manifest in workplace.manifests()
            if (manifest["source"], manifest["resource"], manifest["mode"]) == (source, resource, "sweep")
        )
        assert swept["tombstones"] == len(before[source, resource] - truth)
    # Centris lists times as well, so that every change has come; the others' changes come with a delta.
    shown = workplace.run("view", "Property", "--source", "centris")
    assert sorted(shown.stdout.encode().split(b"\n")[:-1]) == sorted(sandbox.truth("centris", "Property"))
    assert workplace.run("verify", "out").returncode == 0


@pytest.mark.parametrize("sandbox", [("--time-scale", "3600", "--records", "100")], indirect=True)
def test_there_must_be_something_to_sweep(sandbox: SandboxProcess, workplace: Workplace) -> None:
    done = workplace.run("run", "-c", str(sandbox.config), "--mode", "sweep", "--source", "centris")
    assert done.returncode in {1, 78}
    assert "Run with --mode full first" in " ".join(done.stderr.split())
    assert not list(Path(workplace.out).rglob("deleted-*"))


@pytest.mark.parametrize("sandbox", [("--time-scale", "3600", "--records", "200")], indirect=True)
def test_a_sweep_of_whole_records_finds_what_kept_its_time(sandbox: SandboxProcess, workplace: Workplace) -> None:
    """FAULTS T08: the sandbox changes rows and leaves their times, while it is asked for something else."""
    command = ("run", "-c", str(sandbox.config), "--source", "centris", "--resource", "Property")
    assert workplace.run(*command).returncode == 0
    sandbox.set_faults([{"fault": "ts:same", "match": {"provider": "centris"}}])
    assert workplace.run(*command, "--mode", "sweep").returncode == 0
    sandbox.set_faults([])

    def shown() -> list[bytes]:
        return sorted(workplace.run("view", "Property", "--source", "centris").stdout.encode().split(b"\n")[:-1])

    truth = sorted(sandbox.truth("centris", "Property"))
    assert shown() != truth
    assert workplace.run(*command, "--mode", "sweep").returncode == 0
    assert shown() != truth
    assert workplace.run(*command, "--mode", "sweep", "--whole-records").returncode == 0
    assert shown() == truth
    assert workplace.run("verify", "out").returncode == 0


def test_whole_records_are_compared_by_sweeps_only(sandbox: SandboxProcess, workplace: Workplace) -> None:
    done = workplace.run("run", "-c", str(sandbox.config), "--whole-records")
    assert done.returncode == 2
    assert "choose mode sweep" in done.stderr


@pytest.mark.parametrize("sandbox", [("--time-scale", "3600", "--records", "400")], indirect=True)
def test_a_listing_that_was_sold_has_moved_and_is_not_deleted(sandbox: SandboxProcess, workplace: Workplace) -> None:
    """IDX Broker contract, section 8."""
    names = [option for name in LISTINGS for option in ("--resource", name)]
    command = ("run", "-c", str(sandbox.config), "--source", "idx_broker", *names)
    assert workplace.run(*command).returncode == 0
    mutate(sandbox, "idx_broker", 60)
    assert workplace.run(*command, "--mode", "sweep").returncode == 0
    for name in LISTINGS:
        shown = workplace.run("view", name, "--source", "idx_broker").stdout.encode().split(b"\n")[:-1]
        assert sorted(shown) == sorted(sandbox.truth("idx_broker", name))
    swept = [
        each for each in workplace.manifests() if each["mode"] == "sweep" and each["resource"] == "clients/featured"
    ]
    evidence = [cast("dict[str, int]", each["sweep"]) for each in swept]
    assert evidence[0]["moved"] == evidence[0]["gone"] == swept[0]["tombstones"]
    assert evidence[0]["moved"] > 0


@pytest.mark.parametrize("sandbox", [("--time-scale", "3600", "--records", "400")], indirect=True)
def test_a_delta_of_leads_asks_for_the_time_since_the_last(sandbox: SandboxProcess, workplace: Workplace) -> None:
    """IDX Broker contract, sections 4 and 8: one window over each date that a change may have moved."""
    command = ("run", "-c", str(sandbox.config), "--source", "idx_broker", "--resource", "leads/lead")
    assert workplace.run(*command).returncode == 0
    mutate(sandbox, "idx_broker", 60)
    assert workplace.run(*command).returncode == 0
    full, delta = workplace.manifests()
    assert (full["mode"], delta["mode"], delta["requests"]) == ("full", "delta", 5)
    shown = workplace.run("view", "leads/lead", "--source", "idx_broker").stdout.encode().split(b"\n")
    assert set(sandbox.truth("idx_broker", "leads/lead")) <= set(shown)
