"""A listener that can keep nothing any more ends and says so; beside ``sync`` there is one, whoever comes later."""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection
from pathlib import Path, PurePosixPath

import anyio
from anyio.to_thread import run_sync

import harvester
from harvester.api.listen import listen
from harvester.api.ports import Ports
from harvester.api.sync import sync
from harvester.errors import StorageError
from harvester.events import Event, Listening, RoundFinished, Warned
from harvester.sandbox.faults import parse_rules
from harvester.sandbox.server import running_sandbox
from harvester.sandbox.settings import Settings
from tests.fakes.fs import MemoryFs

PATIENCE = 60  # real seconds
CENTRIS = """
out = "/out"
listen = "127.0.0.1:0"
[sources.centris]
base_url = "http://127.0.0.1:9/odata"
token_url = "http://127.0.0.1:9/token"
client_id = "x"
client_secret = "x"
resources = ["Property"]
"""


class Heard:
    """What happens, and where posts can be sent."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.listens = anyio.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Listening) and event.purpose == "push":
            self.listens.set()

    @property
    def port(self) -> int:
        urls = [event.url for event in self.events if isinstance(event, Listening) and event.purpose == "push"]
        return int(urls[-1].split(":")[2].split("/")[0])

    async def post(self, key: str) -> int:
        """The status of a post that announces *key*."""
        return await run_sync(post, self.port, key)


def post(port: int, key: str) -> int:
    url = f"http://127.0.0.1:9/odata/Property('{key}')"
    body = json.dumps({"ResourceName": "Property", "ResourceRecordKey": key, "ResourceRecordUrl": url})
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("POST", "/", body, {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


async def test_a_listener_whose_disk_fails_ends_and_the_next_one_takes_posts() -> None:
    """FAULTS F03: it may write nothing behind a failed sync, and posts must not be refused for ever unnoticed."""
    fs, config = MemoryFs(), harvester.parse_config(CENTRIS)
    fs.make_directory(PurePosixPath("/out"))
    ports = Ports(fs=fs, keeps_state=False)
    heard, failures = Heard(), list[StorageError]()

    async def first() -> None:
        try:
            await listen(config, sink=heard, ports=ports)
        except StorageError as error:
            failures.append(error)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first)
            await heard.listens.wait()
            assert await heard.post("1") == 202
            fs.fail("fsync", path="inbox/centris")
            assert await heard.post("2") == 503
    assert [error.exit_status for error in failures] == [74]
    again, stop = Heard(), anyio.Event()
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: listen(config, sink=again, ports=ports, stop=stop))
            await again.listens.wait()
            assert await again.post("2") == 202
            stop.set()


async def test_a_source_that_comes_later_has_no_second_listener_and_is_told_so(tmp_path: Path) -> None:
    """FAULTS M01: its metadata cannot be read when the process begins. The others are listened for all the time."""
    async with running_sandbox(Settings(seed=5, records=20, options={"odata_server": {}})) as sandbox:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        rule = {"match": {"provider": "odata_server", "path": "$metadata"}, "fault": "xml:torn", "times": 50}
        sandbox.faults.replace(parse_rules(json.dumps([rule]).encode()))
        more = [f"out={tmp_path / 'out'}", f"listen=127.0.0.1:{port}", "every=1s"]
        more += ['sources.centris.resources=["Property"]', "sources.odata-plain.resources=all"]
        config = harvester.parse_config(sandbox.config_toml(), overrides=more)
        heard, stop, told, rounds = Heard(), anyio.Event(), list[str](), set[str]()

        def hear(event: Event) -> None:
            heard(event)
            match event:
                case Listening():
                    sandbox.faults.replace(())
                case Warned(source="odata-plain", message=message) if "restart" in message:
                    told.append(message)
                case RoundFinished(source=source):
                    rounds.add(source)
            if len(rounds) == 2:
                stop.set()

        with anyio.fail_after(PATIENCE):
            await sync(config, sources=["centris", "odata-plain"], sink=hear, stop=stop)
        assert len(told) == 1
        assert len({event.url for event in heard.events if isinstance(event, Listening)}) == 2  # /centris and /
