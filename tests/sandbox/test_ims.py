"""The IMS simulator keeps the IMS contract, line by line of its simulator checklist."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from harvester.sandbox.ims import SIMULATOR
from harvester.sandbox.ims_records import FIELDS
from harvester.sandbox.settings import Settings
from harvester.sandbox.simulator import Answer
from tests.fakes.caller import Caller, content, header, values
from tests.fakes.clock import FakeClock

DATABASES = ("ABOR", "LAKES", "O'HARA")
SECRET = {"client_id": "ims-demo", "client_secret": "ims-demo-secret"}
FORM = {**SECRET, "scope": "api", "grant_type": "client_credentials"}


def caller(clock: FakeClock | None = None, *, records: int = 500, signed: bool = True, **options: object) -> Caller:
    clock = clock or FakeClock()
    made = Caller(SIMULATOR(Settings(records=records, clock=clock, options={"ims": options})), clock)
    if signed:
        sign(made)
    return made


def sign(client: Caller) -> dict[str, Any]:
    answer = client.simulator.answer(client.form("authorization/token", **FORM))
    assert answer.status == 200, answer.body
    granted: dict[str, Any] = content(answer)
    client.headers["authorization"] = f"Bearer {granted['access_token']}"
    return granted


def scope(name: str = "ABOR", rest: str = "") -> str:
    return "OriginatingSystemName eq '" + name.replace("'", "''") + "'" + (f" and {rest}" if rest else "")


# ------------------------------------------------------------------ tokens


def test_a_token_is_granted_for_the_whole_form() -> None:
    client = caller(signed=False)
    answer = client.simulator.answer(client.form("authorization/token", **FORM))
    granted = content(answer)
    assert answer.token
    assert granted | {"access_token": ""} == {
        "access_token": "", "token_type": "Bearer", "expires_in": 36000, "scope": "api",
    }  # fmt: skip
    assert granted["access_token"].count(".") == 2


@pytest.mark.parametrize("missing", FORM)
def test_every_field_of_the_form_is_demanded(missing: str) -> None:
    client = caller(signed=False)
    form = {name: value for name, value in FORM.items() if name != missing}
    answer = client.simulator.answer(client.form("authorization/token", **form))
    assert (answer.status, answer.token) == (400, True)


@pytest.mark.parametrize(("field", "value"), [("scope", "web"), ("grant_type", "password"), ("client_secret", "x")])
def test_wrong_fields_are_refused_with_400(field: str, value: str) -> None:
    client = caller(signed=False)
    answer = client.simulator.answer(client.form("authorization/token", **{**FORM, field: value}))
    assert answer.status == 400
    if field == "client_secret":
        assert content(answer) == {"error": "Invalid credentials"}


def test_a_form_sent_as_something_else_is_refused() -> None:
    client = caller(signed=False)
    ask = client.ask("authorization/token", method="POST", body=json.dumps(FORM).encode())
    assert client.simulator.answer(ask).status == 400


def test_a_missing_or_wrong_token_is_403_not_401() -> None:
    client = caller(signed=False)
    answer = client.get("v1/Database")
    assert (answer.status, content(answer)) == (403, {"error": "Bearer Token is missing"})
    assert client.get("v1/Database", headers={"authorization": "Bearer a.b.c"}).status == 403
    assert client.get("v1/Database", headers={"authorization": "Basic a"}).status == 403


def test_a_token_ends_after_150_silent_minutes() -> None:
    client = caller()
    for _ in range(3):
        client.clock.advance(8_999)
        assert client.get("v1/Database").status == 200, "use keeps it alive"
    client.clock.advance(9_000)
    assert client.get("v1/Database").status == 403


def test_a_token_ends_at_expires_in_however_busy() -> None:
    client = caller()
    for _ in range(4):
        client.clock.advance(8_990)
        assert client.get("v1/Database").status == 200
    client.clock.advance(40)
    assert client.get("v1/Database").status == 403


@pytest.mark.parametrize(("options", "ends_at"), [({"idle": False}, 36_000), ({"absolute": False}, 9_000)])
def test_the_two_lifetimes_are_switched_separately(options: dict[str, Any], ends_at: int) -> None:
    client = caller(**options)
    client.clock.advance(ends_at - 1)
    assert client.get("v1/Database").status == 200
    client = caller(**options)
    client.clock.advance(ends_at)
    assert client.get("v1/Database").status == 403


def test_tokens_can_be_ended_at_once() -> None:
    """FAULTS A01."""
    client = caller()
    client.simulator.expire_tokens()
    assert client.get("v1/Database").status == 403
    sign(client)
    assert client.get("v1/Database").status == 200


# ------------------------------------------------------------------ data


def test_databases_are_told_without_a_filter() -> None:
    rows = values(caller().get("v1/Database"))
    assert [row["OriginatingSystemName"] for row in rows] == list(DATABASES)
    assert [row["MLSID"] for row in rows] == [1, 2, 3]
    assert set(rows[0]) == set(FIELDS["Database"].split())


@pytest.mark.parametrize("resource", ["Property", "Member", "Office"])
def test_rows_have_the_narrow_shape_without_the_database(resource: str) -> None:
    client = caller()
    for name in DATABASES:
        for row in values(client.get(f"v1/{resource}", filter=scope(name))):
            assert set(row) == set(FIELDS[resource].split())
            assert "OriginatingSystemName" not in row
            assert len(row["ModificationTimestamp"]) == len("2024-01-20T15:30:00")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ListingId eq '0000001'",
        "OriginatingSystemName ne 'ABOR'",
        "OriginatingSystemName eq 'ABOR' or ListingId eq '1'",
        "OriginatingSystemName eq 'ABOR' and ListingId gt '1' or ListPrice gt 1",
        "not (OriginatingSystemName eq 'ABOR')",
    ],
)
def test_the_database_must_stand_in_the_filter_where_it_binds(text: str) -> None:
    operators: dict[str, Any] = {"filter": text} if text else {}
    answer = caller().get("v1/Property", **operators)
    assert answer.status == 401
    assert content(answer) == {"error": {"code": 401, "message": "OriginatingSystemName must be sent"}}


def test_the_database_may_stand_anywhere_among_the_conditions() -> None:
    client = caller()
    one = f"ListingId le '0000003' and ({scope()})"
    assert len(values(client.get("v1/Property", filter=one))) == 3
    grouped = scope(rest="(ListingId eq '0000001' or ListingId eq '0000002')")
    assert len(values(client.get("v1/Property", filter=grouped))) == 2
    assert values(client.get("v1/Property", filter=scope("NOT MINE"))) == []


@pytest.mark.parametrize("operator", ["select", "orderby"])
def test_the_database_is_no_column(operator: str) -> None:
    operators: dict[str, Any] = {operator: "OriginatingSystemName"}
    answer = caller().get("v1/Property", filter=scope(), **operators)
    assert content(answer) == {"error": {"code": 401, "message": "Column OriginatingSystemName is not allowed."}}


def test_two_databases_reuse_listing_ids() -> None:
    client = caller()
    first, second = (
        {row["ListingId"]: row for row in values(client.get("v1/Property", filter=scope(name), top="5000"))}
        for name in ("ABOR", "LAKES")
    )
    shared = set(first) & set(second)
    assert len(shared) == len(second)
    assert all(first[key] != second[key] for key in shared)


def test_only_both_key_members_together_identify_members_and_offices() -> None:
    client = caller()
    for resource, key in (("Member", ("MemberMlsId", "MemberFullName")), ("Office", ("OfficeName", "OfficeAddress"))):
        rows = values(client.get(f"v1/{resource}", filter=scope()))
        assert len({tuple(row[name] for name in key) for row in rows}) == len(rows)
        assert len({row[key[0]] for row in rows}) < len(rows)


def test_many_listings_share_a_timestamp() -> None:
    """FAULTS T01."""
    rows = values(caller(records=5000).get("v1/Property", filter=scope(), top="5000"))
    assert Counter(row["ModificationTimestamp"] for row in rows).most_common(1)[0][1] >= 50


def test_prices_keep_their_decimals() -> None:
    answer = caller().get("v1/Property", filter=scope(), top="200")
    assert b'"ListPrice":' in answer.body
    prices = [str(row["ListPrice"]) for row in json.loads(answer.body, parse_float=Decimal)["value"]]
    assert all(price[-3] == "." for price in prices)


# ------------------------------------------------------------------ paging


def walk(client: Caller, name: str, top: int) -> Iterator[list[dict[str, Any]]]:
    """Pages by offset until an empty one."""
    skip = 0
    while True:
        sent: dict[str, Any] = {"orderby": "ListingId asc", "top": str(top), "skip": str(skip)}
        rows = values(client.get("v1/Property", filter=scope(name), **sent))
        yield rows
        if not rows:
            return
        skip += len(rows)


def test_a_walk_by_key_meets_every_row_once() -> None:
    client = caller()
    seen = [row["ListingId"] for rows in walk(client, "ABOR", 64) for row in rows]
    assert seen == sorted(set(seen))
    assert len(seen) == 500 - 100 - 50


def test_the_last_page_can_be_exactly_full() -> None:
    assert [len(rows) for rows in walk(caller(records=5000), "LAKES", 500)] == [500, 500, 500, 0]


def test_a_page_has_100_rows_unless_asked_and_5000_at_most() -> None:
    client = caller(records=12_000)
    assert len(values(client.get("v1/Property", filter=scope()))) == 100
    assert len(values(client.get("v1/Property", filter=scope(), top="5000"))) == 5000
    answer = client.get("v1/Property", filter=scope(), top="5001")
    assert (answer.status, content(answer)) == (401, {"error": "$top value can not exceed 5000"})


def test_the_envelope_is_value_and_nothing_else() -> None:
    assert list(content(caller().get("v1/Property", filter=scope()))) == ["value"]


def test_selecting_keeps_bytes_and_refuses_unknown_columns() -> None:
    client = caller()
    rows = values(client.get("v1/Property", filter=scope(), select="ListPrice,ListingId"))
    assert all(list(row) == ["ListingId", "ListPrice"] for row in rows)
    answer = client.get("v1/Property", filter=scope(), select="ListingId,X")
    assert content(answer) == {"error": {"code": 401, "message": "Column X is not allowed."}}
    assert answer.status == 401


def test_both_error_shapes_occur() -> None:
    client = caller()
    errors = [content(client.get("v1/Property"))["error"], content(client.get("v1/Nothing"))["error"]]
    assert [type(each) for each in errors] == [dict, str]


def test_a_delta_is_inclusive_and_wants_its_timestamp_quoted() -> None:
    client = caller()
    rows = values(client.get("v1/Property", filter=scope(), orderby="ModificationTimestamp asc", top="500"))
    stamps = [row["ModificationTimestamp"] for row in rows]
    assert stamps == sorted(stamps)
    edge = stamps[200]
    wanted = sum(stamp >= edge for stamp in stamps)
    sent: dict[str, Any] = {"orderby": "ModificationTimestamp asc", "top": "500"}
    quoted = client.get("v1/Property", filter=scope(rest=f"ModificationTimestamp ge '{edge}'"), **sent)
    assert len(values(quoted)) == wanted
    assert client.get("v1/Property", filter=scope(rest=f"ModificationTimestamp ge {edge}"), **sent).status == 400
    newest = values(client.get("v1/Property", filter=scope(), orderby="ModificationTimestamp desc", top="1"))
    assert newest[0]["ModificationTimestamp"] == stamps[-1]


@pytest.mark.parametrize(
    ("path", "operators", "status"),
    [
        ("v1/Nothing", {}, 404),
        ("Property", {}, 404),
        ("v1/Property", {"filter": "OriginatingSystemName eq 'ABOR", "top": "1"}, 400),
        ("v1/Property", {"filter": "OriginatingSystemName eq 'ABOR'", "top": "many"}, 400),
        ("v1/Property", {"filter": "OriginatingSystemName eq 'ABOR'", "count": "true"}, 400),
        ("v1/Property", {"filter": "OriginatingSystemName eq 'ABOR'", "expand": "Media"}, 400),
    ],
)
def test_bad_requests_have_their_status(path: str, operators: dict[str, Any], status: int) -> None:
    answer = caller().get(path, **operators)
    assert answer.status == status
    if status == 404:
        assert content(answer) == {"error": "Resource can not be found"}


# ------------------------------------------------------------------ quota


def spend(client: Caller, count: int) -> list[Answer]:
    return [client.get("v1/Database") for _ in range(count)]


def test_a_blocked_client_is_told_in_the_body_and_counted_on() -> None:
    """The counter grows while blocked: 1050 of 1000."""
    client = caller(requests_per_hour=10, counts_tokens=False)
    client.clock.advance(100)
    assert [answer.status for answer in spend(client, 10)] == [200] * 10
    client.clock.advance(600)
    refused = spend(client, 40)
    assert {answer.status for answer in refused} == {429}
    assert content(refused[0])["error"] == "Rate limit exceeded: 11/10 requests per hour"
    assert content(refused[-1])["error"] == "Rate limit exceeded: 50/10 requests per hour"
    assert content(refused[-1])["retry_after"] == 3600
    assert refused[0].refused == "1h"
    assert not refused[0].paused


def test_silence_ends_the_block_when_it_was_told_to() -> None:
    client = caller(requests_per_hour=10, counts_tokens=False)
    spend(client, 10)
    client.clock.advance(30)
    wait = content(client.get("v1/Database"))["retry_after"]
    client.clock.advance(wait - 1)
    early = client.get("v1/Database")
    assert (early.status, early.paused) == (429, True), "the log knows it came inside the pause"
    client.clock.advance(content(early)["retry_after"])
    assert client.get("v1/Database").status == 200


@pytest.mark.parametrize("sent", [True, False])
def test_retry_after_comes_with_or_without_the_header(sent: bool) -> None:
    """FAULTS S03, S04."""
    client = caller(requests_per_hour=1, counts_tokens=False, retry_after_header=sent)
    answer = spend(client, 2)[-1]
    told = header(answer, "Retry-After")
    assert told == (str(content(answer)["retry_after"]) if sent else None)


def test_the_quota_belongs_to_the_credential_over_all_databases_and_tokens() -> None:
    client = caller(requests_per_hour=4)  # one is the token's
    found = [client.get("v1/Property", filter=scope(name)).status for name in DATABASES]
    assert found == [200, 200, 200]
    answer = client.simulator.answer(client.form("authorization/token", **FORM))
    assert (answer.status, answer.token) == (429, True)


def test_a_scaled_hour_lasts_a_minute_and_is_told_truthfully() -> None:
    clock = FakeClock()
    settings = Settings(records=50, clock=clock, time_scale=60, options={"ims": {"requests_per_hour": 2}})
    client = Caller(SIMULATOR(settings), clock)
    sign(client)
    answer = spend(client, 2)[-1]
    assert content(answer) == {"error": "Rate limit exceeded: 3/2 requests per minute", "retry_after": 60}


def test_without_a_quota_nothing_is_refused() -> None:
    clock = FakeClock()
    settings = Settings(records=50, clock=clock, quota=False, options={"ims": {"requests_per_hour": 1}})
    client = Caller(SIMULATOR(settings), clock)
    sign(client)
    assert {answer.status for answer in spend(client, 20)} == {200}


# ------------------------------------------------------------------ truth and change


def test_the_truth_is_what_is_served_with_the_database_in_front() -> None:
    client = caller()
    assert client.simulator.resources() == ("Database", "Property", "Member", "Office")
    truth = list(client.simulator.truth("Property"))
    served = []
    for name in DATABASES:
        body = client.get("v1/Property", filter=scope(name), orderby="ListingId", top="5000").body
        records = body.removeprefix(b'{"value":[').removesuffix(b"]}").replace(b"},{", b"}\n{").split(b"\n")
        label = json.dumps(name).encode()
        served += [b'{"OriginatingSystemName":' + label + b"," + record[1:] for record in records]
    assert truth == served
    assert len(truth) == 500
    assert next(iter(client.simulator.truth("Database"))).startswith(b'{"MLSID":1,')


def snapshot(seed: int, changes: int) -> list[bytes]:
    clock = FakeClock()
    simulator = SIMULATOR(Settings(seed=seed, records=200, clock=clock))
    for _ in range(changes):
        clock.advance(1)
        simulator.mutate(1)
    return [record for resource in simulator.resources() for record in simulator.truth(resource)]


def test_data_and_changes_follow_the_seed() -> None:
    """FAULTS: same seed, same event trace."""
    assert snapshot(1, 30) == snapshot(1, 30)
    assert snapshot(1, 30) != snapshot(2, 30)
    assert snapshot(1, 0) != snapshot(1, 30)


def test_tables_made_late_are_the_same_as_tables_made_first() -> None:
    early, late = (SIMULATOR(Settings(records=100, clock=FakeClock())) for _ in range(2))
    offices = list(early.truth("Office"))
    assert list(late.truth("Property")) == list(early.truth("Property"))
    assert list(late.truth("Office")) == offices


def test_changes_are_inserts_updates_and_deletes_stamped_now() -> None:
    client = caller(records=2000)
    before = {row["ListingId"]: row for row in values(client.get("v1/Property", filter=scope(), top="5000"))}
    client.clock.advance(3600)
    client.simulator.mutate(600)
    after = {row["ListingId"]: row for row in values(client.get("v1/Property", filter=scope(), top="5000"))}
    inserted, deleted = set(after) - set(before), set(before) - set(after)
    updated = {key for key in set(before) & set(after) if before[key] != after[key]}
    assert len(inserted) > len(deleted) > 0
    assert len(updated) > len(deleted)
    assert {after[key]["ModificationTimestamp"] for key in inserted | updated} == {"2026-03-01T13:00:00"}
    for resource in ("Member", "Office"):
        assert any(b"2026-03-01T13:00:00" in record for record in client.simulator.truth(resource)), resource


def test_another_seed_is_another_market() -> None:
    settings = Settings(records=50, clock=FakeClock())
    one, two = (SIMULATOR(replace(settings, seed=seed)) for seed in (1, 2))
    assert list(one.truth("Property")) != list(two.truth("Property"))
