"""A probe of servers that are odd in one way or several: what it finds, in how many requests, and what follows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harvester.errors import ResourceRefused
from harvester.model import Budget, Resource, Window
from harvester.pagers.chain import ChainPager
from harvester.planning.link_forms import LinkForm
from harvester.planning.profile import Count, Heard, Order, Profile
from harvester.planning.strategy import Strategy, choose_strategy, kept_strategy
from tests.fakes.odd_server import ODATA, OddServer

PROPERTY = ODATA.describe("Property")
FAST, SLOW = Budget(), Budget(windows=(Window(requests=20, seconds=60),))
UNFILTERED = "the server ignores $filter, so changes during the run cannot be asked for; run with --prove"


def strategy(profile: Profile, budget: Budget = FAST, *walks: str) -> Strategy:
    """Of a provider that has *walks*; of all that may be chosen where none is named."""
    pagers = dict.fromkeys(walks or ("chain", "keyset", "offset"), ChainPager())
    return choose_strategy(replace(ODATA, pagers=pagers), PROPERTY, profile, budget)


CASES: dict[str, dict[str, object]] = {
    "plain": {
        "link": LinkForm.KEY,
        "link_leads_on": True,
        "filter": Heard.HONOURED,
        "orderby": Heard.HONOURED,
        "top": Heard.HONOURED,
        "skip": Heard.HONOURED,
        "select": Heard.HONOURED,
        "count": Count.HONEST,
        "records": 1_200,
        "cap": 500,
        "order": Order.KEY,
        "steady": True,
        "dated": True,
        "whole": False,
    },
    "cap-100": {"cap": 100, "page_size": 100, "count": Count.HONEST, "link": LinkForm.KEY},
    "ignores-filter": {"filter": Heard.IGNORED, "orderby": Heard.HONOURED},
    "ignores-orderby": {"filter": Heard.HONOURED, "orderby": Heard.IGNORED},
    "ignores-filter,ignores-orderby": {"filter": Heard.IGNORED, "orderby": Heard.IGNORED},
    "refuses-filter": {"filter": Heard.REFUSED, "orderby": Heard.HONOURED},
    "refuses-orderby": {"filter": Heard.HONOURED, "orderby": Heard.REFUSED},
    "fails-filter": {"filter": Heard.UNKNOWN, "orderby": Heard.HONOURED, "faults": True},
    "fails-orderby": {"filter": Heard.HONOURED, "orderby": Heard.UNKNOWN, "faults": True},
    "fails-top": {"cap": None, "faults": True, "link": LinkForm.KEY},
    "ignores-top": {"top": Heard.IGNORED, "filter": Heard.HONOURED, "orderby": Heard.HONOURED},
    "refuses-top": {"top": Heard.REFUSED, "filter": Heard.HONOURED, "orderby": Heard.HONOURED, "cap": None},
    "ignores-select": {"select": Heard.IGNORED, "cap": 500},
    "refuses-select": {"select": Heard.REFUSED, "filter": Heard.HONOURED, "cap": 500, "count": Count.HONEST},
    "ignores-count": {"count": Count.ABSENT, "records": None},
    "refuses-count": {"count": Count.REFUSED, "select": Heard.HONOURED, "filter": Heard.HONOURED, "cap": 500},
    "count-wrong": {"count": Count.WRONG},
    "top-max-200": {"cap": 200, "top": Heard.HONOURED},
    "top-max-200,top-ends": {"cap": 200, "link": LinkForm.KEY},
    "links-offset": {"link": LinkForm.OFFSET, "link_leads_on": True},
    "links-hidden": {"link": LinkForm.OFFSET, "link_leads_on": True},
    "links-page": {"link": LinkForm.PAGE, "link_leads_on": True},
    "links-key": {"link": LinkForm.KEY, "link_leads_on": True},
    "links-none": {"link": LinkForm.NONE, "whole": False, "link_leads_on": None},
    "links-none,cap-100,ignores-count": {"link": LinkForm.NONE, "whole": False},
    "links-offset,ignores-skip": {"link": LinkForm.OFFSET, "link_leads_on": False, "skip": Heard.IGNORED},
    "links-hidden,refuses-skip": {"link": LinkForm.OFFSET, "link_leads_on": True, "skip": Heard.REFUSED},
    "order-time": {"order": Order.TIME, "steady": True},
    "order-chance": {"order": Order.OTHER, "steady": False},
    "cap-5000": {"whole": True, "link": LinkForm.KEY, "cap": None, "records": 1_200},
    "cap-5000,links-offset": {"whole": True, "link": LinkForm.OFFSET},
    "cap-5000,links-none": {"whole": True, "link": LinkForm.UNKNOWN, "count": Count.HONEST},
    "cap-5000,links-none,count-wrong": {"whole": True, "count": Count.WRONG},
}


@pytest.mark.parametrize("words", CASES)
async def test_it_finds_what_is_odd_within_six_requests(words: str) -> None:
    """FAULTS P13, P15, P16."""
    server = OddServer(words)
    profile = await server.probe()
    found = {name: getattr(profile, name) for name in CASES[words]}
    assert found == CASES[words], profile.findings
    assert len(server.asked) == profile.requests <= 6


WALKS: dict[str, tuple[str, str]] = {
    "plain": ("chain", "a key: a position that rows which come and go cannot shift"),
    "cap-100": ("chain", "a key"),
    "links-offset": ("offset", "an offset; sorted by key, pages share a record"),
    "links-hidden": ("offset", "an offset"),
    "links-page": ("offset", "a page number"),
    "links-none": ("keyset", "there are no next links, and it filters and sorts as asked"),
    "links-none,ignores-filter": ("offset", "there are no next links, but it sorts by key"),
    "order-chance": ("keyset", "two reads differ in their order"),
    "cap-5000,links-none": ("keyset", "everything fits one page today"),
    "links-offset,ignores-top": ("keyset", "an offset, which shifts; it filters and sorts"),
    "links-offset,ignores-skip": ("keyset", "an offset, which shifts; it filters and sorts"),
    "links-hidden,refuses-skip": ("keyset", "an offset, which shifts; it filters and sorts"),
}


@pytest.mark.parametrize("words", WALKS)
async def test_the_walk_that_cannot_lose_rows_is_chosen_and_says_why(words: str) -> None:
    chosen = strategy(await OddServer(words).probe())
    walk, reason = WALKS[words]
    assert chosen.walk == walk
    assert reason in chosen.reason
    assert not chosen.doubt or "ignores-filter" in words


DOUBTS: dict[str, tuple[str, str]] = {
    "ignores-filter": ("chain", UNFILTERED),
    "links-offset,ignores-filter": ("offset", UNFILTERED),
    "refuses-filter": ("chain", "refuses $filter, so changes during the run cannot be asked for; run with --prove"),
    "links-offset,ignores-orderby": ("chain", "rows that shift while it is read are not seen; run with --prove"),
    "links-page,refuses-orderby": ("chain", "a page number, so rows that shift while it is read are not seen"),
    "links-none,ignores-filter,ignores-orderby": ("chain", "no next link leads to the other records"),
    "order-chance,ignores-filter": ("chain", "the order of records is not steady"),
}


@pytest.mark.parametrize("words", DOUBTS)
async def test_what_cannot_be_known_is_a_doubt_that_names_the_way_out(words: str) -> None:
    """Never a plain chain of offsets without saying so."""
    chosen = strategy(await OddServer(words).probe())
    walk, doubt = DOUBTS[words]
    assert (chosen.walk, doubt in chosen.doubt) == (walk, True), chosen
    assert chosen.doubt.count("--prove") == 1


async def test_a_filter_that_is_not_honoured_leaves_no_closing_delta() -> None:
    assert strategy(await OddServer("ignores-filter").probe()).closing is None
    assert strategy(await OddServer("refuses-filter").probe()).closing is None
    assert strategy(await OddServer("plain").probe()).closing == "chain"
    assert strategy(await OddServer("links-offset").probe()).closing == "keyset"


async def test_a_walk_that_the_user_names_is_judged_by_what_was_found() -> None:
    shifting, ignoring = await OddServer("links-offset").probe(), await OddServer("ignores-filter").probe()
    assert "next links hold an offset" in kept_strategy(ODATA, PROPERTY, shifting, "chain").doubt
    assert kept_strategy(ODATA, PROPERTY, shifting, "keyset").doubt == ""
    assert kept_strategy(ODATA, PROPERTY, ignoring, "chain").doubt == UNFILTERED
    assert kept_strategy(ODATA, PROPERTY, ignoring, "chain").closing is None


async def test_what_no_link_leads_to_cannot_be_proved_by_following_links() -> None:
    """FAULTS P06: a listing of keys would end where the walk ended."""
    chosen = strategy(await OddServer("links-none,refuses-filter,refuses-top").probe())
    assert (chosen.walk, "no way to the others that were seen" in chosen.gap) == ("chain", True)
    assert strategy(await OddServer("links-none").probe()).gap == ""
    assert strategy(await OddServer("links-offset,ignores-orderby").probe()).gap == ""


async def test_a_count_that_was_found_to_be_wrong_is_not_believed() -> None:
    """FAULTS P13: else every run would lack the records that only the count has."""
    assert not strategy(await OddServer("count-wrong").probe()).counted
    assert strategy(await OddServer("plain").probe()).counted


async def test_where_the_quota_decides_the_fewest_requests_are_chosen() -> None:
    profile = await OddServer("links-offset").probe()
    assert strategy(profile, SLOW).walk == "keyset"
    assert "fewest requests" in strategy(profile, SLOW).reason


async def test_a_provider_without_a_safe_walk_keeps_its_own_in_doubt() -> None:
    profile = await OddServer("links-offset").probe()
    assert strategy(profile, FAST, "chain", "keyset").walk == "keyset"
    only = strategy(profile, FAST, "chain")
    assert only.walk == "chain"
    assert "nothing safer can be done here" in only.reason
    assert "rows that shift while it is read are not seen; run with --prove" in only.doubt


async def test_pages_are_no_larger_than_the_cap_nor_than_is_sensible() -> None:
    assert strategy(await OddServer("links-offset,cap-100").probe()).page_size == 100
    large = await OddServer("links-offset,cap-3000", records=6_000).probe()
    assert large.cap == 3_000
    assert large.page_size is not None
    assert 500 < large.page_size < 2_000  # 8 MiB of listings of 6 kB
    assert strategy(await OddServer("plain").probe()).page_size is None  # a chain's own pages are as large


async def test_an_empty_resource_teaches_nothing_and_costs_one_request() -> None:
    server = OddServer("plain", records=1)
    empty = Resource(name="Property", key=("ListingKey",), modified="ModificationTimestamp")
    table = server.sandbox.simulator("odata_server")._data.collection("Property").table  # type: ignore[attr-defined]
    table.remove(table.by_key[0].key)
    profile = await server.probe(empty)
    assert (profile.rows, profile.requests, len(server.asked)) == (0, 1, 1)
    assert strategy(profile).walk == "chain"
    assert "empty" in strategy(profile).reason


async def test_records_without_the_named_time_are_asked_for_by_key_alone() -> None:
    server = OddServer("links-offset")
    profile = await server.probe(Resource(name="Property", key=("ListingKey",), modified="NoSuchTimestamp"))
    assert (profile.dated, profile.filter, profile.orderby) == (False, Heard.HONOURED, Heard.HONOURED)
    chosen = strategy(profile)
    assert (chosen.walk, chosen.dated, chosen.doubt) == ("offset", False, "")
    assert not any("NoSuchTimestamp" in url for url in server.asked)


async def test_records_without_the_named_key_are_not_asked_about_further() -> None:
    server = OddServer("plain")
    profile = await server.probe(Resource(name="Property", key=("NoSuchKey",), modified="ModificationTimestamp"))
    assert (profile.usable, len(server.asked)) == (False, 1)
    assert "name it in the configuration" in strategy(profile).reason


async def test_a_resource_that_cannot_be_had_is_the_refusal_itself() -> None:
    with pytest.raises(ResourceRefused, match="404"):
        await OddServer("plain").probe(Resource(name="Teams", key=("TeamKey",)))


async def test_a_link_is_followed_after_the_other_questions_so_that_it_has_aged() -> None:
    profile = await OddServer("plain").probe()
    assert profile.link_age == pytest.approx(0.4)


async def test_the_filter_is_seen_also_in_a_small_resource() -> None:
    """Few records are behind the bound, so that the others would show a server that ignores it."""
    for records in (3, 12, 60, 300):
        assert (await OddServer("ignores-filter", records=records).probe()).filter is Heard.IGNORED
        assert (await OddServer("plain", records=records).probe()).filter is Heard.HONOURED


async def test_records_without_identity_are_told_by_their_first_page_alone() -> None:
    server = OddServer("plain")
    keyless = Resource(name="Property")
    profile = await server.probe(keyless)
    assert (profile.usable, len(server.asked)) == (False, 1)
    chosen = choose_strategy(ODATA, keyless, profile, FAST)
    assert (chosen.walk, "cannot be told apart" in chosen.reason) == ("chain", True)
