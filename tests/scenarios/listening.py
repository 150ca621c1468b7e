"""A ``harvester listen`` process, those who post to it, and an address that nobody may be sent to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from subprocess import Popen
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from tests.scenarios.conftest import PATIENCE, SandboxProcess, Workplace

KEY = b"0123456789abcdef"
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
OLD_KEY = b"fedcba9876543210"
OLD_SECRET = f"whsec_{base64.b64encode(OLD_KEY).decode()}"
_SENDERS = 8
_PAUSE = 0.05  # seconds between two looks at what a process has come to

Headers = Mapping[str, str]


class Listening:
    """One process, started for Centris."""

    def __init__(self, workplace: Workplace, sandbox: SandboxProcess, *options: str) -> None:
        self.workplace, self.sandbox = workplace, sandbox
        log = workplace.directory / "listen.jsonl"
        log.unlink(missing_ok=True)
        self.process: Popen[bytes] = workplace.start(*command(sandbox), "--bind=127.0.0.1:0", *options, log=log.name)
        self.log = log
        self.url = self._address()

    def _address(self) -> str:
        for event in self.events_until(lambda event: event["event"] == "listening"):
            if event["event"] == "listening" and event["purpose"] == "push":
                return str(event["url"])
        raise AssertionError("it does not listen")

    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]

    def events_until(self, condition: Callable[[dict[str, object]], bool]) -> list[dict[str, object]]:
        """All events so far, once one of them is such."""
        until(lambda: any(map(condition, self.events())) or self.process.poll() is not None)
        events = self.events()
        assert any(map(condition, events)), self.process.communicate()[1]
        return events

    def post(self, body: bytes | object, headers: Headers = {}, path: str = "") -> tuple[int, str]:  # noqa: B006
        """Status and answer of one post."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        with connected(self.url) as connection:
            connection.request(
                "POST", urlsplit(self.url).path + path, data, {"Content-Type": "application/json", **headers}
            )
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def health(self) -> dict[str, object]:
        with urlopen(self.url.rpartition("/")[0] + "/health") as answer:  # noqa: S310 - loopback
            told: dict[str, object] = json.loads(answer.read())["sources"][0]
        return told

    def worked_off(self) -> None:
        """Wait until nothing waits."""
        until(lambda: self.health()["waiting"] == 0)

    def stop(self) -> int:
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode

    def kill(self) -> None:
        """Also after it was killed in the middle of something: it is over, and its pipe is closed."""
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)


def command(sandbox: SandboxProcess) -> tuple[str, ...]:
    return ("listen", "centris", "-c", str(sandbox.config), "--set=push_seconds=0.2", "--set=push_confirm=0.5")


@contextmanager
def listening(workplace: Workplace, sandbox: SandboxProcess, *options: str) -> Iterator[Listening]:
    running = Listening(workplace, sandbox, *options)
    try:
        yield running
    finally:
        if running.process.stderr is not None and not running.process.stderr.closed:
            running.kill()


@contextmanager
def connected(url: str) -> Iterator[http.client.HTTPConnection]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    try:
        yield connection
    finally:
        connection.close()


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process does; nothing is asserted about how long it takes."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it does not come"
        time.sleep(_PAUSE)


def post_all(url: str, bodies: Sequence[bytes], meanwhile: Callable[[int], object] = lambda done: None) -> list[int]:
    """Post *bodies* over a few connections that stay open; the status of each, 0: no answer came.

    *meanwhile* is told, in the middle of it, how many were answered.
    """
    statuses = [0] * len(bodies)
    done = 0
    lock = threading.Lock()
    path = urlsplit(url).path

    def sender(first: int) -> None:
        nonlocal done
        with connected(url) as connection, suppress(OSError, http.client.HTTPException):
            for place in range(first, len(bodies), _SENDERS):
                connection.request("POST", path, bodies[place], {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                statuses[place] = answer.status
                with lock:
                    done += 1
                    meanwhile(done)

    with ThreadPoolExecutor(_SENDERS) as senders:
        list(senders.map(sender, range(_SENDERS)))
    return statuses


def notice(sandbox: SandboxProcess, key: str, resource: str = "Property", root: str = "") -> bytes:
    """A post as Centris makes it. *root*: where its URL leads; "": where the source is."""
    url = f"{root or sandbox.url}/centris/v1/odata/{resource}('{key}')"
    return json.dumps({"ResourceName": resource, "ResourceRecordKey": key, "ResourceRecordUrl": url}).encode()


def signed(body: bytes, *keys: bytes, name: str = "msg_1", age: float = 0.0) -> dict[str, str]:
    """Headers of a post that was signed *age* seconds ago, by each of *keys*."""
    moment = str(int(time.time() - age))
    marks = (hmac.digest(key, f"{name}.{moment}.".encode() + body, hashlib.sha256) for key in keys)
    signature = " ".join(f"v1,{base64.b64encode(mark).decode()}" for mark in marks)
    return {"webhook-id": name, "webhook-timestamp": moment, "webhook-signature": signature}


def mutate(sandbox: SandboxProcess, count: int) -> list[str]:
    """Change Centris; the keys of the listings that were inserted, updated or deleted."""
    before = _listings(sandbox)
    url = f"{sandbox.url}/_sandbox/mutate?count={count}&provider=centris"
    with urlopen(Request(url, method="POST")):  # noqa: S310 - loopback
        after = _listings(sandbox)
    return [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]


def _listings(sandbox: SandboxProcess) -> dict[str, bytes]:
    return {json.loads(line)["ListingKey"]: line for line in sandbox.truth("centris", "Property")}


def view(workplace: Workplace) -> list[bytes]:
    done = workplace.run("view", "Property", "--source", "centris")
    assert done.returncode == 0, done.stderr
    return sorted(done.stdout.encode().split(b"\n")[:-1])


def truth(sandbox: SandboxProcess) -> list[bytes]:
    return sorted(sandbox.truth("centris", "Property"))


def asked(sandbox: SandboxProcess) -> int:
    """Data requests that Centris has had."""
    return sum(1 for entry in sandbox.log("centris") if not entry["token"])


def harvest(workplace: Workplace, sandbox: SandboxProcess, *options: str) -> None:
    done = workplace.run("run", "-c", str(sandbox.config), "--source", "centris", "--resource", "Property", *options)
    assert done.returncode == 0, done.stderr


def doubled_and_shuffled(bodies: Sequence[bytes], seed: int) -> list[bytes]:
    posts = [*bodies, *bodies]
    random.Random(seed).shuffle(posts)
    return posts


@contextmanager
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """Another origin on this machine, and what it was asked for."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - the name that the library calls

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def raw_post(url: str, head: bytes, body: bytes = b"") -> bytes:
    """The first bytes of the answer to exactly these bytes."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=PATIENCE) as connection:
        with suppress(OSError):
            connection.sendall(head + body)
        return connection.recv(4096)
