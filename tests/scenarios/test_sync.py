"""``harvester sync`` as a process of its own, against a sandbox in another one."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.scenarios import listening
from tests.scenarios.conftest import PATIENCE, SandboxProcess, Workplace

FAST = ("--time-scale", "360", "--records", "120")


def events(workplace: Workplace, log: str = "sync.jsonl") -> list[dict[str, object]]:
    """The lines that are whole by now."""
    path = workplace.directory / log
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def wait_for(workplace: Workplace, kind: str, number: int = 1, **members: object) -> dict[str, object]:
    """The event *kind* with these *members* that is the *number*-th; waits for it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = [
            event
            for event in events(workplace)
            if event["event"] == kind and all(event.get(name) == value for name, value in members.items())
        ]
        if len(found) >= number:
            return found[number - 1]
        time.sleep(0.05)
    raise AssertionError(f"no {kind} came: {events(workplace)[-3:]}")


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    _, err = process.communicate(timeout=PATIENCE)
    return process.returncode, err.decode()


def asked(url: str) -> tuple[int, bytes]:
    try:
        with urlopen(url) as answer:  # noqa: S310 - loopback
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


def mutate(sandbox: SandboxProcess, count: int) -> None:
    with urlopen(Request(f"{sandbox.url}/_sandbox/mutate?count={count}", method="POST")) as answer:  # noqa: S310
        answer.read()


@pytest.mark.parametrize("sandbox", [FAST], indirect=True)
def test_a_signal_between_or_in_rounds_ends_it_in_good_order_and_it_goes_on_later(
    sandbox: SandboxProcess, workplace: Workplace
) -> None:
    """FAULTS R02."""
    command = ("sync", "centris", "spark_reso", "-c", str(sandbox.config), "--every", "1s")
    process = workplace.start(*command, log="sync.jsonl")
    wait_for(workplace, "round_finished", 4)
    process.send_signal(signal.SIGTERM)
    returned, message = ended(process)
    assert returned == 143, message
    assert "Traceback" not in message
    assert events(workplace)[-1]["event"] == "run_finished"
    assert events(workplace)[-1]["exit_status"] == 143
    again = workplace.run(*command, "--rounds", "2")
    assert again.returncode == 0, again.stderr
    verified = workplace.run("verify", "out")
    assert verified.returncode == 0, verified.stdout
    viewed = workplace.run("view", "Property", "--source", "centris")
    assert sorted(viewed.stdout.encode().splitlines()) == sorted(sandbox.truth("centris", "Property"))


@pytest.mark.parametrize("sandbox", [("--time-scale", "360", "--records", "3000")], indirect=True)
def test_a_signal_in_the_middle_of_the_first_harvest_leaves_what_was_committed(
    sandbox: SandboxProcess, workplace: Workplace
) -> None:
    sandbox.set_faults([{"fault": "latency:0.4", "match": {"provider": "spark_reso"}, "times": 100000}])
    command = [
        *("sync", "spark_reso", "-c", str(sandbox.config), "--every", "1s", "--set", "max_requests_at_risk=1"),
        *("--set", 'sources.spark_reso.resources=["Property"]', "--set", "sources.spark_reso.page_size=50"),
    ]
    process = workplace.start(*command, log="sync.jsonl")
    wait_for(workplace, "committed", 3)
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 143
    sandbox.set_faults([])
    before = len(sandbox.log("spark_reso"))
    again = workplace.run(*command, "--rounds", "1")
    assert again.returncode == 0, again.stderr
    started = next(json.loads(line) for line in again.stdout.splitlines() if '"resource_started"' in line)
    assert started["resumed"]
    assert int(str(started["records"])) >= 100
    assert len(sandbox.log("spark_reso")) - before < 3000 / 50 + 5
    assert workplace.run("verify", "out").returncode == 0


@pytest.mark.parametrize("sandbox", [FAST], indirect=True)
def test_health_is_told_over_http_while_it_runs(sandbox: SandboxProcess, workplace: Workplace) -> None:
    sandbox.set_faults([{"fault": "404", "match": {"provider": "centris"}, "times": 1000000}])
    command = ("sync", "centris", "-c", str(sandbox.config), "--every", "5s", "--health", "0")
    process = workplace.start(*command, log="sync.jsonl")
    try:
        url = str(wait_for(workplace, "listening")["url"])
        assert url.startswith("http://127.0.0.1:")
        wait_for(workplace, "round_finished", 3)
        status, body = asked(url)
        assert (status, json.loads(body)["status"]) == (503, "stale")
        sandbox.set_faults([])
        status, body = until_current(url)
        health = json.loads(body)
        assert (status, health["status"]) == (200, "current")
        assert {row["resource"] for row in health["sources"][0]["resources"]} == {"Property", "Member", "Office"}
        root = url.removesuffix("/health")
        assert asked(f"{root}/live")[0] == 200
        metrics = asked(f"{root}/metrics")[1].decode()
        assert '\nharvester_current{source="centris",resource="Property"} ' in metrics
        assert asked(f"{root}/anything")[0] == 404
    finally:
        process.send_signal(signal.SIGTERM)
        assert ended(process)[0] == 143


