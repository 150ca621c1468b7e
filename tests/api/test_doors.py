"""A post is answered 2xx only when its notices are durable, and it is known again only then."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import PurePosixPath

import pytest

from harvester.api import doors
from harvester.api.doors import Door
from harvester.providers.centris import PROVIDER
from harvester.store.deliveries import Deliveries
from harvester.store.inbox import Inbox
from harvester.wire.origin import Origin
from harvester.wire.receiver import Post
from tests.fakes.clock import FakeClock
from tests.fakes.executors import InlineExecutor
from tests.fakes.fs import MemoryFs

ROOT = "https://datadistributionqc.centris.ca/v1/odata"
KEY = b"0123456789abcdef"
INBOX = PurePosixPath("/out/_harvester/inbox/centris")


class Entrance:
    """The door of a Centris source whose posts are signed."""

    def __init__(self, fs: MemoryFs) -> None:
        self.clock = FakeClock()
        self.inbox = Inbox(fs, INBOX, InlineExecutor())
        self.deliveries = Deliveries(fs, INBOX / "posts", InlineExecutor(), 600.0)
        self.refused: list[str] = []
        push = PROVIDER.push
        assert push is not None
        self.door = Door(
            push,
            push.guard([f"whsec_{base64.b64encode(KEY).decode()}"], "Authorization"),
            Origin.parse(ROOT),
            self.inbox,
            self.deliveries,
            self.clock,
            wanted=lambda name: name == "Property",
            heard=lambda: None,
            refused=self.refused.append,
        )

    async def open(self) -> Entrance:
        await self.inbox.open()
        await self.deliveries.open(self.clock.now().timestamp())
        return self

    def post(self, *urls: str, name: str = "msg_1", keys: int = 1) -> Post:
        entries = [
            {"ResourceName": "Property", "ResourceRecordKey": str(number), "ResourceRecordUrl": url}
            for url in urls or (f"{ROOT}/Property('0')",)
            for number in range(keys)
        ]
        body, moment = json.dumps(entries).encode(), str(int(self.clock.now().timestamp()))
        mark = hmac.digest(KEY, f"{name}.{moment}.".encode() + body, hashlib.sha256)
        headers = {"webhook-id": name, "webhook-timestamp": moment}
        return Post(
            path="/", headers={**headers, "webhook-signature": f"v1,{base64.b64encode(mark).decode()}"}, body=body
        )


async def test_a_post_that_could_not_be_kept_is_no_known_one() -> None:
    """FAULTS W02, W05: the sender comes again with the same id, and must be heard then."""
    fs = MemoryFs()
    entrance = await Entrance(fs).open()
    fs.fail("fsync")
    post = entrance.post()
    reply = await entrance.door.take(post)
    assert (reply.status, reply.retry_after) == (503, 30)
    assert not entrance.deliveries.has("msg_1")
    again = await Entrance(fs.crash()).open()
    assert (await again.door.take(again.post())).status == 202
    assert len(again.inbox) == 1


async def test_a_2xx_outlives_the_machine() -> None:
    """FAULTS W05."""
    for seed in range(6):
        fs = MemoryFs()
        entrance = await Entrance(fs).open()
        assert (await entrance.door.take(entrance.post(keys=3))).status == 202
        again = await Entrance(fs.crash(seed)).open()
        assert len(again.inbox) == 3
        assert (await again.door.take(again.post(keys=3))).status == 200


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v1/odata/Property('0')",
        "http://datadistributionqc.centris.ca/v1/odata/Property('0')",
        "https://datadistributionqc.centris.ca:8443/v1/odata/Property('0')",
        "https://datadistributionqc.centris.ca@evil.example/v1/odata/Property('0')",
        "https://datadistributionqc.centris.ca/v1/odata/../../admin",
        "//evil.example/v1/odata/Property('0')",
        "https://datadistributionqc.centris.ca\\@evil.example/v1/odata",
        "javascript:alert(1)",
    ],
)
async def test_one_url_of_another_origin_refuses_the_whole_post(url: str) -> None:
    """Centris contract, section 9; FAULTS E01: nothing is kept, nothing is asked."""
    entrance = await Entrance(MemoryFs()).open()
    reply = await entrance.door.take(entrance.post(f"{ROOT}/Property('0')", url))
    assert reply.status == 400
    assert len(entrance.inbox) == 0
    assert entrance.refused


async def test_more_than_the_queue_holds_is_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """FAULTS W03: 503 with Retry-After, and the same post is taken once there is room."""
    monkeypatch.setattr(doors, "MOST_WAITING", 5)
    entrance = await Entrance(MemoryFs()).open()
    assert (await entrance.door.take(entrance.post(keys=5))).status == 202
    reply = await entrance.door.take(entrance.post(name="msg_2"))
    assert (reply.status, reply.retry_after) == (503, 30)
    await entrance.inbox.settle(entrance.inbox.take(5))
    assert (await entrance.door.take(entrance.post(name="msg_2"))).status == 202


async def test_an_inbox_whose_oldest_notice_is_stuck_does_not_fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """FAULTS W03, F12: the same record announced for ever grows the file, not the queue."""
    monkeypatch.setattr(doors, "_MOST_ON_DISK", 5_000)
    entrance = await Entrance(MemoryFs()).open()
    statuses = [(await entrance.door.take(entrance.post(name=f"msg_{number}"))).status for number in range(100)]
    assert statuses[0] == 202
    assert statuses[-1] == 503
    assert len(entrance.inbox) == 1
