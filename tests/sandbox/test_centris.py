"""The Centris simulator keeps the Centris contract, line by line of its simulator checklist."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest

from harvester.sandbox.centris import SIMULATOR
from harvester.sandbox.settings import Settings
from harvester.sandbox.simulator import Answer
from tests.fakes.caller import IDENTITY, ORIGIN, Caller, content, header, values
from tests.fakes.clock import FakeClock

FORM = {"client_id": "centris-demo", "client_secret": "centris-demo-secret", "grant_type": "client_credentials"}
ROOT = "v1/odata"
LINK = "@odata.nextLink"


def caller(
    *, records: int = 300, signed: bool = True, quota: bool = False, time_scale: float = 1, **options: object
) -> Caller:
    clock = FakeClock()
    settings = Settings(records=records, clock=clock, quota=quota, time_scale=time_scale, options={"centris": options})
    made = Caller(SIMULATOR(settings), clock)
    if signed:
        sign(made)
    return made


def identity(client: Caller, path: str = "connect/token", **form: str) -> Answer:
    ask = client.form(path, **form)
    answer: Answer = client.simulator.identity(ask)  # type: ignore[attr-defined]
    return answer


def sign(client: Caller) -> None:
    client.headers["authorization"] = f"Bearer {content(identity(client, **FORM))['access_token']}"


def get(client: Caller, resource: str = "Property", headers: dict[str, str] | None = None, **operators: str) -> Answer:
    return client.get(f"{ROOT}/{resource}", headers=headers, **operators)


def chain(client: Caller, resource: str = "Property", **operators: Any) -> list[dict[str, Any]]:
    answer = get(client, resource, **operators)
    found = values(answer)
    while link := content(answer).get(LINK):
        answer = client.follow(link)
        found += values(answer)
    return found


# ------------------------------------------------------------------ two origins


def test_tokens_come_from_the_other_origin() -> None:
    client = caller(signed=False)
    granted = identity(client, **FORM)
    assert granted.token
    assert content(granted)["expires_in"] == 3600
    assert content(granted)["token_type"] == "Bearer"
    assert client.simulator.answer(client.form("connect/token", **FORM)).status == 404
    assert client.ask("x", origin=IDENTITY).origin == IDENTITY
    assert identity(client, "v1/odata/Property").status == 404


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"client_secret": "x"}, "invalid_client"),
        ({"client_id": ""}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
    ],
)
def test_the_form_is_checked(change: dict[str, str], error: str) -> None:
    answer = identity(caller(signed=False), **{**FORM, **change})
    assert (answer.status, answer.token, content(answer)) == (400, True, {"error": error})
    assert identity(caller(signed=False), **FORM, scope="any").status == 200, "a scope may be sent"


def test_a_token_that_is_missing_wrong_or_old_is_401() -> None:
    client = caller(signed=False)
    assert get(client).status == 401
    assert get(client, headers={"authorization": "Bearer x"}).status == 401
    sign(client)
    client.clock.advance(3599)
    assert get(client).status == 200
    client.clock.advance(1)
    assert get(client).status == 401
    sign(client)
    client.simulator.expire_tokens()
    assert get(client).status == 401


# ------------------------------------------------------------------ routes


def test_metadata_is_xml_unless_json_is_asked_for() -> None:
    client = caller()
    answer = get(client, "$metadata")
    assert header(answer, "Content-Type") == "application/xml"
    root = ET.fromstring(answer.body)  # noqa: S314 - our own document
    edm = "{http://docs.oasis-open.org/odata/ns/edm}"
    types = {each.get("Name"): each for each in root.iter(f"{edm}EntityType")}
    assert {"Property", "Member", "Office", "Media", "OpenHouse", "Association"} == set(types)
    told = {each.get("Name"): each.get("Type") for each in types["Property"].iter(f"{edm}Property")}
    assert len(told) >= 120
    assert told["ListPrice"] == "Edm.Decimal"
    assert told["ModificationTimestamp"] == "Edm.DateTimeOffset"
    assert set(told) == set(values(get(client, top="1"))[0])
    document = content(client.get(f"{ROOT}/$metadata", format="application/json"))
    assert document["Centris"]["Property"]["$Key"] == ["ListingKey"]
    assert document["Centris"]["Property"]["ListPrice"]["$Type"] == "Edm.Decimal"


def test_one_entity_is_served_bare_and_absence_is_404() -> None:
    client = caller(records=1200)
    rows = chain(client, select="ListingKey,ListPrice")
    odd = next(row["ListingKey"] for row in rows if "'" in row["ListingKey"])
    for key in (rows[0]["ListingKey"], odd):
        answer = get(client, "Property('" + quote(key.replace("'", "''")) + "')")
        assert answer.status == 200
        assert content(answer)["ListingKey"] == key
    assert get(client, "Property('0')").status == 404
    assert get(client, "Member('0000001')").status == 200
    answer = get(client, f"Property('{rows[0]['ListingKey']}')", select="ListPrice")
    assert list(content(answer)) == ["ListPrice"]


def test_an_empty_collection_is_a_success() -> None:
    answer = get(caller(), filter="ModificationTimestamp gt 2030-01-01T00:00:00Z", count="true")
    assert content(answer) == {"@odata.count": 0, "value": []}


@pytest.mark.parametrize(
    ("resource", "status"), [("Association", 403), ("Association('1')", 403), ("Nothing", 404), ("", 404)]
)
def test_what_is_not_there_or_not_allowed(resource: str, status: int) -> None:
    assert get(caller(), resource).status == status


# ------------------------------------------------------------------ paging


def test_the_link_is_the_servers_chain_through_everything() -> None:
    client = caller()
    first = get(client)
    assert len(values(first)) == 100
    assert content(first)[LINK] == f"{ORIGIN}/v1/odata/Property?$skip=100", "built from the request's own origin"
    rows = chain(client)
    assert len({row["ListingKey"] for row in rows}) == len(rows) == 300
    assert LINK not in content(client.follow(f"{ORIGIN}/{ROOT}/Property?$skip=200")), "no link on the last page"


def test_the_link_repeats_the_operators_percent_encoded() -> None:
    client = caller()
    text = "ModificationTimestamp gt 2023-01-01T00:00:00Z and StandardStatus ne 'Sold'"
    operators: dict[str, Any] = {"select": "ListingKey,ListPrice", "filter": text, "count": "true", "skip": "30"}
    answer = get(client, **operators)
    link = content(answer)[LINK]
    query = link.partition("?")[2]
    assert query.startswith("$select=ListingKey%2CListPrice&$filter=ModificationTimestamp%20gt%202023")
    assert query.endswith("%20and%20StandardStatus%20ne%20%27Sold%27&$count=true&$skip=130")
    follow = client.follow(link)
    assert content(follow)["@odata.count"] == content(answer)["@odata.count"]
    assert list(values(follow)[0]) == ["ListingKey", "ListPrice"]


def test_there_is_no_link_when_top_was_sent() -> None:
    client = caller()
    answer = get(client, top="10")
    assert len(values(answer)) == 10
    assert LINK not in content(answer)
    assert len(values(get(client, top="250"))) == 250, "above the server's own page size"
    assert get(client, top="1001").status == 400
    assert len(values(get(caller(top_max=5000, records=1200), top="1200"))) == 1200


def test_the_count_is_told_only_on_request_and_ignores_the_page() -> None:
    client = caller()
    assert "@odata.count" not in content(get(client))
    assert "@odata.count" not in content(get(client, count="false"))
    assert content(get(client, count="true", top="1", skip="5"))["@odata.count"] == 300


def test_the_default_order_is_modification_time_then_key() -> None:
    rows = chain(caller())
    explicit = chain(caller(), orderby="ModificationTimestamp,ListingKey")
    assert rows == explicit
    stamps = [row["ModificationTimestamp"].rstrip("Z") for row in rows]
    by_value = [f"{stamp.partition('.')[0]}.{stamp.partition('.')[2]:0<7}" for stamp in stamps]
    assert by_value == sorted(by_value)
    ties = Counter(by_value)
    assert max(ties.values()) > 3, "FAULTS T01: ties"
    keys = [row["ListingKey"] for row in rows]
    for stamp, number in ties.items():
        start = by_value.index(stamp)
        assert keys[start : start + number] == sorted(keys[start : start + number])


def test_fractions_have_up_to_seven_digits() -> None:
    """FAULTS T03."""
    lengths = {len(row["ModificationTimestamp"]) - len("2024-01-20T15:30:00Z") for row in chain(caller())}
    assert {0, 4, 7, 8} <= lengths


def test_a_keyset_walk_with_ties_meets_every_row() -> None:
    client, seen, last = caller(), [], "2000-01-01T00:00:00Z"
    while True:
        text = f"ModificationTimestamp ge {last}"
        rows = values(get(client, filter=text, orderby="ModificationTimestamp,ListingKey", top="50"))
        fresh = [row["ListingKey"] for row in rows if row["ListingKey"] not in seen]
        seen += fresh
        if not fresh:
            break
        last = rows[-1]["ModificationTimestamp"]
    assert len(seen) == 300


@pytest.mark.parametrize(
    "operators",
    [
        {"filter": "ListPrice gt 1"},
        {"filter": "ListingKey eq '1'"},
        {"filter": "ModificationTimestamp gt '2024-01-01T00:00:00Z'"},
        {"filter": "ModificationTimestamp gt"},
        {"filter": "Nope eq 1"},
        {"orderby": "ListPrice"},
        {"select": "Nope"},
        {"expand": "Nope"},
        {"expand": "Translations("},
        {"top": "-1"},
        {"apply": "x"},
    ],
)
def test_what_may_not_be_asked_is_400_with_details(operators: dict[str, Any]) -> None:
    """FAULTS S09."""
    answer = get(caller(), **operators)
    assert answer.status == 400
    assert content(answer)["details"]


def test_filterable_and_sortable_fields_differ() -> None:
    client = caller()
    assert get(client, orderby="ListingKey").status == 200
    assert get(client, filter="StandardStatus eq 'Active'").status == 200
    assert get(client, "Member", filter="StandardStatus eq 'Active'").status == 400
    active = chain(client, filter="StandardStatus eq 'Active'")
    assert {row["StandardStatus"] for row in active} == {"Active"}


def test_changes_during_a_chain_lose_a_row_that_did_not_change() -> None:
    """FAULTS P09: what makes the chain unsafe happens here too, so clients can be tried against it."""
    client = caller()
    untouched = {row["ListingKey"]: row for row in chain(client)}
    answer = get(client)
    seen = {row["ListingKey"] for row in values(answer)}
    while link := content(answer).get(LINK):
        client.clock.advance(1)
        client.simulator.mutate(20)
        answer = client.follow(link)
        seen |= {row["ListingKey"] for row in values(answer)}
    still = {key for key, row in untouched.items() if content(get(client, f"Property('{quote(key)}')")) == row}
    assert still - seen


# ------------------------------------------------------------------ quota


def test_success_headers_show_only_the_long_window() -> None:
    client = caller(quota=True)
    answer = get(client, top="1")
    assert header(answer, "X-Rate-Limit-Limit") == "1d"
    assert header(answer, "X-Rate-Limit-Remaining") == "4999"
    reset = header(answer, "X-Rate-Limit-Reset") or ""
    assert re.fullmatch(r"2026-03-02T12:00:00\.\d{7}Z", reset)
    client.clock.advance(5)
    client.clock.jump(0.000_003)  # the two clocks are never read at exactly one time
    again = get(client, top="1")
    assert header(again, "X-Rate-Limit-Reset") == reset, "one window has one reset"
    assert header(again, "X-Rate-Limit-Remaining") == "4998"


def test_the_short_window_refuses_without_those_headers() -> None:
    client = caller(quota=True)
    assert {get(client, "Office", top="1").status for _ in range(20)} == {200}
    client.clock.advance(18.5)
    answer = get(client, "Office", top="1")
    assert (answer.status, answer.refused, answer.paused) == (429, "1m", False)
    assert header(answer, "Retry-After") == "42"
    assert not [name for name, _ in answer.headers if name.lower().startswith("x-rate")]
    assert content(answer) == {
        "message": "Quota excedeed",
        "details": "Quota exceeded. Maximum allowed: 20 per 1m. Please try again in 42 second(s).",
    }
    client.clock.advance(20)
    assert get(client, "Office").paused
    client.clock.advance(22)
    assert get(client, "Office").status == 200


def test_the_day_runs_out_too() -> None:
    client = caller(quota=True, per_minute=100, per_day=3)
    assert [get(client, "Office").status for _ in range(4)] == [200, 200, 200, 429]
    assert "3 per 1d" in content(get(client, "Office"))["details"]


def test_refused_credentials_cost_nothing_and_failed_queries_do() -> None:
    client = caller(quota=True, per_minute=2, signed=False)
    assert [get(client).status for _ in range(5)] == [401] * 5
    sign(client)
    assert [get(client, "Nothing").status for _ in range(3)] == [404, 404, 429]


def test_time_scale_is_told_in_the_headers() -> None:
    client = caller(quota=True, time_scale=60)
    assert header(get(client), "X-Rate-Limit-Limit") == "24m"
    for _ in range(19):
        get(client, "Office")
    assert "20 per 1s" in content(get(client, "Office"))["details"]


# ------------------------------------------------------------------ languages


def test_french_is_served_when_asked_for_and_names_stay() -> None:
    client = caller()
    english, french = (
        values(get(client, "Member", headers=headers, top="60"))
        for headers in (None, {"accept-language": "fr-CA,fr;q=0.9"})
    )
    assert [list(row) for row in english] == [list(row) for row in french]
    told = [(one["MemberIntroduction"], two["MemberIntroduction"]) for one, two in zip(english, french, strict=True)]
    assert all((one is None) == (two is None) for one, two in told)
    assert all(one != two for one, two in told if one is not None)
    assert any("années" in (two or "") or "ans" in (two or "") for _, two in told)


def test_translations_hold_every_language_of_the_translated_fields() -> None:
    client = caller()
    rows = values(get(client, expand="Translations", top="100"))
    plain = values(get(client, top="100"))
    french = values(get(client, headers={"accept-language": "fr"}, top="100"))
    orders = set()
    for row, english, other in zip(rows, plain, french, strict=True):
        locales = {each["Locale"]: each["Values"] for each in row.pop("Translations")}
        orders.add(tuple(locales))
        assert locales["en"] == [{"FieldName": "PublicRemarks", "Value": english["PublicRemarks"]}]
        assert locales["fr"] == [{"FieldName": "PublicRemarks", "Value": other["PublicRemarks"]}]
        assert row == english
    assert len(orders) == 2, "the order of languages is not guaranteed"


@pytest.mark.parametrize("text", ["Translations,Expenses(expand=Translations)", "Expenses($expand=Translations)"])
def test_nested_resources_need_their_own_translations(text: str) -> None:
    client = caller()
    expenses = [each for row in values(get(client, expand=text, top="50")) for each in row["Expenses"]]
    assert expenses
    for each in expenses:
        told = {entry["Locale"]: entry["Values"][0]["Value"] for entry in each["Translations"]}
        assert told["en"] == each["ExpenseType"] != told["fr"]
    bare = [each for row in values(get(client, expand="Expenses", top="50")) for each in row["Expenses"]]
    assert [each["ExpenseKey"] for each in bare] == [each["ExpenseKey"] for each in expenses], "the same every time"
    assert "Translations" not in bare[0]


def test_navigation_options_are_written_without_dollars() -> None:
    client = caller()
    row = values(get(client, select="ListingKey", expand="ListAgent(select=MemberFullName),Media(select=Order)"))[0]
    assert list(row) == ["ListingKey", "ListAgent", "Media"]
    assert list(row["ListAgent"]) == ["MemberFullName"]
    member = values(get(client, "Member", expand="MemberSocialMedia", top="20"))
    assert any(each["MemberSocialMedia"] for each in member)


# ------------------------------------------------------------------ data, truth, change


def test_listings_are_wide_and_awkward() -> None:
    client = caller(records=1200)
    answer = get(client, top="1000")
    text = answer.body.decode()
    row = values(answer)[0]
    assert len(row) >= 120
    assert re.search(r'"ListPrice":\d+\.00,', text)
    assert re.search(r'"ListingKey":"0\d{7}"', text)
    for needle in ("\u2028", "🌞", "É", "\\u00e9"):
        assert needle in text, needle


def test_media_rows_are_the_entries_of_their_listings() -> None:
    client = caller()
    client.simulator.mutate(100)
    media = {row["MediaKey"]: row for row in chain(client, "Media")}
    client.simulator.mutate(100)
    media = {row["MediaKey"]: row for row in chain(client, "Media")}
    nested = {each["MediaKey"]: each for row in chain(client) for each in row["Media"]}
    assert media == nested


def test_the_truth_is_what_is_served() -> None:
    client = caller()
    client.simulator.mutate(50)
    for resource in client.simulator.resources():
        served = [json.dumps(row, sort_keys=True) for row in chain(client, resource)]
        truth = [json.dumps(json.loads(record), sort_keys=True) for record in client.simulator.truth(resource)]
        assert sorted(served) == sorted(truth), resource
    first = get(client, orderby="ListingKey", top="1").body
    assert first == b'{"value":[' + next(iter(client.simulator.truth("Property"))) + b"]}", "byte for byte"


def test_data_and_changes_follow_the_seed_in_whatever_order_tables_are_made() -> None:
    def snapshot(seed: int, *first: str) -> dict[str, list[bytes]]:
        simulator = SIMULATOR(Settings(seed=seed, records=60, clock=FakeClock()))
        for resource in first:
            list(simulator.truth(resource))
        simulator.mutate(60)
        return {resource: list(simulator.truth(resource)) for resource in sorted(simulator.resources())}

    assert snapshot(1) == snapshot(1, "Media", "Property") == snapshot(1, "OpenHouse", "Member")
    assert snapshot(1)["Property"] != snapshot(2)["Property"]


def test_changed_rows_move_to_the_end_of_the_order() -> None:
    client = caller()
    client.clock.advance(10)
    client.simulator.mutate(30)
    rows = chain(client)
    newest = [row for row in rows if row["ModificationTimestamp"].startswith("2026-03-01T12:00:10")]
    assert 10 < len(newest) < 30
    assert rows[-len(newest) :] == newest
