"""Lead methods of the IDX Broker simulator: windows counted backwards, what is too much, and the truth of it all."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from harvester.sandbox.idx_methods import METHODS, Shape
from tests.fakes.caller import Caller, content
from tests.fakes.clock import FakeClock
from tests.fakes.idx_account import account, get


def stamp(caller: Caller, ago: float) -> str:
    return f"{caller.clock.now() - timedelta(seconds=ago):%Y-%m-%d %H:%M:%S}"


def test_without_an_interval_only_the_last_hour_is_answered() -> None:
    caller = account()
    assert get(caller, "leads/lead").status == 204
    caller.clock.advance(60)
    before = len(list(caller.simulator.truth("leads/lead")))
    while len(list(caller.simulator.truth("leads/lead"))) <= before:
        caller.simulator.mutate(1)
    caller.clock.advance(60)
    assert len(content(get(caller, "leads/lead"))) == 1


def test_the_start_is_the_end_of_the_window_and_interval_goes_back_from_it() -> None:
    caller = account(records=20_000)
    [first, *_] = sorted(each["subscribeDate"] for each in content(get(caller, "leads/lead", interval="168")))
    found = content(get(caller, "leads/lead", interval="24", startDatetime=first[:10] + " 23:59:59"))
    assert {each["subscribeDate"][:10] for each in found} == {first[:10]}


def test_adjacent_windows_lose_the_row_between_them_and_overlapping_ones_do_not() -> None:
    """Which edge belongs to a window is documented nowhere, so here neither does."""
    caller = account()
    edge = content(get(caller, "leads/lead", interval="168"))[0]["subscribeDate"]
    after = caller.clock.now().replace(tzinfo=None).isoformat(" ")
    hours = (caller.clock.now() - _instant(edge)).total_seconds() / 3600
    newer = get(caller, "leads/lead", interval=f"{hours:.4f}", startDatetime=after)
    older = get(caller, "leads/lead", interval="100", startDatetime=edge)
    met = [each["subscribeDate"] for answer in (newer, older) if answer.body for each in content(answer)]
    assert edge not in met
    overlapping = f"{_instant(edge) + timedelta(seconds=1):%Y-%m-%d %H:%M:%S}"
    assert edge in [
        each["subscribeDate"] for each in content(get(caller, "leads/lead", interval="100", startDatetime=overlapping))
    ]


def _instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


@pytest.mark.parametrize("interval", ["0", "0.0165", "-1", "abc", "1e2", "0.12345", ""])
def test_an_interval_that_is_too_short_or_unreadable_is_400(interval: str) -> None:
    assert get(account(), "leads/lead", interval=interval).status == 400


@pytest.mark.parametrize(("version", "status"), [("1.0.4", 400), ("1.8.0", 416)])
def test_an_interval_beyond_a_week_is_refused(version: str, status: int) -> None:
    caller = account()
    assert get(caller, "leads/lead", {"apiversion": version}, interval="168.1").status == status
    assert get(caller, "leads/lead", {"apiversion": version}, interval="168").status == 200


def test_listings_and_roster_take_longer_intervals_than_leads() -> None:
    caller = account()
    assert get(caller, "clients/featured", interval="8765").status == 200
    assert get(caller, "clients/featured", interval="8766").status == 400


@pytest.mark.parametrize(
    "query", [{"startDatetime": "2026-03-01T12:00:00Z"}, {"dateType": "birthday"}, {"startDatetime": "yesterday"}]
)
def test_other_unreadable_time_parameters_are_400(query: dict[str, str]) -> None:
    assert get(account(), "leads/lead", interval="1", **query).status == 400


def test_never_lies_in_no_window() -> None:
    caller = account(records=20_000)
    everything = content(get(caller, "leads/lead", interval="168"))
    edited = content(get(caller, "leads/lead", interval="168", dateType="lastEdited"))
    assert 0 < len(edited) < len(everything)
    assert "0000-00-00 00:00:00" not in {each["lastEdited"] for each in edited}


def test_more_rows_than_the_server_gives_are_413_until_the_window_is_short_enough() -> None:
    """FAULTS S09: the interval is what has to shrink."""
    caller = account(max_rows=5)
    assert get(caller, "partners/aggregatedleads", interval="168").status == 413
    statuses = {
        get(caller, "partners/aggregatedleads", interval="6", startDatetime=stamp(caller, hour * 3600)).status
        for hour in range(0, 168, 5)
    }
    assert statuses <= {200, 204}


def test_more_leads_than_a_page_are_cut_off_without_a_word() -> None:
    """FAULTS P16: an answer as long as answers can be may hide the rest."""
    caller = account(page_rows=4)
    assert len(content(get(caller, "leads/lead", interval="168"))) == 4


def test_details_of_a_lead_are_asked_by_its_id_and_one_of_them_by_a_second_id() -> None:
    caller = account()
    [busy, *_] = [json.loads(each)["_leadID"] for each in caller.simulator.truth("leads/note")]
    notes = content(get(caller, f"leads/note/{busy}", interval="168"))
    [one, *_] = notes
    assert list(content(get(caller, f"leads/note/{busy}/{one}", interval="168"))) == [one]
    search = content(get(caller, f"leads/search/{busy}", interval="168"))
    assert list(search) == ["searchInformation", "info"]
    assert content(get(caller, f"leads/lead/{busy}"))[0]["email"].endswith("@mail.example.com")


def test_a_lead_that_is_gone_has_no_details_and_is_no_error() -> None:
    """FAULTS P12."""
    assert get(account(), "leads/note/1", interval="168").status == 204


@pytest.mark.parametrize("version", ["1.0.4", "1.8.0"])
def test_the_truth_is_what_the_api_serves_with_the_stamps_of_the_disk_format(version: str) -> None:
    """Every method of a version: asked by a plain reader, its records are the truth's, byte for byte."""
    caller = account(version=version, page_rows=500, per_hour=1000)
    caller.headers["apiversion"] = version
    for name, method in METHODS.items():
        if not (method.active(version) and method.harvested) or name in ("partners/clients", "clients/zipcodes"):
            continue
        assert sorted(_read(caller, name)) == sorted(caller.simulator.truth(name)), name


