"""The Spark RESO simulator keeps its contract: phases, sealed chains, metadata, related records and both envelopes."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree as ET

import pytest

from harvester.sandbox.settings import Settings
from harvester.sandbox.simulator import Answer
from harvester.sandbox.spark_keys import KEYS
from harvester.sandbox.spark_reso import SparkReso
from tests.fakes.caller import ORIGIN, Caller, content, header, values
from tests.fakes.clock import FakeClock
from tests.fakes.spark_caller import link_pages, reso

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"


def get(caller: Caller, below: str) -> Answer:
    return caller.simulator.answer(caller.ask(f"Reso/OData/{below}"))


def keys(caller: Caller, resource: str = "Property") -> set[str]:
    name = "ListingKey" if resource == "Property" else f"{resource}Key"
    return {json.loads(each)[name] for each in caller.simulator.truth(resource)}


# -------------------------------------------------------------------- chains


def test_a_chain_holds_every_record_once_in_key_order_and_its_last_page_has_no_link() -> None:
    pages = list(link_pages(reso(), "Property?$top=25"))
    found = [each["ListingKey"] for page in pages for each in page["value"]]
    assert [len(page["value"]) for page in pages] == [25, 25, 10]
    assert found == sorted(set(found))
    assert len(found) == 60


def test_a_full_last_page_has_no_link_either() -> None:
    assert ["@odata.nextLink" in page for page in link_pages(reso(), "Property?$top=30")] == [True, False]


def test_the_link_repeats_the_request_and_adds_an_opaque_token() -> None:
    [first, *_] = link_pages(reso(), "Property?$top=7&$select=ListingKey")
    link = first["@odata.nextLink"]
    assert link.startswith(f"{ORIGIN}/Reso/OData/Property?$top=7&$select=ListingKey&$skiptoken=")
    assert first["value"][-1]["ListingKey"] not in link


def test_a_token_goes_with_its_query_only() -> None:
    """FAULTS H11, P08."""
    caller = reso()
    [first, *_] = link_pages(caller, "Property?$top=7&$select=ListingKey")
    token = first["@odata.nextLink"].partition("$skiptoken=")[2]
    assert get(caller, f"Property?$top=3&$select=ListingKey&$skiptoken={token}").status == 200
    for other in (
        f"Property?$skiptoken={token}",
        f"Member?$select=MemberKey&$skiptoken={token}",
        "Property?$skiptoken=x",
    ):
        assert get(caller, other).status == 400


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_server_that_forgets_refuses_the_tokens_of_an_earlier_run(status: int) -> None:
    """FAULTS S08, P08."""
    caller = reso(forget=status)
    [first, *_] = link_pages(caller, "Property?$top=7")
    later = reso(forget=status)
    later.clock.advance(5)
    later.simulator = SparkReso(
        Settings(records=60, clock=later.clock, quota=False, options={"spark_reso": {"forget": status}})
    )
    assert later.follow(first["@odata.nextLink"]).status == status
    assert reso().follow(next(link_pages(reso(), "Property?$top=7"))["@odata.nextLink"]).status == 200


def test_inserts_and_deletes_while_paging_lose_nothing_that_stays() -> None:
    """FAULTS P09, T11."""
    caller = reso()
    before, seen = keys(caller), set()
    for page in link_pages(caller, "Property?$top=5&$count=true"):
        seen |= {each["ListingKey"] for each in page["value"]}
        caller.simulator.mutate(3)
    assert before & keys(caller) <= seen


def test_the_count_is_that_of_the_moment_and_changes_during_the_chain() -> None:
    """FAULTS P13."""
    caller = reso()
    sizes, counts = [len(keys(caller))], []
    for page in link_pages(caller, "Property?$top=20&$count=true"):
        counts.append(page["@odata.count"])
        caller.simulator.mutate(25)
        sizes.append(len(keys(caller)))
    assert counts == sizes[:-1]
    assert len(set(counts)) > 1


def test_the_count_comes_only_when_asked_for() -> None:
    assert list(content(get(reso(), "Office?$top=100"))) == ["@odata.context", "value"]
    assert content(get(reso(), "Office?$top=100&$count=true"))["@odata.count"] == 3


# -------------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    "query",
    [
        "$orderby=City",
        "$skip=1",
        "$expand=Media",
        "$foo=1",
        "top=1",
        "$top=1&$top=2",
        "$count=yes",
        "$top=-1",
        "$top=x",
    ],
)
def test_what_the_full_phase_does_not_allow_is_400(query: str) -> None:
    answer = get(reso(), f"Property?{query}")
    assert (answer.status, content(answer)["error"]["code"]) == (400, 1040)


def test_a_filter_makes_it_the_delta_phase_which_may_expand_but_not_order() -> None:
    caller = reso()
    delta = "Property?$filter=ModificationTimestamp%20gt%202024-01-01T00:00:00Z"
    assert get(caller, f"{delta}&$expand=Media").status == 200
    assert get(caller, f"{delta}&$orderby=City").status == 400
    assert get(caller, f"{delta}&$skip=1").status == 400


def test_expanding_in_the_full_phase_is_a_grant() -> None:
    assert get(reso(expand_in_full=True), "Property?$expand=Media").status == 200


def test_ordinary_keys_order_and_skip_as_they_like() -> None:
    caller = reso(key="idx")
    page = content(get(caller, "Property?$orderby=ListingKey%20desc&$skip=50&$top=5"))
    assert [each["ListingKey"] for each in page["value"]] == sorted(keys(caller), reverse=True)[50:55]
    assert dict(parse_qsl(urlsplit(page["@odata.nextLink"]).query))["$skip"] == "55"


@pytest.mark.parametrize(("key", "most"), [("idx", 25), ("replication", 1000)])
def test_pages_are_ten_by_default_and_a_top_above_the_grant_is_400(key: str, most: int) -> None:
    """FAULTS S09."""
    caller = reso(key=key)
    assert len(values(get(caller, "Property"))) == 10
    assert get(caller, f"Property?$top={most}").status == 200
    assert get(caller, f"Property?$top={most + 1}").status == 400


def test_a_timestamp_in_quotes_is_400() -> None:
    assert get(reso(), "Property?$filter=ModificationTimestamp%20gt%20'2024-01-01T00:00:00Z'").status == 400


def test_unknown_fields_are_400() -> None:
    assert get(reso(), "Property?$select=Swimmers").status == 400
    assert get(reso(), "Property?$filter=Swimmers%20eq%201").status == 400


def test_a_delta_finds_exactly_what_changed() -> None:
    caller = reso()
    since = f"{caller.clock.now():%Y-%m-%dT%H:%M:%SZ}"
    before = {json.loads(each)["ListingKey"]: each for each in caller.simulator.truth("Property")}
    caller.clock.advance(60)
    caller.simulator.mutate(20)
    changed = {
        json.loads(each)["ListingKey"]
        for each in caller.simulator.truth("Property")
        if before.get(json.loads(each)["ListingKey"]) != each
    }
    pages = link_pages(caller, f"Property?$top=4&$filter=ModificationTimestamp%20gt%20{since}")
    assert {each["ListingKey"] for page in pages for each in page["value"]} == changed


# -------------------------------------------------------------------- records


@pytest.mark.parametrize("resource", ["Property", "Member", "Office", "Media", "Room", "Unit", "OpenHouse"])
def test_the_truth_is_what_the_api_serves_byte_for_byte(resource: str) -> None:
    caller = reso(records=200)
    truth = list(caller.simulator.truth(resource))
    assert truth
    answer = get(caller, f"{resource}?$top=1000")
    assert answer.body.endswith(b'"value":[' + b",".join(truth) + b"]}")


def test_listings_are_wide_and_some_have_seven_digits_of_a_second() -> None:
    """FAULTS T03."""
    found = values(get(reso(), "Property?$top=60"))
    assert all(len(each) >= 120 and len(each["ListingKey"]) == 26 for each in found)
    lengths = {len(each["ModificationTimestamp"]) for each in found}
    assert lengths == {len("2024-05-01T10:00:00Z"), len("2024-05-01T10:00:00.1234567Z")}


def test_related_records_belong_to_their_listing_at_the_top_and_below_it() -> None:
    caller = reso()
    media = values(get(caller, "Media?$top=1000"))
    for listing in values(get(caller, "Property?$top=60")):
        own = [each for each in media if each["ResourceRecordKey"] == listing["ListingKey"]]
        assert len(own) == listing["PhotosCount"]
        assert values(get(caller, f"Property('{listing['ListingKey']}')/Media?$top=100")) == own
    assert {each["ListingKey"] for each in values(get(caller, "Room?$top=1000"))} <= keys(caller)


def test_expansions_take_nested_options() -> None:
    caller = reso()
    expand = "$expand=Media($select=MediaURL,Order;$top=1),CustomFields"
    found = values(get(caller, f"Property?$top=60&$filter=ModificationTimestamp%20gt%202000-01-01T00:00:00Z&{expand}"))
    assert {len(each["Media"]) for each in found} == {0, 1}
    assert all(list(photo) == ["MediaURL", "Order"] for each in found for photo in each["Media"])
    assert isinstance(found[0]["CustomFields"][0], dict)


def test_one_entity_by_key() -> None:
    """FAULTS S12: 404 on an entity."""
    caller = reso()
    key = min(keys(caller))
    found = content(get(caller, f"Property('{key}')?$select=City"))
    assert found["@odata.context"] == f"{ORIGIN}/Reso/OData/$metadata#Property/$entity"
    assert list(found)[1:] == ["City"]
    for missing in ("Property('1')", "Property('1')/Media", f"Property('{key}')/Swimmers", "Swimmers"):
        assert get(caller, missing).status == 404


def test_a_deleted_listing_takes_its_related_records_along() -> None:
    caller = reso()
    before = keys(caller)
    caller.simulator.mutate(200)
    gone = before - keys(caller)
    assert gone
    assert not gone & {json.loads(each)["ResourceRecordKey"] for each in caller.simulator.truth("Media")}


@pytest.mark.parametrize("kind", ["Photos", "Documents"])
def test_a_change_of_media_and_nothing_else_moves_its_timestamp(kind: str) -> None:
    caller = reso()

    def media() -> dict[str, list[bytes]]:
        found: dict[str, list[bytes]] = {}
        for each in caller.simulator.truth("Media"):
            record = json.loads(each)
            if (record["MediaCategory"] == "Document") == (kind == "Documents"):
                found.setdefault(record["ResourceRecordKey"], []).append(each)
        return found

    def stamps() -> dict[str, str]:
        truth = (json.loads(each) for each in caller.simulator.truth("Property"))
        return {each["ListingKey"]: each[f"{kind}ChangeTimestamp"] for each in truth}

    sets, times = media(), stamps()
    caller.clock.advance(60)
    caller.simulator.mutate(60)
    changed = {key for key in times.keys() & stamps().keys() if sets.get(key) != media().get(key)}
    moved = {key for key in times.keys() & stamps().keys() if times[key] != stamps()[key]}
    assert changed
    # A document that came may have gone again.
    assert changed == moved if kind == "Photos" else changed <= moved


@pytest.mark.parametrize("name", ["Room", "Unit", "OpenHouse"])
def test_rooms_units_and_open_houses_change_with_their_listing(name: str) -> None:
    caller = reso()

    def of_listings() -> dict[str, list[bytes]]:
        found: dict[str, list[bytes]] = {}
        for each in caller.simulator.truth(name):
            found.setdefault(json.loads(each)["ListingKey"], []).append(each)
        return found

    def stamps() -> dict[str, str]:
        truth = (json.loads(each) for each in caller.simulator.truth("Property"))
        return {each["ListingKey"]: each["ModificationTimestamp"] for each in truth}

    sets, times = of_listings(), stamps()
    caller.clock.advance(60)
    caller.simulator.mutate(60)
    now = stamps()
    changed = {key for key in times.keys() & now.keys() if sets.get(key) != of_listings().get(key)}
    assert changed
    assert changed <= {key for key in times.keys() & now.keys() if times[key] != now[key]}


def test_metadata_names_keys_types_and_navigation() -> None:
    answer = get(reso(), "$metadata")
    assert header(answer, "Content-Type") == "application/xml; charset=utf-8"
    root = ET.fromstring(answer.body)  # noqa: S314 - our own document
    types = {each.attrib["Name"]: each for each in root.iter(f"{EDM}EntityType")}
    assert (
        set(types)
        == {each.attrib["Name"] for each in root.iter(f"{EDM}EntitySet")}
        == set(reso().simulator.resources())
    )
    listing = types["Property"]
    assert [each.attrib["Name"] for each in listing.iter(f"{EDM}PropertyRef")] == ["ListingKey"]
    assert {each.attrib["Name"] for each in listing.iter(f"{EDM}NavigationProperty")} == {
        "Media",
        "Room",
        "Unit",
        "OpenHouse",
        "CustomFields",
    }
    kinds = {each.attrib["Name"]: each.attrib["Type"] for each in listing.iter(f"{EDM}Property")}
    assert kinds["ModificationTimestamp"] == "Edm.DateTimeOffset"
    assert kinds["ListPrice"] == "Edm.Decimal"
    assert kinds["BedroomsTotal"] == "Edm.Int64"
    assert kinds["Appliances"] == "Collection(Edm.String)"
    assert kinds["NewConstructionYN"] == "Edm.Boolean"
    assert kinds["ListingContractDate"] == "Edm.Date"


@pytest.mark.parametrize("base", ["Version/2/Reso/OData", "Version/3/Reso/OData", "Reso/Dictionary/2.0/OData"])
def test_versioned_base_paths_answer_and_link_to_themselves(base: str) -> None:
    caller = reso()
    page = content(caller.simulator.answer(caller.ask(f"{base}/Property?$top=5")))
    assert page["@odata.nextLink"].startswith(f"{ORIGIN}/{base}/Property?")
    assert page["@odata.context"] == f"{ORIGIN}/{base}/$metadata#Property"


# -------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("authorization", "code"),
    [("", 1000), (f"Bearer {KEYS['disabled'].token}", 1010), (f"Bearer {KEYS['expired'].token}", 1020)],
)
def test_refused_credentials_have_codes(authorization: str, code: int) -> None:
    """FAULTS S10."""
    caller = reso()
    caller.headers = {"authorization": authorization}
    answer = get(caller, "Property")
    assert (answer.status, content(answer)["error"]["code"]) == (401, code)


def test_failures_may_come_in_the_other_envelope() -> None:
    answer = get(reso(errors="D"), "Property('1')")
    assert content(answer) == {"D": {"Success": False, "Code": 404, "Message": "Not Found"}}


def test_the_wrong_host_is_1021() -> None:
    """FAULTS S11."""
    answer = get(reso(wrong_host=True), "Property")
    assert (answer.status, content(answer)["error"]["code"]) == (403, 1021)


@pytest.mark.parametrize("status", [429, 503])
def test_too_many_requests_are_1550_with_either_status(status: int) -> None:
    """FAULTS S03."""
    caller = reso(quota=True, throttle_status=status, per_second=2)
    answers = [get(caller, "Office") for _ in range(3)]
    assert [each.status for each in answers] == [200, 200, status]
    assert content(answers[2])["error"]["code"] == 1550
    assert answers[2].refused
    caller.clock.advance(1.01)
    assert get(caller, "Office").status == 200


def test_writing_is_405() -> None:
    caller = reso()
    assert caller.simulator.answer(caller.ask("Reso/OData/Property", method="DELETE")).status == 405


def test_the_same_seed_gives_the_same_bytes() -> None:
    def bytes_of(seed: int) -> dict[str, list[bytes]]:
        simulator = SparkReso(Settings(seed=seed, records=60, clock=FakeClock()))
        simulator.mutate(30)
        return {resource: list(simulator.truth(resource)) for resource in simulator.resources()}

    assert bytes_of(1) == bytes_of(1)
    assert bytes_of(1)["Property"] != bytes_of(2)["Property"]
