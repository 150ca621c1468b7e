"""``harvester demo``, and ``status``, ``verify``, ``plan`` and ``providers`` on what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePath

import pytest

from harvester.api.ports import Ports
from harvester.cli.child import sandbox_process
from harvester.cli.context import Context
from harvester.cli.demo import take_over
from harvester.cli.main import invoke
from harvester.errors import CannotCreate, Locked
from tests.fakes.terminal import Screen, screen

DEMO = [sys.executable, "-m", "harvester", "demo"]


def on_disk() -> Screen:
    shown = screen()
    return replace(shown, context=replace(shown.context, ports=Ports(environment={})))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """One finished demo for all tests that only look, or copy it first."""
    out = tmp_path_factory.mktemp("demo") / "out"
    # A variable of the user's own configuration must not reach the demo.
    environment = {**os.environ, "HARVESTER_SOURCES__IMS__CLIENT_ID": "somebody-else"}
    command = [*DEMO, "--records=30", "--out", str(out)]
    return out, subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)


@pytest.fixture
def harvest(demo: tuple[Path, object], tmp_path: Path) -> Path:
    """A copy of the demo's harvest, to be damaged."""
    return Path(shutil.copytree(demo[0], tmp_path / "out"))


def test_the_demo_harvests_every_provider_completely_and_proves_it(
    demo: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    _, done = demo
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[0]["event"] == "run_started"
    assert set(events[0]["sources"]) >= {"centris", "idx_broker", "ims", "spark", "spark_reso"}
    assert events[-1]["event"] == "run_finished"
    finished = [event for event in events if event["event"] == "resource_finished"]
    assert len(finished) > 30
    assert all(event["verdict"] == "complete" for event in finished)
    number = len(finished)
    assert f"{number} of {number} resources complete" in done.stderr
    assert f"{number} of {number} finished runs equal their manifests and the truth" in done.stderr
    assert "duckdb" in done.stderr


def test_status_tells_what_the_demo_left(demo: tuple[Path, object]) -> None:
    shown = on_disk()
    assert invoke(["status", str(demo[0])], shown.context) == 0
    text = shown.stdout.getvalue()
    assert "spark_reso" in text
    assert "clients/featured" in text
    assert "unfinished" not in text
    machine = on_disk()
    assert invoke(["status", str(demo[0]), "--json"], machine.context) == 0
    assert {row["verdict"] for row in json.loads(machine.raw.getvalue())["resources"]} == {"complete"}


def test_status_tells_of_a_run_that_can_be_gone_on_with(harvest: Path) -> None:
    manifest = next(harvest.glob("source=ims/resource=Property/run=*/_manifest.json"))
    manifest.unlink()
    shown = on_disk()
    assert invoke(["status", str(harvest)], shown.context) == 0
    assert "30 records committed" in shown.stdout.getvalue()
    assert "harvester run" in shown.stderr.getvalue()


def test_verify_is_satisfied_with_the_demo(demo: tuple[Path, object]) -> None:
    shown = on_disk()
    assert invoke(["verify", str(demo[0])], shown.context) == 0
    assert "differs" not in shown.stdout.getvalue()


def test_verify_names_a_changed_byte_and_ends_with_1(harvest: Path) -> None:
    """FAULTS F07."""
    shard = next(harvest.glob("source=centris/resource=Property/run=*/part-*"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    shown = on_disk()
    assert invoke(["verify", str(harvest)], shown.context) == 1
    assert shard.name in shown.stdout.getvalue()
    assert "differs" in shown.stdout.getvalue()
    assert invoke(["verify", str(harvest), "--json"], on_disk().context) == 1


async def test_verify_against_another_truth_ends_with_1(harvest: Path) -> None:
    async with sandbox_process(["--port=0", "--records=30", "--seed=2"]) as other:
        command = [sys.executable, "-m", "harvester", "verify", str(harvest), "--against", other.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "missing" in done.stdout
    assert "differs" in done.stdout


async def test_verify_against_a_sandbox_that_has_ended_asks_for_it(harvest: Path) -> None:
    async with sandbox_process(["--port=0", "--records=30"]) as gone:
        pass
    command = [sys.executable, "-m", "harvester", "verify", str(harvest), "--against", gone.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 65
    assert "Is the sandbox running?" in done.stderr


@pytest.mark.parametrize("command", ["status", "verify"])
def test_a_directory_without_a_harvest_is_status_2(command: str, tmp_path: Path) -> None:
    shown = on_disk()
    assert invoke([command, str(tmp_path)], shown.context) == 2
    assert "holds no harvest" in shown.stderr.getvalue()


def test_plan_tells_walks_reasons_requests_and_time(demo: tuple[Path, object]) -> None:
    shown = on_disk()
    config = demo[0] / "_harvester" / "demo.toml"
    assert invoke(["plan", "-c", str(config), "--mode=full", "--offline", f"--out={demo[0]}"], shown.context) == 0
    text = shown.stdout.getvalue()
    assert "snapshot: One answer is the whole set" in text
    assert re.search(r"in all \d+ requests, [\d.]+ .?B, about", text)
    machine = on_disk()
    assert invoke(["plan", "-c", str(config), "--offline", "--source", "ims", "--json"], machine.context) == 0
    assert [source["source"] for source in json.loads(machine.raw.getvalue())["sources"]] == ["ims"]


def test_providers_tells_what_a_configuration_needs() -> None:
    shown = on_disk()
    assert invoke(["providers"], shown.context) == 0
    text = shown.stdout.getvalue()
    assert "client_id, client_secret" in text
    assert "clients/featured" in text
    machine = on_disk()
    assert invoke(["providers", "--json"], machine.context) == 0
    names = {provider["name"] for provider in json.loads(machine.raw.getvalue())}
    assert names >= {"centris", "idx_broker", "ims", "odata", "spark", "spark_reso"}


def test_an_earlier_demo_is_replaced_and_its_state_forgotten(harvest: Path) -> None:
    (harvest / "my-notes.txt").write_text("mine")
    context = on_disk().context
    lock = take_over(context, PurePath(harvest), b"{}")
    try:
        assert sorted(path.name for path in harvest.iterdir()) == ["_harvester", "my-notes.txt"]
        files = [path.name for path in (harvest / "_harvester").rglob("*") if path.is_file()]
        assert sorted(name for name in files if not name.startswith("quota")) == ["demo.json", "demo.lock"]
    finally:
        lock.release()


def test_anything_else_in_the_directory_is_left_alone(harvest: Path) -> None:
    (harvest / "_harvester" / "demo.json").unlink()
    before = sorted(str(path) for path in harvest.rglob("*"))
    with pytest.raises(CannotCreate, match="not from an earlier demo"):
        take_over(on_disk().context, PurePath(harvest), b"{}")
    assert sorted(str(path) for path in harvest.rglob("*")) == before


def test_a_directory_that_only_plan_has_used_is_taken_and_its_quota_kept(tmp_path: Path) -> None:
    """What was spent of a real quota is in it, also after a second demo."""
    ledger = tmp_path / "out" / "_harvester" / "quota.db"
    ledger.parent.mkdir(parents=True)
    ledger.write_bytes(b"spent")
    for _ in range(2):
        take_over(on_disk().context, PurePath(tmp_path, "out"), b"{}").release()
        assert ledger.read_bytes() == b"spent"


@pytest.fixture
def taken(tmp_path: Path) -> Iterator[tuple[Context, PurePath]]:
    context, place = on_disk().context, PurePath(tmp_path, "out")
    lock = take_over(context, place, b"{}")
    yield context, place
    lock.release()


def test_two_demos_do_not_share_a_directory(taken: tuple[Context, PurePath]) -> None:
    """FAULTS R09."""
    context, place = taken
    with pytest.raises(Locked):
        take_over(context, place, b"{}")


def test_ctrl_c_ends_the_demo_and_its_server(tmp_path: Path) -> None:
    """FAULTS R02: the server is in a session of its own, and goes when the demo goes."""
    command = [*DEMO, "--records=20000", "--out", str(tmp_path / "out")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: everyone in the foreground
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert b"the next demo begins anew" in err
