"""Posts are bounded in size, time and number before anybody looks at them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from harvester.errors import ConfigError
from harvester.wire.receiver import Caps, Post, Reply, receiving
from harvester.wire.status_server import Told

HEAD = b"POST /centris HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
PATIENCE = 20  # real seconds


class Taken:
    """Answers 202, and remembers."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.hold = asyncio.Event()
        self.hold.set()

    async def __call__(self, post: Post) -> Reply:
        self.posts.append(post)
        await self.hold.wait()
        return Reply(status=202)


@asynccontextmanager
async def listening(taken: Taken, caps: Caps) -> AsyncIterator[int]:
    pages = {"/health": lambda: Told(body=b"{}")}
    async with receiving("127.0.0.1", 0, taken, pages, caps, path="listen") as (_, port):
        yield port


async def said(port: int, data: bytes, *, more: bytes | None = None) -> bytes:
    """Everything that comes back until the other side closes, or *more* has come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = b""
    async with asyncio.timeout(PATIENCE):
        try:
            while more is None or more not in answer:
                chunk = await reader.read(65536)
                if not chunk:
                    break
                answer += chunk
        except ConnectionError:
            pass
    writer.close()
    return answer


async def test_a_body_that_stops_coming_is_given_up() -> None:
    """FAULTS W03: slow bodies hold no worker."""
    taken = Taken()
    async with listening(taken, Caps(seconds=0.2)) as port:
        assert b" 408 " in await said(port, HEAD + b"Content-Length: 100\r\n\r\n{")
    assert taken.posts == []


async def test_a_head_that_stops_coming_is_cut_off() -> None:
    """FAULTS W03."""
    taken = Taken()
    async with listening(taken, Caps(seconds=0.2)) as port:
        assert b" 202 " not in await said(port, HEAD)
    assert taken.posts == []


async def test_a_body_without_a_length_is_counted_while_it_is_read() -> None:
    """FAULTS W03."""
    taken = Taken()
    async with listening(taken, Caps(body_bytes=1000)) as port:
        chunk = b"190\r\n" + b" " * 400 + b"\r\n"
        assert b" 413 " in await said(port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 3, more=b" 413 ")
        assert b" 202 " in await said(
            port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 2 + b"0\r\n\r\n", more=b" 202 "
        )
    assert [len(post.body) for post in taken.posts] == [800]


async def test_more_connections_than_there_may_be_are_cut_off() -> None:
    """FAULTS W03: descriptors are bounded."""
    taken = Taken()
    async with listening(taken, Caps(connections=3)) as port:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        assert await said(port, HEAD + b"Content-Length: 2\r\n\r\n{}") == b""
        idle[0][1].close()
        answer = b""
        async with asyncio.timeout(PATIENCE):
            while b" 202 " not in answer:  # until the server has seen that one is gone
                answer = await said(port, HEAD + b"Content-Length: 2\r\n\r\n{}", more=b" 202 ")
        for _, writer in idle[1:]:
            writer.close()


async def test_a_post_in_hand_is_answered_when_it_ends() -> None:
    """FAULTS R02: who was heard gets an answer."""
    taken = Taken()
    taken.hold.clear()
    async with listening(taken, Caps()) as port:
        answer = asyncio.create_task(said(port, HEAD + b"Content-Length: 2\r\n\r\n{}", more=b" 202 "))
        async with asyncio.timeout(PATIENCE):
            while not taken.posts:
                await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(taken.hold.set)
    assert b" 202 " in await answer


async def test_health_is_told_and_other_methods_are_not_taken() -> None:
    taken = Taken()
    async with listening(taken, Caps()) as port:
        assert b" 200 " in await said(port, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", more=b"{}")
        refused = await said(port, b"GET /centris HTTP/1.1\r\nHost: x\r\n\r\n", more=b"\r\n\r\n")
        assert b" 405 " in refused
        assert b"Allow: POST" in refused


async def test_an_address_that_is_taken_is_told_with_its_key() -> None:
    async with listening(Taken(), Caps()) as port:
        with pytest.raises(ConfigError, match="listen"):
            async with receiving("127.0.0.1", port, Taken(), {}, Caps(), path="listen"):
                pass