def _read(caller: Caller, name: str) -> list[bytes]:
    method = METHODS[name]
    if not method.stamp:
        return _records(caller, name, name)
    ids = {"idxID": ("a001", "b014", "c107"), "listID": ("combinedActiveMLS", "lakefront")}.get(method.id)
    if ids is None:
        ids = tuple(str(json.loads(lead)["id"]) for lead in caller.simulator.truth("leads/lead"))
    return [
        b'{"%b":"%b",%b' % (method.stamp.encode(), id_.encode(), record[1:])
        for id_ in ids
        for record in _records(caller, name, f"{name}/{id_}")
    ]


def _records(caller: Caller, name: str, path: str) -> list[bytes]:
    """The records of one answer, split by a decoder that keeps member order and escapes as PHP does."""
    method = METHODS[name]
    window = {"interval": "168"} if method.span is not None and method.span.default else {}
    answer = get(caller, path, **window)
    assert answer.status in (200, 204), (path, answer.status)
    if not answer.body or answer.body == b"[]":
        return []
    found = content(answer)
    paged = isinstance(found, dict) and "data" in found and "next" in found
    body = found["data"] if paged else found
    match method.shape:
        case Shape.SCALAR | Shape.SINGLE:
            value = body[0] if isinstance(body, list) else body
            return [b'{"value":' + _php(value) + b"}"]
        case Shape.OBJECT:
            return [_php(body)]
        case Shape.WRAPPED:
            return [_php(each) for each in body[method.wrapper]]
        case Shape.KEYED:
            return [_php({"_key": key, **each}) for key, each in body.items()]
        case _:
            return [_php(each) for each in body]


def _php(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/").encode()


def test_clients_of_a_partner_are_served_with_their_keys_but_no_replica_holds_them() -> None:
    """FAULTS E04."""
    caller = account()
    assert all("apiKey" in each for each in content(get(caller, "partners/clients")))
    assert all("apiKey" not in json.loads(each) for each in caller.simulator.truth("partners/clients"))


def test_results_and_count_of_a_saved_link_belong_to_the_version_that_has_them() -> None:
    caller = account()
    assert get(caller, "clients/savedlinks/701/results").status == 405
    found = content(get(caller, "clients/savedlinks/701/results", {"apiversion": "1.7.0"}))
    assert content(get(caller, "clients/savedlinks/701/count", {"apiversion": "1.7.0"})) == len(found)
    truth = [json.loads(each) for each in caller.simulator.truth("clients/savedlinks/results")]
    assert [each["_key"] for each in truth if each["_savedlinkID"] == "701"] == list(found)


def test_the_same_seed_gives_the_same_bytes_all_day() -> None:
    """Leads too, although they can only be asked for by windows that end now."""
    morning, evening = FakeClock(), FakeClock()
    evening.advance(11 * 3600.0 + 1800.0)  # both begin at noon
    first, second = (account(clock).simulator for clock in (morning, evening))
    for resource in first.resources():
        assert list(first.truth(resource)) == list(second.truth(resource)), resource
