"""``harvester quota`` and ``plan`` beside real harvests: what they show is what the sandbox has counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.conftest import SandboxProcess, Workplace

pytestmark = pytest.mark.parametrize("sandbox", [("--records", "120")], indirect=True)


def shown(workplace: Workplace, sandbox: SandboxProcess, *more: str) -> dict[str, Any]:
    done = workplace.run("quota", "-c", str(sandbox.config), "--source", "centris", "--json", *more)
    assert done.returncode == 0, done.stderr
    credential: dict[str, Any] = json.loads(done.stdout)["credentials"][0]
    return credential


def test_it_tells_what_was_used_before_a_restart_and_after_it(sandbox: SandboxProcess, workplace: Workplace) -> None:
    """Minute and day of Centris, of real length: nothing expires while the test runs."""
    config = str(sandbox.config)
    assert [window["used"] for window in shown(workplace, sandbox)["windows"]] == [0, 0]
    for _ in range(2):
        done = workplace.run("run", "-c", config, "--source", "centris", "--resource", "Office", "--restart")
        assert done.returncode == 0, done.stderr
        counted = len([entry for entry in sandbox.log("centris") if "token" not in str(entry["path"])])
        told = shown(workplace, sandbox)
        assert [window["used"] for window in told["windows"]] == [counted, counted]
        assert [window["left"] for window in told["windows"]] == [20 - counted, 5000 - counted]
        assert told["told"][0]["remaining"] == 5000 - counted
    assert told["paused_until"] is None
    text = workplace.run("quota", "-c", config)
    assert "requests per minute" in text.stdout
    assert "begins anew" in text.stdout


def test_it_needs_no_secret_but_the_one_that_names_the_credential(
    sandbox: SandboxProcess, workplace: Workplace
) -> None:
    config = Path(sandbox.config)
    hidden = config.with_name("hidden.toml")
    hidden.write_text(config.read_text().replace('"centris-demo-secret"', '{ env = "NOT_SET" }'))
    done = workplace.run("quota", "-c", str(hidden), "--source", "centris")
    assert done.returncode == 0, done.stderr
    assert "centris-demo" not in done.stdout
    assert not workplace.out.exists()


def test_forgetting_drops_what_was_told_of_limits_and_never_what_was_spent(
    sandbox: SandboxProcess, workplace: Workplace
) -> None:
    config = str(sandbox.config)
    assert workplace.run("run", "-c", config, "--source", "centris", "--resource", "Office").returncode == 0
    before = shown(workplace, sandbox)
    after = shown(workplace, sandbox, "--forget")
    assert after["learned"] == []
    assert [window["used"] for window in after["windows"]] == [window["used"] for window in before["windows"]] != [0, 0]
    told = workplace.run("quota", "-c", config, "--source", "centris", "--forget")
    assert "Forgotten: 0 lessons about centris." in told.stdout + told.stderr


def test_a_plan_waits_for_the_window_that_earlier_commands_have_filled(
    sandbox: SandboxProcess, workplace: Workplace
) -> None:
    config = str(sandbox.config)
    arguments = ("-c", config, "--source", "centris", "--resource", "Office")
    budget = ("--set", "sources.centris.budget.windows=[{requests=8, seconds=600}]")

    def forecast() -> dict[str, Any]:
        done = workplace.run("plan", *arguments, *budget, "--mode=full", "--offline", "--json")
        assert done.returncode == 0, done.stderr
        source: dict[str, Any] = json.loads(done.stdout)["sources"][0]
        assert source["measured"]
        told: dict[str, Any] = source["forecast"]
        return told

    assert workplace.run("run", *arguments).returncode == 0
    expected = forecast()
    assert 500 < expected["seconds"] < 610
    assert expected["binding"] == "8 requests per 600 s"
    assert expected["bytes"] > 0


def test_a_second_run_says_what_it_promised_and_what_it_took(sandbox: SandboxProcess, workplace: Workplace) -> None:
    arguments = ("-c", str(sandbox.config), "--source", "spark", "--resource", "accounts")
    first, second = workplace.run("run", *arguments), workplace.run("run", *arguments, "--mode", "full")
    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    assert '"event":"promised"' not in first.stdout  # nobody had measured anything
    (promised,) = [event for line in second.stdout.splitlines() if (event := json.loads(line))["event"] == "promised"]
    finished = [
        event for line in second.stdout.splitlines() if (event := json.loads(line))["event"] == "resource_finished"
    ]
    assert promised["requests"] == sum(event["requests"] for event in finished)


def test_a_wait_that_is_too_long_for_the_user_ends_the_run_with_the_time_to_come_back(
    sandbox: SandboxProcess, workplace: Workplace
) -> None:
    windows = "sources.centris.budget.windows=[{requests=2, seconds=3600}]"
    arguments = ("-c", str(sandbox.config), "--source", "centris", "--resource", "Property", "--set", windows)
    done = workplace.run("run", *arguments, "--set", "sources.centris.page_size=20", "--max-wait", "10m")
    assert done.returncode == 75, done.stderr
    assert "longer than the 600 s allowed" in done.stdout
    assert len(sandbox.log("centris")) == 3  # a token, two pages


def test_a_server_that_asks_for_400_days_is_asked_again_by_nobody_until_somebody_says_so(
    sandbox: SandboxProcess, workplace: Workplace
) -> None:
    """FAULTS S04: above the longest wait the run ends, can be gone on with, and says when; so does the next one."""
    sandbox.set_faults([{"fault": "429:ra=34560000", "match": {"provider": "spark_reso", "resource": "Property"}}])
    command = ("run", "-c", str(sandbox.config), "--source", "spark_reso", "--resource", "Property")
    for _ in range(2):
        before = len(sandbox.log("spark_reso"))
        done = workplace.run(*command)
        assert done.returncode == 75, done.stderr
        assert "the server asks that nothing be sent before" in done.stderr
    assert len(sandbox.log("spark_reso")) == before, "it is asked again although it said when"
    config = ("-c", str(sandbox.config), "--source", "spark_reso")
    assert "paused until" in workplace.run("quota", *config).stdout
    assert workplace.run("plan", *config, "--offline").returncode == 0
    assert workplace.run("quota", *config, "--forget").returncode == 0
    assert workplace.run(*command).returncode == 0
