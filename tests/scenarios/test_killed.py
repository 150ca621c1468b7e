"""Killed at any moment, the same command goes on, and the finished harvest has every record once."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from collections import Counter

import pytest

from tests.scenarios.conftest import PATIENCE, SandboxProcess, Workplace

KILLS = 12


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", [("--time-scale", "360", "--records", "12000")], indirect=True)
def test_a_harvest_killed_again_and_again_ends_complete(sandbox: SandboxProcess, workplace: Workplace) -> None:
    """FAULTS R01, T09, F06, F08: nothing lost, nothing doubled, no torn line, and little fetched again."""
    chance = random.Random(11)
    command = ("run", "-c", str(sandbox.config), "--source", "spark_reso", "--source", "ims", "--source", "centris")
    kills, everything = 0, 14
    while kills < KILLS and len(workplace.manifests()) < everything:
        process = workplace.start(*command)
        try:
            process.communicate(timeout=chance.uniform(0.5, 1.1))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
            continue
        assert process.returncode == 0
    if len(workplace.manifests()) < everything:  # else the last one came to its end, or was killed behind it
        done = workplace.run(*command)
        assert done.returncode == 0, done.stderr
    assert kills >= 3
    checked = workplace.run("verify", "out", "--against", sandbox.url)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    finished = {(m["source"], m["resource"]) for m in workplace.manifests()}
    assert len(finished) == len(workplace.manifests()) == everything, "a resource was harvested twice"
    asked = Counter((entry["provider"], entry["path"]) for entry in sandbox.log() if not entry["token"])
    again = sum(times - 1 for times in asked.values())
    # What a commit does not cover is fetched again: at most 25 pages at risk and 4 in flight, for each source.
    assert again <= kills * 3 * (25 + 4)


@pytest.mark.parametrize("sandbox", [("--records", "3000", "--time-scale", "60")], indirect=True)
def test_a_signal_ends_it_in_good_order_and_the_next_run_finishes(
    sandbox: SandboxProcess, workplace: Workplace
) -> None:
    """FAULTS R02: SIGTERM commits what was fetched and says how to go on, within its grace."""
    command = ("run", "-c", str(sandbox.config), "--source", "centris", "--source", "spark_reso")
    process = workplace.start(*command)
    events = workplace.directory / "run.jsonl"
    while b'"page_fetched"' not in events.read_bytes():
        assert process.poll() is None, process.communicate()[1]
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=PATIENCE)
    if process.returncode:  # it may just have finished
        assert process.returncode == 143
        assert b"the same command goes on" in told
    assert workplace.run(*command).returncode == 0
    assert workplace.run("verify", "out", "--against", sandbox.url).returncode == 0


def test_a_second_run_in_the_same_directory_is_refused(sandbox: SandboxProcess, workplace: Workplace) -> None:
    """FAULTS R09: the kernel's lock decides; the second one says so and changes nothing."""
    sandbox.set_faults([{"fault": "latency:1", "match": {"provider": "spark_reso"}, "times": 6}])  # time for both
    first = workplace.start("run", "-c", str(sandbox.config))
    events = workplace.directory / "run.jsonl"
    while b'"resource_started"' not in events.read_bytes():
        assert first.poll() is None, first.communicate()[1]
    second = workplace.run("run", "-c", str(sandbox.config))
    first.communicate(timeout=PATIENCE)
    assert (first.returncode, second.returncode) == (0, 79), second.stderr
    assert "Traceback" not in second.stderr


def test_finished_shards_hold_whole_lines_only(sandbox: SandboxProcess, workplace: Workplace) -> None:
    """FAULTS F06, with shards as plain text: every line is one JSON object."""
    done = workplace.run("run", "-c", str(sandbox.config), "--source", "ims", "--set", "compression=none")
    assert done.returncode == 0, done.stderr
    shards = list(workplace.out.glob("source=ims/**/*.ndjson"))
    assert shards
    for shard in shards:
        data = shard.read_bytes()
        assert data.endswith(b"\n")
        assert all(isinstance(json.loads(line), dict) for line in data.split(b"\n")[:-1])
