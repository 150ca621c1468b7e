"""``harvester sandbox`` as a process: addresses, configuration, faults, its end."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harvester.cli.child import sandbox_process
from harvester.cli.main import invoke
from harvester.config.load import parse_config
from harvester.errors import GiveUpError
from tests.fakes.given_files import GivenFiles
from tests.fakes.terminal import screen


def is_gone(url: str) -> bool:
    """Whether nobody serves at *url*; takes a moment when somebody does."""
    try:
        get(f"{url}/_sandbox/truth")
    except urllib.error.URLError:
        return True
    subprocess.run(["sleep", "0.05"], check=True)
    return False


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, str]]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "harvester", "sandbox", "--port=0", "--records=20", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own server
        body: bytes = answer.read()
        return body


def test_it_announces_itself_in_one_line_writes_a_usable_configuration_and_meets_faults(tmp_path: Path) -> None:
    config, faults = tmp_path / "own.toml", tmp_path / "faults.json"
    faults.write_text('[{"fault": "status:503", "match": {"provider": "spark"}}]')
    with serving("--write-config", str(config), "--faults", str(faults)) as (process, ready):
        assert ready["event"] == "sandbox_ready"
        assert ready["config"] == str(config)
        read = parse_config(config.read_text())
        assert set(read.sources) == set(ready["providers"])
        assert all((source.base_url or "").startswith(ready["url"]) for source in read.sources.values())
        assert json.loads(get(f"{ready['url']}/_sandbox/faults"))[0]["fault"] == "status:503"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, b"", b"")


def test_sigterm_ends_it_cleanly_too() -> None:
    with serving() as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_taken_port_is_named() -> None:
    with serving() as (_, ready):
        port = ready["url"].rpartition(":")[2]
        shown = screen()
        status = invoke(["sandbox", "--port", port, "--records=20"], shown.context)
        assert f"cannot listen on port {port}" in shown.stderr.getvalue()
        assert status == 73


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["--records", "0"], "records must be at least 1"),
        (["--time-scale", "0"], "time_scale must be above 0"),
        (["--faults", "rules.json"], "rules.json: unknown fault"),
        (["--faults", "broken.json"], "broken.json: not a list of fault rules"),
    ],
)
def test_settings_that_make_no_sense_are_status_2(tokens: list[str], expected: str) -> None:
    fs = GivenFiles({"rules.json": '[{"fault": "nonsense"}]', "broken.json": "{"})
    shown = screen(fs=fs)
    assert invoke(["sandbox", "--port=0", *tokens], shown.context) == 2
    assert expected in shown.stderr.getvalue()


async def test_as_a_child_it_ends_with_the_block() -> None:
    async with sandbox_process(["--port=0", "--records=20"]) as ready:
        assert ready.url.startswith("http://127.0.0.1:")
        get(f"{ready.url}/_sandbox/truth")
    with pytest.raises(urllib.error.URLError):
        get(f"{ready.url}/_sandbox/truth")


async def test_a_child_that_does_not_start_is_an_error() -> None:
    with pytest.raises(GiveUpError, match="did not start"):
        async with sandbox_process(["--records=0"]):
            pass


PARENT = """
import asyncio, signal
from harvester.cli.child import sandbox_process
async def main():
    async with sandbox_process(["--port=0", "--records=20"]) as ready:
        signal.signal(signal.SIGINT, lambda *_: print("interrupted", flush=True))
        print(ready.url, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


@contextmanager
def parent_of_a_sandbox() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A process, leader of its own group, with a sandbox as its child; and the sandbox's URL."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert parent.stdout is not None
        yield parent, parent.stdout.readline().decode().strip()
    finally:
        parent.kill()
        parent.communicate()


def test_a_child_whose_parent_is_killed_ends_by_itself() -> None:
    """Nothing is left serving after ``kill -9`` of a demo."""
    with parent_of_a_sandbox() as (_, url):
        get(f"{url}/_sandbox/truth")
    assert any(is_gone(url) for _ in range(100))


def test_a_parent_that_is_gone_before_the_child_looks_is_noticed_too() -> None:
    command = [sys.executable, "-m", "harvester", "sandbox", "--port=0", "--records=20", "--follow-parent=1"]
    assert subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0


def test_ctrl_c_does_not_reach_the_child() -> None:
    """FAULTS R02: the harvest is still talking to it while it stops in good order."""
    with parent_of_a_sandbox() as (parent, url):
        os.killpg(parent.pid, signal.SIGINT)  # as a terminal does: everyone in the foreground
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"interrupted\n"
        assert not any(is_gone(url) for _ in range(5))


def test_on_a_terminal_it_says_how_to_use_it() -> None:
    """Through a pseudo-terminal, as a person sees it."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "harvester", "sandbox", "--port=0", "--records=20"],
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    shown = b""
    try:
        while b"Ctrl-C ends it." not in shown:
            shown += os.read(master, 1000)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)
    assert b"harvester run -c sandbox.toml" in shown
