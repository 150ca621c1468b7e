"""The IDX Broker simulator keeps its contract: keys, quota, versions, formats and the six shapes of an answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from harvester.sandbox.idx_broker import (
    ACCESS_KEY,
    ANCILLARY_KEY,
    CLIENT_ACCESS_KEY,
    SECOND_ACCESS_KEY,
    IdxBroker,
)
from harvester.sandbox.settings import Settings
from tests.fakes.caller import ORIGIN, content, header
from tests.fakes.clock import FakeClock
from tests.fakes.idx_account import account, get

# -------------------------------------------------------------------- keys


def test_a_request_without_a_key_is_406_and_with_an_unknown_one_401() -> None:
    caller = account()
    caller.headers.pop("accesskey")
    assert get(caller, "mls/approvedmls").status == 406
    assert get(caller, "mls/approvedmls", {"accesskey": "no-such-key-0000000000"}).status == 401


def test_a_wrong_ancillary_key_is_refused_even_beside_a_good_access_key() -> None:
    assert get(account(), "mls/approvedmls", {"ancillarykey": "x" * 22}).status == 401


def test_the_demo_keys_have_the_length_of_real_ones() -> None:
    assert {len(key) for key in (ACCESS_KEY, SECOND_ACCESS_KEY, CLIENT_ACCESS_KEY, ANCILLARY_KEY)} == {22}


def test_a_client_key_reaches_no_partner_method_unless_the_ancillary_key_comes_with_it() -> None:
    caller = account()
    assert get(caller, "partners/clients", {"accesskey": CLIENT_ACCESS_KEY}).status == 405
    assert (
        get(caller, "partners/clients", {"accesskey": CLIENT_ACCESS_KEY, "ancillarykey": ANCILLARY_KEY}).status == 200
    )


# -------------------------------------------------------------------- quota


def test_every_answer_tells_how_many_accesses_were_used() -> None:
    caller = account()
    told = [header(get(caller, "mls/approvedmls"), "Hourly-Access-Key-Usage") for _ in range(3)]
    assert told == ["1", "2", "3"]


@pytest.mark.parametrize(("headers", "limit"), [({}, 250), ({"ancillarykey": ANCILLARY_KEY}, 750)])
def test_the_access_beyond_the_hourly_limit_is_412(headers: dict[str, str], limit: int) -> None:
    """FAULTS S08: here 412 means quota. The refused access is not counted, so waiting always helps."""
    caller = account()
    for _ in range(limit):
        assert get(caller, "clients/apiversion", headers).status == 200
    refused = get(caller, "clients/apiversion", headers)
    assert (refused.status, refused.body) == (412, b"")
    assert refused.refused
    assert header(refused, "Hourly-Access-Key-Usage") == str(limit)


def test_a_rolling_hour_frees_each_access_an_hour_after_it_was_made() -> None:
    clock = FakeClock()
    caller = account(clock, per_hour=2)
    get(caller, "clients/apiversion")
    clock.advance(1800)
    get(caller, "clients/apiversion")
    assert get(caller, "clients/apiversion").status == 412
    clock.advance(1801)
    assert get(caller, "clients/apiversion").status == 200
    assert get(caller, "clients/apiversion").status == 412


def test_a_clock_hour_frees_all_accesses_when_the_hour_strikes() -> None:
    """FAULTS Q01: the window's phase has nothing to do with when the client began."""
    clock = FakeClock()  # starts at 12:00
    clock.advance(3500)
    caller = account(clock, per_hour=2, hour="clock")
    for _ in range(2):
        get(caller, "clients/apiversion")
    assert get(caller, "clients/apiversion").status == 412
    clock.advance(101)
    assert [get(caller, "clients/apiversion").status for _ in range(2)] == [200, 200]


def test_time_scale_shortens_the_hour() -> None:
    clock = FakeClock()
    caller = account(clock, scale=3600, per_hour=1)
    get(caller, "clients/apiversion")
    assert get(caller, "clients/apiversion").status == 412
    clock.advance(1.01)
    assert get(caller, "clients/apiversion").status == 200


def test_each_access_key_has_an_allowance_of_its_own() -> None:
    caller = account(per_hour=1)
    get(caller, "clients/apiversion")
    assert get(caller, "clients/apiversion").status == 412
    assert get(caller, "clients/apiversion", {"accesskey": SECOND_ACCESS_KEY}).status == 200


# -------------------------------------------------------------------- versions and formats


@pytest.mark.parametrize(
    ("asked", "answered"), [("1.0.4", "1.0.4"), ("1.8.0", "1.8.0"), ("0.9", "1.8.0"), ("x", "1.8.0")]
)
def test_an_unknown_version_is_answered_by_the_newest_without_an_error(asked: str, answered: str) -> None:
    answer = get(account(), "mls/approvedmls", {"apiversion": asked})
    assert (answer.status, header(answer, "Api-Version")) == (200, answered)


