"""Real processes: a sandbox that serves, and the command line against it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

HARVESTER = (sys.executable, "-m", "harvester")
PATIENCE = 120  # seconds for any one process; a test that needs them has failed anyway


@dataclass
class SandboxProcess:
    """A running ``harvester sandbox`` and the client configuration it wrote."""

    url: str
    config: Path
    process: subprocess.Popen[str] = field(repr=False)

    def get(self, path: str) -> bytes:
        with urlopen(f"{self.url}/_sandbox/{path}") as answer:  # noqa: S310 - loopback
            body: bytes = answer.read()
        return body

    def log(self, provider: str | None = None) -> list[dict[str, object]]:
        entries = [json.loads(line) for line in self.get("log").splitlines()]
        return [entry for entry in entries if provider in {None, entry["provider"]}]

    def set_faults(self, rules: Sequence[Mapping[str, object]]) -> None:
        body = json.dumps(rules).encode()
        with urlopen(Request(f"{self.url}/_sandbox/faults", data=body, method="PUT")) as answer:  # noqa: S310 - loopback
            answer.read()

    def truth(self, provider: str, resource: str) -> list[bytes]:
        return self.get(f"truth/{provider}/{resource}").splitlines()


@dataclass
class Workplace:
    """A directory with an output directory in it, and the command line."""

    directory: Path

    @property
    def out(self) -> Path:
        return self.directory / "out"

    def start(self, *arguments: str, log: str = "run.jsonl") -> subprocess.Popen[bytes]:
        """A command under way, its standard output in the file *log*."""
        with (self.directory / log).open("ab") as output:
            return subprocess.Popen(
                (*HARVESTER, *arguments), cwd=self.directory, stdout=output, stderr=subprocess.PIPE, env=environment()
            )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (*HARVESTER, *arguments),
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env=environment(),
        )

    def manifests(self) -> list[dict[str, object]]:
        found = sorted(self.out.glob("source=*/resource=*/run=*/_manifest.json"))
        return [json.loads(path.read_bytes()) for path in found]


def environment() -> dict[str, str]:
    """This process's environment without what would reach harvester."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HARVESTER_")}


def serve(directory: Path, *options: str) -> SandboxProcess:
    """Start a sandbox; the caller ends it."""
    config = directory / "sandbox.toml"
    process = subprocess.Popen(
        (*HARVESTER, "sandbox", "--port", "0", "--write-config", str(config), *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(),
    )
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    return SandboxProcess(ready["url"], config, process)


def end(sandbox: SandboxProcess) -> None:
    sandbox.process.terminate()
    sandbox.process.wait(PATIENCE)
    if sandbox.process.stdout is not None:
        sandbox.process.stdout.close()


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


@pytest.fixture
def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SandboxProcess]:
    """A sandbox process; parametrize indirectly with a list of options."""
    options: Sequence[str] = getattr(request, "param", ("--time-scale", "360", "--records", "400"))
    running = serve(tmp_path, *options)
    yield running
    end(running)
