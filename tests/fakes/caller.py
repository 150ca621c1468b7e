"""Calls a simulator as its HTTP server would, without a server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from harvester.sandbox.simulator import Answer, Ask, Simulator
from tests.fakes.clock import FakeClock

ORIGIN = "http://sandbox.test:8080/mount"
IDENTITY = "http://accounts.test:8081/mount"


class Caller:
    """A client without cleverness: it sends what it is told, with the headers it has."""

    def __init__(self, simulator: Simulator, clock: FakeClock) -> None:
        self.simulator = simulator
        self.clock = clock
        self.headers: dict[str, str] = {}

    def ask(
        self,
        target: str,
        *,
        method: str = "GET",
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        origin: str = ORIGIN,
    ) -> Ask:
        path, _, query = target.partition("?")
        return Ask(
            method=method,
            path=unquote(path),
            raw_path=path,
            query=tuple(parse_qsl(query, keep_blank_values=True)),
            raw_query=query,
            headers={**self.headers, **(headers or {})},
            body=body,
            origin=origin,
            now=self.clock.now(),
            elapsed=self.clock.monotonic(),
        )

    def get(self, path: str, headers: Mapping[str, str] | None = None, **operators: str) -> Answer:
        """``get("v1/Property", filter="…", top="5")``: operators get their ``$``."""
        query = urlencode({f"${name}": value for name, value in operators.items()})
        return self.simulator.answer(self.ask(f"{path}?{query}" if query else path, headers=headers))

    def follow(self, url: str) -> Answer:
        """A link of the simulator, as it wrote it."""
        return self.simulator.answer(self.ask(url.removeprefix(f"{ORIGIN}/")))

    def form(self, path: str, **fields: str) -> Ask:
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return self.ask(path, method="POST", body=urlencode(fields).encode(), headers=headers)


def content(answer: Answer) -> Any:
    """The decoded body."""
    return json.loads(answer.body)


def values(answer: Answer) -> list[dict[str, Any]]:
    """The records of an OData answer, which must be a success."""
    assert answer.status == 200, (answer.status, answer.body[:300])
    found: list[dict[str, Any]] = content(answer)["value"]
    return found


def header(answer: Answer, name: str) -> str | None:
    return next((value for key, value in answer.headers if key.lower() == name.lower()), None)
