"""Signals and closed pipes, with real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@contextmanager
def harvest(behaviour: str, grace: float = 60.0) -> Iterator[subprocess.Popen[bytes]]:
    """A run that has begun: its first line has been read. *grace*: seconds from a signal to the forced end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.harvest_process", behaviour, str(grace)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "run_started"
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[bytes]) -> tuple[int, list[dict[str, object]], str]:
    """Status, remaining events and standard error."""
    out, err = process.communicate(timeout=10)
    return process.returncode, [json.loads(line) for line in out.splitlines()], err.decode()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_ends_the_run_in_good_order(number: int, status: int) -> None:
    """FAULTS R02: the run ends by itself, its last event is written, and the user is told how to go on."""
    # A test runner that was started under nohup hands on that hang-ups are ignored.
    earlier = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with harvest("obeys") as process:
            process.send_signal(number)
            returned, events, message = ended(process)
    finally:
        signal.signal(signal.SIGHUP, earlier)
    assert returned == status
    assert (events[-1]["event"], events[-1]["exit_status"]) == ("run_finished", status)
    assert "finished first" in message
    assert "safe in the-place; the same command goes on from there" in message
    assert "Traceback" not in message


@pytest.mark.parametrize("behaviour", ["ignores", "blocks"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_signal_ends_the_process_at_once(behaviour: str, number: int, status: int) -> None:
    """FAULTS R02: even while the loop itself is held."""
    with harvest(behaviour) as process:
        assert process.stderr is not None
        process.send_signal(number)
        assert any(b"finished first" in line for line in process.stderr)
        process.send_signal(number)
        assert ended(process)[0] == status


def test_under_nohup_a_closed_terminal_stops_nothing() -> None:
    earlier = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with harvest("finishes") as process:
            process.send_signal(signal.SIGHUP)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.5)
            process.send_signal(signal.SIGTERM)
            assert ended(process)[0] == 0
    finally:
        signal.signal(signal.SIGHUP, earlier)


@pytest.mark.parametrize("behaviour", ["ignores", "blocks"])
def test_a_run_that_does_not_stop_is_ended_after_the_grace_period(behaviour: str) -> None:
    """FAULTS R02 and N11: nothing that hangs holds the process longer."""
    with harvest(behaviour, grace=0.5) as process:
        process.send_signal(signal.SIGTERM)
        status, _, message = ended(process)
    assert status == 143
    assert "run the same command again" in message


def test_a_signal_that_comes_too_late_to_interrupt_anything_is_no_failure() -> None:
    with harvest("finishes") as process:
        process.send_signal(signal.SIGINT)
        assert ended(process)[0] == 0


def test_a_reader_that_goes_away_ends_the_run_quietly() -> None:
    """FAULTS R08: ``harvester run | head -1``."""
    with harvest("talks") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(10) == 141
        assert b"Traceback" not in (message := process.stderr.read())
        assert b"Exception ignored" not in message
        assert message.count(b"\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("behaviour", ["talks", "obeys"])
def test_a_full_disk_behind_standard_output_stops_the_run_and_is_told(behaviour: str) -> None:
    """FAULTS F01, for the stream the shell has opened."""
    command = f"exec {sys.executable} -m tests.fakes.harvest_process {behaviour} 60 > /dev/full"
    done = subprocess.run(["/bin/sh", "-c", command], cwd=ROOT, capture_output=True, timeout=20, check=False)
    assert done.returncode == 74
    assert done.stderr.count(b"\n") == 1
    assert b"No space left on device). Committed work is safe in the-place" in done.stderr


def test_a_stuck_reader_does_not_keep_a_signal_away() -> None:
    """FAULTS R08: the pipe is full, nobody reads, and the run still ends when asked."""
    with harvest("talks") as process:
        assert process.stderr is not None
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 143


@pytest.mark.parametrize("closed", ["0", "1", "2"])
def test_a_stream_that_was_closed_before_the_start_does_no_harm(closed: str) -> None:
    """FAULTS R08."""
    begun, tell = os.pipe()
    command = f"exec {sys.executable} -m tests.fakes.harvest_process finishes 60 {tell} {closed}>&-"
    process = subprocess.Popen(
        ["/bin/sh", "-c", command], cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[tell]
    )
    os.close(tell)
    try:
        assert os.read(begun, 1)  # it waits for the signal, it has not died
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        os.close(begun)
        process.kill()
        process.communicate()
