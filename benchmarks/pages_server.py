"""A loopback server of pre-rendered OData pages, fast enough that the client is what gets measured.

    python -m benchmarks.pages_server RECORDS PAGE

Prints its port, the mean size of a record and the share of records with text beyond ASCII. Serves
``/Property?$skip=n`` (with a next link until the last page) and ``/Property?$skip=n&$top=m``.
Records are Property-like: 186 members and about 5.9 kB, all with a key and a time of their own. Every page is made
before the first request and then only sent. Beyond 400,000 records (2.4 GB) a page is joined when it is asked for,
from a thousand bodies: good enough to measure memory, not speed.
"""

from __future__ import annotations

import contextlib
import random
import socketserver
import sys
from datetime import UTC, datetime, timedelta

_BODIES = 1000
_KEPT = 400_000  # records
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
    """Pages of *records* rows; row i has key i. Made before the first request, up to ``_KEPT`` rows."""

    def __init__(self, records: int, page: int, seed: int = 1) -> None:
        rng = random.Random(seed)
        self.records, self.page = records, page
        self._bodies = [_body(rng) for _ in range(_BODIES)]
        kept = [(skip, min(records, skip + page)) for skip in range(0, min(records, _KEPT), page)]
        self._kept = {span: self._rows(*span) for span in kept}

    @property
    def share_not_ascii(self) -> float:
        """Share of records that hold text beyond ASCII."""
        return sum(not body.isascii() for body in self._bodies) / len(self._bodies)

    @property
    def record_bytes(self) -> float:
        """Mean size of a record."""
        return sum(map(len, self._bodies)) / len(self._bodies) + len(self._rows(0, 1)) - len(self._bodies[0])

    def render(self, skip: int, top: int | None, base: str) -> list[bytes]:
        """The body of one page, in pieces: those that are large are not copied again."""
        end = min(self.records, skip + (top or self.page))
        rows = self._kept.get((skip, end)) or self._rows(skip, end)
        if top is None and end < self.records:
            return [
                b'{"value":[',
                rows,
                b'],"@odata.nextLink":"%s/Property?$skiptoken=%026d"}' % (base.encode(), end - 1),
            ]
        return [b'{"value":[', rows, b"]}"]

    def _rows(self, skip: int, end: int) -> bytes:
        parts = []
        for index in range(skip, end):
            stamp = (_START + timedelta(seconds=index)).strftime("%Y-%m-%dT%H:%M:%SZ")
            parts.append(b'{"ListingKey":"%026d","ModificationTimestamp":"%s"' % (index, stamp.encode()))
            parts.append(self._bodies[index % _BODIES])
            parts.append(b",")
        return b"".join(parts[:-1])


def _place(query: dict[str, str]) -> int:
    """Where a page begins: behind the key of the token, or at an offset, as the plain loop asks."""
    return int(query["$skiptoken"]) + 1 if "$skiptoken" in query else int(query.get("$skip", 0))


class _Server(socketserver.ThreadingTCPServer):
    """One thread a connection, blocking writes: nothing between a kept page and the socket but the kernel."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        super().__init__(("127.0.0.1", 0), _Connection)


class _Connection(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Server)
        with contextlib.suppress(ConnectionError):
            while target := self._target():
                path, host = target
                query = dict(pair.split("=", 1) for pair in path.partition("?")[2].split("&") if "=" in pair)
                top = query.get("$top")
                # The closing delta asks what changed since the run began: nothing did.
                pieces = (
                    [b'{"value":[]}']
                    if "$filter" in query
                    else self.server.pages.render(_place(query), int(top) if top else None, host)
                )
                length = sum(map(len, pieces))
                head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % length
                for piece in (head + pieces[0], *pieces[1:]):
                    self.connection.sendall(piece)

    def _target(self) -> tuple[str, str] | None:
        """Path and base URL of the next request; None when the client has gone."""
        line = self.rfile.readline().decode()
        if not line:
            return None
        host = ""
        while field := self.rfile.readline().decode().strip():
            name, _, value = field.partition(":")
            host = value.strip() if name.lower() == "host" else host
        return line.split()[1], f"http://{host}"


if __name__ == "__main__":
    served = Pages(int(sys.argv[1]), int(sys.argv[2]))
    with _Server(served) as server:
        print(server.server_address[1], f"{served.record_bytes:.0f}", f"{served.share_not_ascii:.2f}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
