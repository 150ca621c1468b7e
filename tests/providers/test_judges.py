"""The status tables of the contracts, row by row."""

from __future__ import annotations

import pytest

from harvester.model import Action, Headers, Response, Verdict
from harvester.providers import load


def judged(name: str, status: int, body: bytes = b"", *, url: str = "https://h/Property", **headers: str) -> Verdict:
    fields = [("Content-Type", "application/json"), *((key.replace("_", "-"), value) for key, value in headers.items())]
    return load(name).judge(Response(status=status, headers=Headers(fields), body=body, url=url))


HTML = b"<!DOCTYPE html><html>maintenance</html>"
PAGES = {
    "ims": b'{"value":[]}',
    "centris": b'{"value":[]}',
    "spark": b'{"D":{"Success":true,"Results":[]}}',
    "spark_reso": b'{"value":[]}',
    "odata": b'{"value":[]}',
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_used(name: str) -> None:
    assert judged(name, 200, PAGES[name]).action is Action.USE


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("status", [500, 502, 503, 504, 521, 529, 599])
def test_a_failing_server_is_asked_again(name: str, status: int) -> None:
    """FAULTS S01, S02."""
    assert judged(name, status, b"{}").action is Action.FAULT


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("status", [200, 503])
def test_maintenance_is_waited_out(name: str, status: int) -> None:
    """FAULTS S07."""
    assert judged(name, status, HTML).action is Action.OUTAGE


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_no_answer(name: str, status: int) -> None:
    """FAULTS S13."""
    assert judged(name, status, Location="https://evil.example/").action is Action.BROKEN


@pytest.mark.parametrize("name", PAGES)
def test_an_empty_answer_is_no_empty_collection(name: str) -> None:
    """FAULTS H13: none of these providers says that a list is empty without a body."""
    assert judged(name, 204).action is Action.FAULT
    assert judged(name, 200).action is Action.FAULT


@pytest.mark.parametrize("name", PAGES)
def test_too_many_requests_pause_the_credential(name: str) -> None:
    """FAULTS S03."""
    verdict = judged(name, 429, b"{}", Retry_After="41")
    assert (verdict.action, verdict.wait) == (Action.THROTTLED, 41.0)


# ------------------------------------------------------------------ IMS contract, section 7


@pytest.mark.parametrize(
    ("status", "body", "action"),
    [
        (400, b'{"error":"Invalid credentials"}', Action.REFUSED),
        (400, b'{"error":"Invalid parameters"}', Action.SKIP),
        (401, b'{"error":{"code":401,"message":"OriginatingSystemName must be sent"}}', Action.SKIP),
        (401, b'{"error":{"code":401,"message":"Column X is not allowed."}}', Action.SKIP),
        (401, b'{"error":"$top value can not exceed 5000"}', Action.SHRINK),
        (401, b'{"error":"Invalid credentials"}', Action.RENEW),
        (401, b"", Action.RENEW),
        (403, b'{"error":"Bearer Token is missing"}', Action.RENEW),
        (403, b"", Action.RENEW),
        (404, b'{"error":"Resource can not be found"}', Action.SKIP),
        (429, b'{"error":"Rate limit exceeded: 1050/1000 requests per hour","retry_after":3600}', Action.THROTTLED),
    ],
)
def test_ims_means_other_things_by_401_and_403(status: int, body: bytes, action: Action) -> None:
    """FAULTS S10."""
    assert judged("ims", status, body).action is action


def test_ims_names_the_page_size_it_allows() -> None:
    """FAULTS S09."""
    assert judged("ims", 401, b'{"error":"$top value can not exceed 5000"}').page_size == 5000


@pytest.mark.parametrize(
    ("body", "header", "wait"),
    [
        (b'{"error":"x","retry_after":3600}', "", 3600.0),
        (b'{"error":"x","retry_after":30}', "90", 90.0),
        (b'{"error":"x"}', "", 60.0),
    ],
)
def test_ims_waits_for_the_longest_hint_or_a_minute(body: bytes, header: str, wait: float) -> None:
    """IMS contract, section 6."""
    assert judged("ims", 429, body, Retry_After=header).wait == wait


# ------------------------------------------------------------------ Centris contract, section 7


@pytest.mark.parametrize(
    ("status", "url", "action"),
    [
        (400, "https://h/Property", Action.SKIP),
        (401, "https://h/Property", Action.RENEW),
        (403, "https://h/Property", Action.SKIP),
        (404, "https://h/Property", Action.SKIP),
        (404, "https://h/Property('12345')", Action.GONE),
        (500, "https://h/Property", Action.FAULT),
    ],
)
@pytest.mark.parametrize("name", ["centris", "odata"])
def test_centris_means_what_the_status_says(name: str, status: int, url: str, action: Action) -> None:
    """FAULTS S11, S12."""
    assert judged(name, status, b'{"message":"m","details":"d"}', url=url).action is action


def test_centris_tells_its_wait_in_the_text_as_well() -> None:
    details = b"Quota exceeded. Maximum allowed: 20 per 1m. Please try again in 41 second(s)."
    body = b'{"message":"Quota excedeed","details":"%b"}' % details
    verdict = judged("centris", 429, body)
    assert verdict.wait == 41.0
    assert "20 per 1m" in verdict.reason


# ------------------------------------------------------------------ Spark contract, sections 3 and 7


@pytest.mark.parametrize(
    ("status", "body", "action"),
    [
        (200, b'{"D":{"Results":[],"Success":true}}', Action.USE),
        (200, b'{"D":{"Success":true,"Results":[],"Errors":[{"Status":"Warn"}]}}', Action.USE),
        (200, b'{"D":{"Success":false}}', Action.FAULT),
        (200, b'{"D":{"Success":false,"Code":1550,"Message":"m"}}', Action.THROTTLED),
        (200, b'{"D":{"Results":[],"Success":false,"Code":1020}}', Action.RENEW),
        (200, b'{"value":[]}', Action.FAULT),
        (401, b'{"D":{"Success":false,"Code":1020}}', Action.RENEW),
        (401, b'{"D":{"Success":false,"Code":1000}}', Action.REFUSED),
        (401, b"", Action.REFUSED),
        (403, b'{"D":{"Success":false,"Code":1021}}', Action.REFUSED),
        (403, b'{"D":{"Success":false,"Code":1500}}', Action.SKIP),
        (403, b"", Action.SKIP),
        (404, b'{"D":{"Success":false,"Code":404}}', Action.SKIP),
        (429, b'{"D":{"Success":false,"Code":1550}}', Action.THROTTLED),
        (503, b'{"D":{"Success":false,"Code":1550}}', Action.THROTTLED),
        (503, b'{"D":{"Success":false,"Code":1515}}', Action.SHRINK),
        (503, b'{"D":{"Success":false,"Code":1510}}', Action.OUTAGE),
        (500, b'{"D":{"Success":false,"Code":1026}}', Action.FAULT),
        (400, b'{"D":{"Success":false,"Code":1053}}', Action.SKIP),
        (500, b"", Action.FAULT),
    ],
)
def test_spark_is_judged_by_its_code(status: int, body: bytes, action: Action) -> None:
    """FAULTS S06."""
    assert judged("spark", status, body, url="https://h/v1/listings?_limit=1000").action is action


def test_one_listing_of_spark_may_be_gone() -> None:
    """FAULTS S12."""
    body = b'{"D":{"Success":false,"Code":404}}'
    assert judged("spark", 404, body, url="https://h/v1/listings/20100000000000000000000001").action is Action.GONE


# ------------------------------------------------------------------ Spark RESO contract, section 8


@pytest.mark.parametrize(
    "envelope", [b'{"error":{"code":%d,"message":"m"}}', b'{"D":{"Success":false,"Code":%d,"Message":"m"}}']
)
@pytest.mark.parametrize(
    ("status", "code", "action"),
    [
        (400, 400, Action.SKIP),
        (401, 401, Action.REFUSED),
        (401, 1020, Action.RENEW),
        (403, 1021, Action.REFUSED),
        (403, 403, Action.SKIP),
        (404, 404, Action.SKIP),
        (429, 429, Action.THROTTLED),
        (503, 1550, Action.THROTTLED),
        (500, 500, Action.FAULT),
        (504, 504, Action.FAULT),
    ],
)
def test_spark_reso_is_judged_by_code_and_status_in_both_envelopes(
    envelope: bytes, status: int, code: int, action: Action
) -> None:
    assert judged("spark_reso", status, envelope % code).action is action


def test_an_entity_of_spark_reso_may_be_gone() -> None:
    assert judged("spark_reso", 404, b"{}", url="https://h/Property('1')").action is Action.GONE


def test_a_failure_with_status_200_is_found_in_both_envelopes() -> None:
    """FAULTS S06."""
    assert judged("spark_reso", 200, b'{"error":{"code":1550,"message":"m"}}').action is Action.THROTTLED
    assert judged("spark_reso", 200, b'{"D":{"Success":false,"Code":1550}}').action is Action.THROTTLED


def test_the_wrong_host_is_told_with_the_right_one() -> None:
    for name in ("spark", "spark_reso"):
        assert "replication.sparkapi.com" in judged(name, 403, b'{"D":{"Success":false,"Code":1021}}').reason
