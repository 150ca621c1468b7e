"""The sandbox over real loopback: mounting, control routes, broken connections."""

from __future__ import annotations

import asyncio
import json
import tomllib
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

import aiohttp
import pytest
from yarl import URL

from harvester.sandbox.exchange import Sandbox
from harvester.sandbox.server import running_sandbox, serve
from harvester.sandbox.settings import Settings
from tests.fakes.clock import FakeClock


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running_sandbox(Settings(records=40), FakeClock()) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


async def ims_token(sandbox: Sandbox, http: aiohttp.ClientSession) -> dict[str, str]:
    source = tomllib.loads(sandbox.config_toml())["sources"]["ims"]
    form = {name: source[name] for name in ("client_id", "client_secret")}
    form |= {"scope": "api", "grant_type": "client_credentials"}
    async with http.post(source["token_url"], data=form) as answer:
        return {"Authorization": f"Bearer {(await answer.json())['access_token']}"}


def page(sandbox: Sandbox, top: int = 40) -> URL:
    query = f"$filter=OriginatingSystemName%20eq%20'ABOR'&$orderby=ListingId&$top={top}"
    return URL(f"{sandbox.url}/ims/v1/Property?{query}", encoded=True)


async def test_simulators_are_mounted_by_name_and_found_without_a_list(
    sandbox: Sandbox, http: aiohttp.ClientSession
) -> None:
    assert {"ims", "centris"} <= set(sandbox.simulators)
    async with http.get(page(sandbox), headers=await ims_token(sandbox, http)) as answer:
        assert answer.status == 200
        assert answer.headers["Date"] == "Sun, 01 Mar 2026 12:00:00 GMT", "the sandbox's clock, not the machine's"
        assert len((await answer.json())["value"]) > 20
    async with http.get(f"{sandbox.url}/nobody/x") as answer:
        assert answer.status == 404
        assert "ims" in (await answer.json())["error"]


