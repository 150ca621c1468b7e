"""Faults of bodies, pages and data: each does what it is called, to any provider's pages."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from harvester.sandbox.exchange import Reply, Sandbox
from harvester.sandbox.fault_kinds import Kind
from harvester.sandbox.faults import KINDS, FaultError, Match, Rule
from harvester.sandbox.odata_server import TOKEN
from harvester.sandbox.settings import Settings
from harvester.sandbox.spark_keys import KEYS as SPARK_KEYS
from tests.fakes.clock import FakeClock

PROPERTY = "/odata_server/plain/Property"
LISTINGS = "/spark/v1/listings"


@asynccontextmanager
async def serving(*rules: Rule) -> AsyncIterator[Sandbox]:
    settings = Settings(records=30, clock=FakeClock(), quota=False, options={"odata_server": {"servers": ("plain",)}})
    sandbox = Sandbox(settings)
    sandbox.faults.replace(list(rules))
    yield sandbox


async def ask(sandbox: Sandbox, target: str) -> Reply:
    spark = target.startswith("/spark/")
    token = SPARK_KEYS["replication"].token if spark else TOKEN
    headers = {"authorization": f"Bearer {token}", "prefer": "odata.maxpagesize=10"}
    return await sandbox.exchange(method="GET", origin="http://here", target=target, headers=headers)


async def page(sandbox: Sandbox, target: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((await ask(sandbox, target)).body)
    return found


def below(link: str) -> str:
    return link.removeprefix("http://here")


def keys(found: dict[str, Any]) -> list[str]:
    return [row["ListingKey"] for row in found["value"]]


async def everything(sandbox: Sandbox, target: str = PROPERTY) -> tuple[list[str], int]:
    """The keys along the links, and how many pages it took."""
    found: list[str] = []
    pages = 0
    while True:
        one = await page(sandbox, target)
        found += keys(one)
        pages += 1
        if "@odata.nextLink" not in one:
            return found, pages
        target = below(one["@odata.nextLink"])


def rule(fault: str, page: int | None = None, times: int | None = None) -> Rule:
    return Rule(fault=fault, match=Match(resource="Property", page=page), times=times)


@pytest.mark.parametrize("name", KINDS)
def test_a_fault_is_written_as_it_says(name: str) -> None:
    kind: Kind = KINDS[name]
    assert kind.usage.partition(":")[0] == name


@pytest.mark.parametrize(
    "fault",
    [
        *(
            "next:back",
            "next:cycle,0",
            "next:style,odd",
            "next:self,2",
            "short:1",
            "dup:twice",
            "count:high",
            "key:odd",
        ),
        *("ignore:select", "desync:all", "bomb:1", "huge:0", "enc:b/r", "gzip:deflate", "ctype:csv", "smuggle:all"),
        *("mutate:2", "ties:1", "late:-1", "frac:12", "ts:soonish", "tz:Nowhere/Else", "skew:90000", "403:x"),
        *("err200:odd", "redirect:up", "cut:half"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(fault: str) -> None:
    sandbox = Sandbox(Settings(records=1))
    with pytest.raises(FaultError):
        sandbox.faults.replace([Rule(fault=fault)])


async def test_links_go_round_vanish_and_lead_through_empty_pages() -> None:
    """FAULTS P01, P02, P05, P06."""
    async with serving(rule("next:self", page=2)) as sandbox:
        second = below((await page(sandbox, PROPERTY))["@odata.nextLink"])
        assert below((await page(sandbox, second))["@odata.nextLink"]) == second
    async with serving(rule("next:cycle,2")) as sandbox:
        second = below((await page(sandbox, PROPERTY))["@odata.nextLink"])
        assert below((await page(sandbox, second))["@odata.nextLink"]) == PROPERTY
    async with serving(rule("next:empty", page=2, times=1)) as sandbox:
        found, pages = await everything(sandbox)
        assert (len(set(found)), pages) == (30, 4)
    async with serving(rule("next:drop", page=2)) as sandbox:
        assert len((await everything(sandbox))[0]) == 20


async def test_a_short_page_loses_nothing_for_those_who_follow_its_link() -> None:
    """FAULTS P04."""
    async with serving(rule("short:0.4")) as sandbox:
        found, pages = await everything(sandbox)
    assert len(found) == len(set(found)) == 30
    assert pages > 3


@pytest.mark.parametrize("style", ["path", "escaped", "extra", "plus", "twice", "relative"])
async def test_a_link_in_any_style_leads_on_if_it_is_sent_byte_for_byte(style: str) -> None:
    """FAULTS P07."""
    async with serving(rule(f"next:style,{style}")) as sandbox:
        link = (await page(sandbox, PROPERTY))["@odata.nextLink"]
        target = PROPERTY.rpartition("/")[0] + "/" + link if style == "relative" else below(link)
        assert len((await page(sandbox, target))["value"]) == 10
        assert (await ask(sandbox, f"{target}&")).status == 400


async def test_a_spark_token_can_be_led_round_and_back() -> None:
    async with serving(Rule(fault="next:empty", match=Match(provider="spark", page=1), times=1)) as sandbox:
        empty = (await page(sandbox, f"{LISTINGS}?_limit=10&_skiptoken="))["D"]
        assert empty["Results"] == []
        first = (await page(sandbox, f"{LISTINGS}?_limit=10&_skiptoken={empty['SkipToken']}"))["D"]
        assert len(first["Results"]) == 10


async def test_rows_come_twice_or_without_a_key() -> None:
    """FAULTS P10, P11, P14."""
    async with serving(rule("dup:same")) as sandbox:
        found, _ = await everything(sandbox)
    assert len(found) - len(set(found)) == 2
    async with serving(rule("dup:newer", page=1)) as sandbox:
        rows = (await page(sandbox, PROPERTY))["value"]
        twice = [row for row in rows if row["ListingKey"] == rows[0]["ListingKey"]]
        assert len(twice) == 2
        assert twice[0] != twice[1]
    for how, key in (("null", None), ("empty", ""), ("long", "k" * 10_240)):
        async with serving(rule(f"key:{how}")) as sandbox:
            assert (await page(sandbox, PROPERTY))["value"][5]["ListingKey"] == key


@pytest.mark.parametrize(("how", "count"), [("wrong", 37), ("low", 15), ("negative", -1), ("string", "30")])
async def test_counts_lie(how: str, count: object) -> None:
    """FAULTS P13."""
    async with serving(rule(f"count:{how}")) as sandbox:
        assert (await page(sandbox, f"{PROPERTY}?$count=true"))["@odata.count"] == count


async def test_options_are_ignored_and_pages_capped() -> None:
    """FAULTS P15, P16."""
    async with serving(rule("ignore:filter")) as sandbox:
        assert len((await page(sandbox, f"{PROPERTY}?$filter=ListingKey%20eq%20'x'"))["value"]) == 10
    async with serving(rule("ignore:desc")) as sandbox:
        found = keys(await page(sandbox, f"{PROPERTY}?$orderby=ListingKey"))
        assert found == sorted(found, reverse=True)
    async with serving(rule("cap:top=3")) as sandbox:
        assert len((await page(sandbox, f"{PROPERTY}?$top=10"))["value"]) == 3
    async with serving(rule("cap:more")) as sandbox:
        assert len((await page(sandbox, f"{PROPERTY}?$top=4"))["value"]) == 8
    async with serving(rule("cap:5")) as sandbox:
        assert (await ask(sandbox, f"{PROPERTY}?$skip=6")).status == 400


async def test_an_answer_is_that_of_another_request() -> None:
    """FAULTS H11."""
    async with serving(Rule(fault="desync:other", match=Match(resource="Property"))) as sandbox:
        office = await ask(sandbox, "/odata_server/plain/Office")
        assert (await ask(sandbox, PROPERTY)).body == office.body


def head_and_body(reply: Reply) -> tuple[Sequence[str], bytes]:
    assert reply.raw is not None
    head, _, body = reply.raw.partition(b"\r\n\r\n")
    return head.decode().splitlines(), body


async def test_a_body_is_cut_where_nothing_shows_it() -> None:
    """FAULTS H03, H04, H05, H06."""
    async with serving(rule("cut:valid_json")) as sandbox:
        head, body = head_and_body(await ask(sandbox, PROPERTY))
        assert not any(line.lower().startswith(("content-length", "transfer")) for line in head)
        assert 0 < len(json.loads(body)["value"]) < 10
    async with serving(rule("cut:gzip_member")) as sandbox:
        head, body = head_and_body(await ask(sandbox, PROPERTY))
        assert "Content-Encoding: gzip" in head
        with pytest.raises(msgspec.DecodeError):
            msgspec.json.decode(gzip.decompress(body))
    async with serving(rule("gzip:crc")) as sandbox:
        with pytest.raises(gzip.BadGzipFile):
            gzip.decompress(head_and_body(await ask(sandbox, PROPERTY))[1])


async def test_the_data_itself_is_odd() -> None:
    """FAULTS T01, T04, T05, T08, T12."""

    def times(sandbox: Sandbox) -> list[str]:
        rows = map(json.loads, sandbox.simulator("odata_server").truth("Property"))
        return [row["ModificationTimestamp"] for row in rows]

    async with serving(rule("ties:12")) as sandbox:
        await ask(sandbox, PROPERTY)
        assert max(times(sandbox).count(each) for each in times(sandbox)) >= 12
    async with serving(rule("ts:offset")) as sandbox:
        await ask(sandbox, PROPERTY)
        assert sum(each.endswith("-05:00") for each in times(sandbox)) == 3
    async with serving(rule("ts:future")) as sandbox:
        await ask(sandbox, PROPERTY)
        assert max(times(sandbox)) > "2036"
    async with serving(rule("ts:same")) as sandbox:
        before = set(sandbox.simulator("odata_server").truth("Property"))
        said = times(sandbox)
        await ask(sandbox, PROPERTY)
        assert len(before - set(sandbox.simulator("odata_server").truth("Property"))) == 1
        assert times(sandbox) == said
    async with serving(rule("mutate:recreate", times=2)) as sandbox:
        for there in (29, 30):
            await ask(sandbox, PROPERTY)
            assert len(times(sandbox)) == there


async def test_the_servers_clock_can_be_wrong() -> None:
    """FAULTS T06."""
    async with serving(rule("skew:-600")) as sandbox:
        await ask(sandbox, PROPERTY)
        assert dict((await ask(sandbox, PROPERTY)).headers)["Date"] == "Sun, 01 Mar 2026 11:50:00 GMT"
