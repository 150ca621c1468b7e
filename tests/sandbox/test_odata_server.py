"""The OData server of no particular provider: what is odd about it stands in its address."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from harvester.sandbox import oddities
from harvester.sandbox.client_config import config_toml
from harvester.sandbox.exchange import Reply, Sandbox
from harvester.sandbox.faults import parse_rules
from harvester.sandbox.registry import spoken_to_by
from harvester.sandbox.settings import Settings
from tests.fakes.clock import FakeClock

ORIGIN = "https://sandbox.example.com"
SIGNED = {"authorization": "Bearer sandbox-odata-server"}


def sandbox(records: int = 350, *servers: str) -> Sandbox:
    options = {"odata_server": {"servers": servers or ("plain",)}}
    return Sandbox(Settings(records=records, clock=FakeClock(), options=options))


async def get(served: Sandbox, target: str, headers: dict[str, str] = SIGNED) -> Reply:
    return await served.exchange(method="GET", origin=ORIGIN, target=target, headers=headers)


async def ask(served: Sandbox, server: str, query: str = "", *, resource: str = "Property") -> dict[str, Any]:
    path = f"/odata_server/{server}/{resource}" + (f"?{quote(query, safe='$=&,')}" if query else "")
    reply = await get(served, path)
    assert reply.status == 200, reply.body
    body: dict[str, Any] = json.loads(reply.body)
    return body


async def walk(served: Sandbox, server: str, query: str = "") -> list[str]:
    """The keys that come when every link is followed."""
    body = await ask(served, server, query)
    keys = [row["ListingKey"] for row in body["value"]]
    while link := body.get("@odata.nextLink"):
        parts = urlsplit(link)
        body = json.loads((await get(served, f"{parts.path}?{parts.query}")).body)
        keys += [row["ListingKey"] for row in body["value"]]
    return keys


def truth(served: Sandbox) -> list[str]:
    return [json.loads(row)["ListingKey"] for row in served.simulator("odata_server").truth("Property")]


@pytest.mark.parametrize("links", ["token", "offset", "hidden", "page", "key"])
@pytest.mark.parametrize("rest", ["", ",cap-100", ",cap-40,order-time"])
async def test_links_of_every_form_lead_through_everything_while_nothing_changes(links: str, rest: str) -> None:
    served = sandbox()
    if links == "key" and "order-time" in rest:
        return  # a key says nothing in an order of time
    keys = await walk(served, f"links-{links}{rest}")
    assert sorted(keys) == truth(served)
    assert len(keys) == len(set(keys))


async def test_a_cap_is_silent_and_top_still_gets_what_it_asked_for() -> None:
    served = sandbox()
    body = await ask(served, "cap-100", "$top=250&$count=true")
    assert (len(body["value"]), body["@odata.count"]) == (100, 350)
    assert len(await walk(served, "cap-100,links-offset", "$top=250")) == 250


async def test_options_are_ignored_or_refused_as_the_address_says() -> None:
    served = sandbox()
    nothing = "$filter=ModificationTimestamp gt 2100-01-01T00:00:00Z"
    assert (await ask(served, "plain", nothing))["value"] == []
    assert len((await ask(served, "ignores-filter", nothing))["value"]) == 350
    reversed_keys = [row["ListingKey"] for row in (await ask(served, "plain", "$orderby=ListingKey desc"))["value"]]
    assert reversed_keys == truth(served)[::-1]
    same = [row["ListingKey"] for row in (await ask(served, "ignores-orderby", "$orderby=ListingKey desc"))["value"]]
    assert same == truth(served)
    reply = await get(served, "/odata_server/refuses-count/Property?$count=true")
    assert reply.status == 400
    assert b"$count is not supported" in reply.body


async def test_a_large_top_is_refused_in_the_words_of_common_servers() -> None:
    reply = await get(sandbox(), "/odata_server/top-max-200/Property?$top=5000")
    assert reply.status == 400
    assert b"limit of '200' for Top query" in reply.body


async def test_an_order_by_chance_differs_each_time() -> None:
    served = sandbox()
    first, second = (await ask(served, "order-chance"), await ask(served, "order-chance"))
    assert first["value"] != second["value"]


async def test_churn_comes_and_goes_with_pages_but_not_with_counts() -> None:
    served = sandbox()
    before = truth(served)
    for _ in range(6):
        await ask(served, "churn-3", "$top=1&$count=true")
    assert truth(served) == before
    for _ in range(6):
        await ask(served, "churn-3")
    after = truth(served)
    assert len(set(before) ^ set(after)) == 2


async def test_the_faults_of_data_reach_its_rows() -> None:
    served = sandbox()
    served.faults.replace(parse_rules(b'[{"match": {"provider": "odata_server"}, "fault": "ties:40"}]'))
    body = await ask(served, "plain", "$select=ListingKey,ModificationTimestamp")
    times = Counter(row["ModificationTimestamp"] for row in body["value"])
    assert max(times.values()) >= 40


async def test_a_stranger_gets_nothing_and_a_wrong_word_lists_the_right_ones() -> None:
    served = sandbox()
    assert (await get(served, "/odata_server/plain/Property", {})).status == 401
    reply = await get(served, "/odata_server/bent/Property")
    assert reply.status == 404
    assert b"links-offset" in reply.body


async def test_it_is_there_on_request_only_and_one_truth_tells_of_all_its_servers() -> None:
    assert "odata_server" not in Sandbox(Settings(records=3, clock=FakeClock())).simulators
    served = sandbox(3, "plain", "links-offset,cap-100")
    assert spoken_to_by("odata", served.simulators.values()) is served.simulator("odata_server")
    text = config_toml(served.simulators, "http://127.0.0.1:1", "http://127.0.0.1:2")
    assert "[sources.odata-links-offset_cap-100]" in text
    long = config_toml(sandbox(3, "plain", ",".join(["cap-100"] * 9)).simulators, "http://127.0.0.1:1", "")
    assert "[sources.odata-server-2]" in long
    assert 'base_url = "http://127.0.0.1:1/odata_server/links-offset,cap-100"' in text


@pytest.mark.parametrize("word", ["", "cap-0", "cap-x", "ignores-life", "links-", "churn"])
def test_words_that_are_not_known_are_named(word: str) -> None:
    with pytest.raises(ValueError, match=f"no oddity '{word}'"):
        oddities.parse(f"plain,{word}")
