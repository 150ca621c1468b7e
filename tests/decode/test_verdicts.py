"""What HTTP and JSON alone tell about an answer."""

from __future__ import annotations

import pytest

from harvester.decode.verdicts import allowed_page_size, error_text, judge_http, judge_odata, printable, wait_hint
from harvester.model import Action, Headers, Response

JSON = "application/json; odata.metadata=minimal; charset=utf-8"


def response(
    status: int, body: bytes = b'{"value":[]}', *, kind: str = JSON, url: str = "https://h/P", **headers: str
) -> Response:
    fields = [("Content-Type", kind)] if kind else []
    fields += [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Response(status=status, headers=Headers(fields), body=body, url=url)


@pytest.mark.parametrize(
    ("status", "action"),
    [
        (200, Action.USE),
        (204, Action.EMPTY),
        (301, Action.BROKEN),  # FAULTS S13: redirects are off
        (304, Action.BROKEN),
        (307, Action.BROKEN),
        (400, Action.SKIP),  # FAULTS S09
        (401, Action.RENEW),  # FAULTS S10
        (403, Action.SKIP),  # FAULTS S11
        (404, Action.SKIP),
        (405, Action.SKIP),
        (409, Action.EXPIRED),  # FAULTS S08
        (410, Action.EXPIRED),
        (429, Action.THROTTLED),  # FAULTS S03
        (500, Action.FAULT),  # FAULTS S01
        (503, Action.FAULT),
        (521, Action.FAULT),  # FAULTS S02
        (529, Action.FAULT),
        (598, Action.FAULT),
        (599, Action.FAULT),
    ],
)
def test_the_status_decides_unless_a_provider_knows_better(status: int, action: Action) -> None:
    assert judge_http(response(status, b'{"value":[]}' if status == 200 else b"{}")).action is action


@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", ""])
def test_a_page_for_people_is_maintenance(status: int, kind: str) -> None:
    """FAULTS S07."""
    body = b"\xef\xbb\xbf \n<!DOCTYPE html><html><body>Back soon S3CRET</body></html>"
    verdict = judge_http(response(status, body, kind=kind))
    assert verdict.action is Action.OUTAGE
    assert "S3CRET" not in verdict.reason


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/json; charset=utf-16", "application/json;charset=ISO-8859-1", "text/xml"]
)
def test_json_only_and_only_as_utf8(kind: str) -> None:
    """FAULTS H12."""
    assert judge_http(response(200, kind=kind)).action is Action.BROKEN


@pytest.mark.parametrize("body", [b"", b" \r\n"])
def test_success_without_a_body_is_a_fault(body: bytes) -> None:
    """FAULTS H13."""
    assert judge_http(response(200, body)).action is Action.FAULT


def test_no_content_means_what_the_provider_says() -> None:
    """FAULTS H13."""
    assert judge_http(response(204, b""), no_content=Action.FAULT).action is Action.FAULT


@pytest.mark.parametrize("body", [b'{"error":"Server busy"}', b'\xef\xbb\xbf { "error" : {"message":"Server busy"}}'])
def test_an_error_with_status_200_is_no_page(body: bytes) -> None:
    """FAULTS S06."""
    verdict = judge_http(response(200, body))
    assert (verdict.action, verdict.reason) == (Action.FAULT, "Server busy")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"error":"Resource can not be found"}', "Resource can not be found"),
        (b'{"error":{"code":401,"message":"Column X is not allowed."}}', "Column X is not allowed."),
        (
            b'{"message":"Quota excedeed","details":"Maximum allowed: 20 per 1m."}',
            "Quota excedeed Maximum allowed: 20 per 1m.",
        ),
        (b'{"error":{"message":7}}', ""),
        (b"[]", ""),
        (b"\xff", ""),
        (b"[" * 100_000, ""),
    ],
)
def test_the_message_of_an_error_is_found_in_every_shape(body: bytes, text: str) -> None:
    assert error_text(response(400, body)) == text


@pytest.mark.parametrize(
    ("body", "headers", "wait"),
    [
        (b"{}", {"Retry_After": "41"}, 41.0),
        (b'{"retry_after":3600}', {"Retry_After": "41"}, 3600.0),  # FAULTS S04: the larger of the two
        (b'{"error":{"retry_after":7}}', {}, 7.0),
        (b'{"details":"Please try again in 41 second(s)."}', {}, 41.0),
        (b'{"retry_after":-5}', {}, None),
        (b'{"retry_after":true}', {}, None),
        (b"{}", {"Retry_After": "-1"}, None),
        (b"{}", {"Retry_After": "1e9"}, None),
        (b"{}", {"Retry_After": "1_000"}, None),
        (b"{}", {"Retry_After": "\u0663"}, None),
        (b"{}", {"Retry_After": ""}, None),
        (b"{}", {"Retry_After": "Sun, 06 Nov 1994 08:49:37 GMT"}, None),
    ],
)
def test_the_longest_wait_is_taken_from_ascii_digits(body: bytes, headers: dict[str, str], wait: float | None) -> None:
    """FAULTS S04; dates are for the governor, which knows the time."""
    assert wait_hint(response(429, body, **headers)) == wait


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("$top value can not exceed 5000", 5000),
        ("The limit of '1000' for Top query has been exceeded. The value from the incoming request is '5000'.", 1000),
        ("_limit must be a whole number from 0 to 1000", 1000),
        ("Page size too large", None),
        ("$top must be a whole number, not '7'", None),
        ("The stopover is 5 days", None),
    ],
)
def test_the_page_size_that_is_allowed_is_read_from_the_message(text: str, size: int | None) -> None:
    assert allowed_page_size(text) == size


def test_odata_tells_gone_entities_and_large_pages() -> None:
    """FAULTS S09, S12."""
    gone = response(404, b"{}", url="https://h/Property('1')?$select=a")
    large = response(400, b'{"error":{"message":"$top may not exceed 200"}}')
    assert judge_odata(gone, judge_http(gone)).action is Action.GONE
    verdict = judge_odata(large, judge_http(large))
    assert (verdict.action, verdict.page_size) == (Action.SHRINK, 200)
    other = response(400, b'{"error":{"message":"Field X cannot be filtered"}}')
    assert judge_odata(other, judge_http(other)).action is Action.SKIP


@pytest.mark.parametrize(
    "text",
    [
        "Bearer S3CRETvalue rejected",
        "access_token=S3CRETvalue&x=1",
        '{"client_secret": "S3CRETvalue"}',
        "bad token 'S3CRETvalue1234567890abcd'",
        "signature of S3CRETvalue.S3CRETvalue.S3CRETvalue",
        "accesskey: S3CRETvalue",
    ],
)
def test_reasons_show_no_credential(text: str) -> None:
    """FAULTS E04."""
    assert "S3CRET" not in printable(text)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [(404, b'{"error":"No such provider"}', "No such provider"), (403, b"", "Forbidden"), (521, b"", "")],
)
def test_reasons_leave_the_status_to_whoever_shows_them(status: int, body: bytes, reason: str) -> None:
    assert judge_http(response(status, body)).reason == reason


def test_reasons_are_one_short_printable_line() -> None:
    """FAULTS E06, E07."""
    line = printable("a\x1b[31m\r\n\u202efake\x00" + "x y " * 500)
    assert line.isprintable()
    assert len(line) <= 200
    assert printable("OriginatingSystemName must be sent") == "OriginatingSystemName must be sent"
