"""A loopback server that leaves rows out of everything but its listing of keys and what is asked for by key.

    python -m benchmarks.rigged_server RECORDS PAGE HIDDEN [never]

Prints its port. Speaks as Spark RESO does: pages by token, ``$select``, ``$filter`` by time, one record by its key.
HIDDEN rows, evenly spread, are in no page with whole records, and its count does not count them: nothing but a
sweep can tell that they are there; with *never* they do not come by key either. Records are made when they are asked
for, so that it holds none of them.
"""

from __future__ import annotations

import socketserver
import sys
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit

_START = datetime(2024, 1, 1, tzinfo=UTC)
_REMARKS = '"Remarks":"' + "a quiet house at the end of the road, with a garden " * 4 + '"'


class Rows:
    """Rows 0 to *records* - 1; row i has key i."""

    def __init__(self, records: int, page: int, hidden: int, *, never: bool = False) -> None:
        self.records, self.page, self.never = records, page, never
        step = records // hidden if hidden else 0
        self.hidden = frozenset(range(step // 2, records, step)) if step else frozenset()

    def answer(self, path: str, query: dict[str, str], base: str) -> bytes | None:
        """The body for one request; None: there is no such record."""
        if path.endswith("')"):
            number = int(path.partition("('")[2][:-2])
            if not 0 <= number < self.records or (self.never and number in self.hidden):
                return None
            return b'{"@odata.context":"%s/$metadata",%s' % (base.encode(), self._row(number)[1:])
        since = query.get("$filter", "").rpartition(" ")[2]
        first = 0 if "$skiptoken" not in query else int(query["$skiptoken"])
        if since:
            first = max(first, int((datetime.fromisoformat(since) - _START).total_seconds()) + 1)
        end = min(self.records, first + min(int(query.get("$top", self.page)), self.page))
        keys_only = "$select" in query
        shown = range(first, end)
        if keys_only:
            body = b",".join([b'{"ListingKey":"%026d"}' % number for number in shown])
        else:
            body = b",".join([self._row(number) for number in shown if number not in self.hidden])
        head = b"{"
        if query.get("$count") == "true":
            head += b'"@odata.count":%d,' % (self.records - len(self.hidden))
        tail = b"]}"
        if shown:  # an empty page is the last, as of servers with tokens: a full one without a link would prove nothing
            kept = "&".join(f"{name}={value}" for name, value in query.items() if name not in {"$skiptoken", "$count"})
            tail = f'],"@odata.nextLink":"{base}/Property?{kept}&$skiptoken={end}"}}'.replace(" ", "%20").encode()
        return head + b'"value":[' + body + tail

    def _row(self, number: int) -> bytes:
        stamp = (_START + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f'{{"ListingKey":"{number:026d}","ModificationTimestamp":"{stamp}",{_REMARKS}}}'.encode()


def handler_of(rows: Rows) -> type[BaseHTTPRequestHandler]:
    """A handler that serves *rows*."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body leave together: in two packets the second waits for the first to be acknowledged

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            base = f"http://{self.headers['Host']}/odata"
            body = rows.answer(unquote(parts.path), query, base)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Type", "application/json")
            body = body if body is not None else b'{"error":{"code":404,"message":"none"}}'
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Nothing."""

    return Handler


class Server(socketserver.ThreadingTCPServer):
    """One thread a connection."""

    allow_reuse_address = True
    daemon_threads = True


def main() -> None:
    records, page, hidden = map(int, sys.argv[1:4])
    with Server(("127.0.0.1", 0), handler_of(Rows(records, page, hidden, never="never" in sys.argv))) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
