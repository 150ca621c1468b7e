"""A token request that nobody waits for any more ends with what the source has opened, and no sooner."""

from __future__ import annotations

import asyncio
from pathlib import Path

import anyio

import harvester
from harvester.api.assembly import assemble, choose
from harvester.api.ports import Ports
from harvester.model import Request
from tests.fakes.raw_server import Wire, raw_server

PATIENCE = 10  # real seconds for what waits for nothing but the processor; a test that needs them has failed


async def test_a_token_request_is_ended_before_its_connection_is_closed(tmp_path: Path) -> None:
    """FAULTS R05: whoever asked for it was cancelled; nothing asks again, and no task is left behind."""
    asked, closed, servers = anyio.Event(), anyio.Event(), []

    async def never_answers(wire: Wire) -> None:
        servers.append(asyncio.current_task())
        await wire.request()
        asked.set()
        await wire.until_closed()
        closed.set()

    with anyio.fail_after(PATIENCE):
        async with raw_server(never_answers) as server:
            config = harvester.parse_config(
                f'[sources.north]\nprovider = "odata"\nbase_url = "{server.url}/o"\nresources = ["Property"]\n'
                f'client_id = "i"\nclient_secret = "s"\ntoken_url = "{server.url}/token"\n',
                overrides=[f"out={tmp_path / 'out'}"],
            )
            ports, before = Ports(), asyncio.all_tasks()
            ports.fs.make_directory(tmp_path / "out" / "_harvester", private=True)
            chosen = choose(config, (), (), ports)
            async with assemble(config, chosen, ports=ports, sink=lambda _event: None) as (source,):
                transport = source.connect(lambda _event: None)
                caller = asyncio.ensure_future(transport.send(Request(url=f"{server.url}/o/Property")))
                await asked.wait()
                caller.cancel()
                await asyncio.wait([caller])
                assert caller.cancelled()
                assert len(asyncio.all_tasks() - before - set(servers)) == 1
            assert not asyncio.all_tasks() - before - set(servers)
            await closed.wait()
            assert len(servers) == 1
