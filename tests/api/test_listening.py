"""A listener that can keep nothing any more ends and says so."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from pathlib import PurePosixPath

import anyio
from anyio.to_thread import run_sync

import harvester
from harvester.api.listen import listen
from harvester.api.ports import Ports
from harvester.errors import StorageError
from harvester.events import Event, Listening
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
