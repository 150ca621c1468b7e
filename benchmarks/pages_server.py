"""A loopback server of pre-rendered OData pages, fast enough that the client is what gets measured.

    python -m benchmarks.pages_server RECORDS PAGE

Prints its port. Serves ``/Property?$skip=n`` (with a next link until the last page) and ``/Property?$skip=n&$top=m``.
Records are Property-like: 186 members and about 5.9 kB, all with a key and a time of their own; a thousand bodies
are rendered once and a page is one join of them, so a page costs about as much as copying it.
"""

from __future__ import annotations

import asyncio
import random
import sys
from datetime import UTC, datetime, timedelta

_BODIES = 1000
_START = datetime(2024, 1, 1, tzinfo=UTC)


def _body(rng: random.Random) -> bytes:
    """A record without its key and time: what follows them, up to the closing brace."""
    words = ["bright", "river", "view", "renovated", "garage", "quiet", "corner", "lot", "updated", "spacious"]
    members = []
    for index in range(184):
        kind = index % 8
        if kind in {0, 1}:
            value = f"{rng.randrange(10_000, 99_999_999) / 100:.2f}"
        elif kind == 2:
            value = "null"
        elif kind == 3:
            value = "true" if rng.random() < 0.5 else "false"
        elif kind == 4:
            value = str(rng.randrange(1, 5000))
        else:
            value = '"' + " ".join(rng.choices(words, k=rng.randrange(2, 6))) + '"'
        members.append(f'"Member{index:03d}Name":{value}')
    # One record in four has text beyond ASCII, as remarks in the wild have.
    spice = ["château", "“as is”", "naïve"] if rng.random() < 0.25 else []
    remarks = " ".join(rng.choices(words + spice, k=75))
    return ("," + ",".join(members) + f',"PublicRemarks":"{remarks}"}}').encode()


class Pages:
    """Renders pages of *records* rows; row i has key i."""

    def __init__(self, records: int, page: int, seed: int = 1) -> None:
        rng = random.Random(seed)
        self.records, self.page = records, page
        self._bodies = [_body(rng) for _ in range(_BODIES)]

    def render(self, skip: int, top: int | None, base: str) -> bytes:
        end = min(self.records, skip + (top or self.page))
        parts = []
        for index in range(skip, end):
            stamp = (_START + timedelta(seconds=index)).strftime("%Y-%m-%dT%H:%M:%SZ")
            parts.append(b'{"ListingKey":"%026d","ModificationTimestamp":"%s"' % (index, stamp.encode()))
            parts.append(self._bodies[index % _BODIES])
            parts.append(b",")
        if parts:
            parts.pop()
        tail = b"]}"
        if top is None and end < self.records:
            tail = b'],"@odata.nextLink":"%s/Property?$skip=%d"}' % (base.encode(), end)
        return b'{"value":[' + b"".join(parts) + tail


class _Http(asyncio.Protocol):
    def __init__(self, pages: Pages) -> None:
        self._pages, self._buffer = pages, b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer and self._transport is not None:
            head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
            lines = head.decode().split("\r\n")
            host = next((line[5:].strip() for line in lines if line.lower().startswith("host:")), "")
            target = lines[0].split()[1]
            query = dict(pair.split("=", 1) for pair in target.partition("?")[2].split("&") if "=" in pair)
            top = query.get("$top")
            # The closing delta asks what changed since the run began: nothing did.
            body = (
                b'{"value":[]}'
                if "$filter" in query
                else self._pages.render(int(query.get("$skip", 0)), int(top) if top else None, f"http://{host}")
            )
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            )
            self._transport.write(body)


async def serve(records: int, page: int) -> None:
    pages = Pages(records, page)
    server = await asyncio.get_running_loop().create_server(lambda: _Http(pages), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
    except KeyboardInterrupt:
        sys.exit(130)
