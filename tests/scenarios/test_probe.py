"""The probe from outside: five providers, odd servers, and what a run makes of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.scenarios.conftest import SandboxProcess, Workplace, end, serve

ODD = ("ignores-filter", "cap-100", "links-offset")
MOST = 6  # requests that the probe of a resource may cost
SERVERS = (*ODD, "plain", "links-hidden,cap-100", "links-offset,ignores-orderby,ignores-filter")
UNFILTERED = "the server ignores $filter, so changes during the run cannot be asked for; run with --prove"


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SandboxProcess, Workplace]]:
    """A sandbox in which nothing changes."""
    directory = tmp_path_factory.mktemp("still")
    options = [option for server in SERVERS for option in ("--server", server)]
    sandbox = serve(directory, "--time-scale", "360", "--records", "600", *options)
    yield sandbox, Workplace(directory)
    end(sandbox)


def name_of(server: str) -> str:
    return f"odata-{server.replace(',', '_')}"


def probed(sandbox: SandboxProcess, workplace: Workplace, source: str, resource: str, *more: str) -> dict[str, Any]:
    """What ``harvester probe`` tells of one resource."""
    done = workplace.run("probe", source, resource, "-c", str(sandbox.config), "--json", *more)
    assert done.returncode == 0, done.stderr
    resources = json.loads(done.stdout)["sources"][0]["resources"]
    found: dict[str, Any] = next(each for each in resources if each["resource"] == resource)
    return found


def finished(done_output: str) -> dict[str, dict[str, Any]]:
    """The last event of each resource."""
    events = [json.loads(line) for line in done_output.splitlines()]
    return {event["resource"]: event for event in events if event["event"] == "resource_finished"}


CONTRACTS = [
    ("ims", "Property", "keyset", "no next links, and it filters and sorts as asked"),
    ("centris", "Property", "keyset", "next links hold an offset, which shifts"),
    ("idx_broker", "clients/featured", "snapshot", "its contract fixes it"),
    ("spark", "listings", "chain", "a position that rows which come and go cannot shift"),
    ("spark_reso", "Property", "chain", "a position that rows which come and go cannot shift"),
]


@pytest.mark.parametrize(("provider", "resource", "walk", "reason"), CONTRACTS)
def test_the_probe_of_a_provider_comes_to_what_its_contract_says(
    still: tuple[SandboxProcess, Workplace], provider: str, resource: str, walk: str, reason: str
) -> None:
    sandbox, workplace = still
    before = len(asked(sandbox, provider, resource))
    done = workplace.run("probe", provider, "-c", str(sandbox.config), "--json", "--refresh")
    assert done.returncode == 0, done.stderr
    resources = {each["resource"]: each for each in json.loads(done.stdout)["sources"][0]["resources"]}
    found = resources[resource]
    assert (found["walk"], found["fixed"], found["doubt"]) == (walk, walk, "")
    assert reason in found["reason"]
    assert len(asked(sandbox, provider, resource)) - before == found["requests"]
    for each in resources.values():
        assert (each["walk"], each["doubt"], each["problem"]) == (each["fixed"], "", "")
        assert each["requests"] <= MOST


def asked(sandbox: SandboxProcess, provider: str, resource: str) -> list[dict[str, object]]:
    """Data requests for one resource, as the server counts them."""
    entries = [entry for entry in sandbox.log(provider) if not entry["token"]]
    return [entry for entry in entries if str(entry["path"]).partition("?")[0].endswith(resource)]


@pytest.mark.parametrize(
    ("server", "walk", "reason", "doubt"),
    [
        ("ignores-filter", "chain", "next links hold a key", UNFILTERED),
        ("cap-100", "chain", "next links hold a key", ""),
        ("links-offset", "offset", "next links hold an offset; sorted by key", ""),
        ("links-hidden,cap-100", "offset", "next links hold an offset; sorted by key", ""),
    ],
)
def test_an_odd_server_is_known_for_what_it_is(
    still: tuple[SandboxProcess, Workplace], server: str, walk: str, reason: str, doubt: str
) -> None:
    found = probed(*still, name_of(server), "Property", "--refresh")
    assert (found["walk"], found["doubt"], found["fixed"]) == (walk, doubt, "")
    assert reason in found["reason"]
    assert found["requests"] <= MOST
    assert found["profile"]["cap"] == (100 if "cap-100" in server else 500)


@pytest.mark.parametrize("server", SERVERS)
def test_a_run_equals_the_truth_or_says_why_it_cannot_know(
    still: tuple[SandboxProcess, Workplace], server: str
) -> None:
    """FAULTS P15: an ignored filter neither makes a delta a silent full copy nor a run complete."""
    sandbox, workplace = still
    source = name_of(server)
    before = len(sandbox.log())
    done = workplace.run("run", "-c", str(sandbox.config), "--source", source, "--out", f"out-{source}")
    ends = finished(done.stdout)
    doubtful = "ignores-filter" in server
    assert done.returncode == (1 if doubtful else 0), done.stderr
    assert {each["verdict"] for each in ends.values()} == {"incomplete" if doubtful else "complete"}
    if doubtful:
        assert all("the server ignores $filter" in each["reason"] for each in ends.values())
        filtered = [each for each in sandbox.log()[before:] if "%20gt%20" in str(each["path"])]
        assert filtered == []  # no delta was asked for at all
    compared = workplace.run("verify", f"out-{source}", "--against", sandbox.url)
    assert compared.returncode == 0, compared.stdout


def test_a_profile_is_kept_used_by_the_next_run_and_asked_for_again_on_request(
    still: tuple[SandboxProcess, Workplace],
) -> None:
    sandbox, workplace = still
    arguments = ("-c", str(sandbox.config), "--source", "odata-plain", "--out", "out-kept")
    costs = [
        [event["requests"] for event in map(json.loads, done.stdout.splitlines()) if event["event"] == "probed"]
        for done in (workplace.run("run", *arguments), workplace.run("run", *arguments))
    ]
    assert all(0 < cost <= MOST for cost in costs[0])
    assert costs[1] == [0] * len(costs[0])
    before = len(sandbox.log("odata_server"))
    assert probed(sandbox, workplace, "odata-plain", "Property", "--out", "out-kept")["kept"]
    assert len(sandbox.log("odata_server")) == before
    assert not probed(sandbox, workplace, "odata-plain", "Property", "--out", "out-kept", "--refresh")["kept"]
    assert len(sandbox.log("odata_server")) > before


def test_a_plan_names_the_walk_the_reason_the_evidence_and_the_doubt(still: tuple[SandboxProcess, Workplace]) -> None:
    sandbox, workplace = still
    arguments = ("plan", "-c", str(sandbox.config), "--source", "odata-ignores-filter", "--out", "out-plan")
    unknown = workplace.run(*arguments, "--offline")
    assert (unknown.returncode, "probed 2" in unknown.stdout) == (0, False)
    shown = workplace.run(*arguments)
    assert shown.returncode == 0, shown.stderr
    for part in (
        "next links hold a key",
        "$filter ignored (",
        f"Property: in doubt: {UNFILTERED}",
        "Property: probed 2",
    ):
        assert part in shown.stdout
    again = workplace.run(*arguments, "--offline")
    assert "$filter ignored (" in again.stdout


def test_a_person_sees_the_findings_in_a_table(still: tuple[SandboxProcess, Workplace]) -> None:
    sandbox, workplace = still
    shown = workplace.run("probe", "odata-ignores-filter", "Property", "-c", str(sandbox.config))
    assert shown.returncode == 0, shown.stderr
    for part in ("Property: chain: next links hold a key", f"in doubt: {UNFILTERED}", "$filter", "ignored", "page cap"):
        assert part in shown.stdout


def test_what_cannot_be_probed_is_status_1_and_the_others_are_told(still: tuple[SandboxProcess, Workplace]) -> None:
    sandbox, workplace = still
    arguments = ("-c", str(sandbox.config), "--set", 'sources.odata-plain.resources=["Teams", "Office"]')
    done = workplace.run("probe", "odata-plain", *arguments, "--out", "out-teams")
    assert done.returncode == 1
    assert "Teams: could not be probed" in done.stdout
    assert "Office: " in done.stdout
    assert workplace.run("probe", "odata-plan", "-c", str(sandbox.config)).returncode == 2
    refused = workplace.run("probe", "odata-plain", "-c", str(sandbox.config), "--set", "sources.odata-plain.token=x")
    assert refused.returncode == 77, refused.stderr


def test_a_server_that_cannot_be_probed_leaves_its_run_in_doubt(still: tuple[SandboxProcess, Workplace]) -> None:
    sandbox, workplace = still
    arguments = ("-c", str(sandbox.config), "--source", "odata-plain", "--out", "out-doubt")
    done = workplace.run("run", *arguments, "--set", 'sources.odata-plain.resources=["Teams"]')
    events = [json.loads(line) for line in done.stdout.splitlines()]
    doubt = next(event["doubt"] for event in events if event["event"] == "probed")
    assert "could not be found out" in doubt
    assert done.returncode == 1


@pytest.mark.parametrize("server", ["links-offset,churn-2,cap-40", "links-hidden,churn-2,cap-40"])
def test_rows_that_come_and_go_while_it_is_read_lose_no_other_row(server: str, tmp_path: Path) -> None:
    """FAULTS P09: the links of these servers, followed one after another, would lose living rows without a word."""
    sandbox = serve(tmp_path, "--records", "1500", "--server", server)
    workplace = Workplace(tmp_path)
    try:
        before = set(keys_of(sandbox))
        source = name_of(server)
        done = workplace.run("run", "-c", str(sandbox.config), "--source", source, "--resource", "Property")
        assert done.returncode == 0, done.stdout[-2000:]
        living = before & set(keys_of(sandbox))
        assert len(living) < len(before)  # some have gone meanwhile
        held = set(keys_held(workplace))
        assert living - held == set()
    finally:
        end(sandbox)


def test_a_walk_that_the_user_names_is_kept_but_not_believed(tmp_path: Path) -> None:
    """FAULTS P09: this chain of offsets does lose living rows, and nothing in it shows that."""
    sandbox = serve(tmp_path, "--records", "1500", "--server", "links-offset,churn-2,cap-40")
    workplace = Workplace(tmp_path)
    try:
        before = set(keys_of(sandbox))
        source = "odata-links-offset_churn-2_cap-40"
        named = f"sources.{source}.walk=chain"
        arguments = ("-c", str(sandbox.config), "--set", named)
        done = workplace.run("run", *arguments, "--source", source, "--resource", "Property")
        assert before & set(keys_of(sandbox)) - set(keys_held(workplace))
        assert done.returncode == 1
        (end_of_it,) = finished(done.stdout).values()
        assert (end_of_it["verdict"], "rows that shift while it is read" in end_of_it["reason"]) == ("incomplete", True)
        shown = workplace.run("probe", source, "Property", *arguments)
        assert "a run walks by chain all the same" in shown.stdout
    finally:
        end(sandbox)


def keys_of(sandbox: SandboxProcess) -> list[str]:
    return [json.loads(line)["ListingKey"] for line in sandbox.truth("odata_server", "Property")]


def keys_held(workplace: Workplace) -> list[str]:
    glob = f"{workplace.out}/source=*/resource=Property/**/part-*.ndjson.zst"
    return pl.scan_ndjson(glob).select("ListingKey").collect()["ListingKey"].to_list()