def test_a_retired_version_is_answered_by_the_newest_and_shows_it_in_the_shape() -> None:
    answer = get(account(retired=["1.0.4"]), "clients/featured", {"apiversion": "1.0.4"})
    assert header(answer, "Api-Version") == "1.8.0"
    assert {"data", "total", "next"} <= content(answer).keys()


def test_without_a_version_header_the_preference_of_the_account_decides() -> None:
    assert header(get(account(version="1.7.0"), "mls/approvedmls"), "Api-Version") == "1.7.0"


def test_without_a_format_header_the_answer_is_xml_with_status_200() -> None:
    """FAULTS H12: a client must not take it for JSON."""
    caller = account()
    caller.headers = {"accesskey": ACCESS_KEY}
    answer = get(caller, "mls/approvedmls")
    assert (answer.status, header(answer, "Content-Type")) == (200, "application/xml")
    assert answer.body.startswith(b"<?xml")
    assert b"Lakes &amp; Prairie MLS" in answer.body


@pytest.mark.parametrize("name", ["outputformat", "outputtype"])
def test_either_format_header_is_enough_for_json(name: str) -> None:
    caller = account()
    caller.headers = {"accesskey": ACCESS_KEY, name: "json"}
    assert content(get(caller, "mls/approvedmls"))


# -------------------------------------------------------------------- statuses


@pytest.mark.parametrize(("version", "status"), [("1.0.4", 409), ("1.8.0", 404)])
def test_an_unknown_component_has_the_status_of_its_version(version: str, status: int) -> None:
    assert get(account(), "houses/all", {"apiversion": version}).status == status


@pytest.mark.parametrize("path", ["mls/nothing", "clients/offmarket", "mls/cities/sold/a001", "clients/featured/a/b/c"])
def test_a_method_the_component_does_not_have_in_this_version_is_405(path: str) -> None:
    assert get(account(), path).status == 405


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("mls/cities", {}),
        ("mls/cities/z999", {}),
        ("clients/featured/a001", {}),
        ("mls/searchfieldvalues/a001", {}),
        ("clients/agents", {"filterField": "shoeSize", "filterValue": "44"}),
    ],
)
def test_missing_or_invalid_parameters_are_400(path: str, query: dict[str, str]) -> None:
    """FAULTS S09."""
    assert get(account(), path, **query).status == 400


def test_nothing_to_return_is_204_without_a_body() -> None:
    """FAULTS H13: an empty set, not an error."""
    answer = get(account(), "leads/lead", interval="0.5")
    assert (answer.status, answer.body, header(answer, "Content-Type")) == (204, b"", None)


def test_an_empty_write_describes_fields_and_a_real_one_is_refused() -> None:
    caller = account()
    assert "agentID" in content(caller.simulator.answer(caller.ask("clients/agents", method="PUT")))
    assert caller.simulator.answer(caller.ask("leads/lead", method="POST", body=b"firstName=A")).status == 405
    assert caller.simulator.answer(caller.ask("leads/lead", method="DELETE")).status == 405


def test_lists_of_components_and_methods() -> None:
    caller = account()
    assert content(get(caller, "clients/listcomponents")) == ["clients", "leads", "mls", "partners"]
    methods = content(get(caller, "mls/listmethods"))
    assert {"approvedmls", "age", "cities", "listmethods"} <= set(methods)
    assert "postalcodes" not in methods
    assert "postalcodes" in content(get(caller, "mls/listmethods", {"apiversion": "1.8.0"}))


# -------------------------------------------------------------------- shapes


def test_listings_of_the_seed_version_are_one_object_by_key() -> None:
    found = content(get(account(), "clients/featured"))
    assert len(found) == 20
    assert all(key == f"{each['idxID']}%%{each['listingID']}" for key, each in found.items())


def test_dictionaries_are_arrays_and_the_roster_is_wrapped() -> None:
    caller = account()
    assert [each["id"] for each in content(get(caller, "mls/approvedmls"))] == ["a001", "b014", "c107"]
    assert list(content(get(caller, "clients/agents"))) == ["agent"]


def test_scalars_and_one_element_arrays() -> None:
    caller = account()
    assert isinstance(content(get(caller, "mls/propertycount/a001")), int)
    assert content(get(caller, "clients/accounttype")) == ["Client"]
    assert content(get(caller, "clients/apiversion")) == "1.0.4"


def test_an_empty_collection_may_be_an_empty_array_with_status_200() -> None:
    answer = get(account(), "mls/counties/c107")
    assert (answer.status, answer.body) == (200, b"[]")


