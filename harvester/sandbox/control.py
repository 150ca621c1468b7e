"""The sandbox's own routes below ``/_sandbox``: log, truth, faults, configuration, mutation."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from aiohttp import web

from harvester.sandbox.exchange import Sandbox
from harvester.sandbox.faults import FaultError, parse_rules
from harvester.sandbox.registry import spoken_to_by

_BATCH = 256  # records a write


class Control:
    """Handlers of the control routes of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/_sandbox/log", self.log),
            web.get("/_sandbox/truth", self.truths),
            web.get("/_sandbox/truth/{provider}/{resource:.+}", self.truth),
            web.get("/_sandbox/faults", self.faults),
            web.put("/_sandbox/faults", self.set_faults),
            web.get("/_sandbox/config", self.config),
            web.post("/_sandbox/mutate", self.mutate),
        ]

    async def log(self, _: web.Request) -> web.Response:
        """Every request so far, one JSON object a line."""
        return web.Response(body=self._sandbox.log.lines(), content_type="application/x-ndjson")

    async def truths(self, _: web.Request) -> web.Response:
        """The resources there are, by provider."""
        names = {name: list(simulator.resources()) for name, simulator in self._sandbox.simulators.items()}
        return web.Response(body=msgspec.json.encode(names), content_type="application/json")

    async def truth(self, request: web.Request) -> web.StreamResponse:
        """The records a perfect replica holds now, one a line."""
        provider, resource = request.match_info["provider"], request.match_info["resource"]
        simulators = self._sandbox.simulators
        simulator = simulators.get(provider) or spoken_to_by(provider, simulators.values())
        if simulator is None:
            return _refuse(404, f"no provider '{provider}', only {', '.join(self._sandbox.simulators)}")
        if resource not in simulator.resources():
            return _refuse(404, f"no resource '{resource}', only {', '.join(simulator.resources())}")
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        for batch in _batches(simulator.truth(resource)):
            await response.write(batch)
        await response.write_eof()
        return response

    async def faults(self, _: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(self._sandbox.faults.rules), content_type="application/json")

    async def set_faults(self, request: web.Request) -> web.Response:
        """Replace the rules; 400 names what is wrong with them, and the old ones stay."""
        try:
            self._sandbox.faults.replace(parse_rules(await request.read()))
        except FaultError as exc:
            return _refuse(400, str(exc))
        return await self.faults(request)

    async def config(self, _: web.Request) -> web.Response:
        return web.Response(text=self._sandbox.config_toml(), content_type="application/toml")

    async def mutate(self, request: web.Request) -> web.Response:
        """Change ``count`` rows now, of one ``provider`` or in turn of each."""
        count, provider = request.query.get("count", "1"), request.query.get("provider", "")
        if not (count.isascii() and count.isdigit()):
            return _refuse(400, f"count must be a whole number, not '{count}'")
        if provider and provider not in self._sandbox.simulators:
            return _refuse(404, f"no provider '{provider}', only {', '.join(self._sandbox.simulators)}")
        self._sandbox.mutate(int(count), provider)
        return web.Response(status=204)


def _batches(records: Iterator[bytes]) -> Iterator[bytes]:
    batch: list[bytes] = []
    for record in records:
        batch.append(record)
        if len(batch) == _BATCH:
            yield b"\n".join(batch) + b"\n"
            batch = []
    if batch:
        yield b"\n".join(batch) + b"\n"


def _refuse(status: int, message: str) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode({"error": message}), content_type="application/json")
