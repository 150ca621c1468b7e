"""The Spark API simulator keeps its contract: envelope, limits, token chains, phases, expansions and error codes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harvester.sandbox.settings import Settings
from harvester.sandbox.spark import Spark
from harvester.sandbox.spark_keys import KEYS
from harvester.sandbox.spark_related import EXPANSIONS
from tests.fakes.caller import header
from tests.fakes.clock import FakeClock
from tests.fakes.spark_caller import ask, envelope, results, spark, token_pages


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [each["Id"] for each in rows]


# -------------------------------------------------------------------- envelope and paging


def test_pagination_is_absent_unless_asked_for() -> None:
    caller = spark()
    assert list(envelope(ask(caller, "listings"))) == ["Success", "Results"]
    block = envelope(ask(caller, "listings", _pagination=1, _page=2, _limit=25))["Pagination"]
    assert block == {"TotalRows": 60, "PageSize": 25, "TotalPages": 3, "CurrentPage": 2}


def test_counting_only_answers_the_block_without_results() -> None:
    assert list(envelope(ask(spark(), "listings", _pagination="count"))) == ["Success", "Pagination"]


def test_paging_by_offset_tells_the_offset_instead_of_the_page() -> None:
    found = envelope(ask(spark(), "listings", _skip=50, _limit=25, _pagination=1))
    assert len(found["Results"]) == 10
    assert found["Pagination"] == {"TotalRows": 60, "PageSize": 25, "TotalPages": 3, "CurrentOffset": 50}


def test_ten_records_are_a_page_when_no_limit_is_sent() -> None:
    assert len(results(ask(spark(), "listings"))) == 10


@pytest.mark.parametrize(
    ("key", "path", "most"),
    [
        ("idx", "listings", 25),
        ("idx", "accounts", 25),
        ("replication", "listings", 1000),
        ("replication", "my/listings", 1000),
        ("replication", "accounts", 1000),
        ("replication", "contacts", 200),
        ("replication", "openhouses", 200),
    ],
)
def test_the_largest_page_depends_on_the_grant_and_the_resource(key: str, path: str, most: int) -> None:
    """FAULTS S09: what is above is refused with 400, not cut."""
    caller = spark(key=key)
    assert ask(caller, path, _limit=most).status == 200
    refused = ask(caller, path, _limit=most + 1)
    assert (refused.status, envelope(refused)["Code"]) == (400, 1040)


@pytest.mark.parametrize("query", [{"_limit": "-1"}, {"_page": 0}, {"_skip": "x"}, {"_pagination": 2}, {"_foo": 1}])
def test_values_that_cannot_be_used_are_400(query: dict[str, str | int]) -> None:
    answer = ask(spark(), "listings", **query)
    assert (answer.status, envelope(answer)["Success"]) == (400, False)


# -------------------------------------------------------------------- token chain


def test_a_token_chain_holds_every_listing_once_in_key_order() -> None:
    pages = list(token_pages(spark(), "listings", _limit=25))
    keys = [key for page in pages for key in ids(page)]
    assert [len(page) for page in pages] == [25, 25, 10]
    assert keys == sorted(set(keys))
    assert len(keys) == 60


def test_the_chain_ends_with_an_empty_page_and_the_token_it_was_asked_with() -> None:
    caller = spark()
    last = envelope(ask(caller, "listings", _limit=100, _skiptoken=""))["SkipToken"]
    assert envelope(ask(caller, "listings", _limit=100, _skiptoken=last)) == {
        "Success": True,
        "Results": [],
        "SkipToken": last,
    }


def test_the_chain_may_end_without_a_token_instead() -> None:
    assert "SkipToken" not in envelope(ask(spark(end="missing"), "listings", _limit=100, _skiptoken=""))


def test_inserts_and_deletes_never_move_what_is_still_to_come() -> None:
    """FAULTS P09: the position is a key, not an offset."""
    caller = spark()
    before = {json.loads(each)["Id"] for each in caller.simulator.truth("listings")}
    seen: set[str] = set()
    for page in token_pages(caller, "listings", _limit=5):
        seen.update(ids(page))
        caller.simulator.mutate(3)
    after = {json.loads(each)["Id"] for each in caller.simulator.truth("listings")}
    assert before & after <= seen


def test_a_token_is_opaque_and_bound_to_its_query_but_not_to_the_page_size() -> None:
    """FAULTS H11."""
    caller = spark()
    token = envelope(ask(caller, "listings", _limit=10, _skiptoken=""))["SkipToken"]
    assert "2010" not in token
    assert len(results(ask(caller, "listings", _limit=3, _skiptoken=token))) == 3
    for path, query in (("accounts", {}), ("listings", {"_select": "Id"}), ("my/listings", {})):
        refused = ask(caller, path, _limit=10, _skiptoken=token, **query)
        assert (refused.status, envelope(refused)["Code"]) == (400, 1040)
    assert ask(caller, "listings", _skiptoken=token[:-4] + "AAAA").status == 400


@pytest.mark.parametrize("query", [{"_page": 1}, {"_skip": 0}, {"_orderby": "City"}, {"_expand": "Photos"}])
def test_parameters_that_the_full_phase_forbids_are_1053(query: dict[str, str | int]) -> None:
    caller = spark()
    refused = ask(caller, "listings", _skiptoken="", **query)
    assert (refused.status, envelope(refused)["Code"]) == (400, 1053)


def test_the_full_phase_allows_selection_page_size_and_a_count() -> None:
    caller = spark()
    found = envelope(ask(caller, "listings", _skiptoken="", _limit=1, _select="ListingKey", _pagination=1))
    assert found["Pagination"]["TotalRows"] == 60
    assert found["Results"][0]["StandardFields"].keys() == {"ListingKey"}


def test_a_filter_makes_it_the_delta_phase_and_grants_may_expand() -> None:
    caller = spark(expand_in_full=True)
    delta = {"_filter": "ModificationTimestamp Gt 2026-01-01T00:00:00Z"}
    assert ask(caller, "listings", _skiptoken="", **delta).status == 200
    assert ask(caller, "listings", _skiptoken="", _expand="Photos").status == 200
    assert ask(spark(key="idx"), "listings", _skiptoken="", _orderby="City").status == 200


def test_changed_listings_are_found_by_a_delta() -> None:
    caller = spark()
    since = f"{caller.clock.now():%Y-%m-%dT%H:%M:%SZ}"
    caller.clock.advance(60)
    before = {json.loads(each)["Id"]: each for each in caller.simulator.truth("listings")}
    caller.simulator.mutate(20)
    after = {json.loads(each)["Id"]: each for each in caller.simulator.truth("listings")}
    pages = token_pages(caller, "listings", _limit=5, _filter=f"ModificationTimestamp Gt {since}")
    assert {key for page in pages for key in ids(page)} == {
        key for key, record in after.items() if before.get(key) != record
    }


# -------------------------------------------------------------------- records


def test_listings_are_wide_and_shaped_as_the_contract_says() -> None:
    [listing] = results(ask(spark(), "listings", _limit=1))
    assert list(listing) == ["ResourceUri", "Id", "StandardFields", "CustomFields", "DisplayCompliance"]
    fields = listing["StandardFields"]
    assert len(fields) >= 120
    assert len(listing["Id"]) == 26
    assert fields["ListingKey"] == listing["Id"]
    assert listing["ResourceUri"] == f"/v1/listings/{listing['Id']}"
    [tabs] = listing["CustomFields"]
    assert set(tabs) == {"Main", "Details"}
    for groups in tabs.values():
        for group in groups:
            [(_, labels)] = group.items()
            assert all(len(label) == 1 for label in labels)


def test_masked_fields_are_told_in_front_of_the_truth_in_their_order() -> None:
    caller = spark()
    truths = [json.loads(each) for each in caller.simulator.truth("listings")]
    masked = [each for each in truths if "_masked" in each]
    assert 0 < len(masked) < len(truths)
    for each in masked:
        assert next(iter(each)) == "_masked"
        assert each["_masked"] == [name for name in each["StandardFields"] if name in each["_masked"]]
        assert all(each["StandardFields"][name] is None for name in each["_masked"])
    assert any(each["_masked"][:2] == ["CloseDate", "PendingDate"] for each in masked)


def test_the_truth_is_what_the_api_serves_byte_for_byte() -> None:
    caller = spark(truth="stars")
    expanded = ask(caller, "listings", _limit=100, _expand=",".join(EXPANSIONS)).body
    for resource in caller.simulator.resources():
        body = expanded if resource.startswith("listings/") else ask(caller, resource, _limit=100).body
        for record in caller.simulator.truth(resource):
            served = record
            if record.startswith(b'{"_masked":'):
                served = b"{" + record[record.index(b"],") + 2 :]
            if record.startswith(b'{"_ListingKey":'):
                served = b"{" + record[record.index(b",") + 1 :]
            assert served in body, resource


def test_old_payloads_write_numbers_as_text() -> None:
    caller = spark(records=400)
    fields = [each["StandardFields"] for each in results(ask(caller, "listings", _limit=400))]
    assert {type(each["ListPrice"]) for each in fields} == {float, str}
    assert any(str(each["Longitude"]).startswith(" -") for each in fields)


# -------------------------------------------------------------------- selection, expansion, filter, order


@pytest.mark.parametrize("name", ["Photos", "OpenHouses", "Rooms", "Units", "Documents", "Videos", "VirtualTours"])
def test_an_expansion_equals_the_sub_resource(name: str) -> None:
    caller = spark()
    listings = results(ask(caller, "listings", _limit=60, _expand=name))
    sets = {each["Id"]: each["StandardFields"][name] for each in listings}
    assert any(sets.values())
    for key, found in sets.items():
        assert results(ask(caller, f"listings/{key}/{name.lower()}")) == found


def test_photos_have_every_size_and_one_is_primary() -> None:
    caller = spark()
    photos = next(
        each["StandardFields"]["Photos"]
        for each in results(ask(caller, "listings", _limit=60, _expand="Photos"))
        if len(each["StandardFields"]["Photos"]) > 1
    )
    assert {"Uri300", "Uri2048", "UriThumb", "UriLarge"} <= photos[0].keys()
    assert [each["Primary"] for each in photos].count(True) == 1


@pytest.mark.parametrize("names", ["Photos,PrimaryPhoto", "CustomFields,CustomFieldsRaw", "Swimmers"])
def test_expansions_that_exclude_each_other_or_do_not_exist_are_refused(names: str) -> None:
    assert ask(spark(), "listings", _expand=names).status == 400


def test_an_unknown_selected_name_is_refused() -> None:
    assert ask(spark(), "listings", _select="StandardFields.Nothing").status == 400


def test_a_filter_that_does_not_parse_names_what_it_stumbled_over() -> None:
    refused = ask(spark(), "listings", _filter="Swimmers Eq 1")
    assert (refused.status, envelope(refused)["Code"]) == (400, 1050)
    assert envelope(refused)["SparkQLErrors"][0]["Token"] == "Swimmers"


def test_listing_keys_may_not_be_searched_by() -> None:
    assert ask(spark(), "listings", _filter="ListingKey Gt '2'").status == 400
    assert ask(spark(), "listings", _orderby="ListingKey").status == 400


def test_order_by_a_field_in_both_directions() -> None:
    caller = spark()
    up = ids(results(ask(caller, "listings", _orderby="+ModificationTimestamp", _limit=60)))
    down = ids(results(ask(caller, "listings", _orderby="-ModificationTimestamp", _limit=60)))
    times = {
        row["Id"]: row["StandardFields"]["ModificationTimestamp"] for row in results(ask(caller, "listings", _limit=60))
    }
    assert [times[key] for key in up] == sorted(times.values())
    assert [times[key] for key in down] == sorted(times.values(), reverse=True)


def test_nearby_needs_a_place() -> None:
    caller = spark()
    assert ask(caller, "listings/nearby").status == 400
    assert len(results(ask(caller, "listings/nearby", _lat="45.5", _lon="-73.6", _limit=5))) == 5


# -------------------------------------------------------------------- routes


@pytest.mark.parametrize("path", ["my/listings", "office/listings", "company/listings"])
def test_narrower_views_are_parts_of_all_listings(path: str) -> None:
    caller = spark(records=400)
    everything = set(ids(results(ask(caller, "listings", _limit=400))))
    own = set(ids(results(ask(caller, path, _limit=400))))
    assert own < everything
    assert own


def test_single_records_and_what_does_not_exist() -> None:
    """FAULTS S12: 404 on one listing."""
    caller = spark()
    [listing] = results(ask(caller, "listings", _limit=1))
    assert results(ask(caller, f"listings/{listing['Id']}")) == [listing]
    [contact, *_] = results(ask(caller, "contacts"))
    assert results(ask(caller, f"contacts/{contact['Id']}")) == [contact]
    assert ask(caller, f"contacts/{contact['Id']}/listings").status == 200
    for path in ("listings/1", "listings/1/photos", "swimmers", "contacts/1/listings", "accounts/1"):
        assert (ask(caller, path).status, envelope(ask(caller, path))["Code"]) == (404, 404)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
def test_writing_is_405(method: str) -> None:
    caller = spark()
    assert caller.simulator.answer(caller.ask("v1/listings", method=method)).status == 405


def test_metadata_lists_are_small_and_page_by_number() -> None:
    caller = spark()
    for path in ("standardfields", "customfields", "customfields/groups", "savedsearches", "system"):
        assert results(ask(caller, path, _page=1))
        assert results(ask(caller, path, _page=2)) == []


# -------------------------------------------------------------------- codes


@pytest.mark.parametrize(
    ("authorization", "status", "code"),
    [
        ("", 401, 1000),
        ("Bearer nonsense", 401, 1000),
        (f"Basic {KEYS['replication'].token}", 401, 1000),
        (f"Bearer {KEYS['disabled'].token}", 401, 1010),
        (f"Bearer {KEYS['expired'].token}", 401, 1020),
    ],
)
def test_refused_credentials_have_codes(authorization: str, status: int, code: int) -> None:
    """FAULTS S10."""
    caller = spark()
    caller.headers = {"authorization": authorization} if authorization else {}
    answer = ask(caller, "listings")
    assert (answer.status, envelope(answer)["Code"], envelope(answer)["Success"]) == (status, code, False)


def test_the_scheme_may_be_oauth() -> None:
    caller = spark()
    caller.headers = {"authorization": f"OAuth {KEYS['replication'].token}"}
    assert ask(caller, "listings").status == 200


def test_replication_keys_fail_on_the_wrong_host_and_others_do_not() -> None:
    """FAULTS S11."""
    refused = ask(spark(wrong_host=True), "listings")
    assert (refused.status, envelope(refused)["Code"]) == (403, 1021)
    assert ask(spark(wrong_host=True, key="idx"), "listings").status == 200


def test_the_user_agent_header_can_be_demanded() -> None:
    caller = spark(user_agent=True)
    assert (ask(caller, "listings").status, envelope(ask(caller, "listings"))["Code"]) == (400, 1016)
    caller.headers["x-sparkapi-user-agent"] = "harvester"
    assert ask(caller, "listings").status == 200


@pytest.mark.parametrize("status", [429, 503])
def test_too_many_requests_a_second_are_1550_with_either_status(status: int) -> None:
    """FAULTS S03: no header names a wait unless the platform is told to."""
    caller = spark(quota=True, throttle_status=status, per_second=3)
    assert [ask(caller, "system").status for _ in range(4)] == [200, 200, 200, status]
    refused = ask(caller, "system")
    assert envelope(refused)["Code"] == 1550
    assert refused.refused
    assert header(refused, "Retry-After") is None
    caller.clock.advance(1.01)
    assert ask(caller, "system").status == 200


def test_a_told_wait_marks_the_requests_that_ignore_it() -> None:
    """FAULTS S04, Q12."""
    caller = spark(quota=True, retry_after=True, per_second=1)
    ask(caller, "system")
    assert header(ask(caller, "system"), "Retry-After") == "2"
    caller.clock.advance(1.5)
    assert ask(caller, "system").paused
    caller.clock.advance(1.0)
    assert not ask(caller, "system").paused


def test_pages_that_are_too_large_are_1515() -> None:
    caller = spark(heavy=50)
    refused = ask(caller, "listings", _skiptoken="", _limit=51)
    assert (refused.status, envelope(refused)["Code"]) == (503, 1515)
    assert ask(caller, "listings", _skiptoken="", _limit=50).status == 200


def test_failures_may_come_with_status_200() -> None:
    """FAULTS S06."""
    answer = ask(spark(errors_with_200=True), "listings/1")
    assert (answer.status, envelope(answer)["Success"], envelope(answer)["Code"]) == (200, False, 404)


def test_successes_may_carry_warnings() -> None:
    """FAULTS S06."""
    found = envelope(ask(spark(warnings=True), "listings"))
    assert (found["Success"], found["Errors"][0]["Status"], len(found["Results"])) == (True, "Warn", 10)


# -------------------------------------------------------------------- data


def test_the_same_seed_gives_the_same_bytes() -> None:
    def bytes_of(seed: int) -> dict[str, list[bytes]]:
        simulator = Spark(Settings(seed=seed, records=60, clock=FakeClock()))
        simulator.mutate(30)
        return {resource: list(simulator.truth(resource)) for resource in simulator.resources()}

    assert bytes_of(1) == bytes_of(1)
    assert bytes_of(1)["listings"] != bytes_of(2)["listings"]


def test_an_update_changes_the_price_and_tells_which_photos_documents_and_videos_have_changed() -> None:
    caller = spark()

    def sets(kind: str) -> dict[str, list[bytes]]:
        keys = [json.loads(each)["Id"] for each in caller.simulator.truth("listings")]
        return {key: list(caller.simulator.truth(f"listings/{key}/{kind}")) for key in keys}

    def fields() -> dict[str, dict[str, Any]]:
        truths = (json.loads(each, parse_float=str) for each in caller.simulator.truth("listings"))
        return {each["Id"]: each["StandardFields"] for each in truths}

    before, held = fields(), {kind: sets(kind.lower()) for kind in EXPANSIONS}
    caller.clock.advance(60)
    caller.simulator.mutate(90)
    after = fields()
    changed = {
        key: {name for name in after[key] if after[key][name] != before[key][name]} for key in before.keys() & after
    }
    stamps = {kind: f"{kind}ChangeTimestamp" for kind in ("Photos", "Documents", "Videos")}
    assert set().union(*changed.values()) == {"ListPrice", "ModificationTimestamp", *stamps.values()}
    for kind in EXPANSIONS:
        now = sets(kind.lower())
        other = {key for key in changed if held[kind][key] != now[key]}
        assert other, kind
        moved = {key for key, names in changed.items() if stamps.get(kind, "ModificationTimestamp") in names}
        assert other <= moved, kind


def test_the_client_configuration_names_token_base_and_budget() -> None:
    simulator = Spark(Settings(clock=FakeClock(), time_scale=10))
    assert simulator.client_config("http://h/spark", "http://i") == {
        "provider": "spark",
        "base_url": "http://h/spark/v1",
        "token": KEYS["replication"].token,
        "budget": {"windows": [{"requests": 10, "seconds": 0.1}]},
    }