def test_the_paged_form_is_walked_by_links_that_repeat_nothing_but_the_place() -> None:
    caller = account(page_rows=7)
    caller.headers["apiversion"] = "1.8.0"
    answer = get(caller, "clients/featured", disclaimers="1")
    keys: list[str] = []
    links: list[str] = []
    while True:
        page = content(answer)
        assert page["total"] == 20
        keys += page["data"]
        if page["next"] is None:
            break
        links.append(page["next"])
        answer = caller.follow(page["next"])
    assert links == [f"{ORIGIN}/clients/featured?offset={start}&limit=7" for start in (7, 14)]
    assert len(keys) == len(set(keys)) == 20


def test_the_paged_form_of_leads_holds_an_array() -> None:
    page = content(get(account(), "leads/lead", {"apiversion": "1.8.0"}, interval="168"))
    assert isinstance(page["data"], list)
    assert (page["total"], page["previous"], page["next"]) == (10, None, None)


def test_selected_fields_only_and_unknown_names_ignored() -> None:
    caller = account()
    ask = caller.ask("clients/offices?rf[]=officeID&rf[]=shoeSize")
    assert content(caller.simulator.answer(ask)) == [{"officeID": f"00{n}"} for n in (1, 2, 3)]
    assert "officeName" in content(caller.simulator.answer(caller.ask("clients/offices?rf=*")))[0]


def test_a_single_listing_needs_the_ancillary_key_and_a_version_that_has_it() -> None:
    caller = account()
    path = "clients/listing/" + next(iter(content(get(caller, "clients/featured")))).replace("%%", "/")
    partner = {"ancillarykey": ANCILLARY_KEY}
    assert get(caller, path, {**partner, "apiversion": "1.0.4"}).status == 405
    assert get(caller, path, {"apiversion": "1.7.0"}).status == 405
    assert content(get(caller, path, {**partner, "apiversion": "1.7.0"}))["idxStatus"] == "active"


def test_records_have_the_traps_of_the_contract() -> None:
    body = get(account(records=2000), "clients/featured").body
    found: list[dict[str, Any]] = list(content(get(account(records=2000), "clients/featured")).values())
    assert {type(each["bedrooms"]) for each in found} == {int, str}
    assert all(each["listingPrice"].startswith("$") for each in found)
    assert all(each["rntLse"] in ("y", "n") for each in found)
    assert all(each["image"]["totalCount"] == len(each["image"]) - 1 for each in found)
    assert "0000-00-00 00:00:00" in {each["lastImageDate"] for each in found}
    assert any(each["listingID"].startswith("0") for each in found)
    assert b"https:\\/\\/" in body
    assert body.isascii()
    sold = content(get(account(), "clients/soldpending")).values()
    assert all(each["listingPrice"] == "$0" and each["soldPrice"] for each in sold)


# -------------------------------------------------------------------- data


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first, second = (IdxBroker(Settings(records=200, clock=FakeClock())) for _ in range(2))
    other = IdxBroker(Settings(records=200, clock=FakeClock(), seed=2))
    for resource in first.resources():
        assert list(first.truth(resource)) == list(second.truth(resource))
    assert list(first.truth("clients/featured")) != list(other.truth("clients/featured"))


def test_listings_are_the_same_on_another_day() -> None:
    later = FakeClock()
    later.advance(30 * 86_400)
    both = [list(account(clock).simulator.truth("clients/featured")) for clock in (FakeClock(), later)]
    assert both[0] == both[1]


def test_a_listing_that_goes_shows_up_as_sold() -> None:
    caller = account()
    before = set(content(get(caller, "clients/featured")))
    sold_before = set(content(get(caller, "clients/soldpending")))
    caller.clock.advance(60)
    caller.simulator.mutate(100)
    after, sold = set(content(get(caller, "clients/featured"))), set(content(get(caller, "clients/soldpending")))
    gone = before - after
    assert gone
    assert gone <= sold - sold_before
    assert len(after - before) > len(gone)


def test_changed_listings_are_found_by_their_modification_date_in_the_newest_version_only() -> None:
    caller = account()
    caller.clock.advance(60)
    caller.simulator.mutate(40)
    caller.clock.advance(60)
    query = {"dateType": "dateModified", "interval": "1"}
    found = content(get(caller, "clients/featured", {"apiversion": "1.8.0"}, **query))
    assert 0 < found["total"] < 40
    assert get(caller, "clients/featured", {"apiversion": "1.0.4"}, **query).status == 400


def test_the_client_configuration_names_keys_and_a_horizon_that_reaches_every_lead() -> None:
    caller = account(lead_days=9.0)
    source = caller.simulator.client_config("http://h/idx_broker", "http://i")  # type: ignore[attr-defined]
    assert source["access_key"] == ACCESS_KEY
    assert source["lead_horizon"] >= timedelta(days=9).total_seconds()
    assert source["budget"]["windows"] == [{"requests": 750, "seconds": 3600.0}]