async def test_identity_providers_live_on_an_origin_of_their_own(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    source = tomllib.loads(sandbox.config_toml())["sources"]["centris"]
    assert source["token_url"].startswith(sandbox.identity_url)
    assert source["base_url"].startswith(sandbox.url)
    form = {"grant_type": "client_credentials"} | {name: source[name] for name in ("client_id", "client_secret")}
    async with http.post(source["token_url"], data=form) as answer:
        assert answer.status == 200
    async with http.post(source["token_url"].replace(sandbox.identity_url, sandbox.url), data=form) as answer:
        assert answer.status == 404, "not on the main port"
    async with http.get(source["base_url"].replace(sandbox.url, sandbox.identity_url) + "/Property") as answer:
        assert answer.status == 404, "and no data on the other"


async def test_the_log_tells_every_wire_request_and_no_secret(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """FAULTS E04."""
    credentials = await ims_token(sandbox, http)
    async with http.get(page(sandbox, 3), headers=credentials) as answer:
        size = len(await answer.read())
    async with http.get(f"{sandbox.url}/_sandbox/log") as answer:
        text = await answer.text()
    token, data = [json.loads(line) for line in text.splitlines()]
    assert (token["token"], token["method"], token["path"]) == (True, "POST", "authorization/token")
    assert (data["token"], data["status"], data["provider"], data["bytes"]) == (False, 200, "ims", size)
    assert data["path"].endswith("$filter=OriginatingSystemName%20eq%20'ABOR'&$orderby=ListingId&$top=3"), "as sent"
    assert len(data["mark"]) == 10
    assert isinstance(data["at"], float)
    assert credentials["Authorization"].split()[1] not in text
    assert "ims-demo-secret" not in text


async def test_the_truth_is_read_as_ndjson(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{sandbox.url}/_sandbox/truth/ims/Property") as answer:
        lines = (await answer.read()).splitlines()
    assert lines == list(sandbox.simulator("ims").truth("Property"))
    assert len(lines) == 40
    async with http.get(f"{sandbox.url}/_sandbox/truth/ims/Nothing") as answer:
        assert answer.status == 404
        assert "Property" in (await answer.json())["error"]
    async with http.get(f"{sandbox.url}/_sandbox/truth/nobody/Property") as answer:
        assert answer.status == 404
    async with http.get(f"{sandbox.url}/_sandbox/truth") as answer:
        assert "Property" in (await answer.json())["ims"]


async def test_a_resource_with_a_slash_has_a_truth(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    class Slashed:
        name = "slashed"

        def resources(self) -> tuple[str, ...]:
            return ("clients/featured",)

        def truth(self, resource: str) -> list[bytes]:
            return [resource.encode()] * 300

    sandbox.simulators["slashed"] = Slashed()  # type: ignore[assignment]
    async with http.get(f"{sandbox.url}/_sandbox/truth/slashed/clients/featured") as answer:
        assert (await answer.read()).splitlines() == [b"clients/featured"] * 300


async def test_rows_change_on_request(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    before = set(sandbox.simulator("ims").truth("Property"))
    async with http.post(f"{sandbox.url}/_sandbox/mutate?count=50&provider=ims") as answer:
        assert answer.status == 204
    after = set(sandbox.simulator("ims").truth("Property"))
    assert before - after
    assert after - before
    for wrong, status in (("count=-1", 400), ("count=1&provider=nobody", 404)):
        async with http.post(f"{sandbox.url}/_sandbox/mutate?{wrong}") as answer:
            assert answer.status == status


async def test_faults_are_put_and_read_back(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    rules = [{"fault": "status:503", "match": {"provider": "ims", "page": 1}, "times": 1}]
    async with http.put(f"{sandbox.url}/_sandbox/faults", json=rules) as answer:
        assert (answer.status, await answer.json()) == (200, rules)
    async with http.put(f"{sandbox.url}/_sandbox/faults", json=[{"fault": "nonsense"}]) as answer:
        assert answer.status == 400
        assert "status:<code>" in (await answer.json())["error"]
    async with http.get(f"{sandbox.url}/_sandbox/faults") as answer:
        assert await answer.json() == rules
    credentials = await ims_token(sandbox, http)
    found = []
    for _ in range(2):
        async with http.get(page(sandbox), headers=credentials) as answer:
            found.append(answer.status)
    assert found == [503, 200]


async def fault(sandbox: Sandbox, http: aiohttp.ClientSession, name: str) -> None:
    async with http.put(f"{sandbox.url}/_sandbox/faults", json=[{"fault": name, "times": 1}]) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(("name", "error"), [("cut:len", "Content"), ("cut:chunk", "Transfer"), ("rst:200", "reset")])
async def test_bodies_are_broken_off_in_the_middle(
    sandbox: Sandbox, http: aiohttp.ClientSession, name: str, error: str
) -> None:
    """FAULTS H01, H02, N03."""
    credentials = await ims_token(sandbox, http)
    await fault(sandbox, http, name)
    async with http.get(page(sandbox), headers=credentials) as answer:
        assert answer.status == 200
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientOSError)) as caught:
            await answer.read()
    assert error.lower() in repr(caught.value).lower() + repr(caught.value.__cause__).lower()
    async with http.get(page(sandbox), headers=credentials) as answer:
        assert len((await answer.json())["value"]) > 20, "the next one is whole"


async def test_a_reset_before_any_byte_is_still_a_request(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """FAULTS N02. Over a plain socket: aiohttp's client would ask again by itself (N04)."""
    await fault(sandbox, http, "rst:0")
    address = URL(sandbox.url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(b"GET /ims/v1/Property HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    assert [entry.path for entry in sandbox.log] == ["v1/Property"]


async def test_tokens_end_when_told(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """FAULTS A01."""
    credentials = await ims_token(sandbox, http)
    await fault(sandbox, http, "token:ttl")
    async with http.get(page(sandbox), headers=credentials) as answer:
        assert answer.status == 403
    async with http.get(page(sandbox), headers=await ims_token(sandbox, http)) as answer:
        assert answer.status == 200


async def test_gzip_is_served_to_those_who_ask_when_turned_on(http: aiohttp.ClientSession) -> None:
    async with running_sandbox(Settings(records=40, gzip=True), FakeClock()) as sandbox:
        credentials = await ims_token(sandbox, http)
        async with http.get(page(sandbox), headers={**credentials, "Accept-Encoding": "gzip"}) as answer:
            packed = await answer.read()
            assert answer.headers["Content-Encoding"] == "gzip"
        async with http.get(page(sandbox), headers={**credentials, "Accept-Encoding": "identity"}) as answer:
            assert "Content-Encoding" not in answer.headers
            assert zlib.decompress(packed, wbits=31) == await answer.read()


async def test_the_configuration_is_served_ready_to_use(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{sandbox.url}/_sandbox/config") as answer:
        config = tomllib.loads(await answer.text())
    assert set(config["sources"]) == set(sandbox.simulators)
    assert config["sources"]["centris"]["budget"]["windows"][0] == {"requests": 20, "seconds": 60.0}


async def test_background_changes_keep_their_rate_on_the_sandboxs_clock() -> None:
    clock = FakeClock()
    async with running_sandbox(Settings(records=40, mutate=20), clock) as sandbox:
        changed: list[int] = []
        sandbox.mutate = lambda count, name="": changed.append(count)  # type: ignore[method-assign]
        for _ in range(30):
            await asyncio.sleep(0)
            clock.advance(0.1)
            await asyncio.sleep(0)
        assert 55 <= sum(changed) <= 60


async def test_serve_runs_until_cancelled(http: aiohttp.ClientSession) -> None:
    ready: asyncio.Future[Sandbox] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(Settings(records=5), port=0, on_ready=ready.set_result))
    async with asyncio.timeout(5):
        sandbox = await ready
    assert sandbox.url.startswith("http://127.0.0.1:")
    async with http.get(f"{sandbox.url}/_sandbox/truth") as answer:
        assert answer.status == 200
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    with pytest.raises(aiohttp.ClientConnectorError):
        await http.get(f"{sandbox.url}/_sandbox/truth")


def test_options_of_an_unknown_simulator_or_of_the_wrong_name_are_refused() -> None:
    settings = Settings(records=5)
    with pytest.raises(ValueError, match=r"'imms', but the simulators are .*ims"):
        Sandbox(replace(settings, options={"imms": {}}))
    with pytest.raises(ValueError, match=r"options of ims: .*page_maxx"):
        Sandbox(replace(settings, options={"ims": {"page_maxx": 1}}))
