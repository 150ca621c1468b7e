"""An OData server with oddities, in memory behind a Transport: what the engine meets, without a wire."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import anyio
from msgspec import structs

from harvester.contracts import Sink
from harvester.engine.probe import interview
from harvester.engine.source import Source
from harvester.events import Repeated
from harvester.inquiry import Reply
from harvester.model import Headers, Request, Resource, Response, Walk
from harvester.planning.dialogue import next_inquiry
from harvester.planning.profile import Profile
from harvester.planning.reading import read_profile
from harvester.provider import Provider
from harvester.providers import load
from harvester.sandbox.exchange import Sandbox
from harvester.sandbox.odata_server import TOKEN
from harvester.sandbox.settings import Settings
from harvester.wire.origin import Origin
from harvester.wire.verdicts import error_of
from tests.fakes.clock import FakeClock

ODATA = load("odata")
_PATIENCE = 5  # real seconds; a test that needs them has failed


@cache
def _sandbox(records: int) -> Sandbox:
    return Sandbox(Settings(records=records, seed=7, clock=FakeClock(), options={"odata_server": {}}))


@dataclass
class OddServer:
    """``OddServer("links-offset,cap-100").probe()`` asks it what a probe asks."""

    words: str
    records: int = 1_200
    clock: FakeClock = field(default_factory=FakeClock)
    provider: Provider = ODATA
    asked: list[str] = field(default_factory=list)

    @property
    def sandbox(self) -> Sandbox:
        """Shared by all servers of one size, whose rows are the same."""
        return _sandbox(self.records)

    @property
    def source(self) -> Source:
        return Source(
            name="odd",
            provider=self.provider,
            origin=Origin.parse(f"http://127.0.0.1:1/odata_server/{self.words}"),
            connect=self.connect,
            blueprints=(),
            requests_at_risk=1,
        )

    def connect(self, sink: Sink) -> OddServer:
        self._sink = sink
        return self

    async def send(self, request: Request) -> Response:
        self.asked.append(request.url)
        reply = await self.sandbox.exchange(
            method="GET",
            origin="http://127.0.0.1:1",
            target=request.url.removeprefix("http://127.0.0.1:1"),
            headers={name.lower(): value for name, value in request.headers} | {"authorization": f"Bearer {TOKEN}"},
        )
        self.clock.advance(0.1)
        if reply.status >= 500:
            self._sink(
                Repeated(
                    at=self.clock.now(), source="odd", reason=f"GET x: status {reply.status}", attempt=1, seconds=1
                )
            )
            with anyio.fail_after(_PATIENCE):
                await anyio.sleep_forever()  # as long as it takes to be asked again
        response = Response(
            status=reply.status,
            headers=Headers(reply.headers),
            body=reply.body,
            url=request.url,
            wire_bytes=len(reply.body),
            elapsed=0.1,
        )
        response = structs.replace(response, verdict=self.provider.judge(response))
        error = error_of(request, response, source="odd")
        if error is not None:
            raise error
        return response

    async def replies(self, resource: Resource | None = None) -> tuple[Reply, ...]:
        resource = resource or self.provider.describe("Property")
        walk = Walk(id="w00", resource=resource, pager=self.provider.full)
        return await interview(self.source, self.connect, walk, next_inquiry, self.clock)

    async def probe(self, resource: Resource | None = None) -> Profile:
        return read_profile(await self.replies(resource))
