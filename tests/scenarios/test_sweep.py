"""``harvester run --mode sweep`` from outside: the view has the provider's keys, and only what is gone is buried."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.scenarios.conftest import SandboxProcess, Workplace

KEYS = {
    ("centris", "Property"): ("ListingKey",),
    ("ims", "Property"): ("OriginatingSystemName", "ListingId"),
    ("spark", "listings"): ("Id",),
    ("spark_reso", "Media"): ("MediaKey",),
}


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