def until_current(url: str) -> tuple[int, bytes]:
    deadline = time.monotonic() + PATIENCE
    while (answer := asked(url))[0] != 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer


@pytest.mark.parametrize("sandbox", [FAST], indirect=True)
def test_a_second_one_is_refused_and_a_run_takes_its_turn(sandbox: SandboxProcess, workplace: Workplace) -> None:
    command = ("sync", "centris", "-c", str(sandbox.config), "--every", "2s")
    process = workplace.start(*command, log="sync.jsonl")
    try:
        wait_for(workplace, "round_finished", 3)
        second = workplace.run(*command)
        assert second.returncode == 79
        assert "another harvester sync keeps the source centris" in second.stderr
        statuses = {workplace.run("run", "-c", str(sandbox.config), "--source", "centris").returncode for _ in range(3)}
        assert statuses <= {0, 79}
    finally:
        process.send_signal(signal.SIGTERM)
        assert ended(process)[0] == 143


@pytest.mark.parametrize("sandbox", [FAST], indirect=True)
def test_a_killed_one_is_followed_by_one_that_goes_on(sandbox: SandboxProcess, workplace: Workplace) -> None:
    """FAULTS R01: kill -9, also while runs without changes lose their directories."""
    command = ("sync", "centris", "-c", str(sandbox.config), "--every", "300ms")
    for rounds in (2, 7):
        process = workplace.start(*command, log=f"sync-{rounds}.jsonl")
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            done = [e for e in events(workplace, f"sync-{rounds}.jsonl") if e["event"] == "round_finished"]
            if len(done) >= rounds:
                break
            time.sleep(0.02)
        process.kill()
        process.communicate()
        mutate(sandbox, 3)
    last = workplace.run(*command, "--rounds", "3")
    assert last.returncode == 0, last.stderr
    assert workplace.run("verify", "out").returncode == 0
    swept = workplace.run("run", "-c", str(sandbox.config), "--source", "centris", "--mode", "sweep", "--allow-purge")
    assert swept.returncode == 0, swept.stderr
    viewed = workplace.run("view", "Property", "--source", "centris")
    assert sorted(viewed.stdout.encode().splitlines()) == sorted(sandbox.truth("centris", "Property"))


@pytest.mark.parametrize("sandbox", [FAST], indirect=True)
def test_what_is_posted_is_there_long_before_the_next_round(sandbox: SandboxProcess, workplace: Workplace) -> None:
    command = ("sync", "centris", "-c", str(sandbox.config), "--every", "1h", "--listen", "127.0.0.1:0")
    pace = ("--set=push_seconds=0.2", "--set=push_confirm=0.5", 'sources.centris.resources=["Property"]')
    process = workplace.start(*command, *pace[:2], "--set", pace[2], log="sync.jsonl")
    try:
        wait_for(workplace, "round_finished")
        url = str(wait_for(workplace, "listening", purpose="push")["url"])
        keys = listening.mutate(sandbox, 30)
        assert set(listening.post_all(url, [listening.notice(sandbox, key) for key in keys])) == {202}
        listening.until(lambda: listening.view(workplace) == listening.truth(sandbox))
        assert len([event for event in events(workplace) if event["event"] == "round_finished"]) == 1
    finally:
        process.send_signal(signal.SIGTERM)
        assert ended(process)[0] == 143
    again = workplace.run(*command[:4], "--set", pace[2], "--every", "1s", "--rounds", "2")
    assert again.returncode == 0, again.stderr
    assert listening.view(workplace) == listening.truth(sandbox)


def test_what_cannot_work_is_refused_before_anything_begins(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path)
    (tmp_path / "harvester.toml").write_text(
        '[sources.spark_reso]\nbase_url = "http://127.0.0.1:9/"\ntoken = "x"\nevery = "5m"\n'
    )
    for arguments, status, message in (
        (("--rounds", "0"), 2, "at least one round"),
        (("--every", "soon"), 78, "every"),
        (("--sweep-at", "25:00"), 78, "time of day"),
        (("--sweep-at", "03:00", "--sweep-every", "1d"), 78, "stands beside sweep_every"),
        (("--health", "nowhere"), 78, "address to listen at"),
        (("elsewhere",), 2, "there is no source"),
    ):
        refused = workplace.run("sync", *arguments)
        assert (refused.returncode, message in refused.stderr) == (status, True), refused.stderr
    assert not (tmp_path / "out").exists()
