"""The sandbox posts what changed, as a provider with webhooks does."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from harvester.sandbox.server import running_sandbox
from harvester.sandbox.settings import Settings
from tests.fakes.clock import FakeClock

SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()


@dataclass
class Receiver:
    """Keeps what is posted; answers with *status*."""

    url: str = ""
    status: int = 204
    posts: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        self.posts.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        self.came.set()
        return web.Response(status=self.status)

    async def until(self, number: int, clock: FakeClock) -> None:
        """Let time pass until that many posts have come."""
        while len(self.posts) < number:
            self.came.clear()
            clock.advance(20.0)
            for _ in range(50):  # let the sender see what the time is
                await asyncio.sleep(0)
            if len(self.posts) < number:
                await asyncio.wait_for(self.came.wait(), 5.0)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    application = web.Application()
    application.router.add_post("/hook", made.take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield made
    await runner.cleanup()


async def test_every_changed_record_is_posted_with_an_address_that_serves_it(receiver: Receiver) -> None:
    clock = FakeClock()
    async with running_sandbox(Settings(records=40, webhooks=receiver.url), clock) as sandbox:
        sandbox.mutate(25, "centris")
        await receiver.until(25, clock)
        bodies = [json.loads(body) for _, body in receiver.posts]
        assert {body["ResourceName"] for body in bodies} >= {"Property", "Member"}
        listing = next(body for body in bodies if body["ResourceName"] == "Property")
        where = listing["ResourceRecordUrl"]
        assert where == f"{sandbox.url}/centris/v1/odata/Property('{listing['ResourceRecordKey']}')"
        async with aiohttp.ClientSession() as http, http.get(where) as answer:
            assert answer.status == 401, "it is there, for who has a token"


async def test_posts_are_signed_when_there_is_a_secret(receiver: Receiver) -> None:
    clock = FakeClock()
    settings = Settings(records=40, webhooks=receiver.url, webhook_secret=SECRET)
    async with running_sandbox(settings, clock) as sandbox:
        sandbox.mutate(1, "centris")
        await receiver.until(1, clock)
    headers, body = receiver.posts[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mark = base64.b64encode(hmac.digest(b"k" * 24, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{mark}"


async def test_a_post_that_is_refused_is_sent_again_under_the_same_name(receiver: Receiver) -> None:
    clock = FakeClock()
    receiver.status = 503
    settings = Settings(records=40, webhooks=receiver.url, webhook_secret=SECRET)
    async with running_sandbox(settings, clock) as sandbox:
        sandbox.mutate(1, "centris")
        await receiver.until(3, clock)
    assert len({body for _, body in receiver.posts}) == 1
    assert len({headers["webhook-id"] for headers, _ in receiver.posts}) <= 2  # some are announced twice


async def test_without_an_address_nothing_is_posted(receiver: Receiver) -> None:
    clock = FakeClock()
    async with running_sandbox(Settings(records=40), clock) as sandbox:
        sandbox.mutate(25, "centris")
        clock.advance(20.0)
        for _ in range(50):
            await asyncio.sleep(0)
    assert receiver.posts == []


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="webhooks"):
        Settings(webhooks="hook.example")
    with pytest.raises(ValueError, match="webhook_secret"):
        Settings(webhook_secret="no base64!")
