"""Several credentials for one feed, from outside: shared, told, revoked, killed and gone on with."""

from __future__ import annotations

import json
import time
from collections import Counter

import pytest

from tests.scenarios.conftest import PATIENCE, SandboxProcess, Workplace

OPTIONS = ("--credentials", "2", "--time-scale", "60", "--records", "500")
SOURCES = ("centris", "spark_reso")
SMALL = tuple(part for source in SOURCES for part in ("--set", f"sources.{source}.page_size=20"))


def shares(sandbox: SandboxProcess, source: str) -> Counter[object]:
    return Counter(entry["credential"] for entry in sandbox.log(source) if not entry["token"])


@pytest.mark.parametrize("sandbox", [OPTIONS], indirect=True)
def test_two_credentials_share_a_harvest_that_is_killed_and_gone_on_with(
    sandbox: SandboxProcess, workplace: Workplace
) -> None:
    """FAULTS R01: a link that was told to one of them is followed by that one, also by the next process."""
    command = ("run", "-c", str(sandbox.config), *(part for name in SOURCES for part in ("--source", name)), *SMALL)
    process = workplace.start(*command)
    deadline = time.monotonic() + PATIENCE
    while (workplace.directory / "run.jsonl").read_bytes().count(b'"page_fetched"') < 15:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.communicate()
    done = workplace.run(*command)
    assert done.returncode == 0, done.stderr
    checked = workplace.run("verify", "out", "--against", sandbox.url)
    assert checked.returncode == 0, checked.stdout
    for source in SOURCES:
        used = shares(sandbox, source)
        assert set(used) == {1, 2}
    assert min(shares(sandbox, "centris").values()) > 5
    assert not [entry for entry in sandbox.log() if entry["over"]], "a quota was overrun"
    status = workplace.run("status", "out")
    assert "centris Property: number-1 " in status.stdout
    config = ("-c", str(sandbox.config), "--source", "centris")
    planned = workplace.run("plan", *config, "--offline", *SMALL)
    assert "credential number-2: 20 requests per second" in planned.stdout, planned.stdout
    told = workplace.run("quota", *config)
    assert "centris: number-1, credential" in told.stdout
    assert "centris: number-2, credential" in told.stdout


@pytest.mark.parametrize("sandbox", [OPTIONS], indirect=True)
def test_a_credential_that_is_refused_is_told_and_the_other_does_the_work(
    sandbox: SandboxProcess, workplace: Workplace
) -> None:
    """FAULTS S10, A03. There are more pages than one of them may ask for at once, so that both are used."""
    sandbox.set_faults([{"match": {"credential": 1, "path": "filter"}, "fault": "status:401"}])
    done = workplace.run("run", "-c", str(sandbox.config), "--source", "centris", *SMALL)
    assert done.returncode == 0, done.stderr
    lost = [event for line in done.stdout.splitlines() if (event := json.loads(line))["event"] == "credential_lost"]
    assert [(event["credential"], event["left"]) for event in lost] == [("number-1", ["number-2"])]
    assert workplace.run("verify", "out", "--against", sandbox.url).returncode == 0
    refused = [entry for entry in sandbox.log("centris") if entry["status"] == 401]
    assert len(refused) <= 8, "only what was on its way, and once more with a fresh token"


def test_the_same_credential_twice_is_refused_before_anything_is_sent(
    sandbox: SandboxProcess, workplace: Workplace
) -> None:
    both = '[{ name = "a", token = "x" }, { name = "b", token = "x" }]'
    text = sandbox.config.read_text()
    head = "[sources.spark]\n"
    assert head in text
    sandbox.config.write_text(
        text.replace('token = "sandbox-spark-replication"\n', "").replace(head, head + f"credentials = {both}\n")
    )
    done = workplace.run("run", "-c", str(sandbox.config), "--source", "spark")
    assert done.returncode == 78
    assert "sources.spark.credentials.b: is the same credential as a" in done.stderr
    assert not sandbox.log()
