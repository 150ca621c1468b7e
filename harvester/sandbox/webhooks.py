"""Posts what changed to a receiver, as a provider with webhooks does: once or more often, in no order to rely on.

A post that is not answered with 2xx is sent again, a few times, then dropped: a receiver that relies on posts alone
misses it.

Source: Centris contract, section 9; signatures as in the Standard Webhooks specification 1.0, if a secret is given.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections import deque
from collections.abc import Iterator
from random import Random
from typing import Protocol, runtime_checkable

import aiohttp
import msgspec

from harvester.contracts import Clock

_STEP = 0.1  # seconds between two looks for changes
_TIMEOUT = 5.0  # seconds a receiver has to answer
_TRIES = 5
_BACK_OFF = 1.0  # seconds before the second try, doubling
_OPEN = 8  # posts on their way at a time
_TWICE = 0.1  # share of the posts that are sent twice
_WAITING = 100_000  # changes kept while nobody takes them; the oldest are dropped


class Change(msgspec.Struct, frozen=True):
    """A record that was inserted, updated or deleted: a post does not tell which."""

    resource: str
    key: str


Changes = deque[Change]


def no_changes() -> Changes:
    """A place to put changes, bounded."""
    return deque(maxlen=_WAITING)


@runtime_checkable
class Pushes(Protocol):
    """A simulator that tells what changed."""

    changes: Changes

    def entity_path(self, change: Change) -> str:
        """Where the record of *change* is served, below the simulator's mount point."""
        ...


class Post(msgspec.Struct, frozen=True, rename="pascal"):
    """The body of one post."""

    resource_name: str
    resource_record_key: str
    resource_record_url: str


class Sender:
    """Sends the changes of one simulator to one receiver.

    Args:
        url: of the receiver.
        root: address of the simulator's mount point, without a slash at the end.
        secret: base64, with or without ``whsec_``; "": posts are not signed.
        rng: decides what is sent twice, and names the posts.
    """

    def __init__(self, simulator: Pushes, *, url: str, root: str, secret: str, clock: Clock, rng: Random) -> None:
        self._simulator, self._url, self._root = simulator, url, root
        self._key = base64.b64decode(secret.removeprefix("whsec_")) if secret else b""
        self._clock, self._rng = clock, rng
        self.sent = 0  # posts that were answered with 2xx
        self.dropped = 0  # posts that nobody took

    async def run(self) -> None:
        """Send until cancelled."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT)) as session:
            while True:
                posts = list(self._due())
                for begin in range(0, len(posts), _OPEN):
                    await asyncio.gather(*(self._send(session, post) for post in posts[begin : begin + _OPEN]))
                await self._clock.sleep(_STEP)

    def _due(self) -> Iterator[Post]:
        changes = self._simulator.changes
        while changes:
            change = changes.popleft()
            post = Post(change.resource, change.key, f"{self._root}/{self._simulator.entity_path(change)}")
            yield post
            if self._rng.random() < _TWICE:
                yield post

    async def _send(self, session: aiohttp.ClientSession, post: Post) -> None:
        body, name = msgspec.json.encode(post), f"msg_{self._rng.getrandbits(64):016x}"
        for attempt in range(_TRIES):
            if attempt:
                await self._clock.sleep(_BACK_OFF * 2 ** (attempt - 1))
            try:
                async with session.post(self._url, data=body, headers=self._headers(name, body)) as answer:
                    if answer.status < 300:
                        self.sent += 1
                        return
            except (aiohttp.ClientError, TimeoutError):
                continue
        self.dropped += 1

    def _headers(self, name: str, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if self._key:
            moment = str(int(self._clock.now().timestamp()))
            mark = hmac.digest(self._key, f"{name}.{moment}.".encode() + body, hashlib.sha256)
            headers["webhook-id"], headers["webhook-timestamp"] = name, moment
            headers["webhook-signature"] = f"v1,{base64.b64encode(mark).decode()}"
        return headers
