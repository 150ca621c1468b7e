"""Spark's codes decide, whatever the status (Spark contract, section 7)."""

from __future__ import annotations

import pytest

from harvester.decode.spark_codes import judge_code, read_spark_error
from harvester.model import Action, Headers, Response


def response(body: bytes, status: int = 400) -> Response:
    return Response(status=status, headers=Headers([("Retry-After", "30")]), body=body, url="https://h/v1/listings")


@pytest.mark.parametrize(
    ("code", "action"),
    [
        *((code, Action.REFUSED) for code in (1000, 1005, 1010, 1013, 1015, 1016, 1019, 1021, 1030)),
        (1020, Action.RENEW),
        *((code, Action.SKIP) for code in (1500, 1505, 1017, 1018, 405, 1035, 1053, 1061, 2000, 2999, 3000)),
        (1550, Action.THROTTLED),
        (1515, Action.SHRINK),
        (1516, Action.SHRINK),
        *((code, Action.OUTAGE) for code in (1510, 1023, 1024, 2005)),
        (1026, Action.FAULT),
        (9999, None),
    ],
)
@pytest.mark.parametrize(
    "shape", [b'{"D":{"Success":false,"Code":%d,"Message":"m"}}', b'{"error":{"code":%d,"message":"m"}}']
)
def test_every_code_of_the_table(code: int, action: Action | None, shape: bytes) -> None:
    answer = response(shape % code)
    error = read_spark_error(answer)
    assert error is not None
    verdict = judge_code(answer, error)
    assert (verdict.action if verdict else None) is action


def test_throttling_names_its_wait() -> None:
    answer = response(b'{"D":{"Success":false,"Code":1550}}', 503)
    error = read_spark_error(answer)
    assert error is not None
    verdict = judge_code(answer, error)
    assert verdict is not None
    assert verdict.wait == 30.0


def test_the_wrong_host_is_told_with_the_right_one() -> None:
    answer = response(b'{"D":{"Success":false,"Code":1021,"Message":"no"}}', 403)
    error = read_spark_error(answer)
    assert error is not None
    verdict = judge_code(answer, error)
    assert verdict is not None
    assert "replication.sparkapi.com" in verdict.reason


def test_query_errors_are_shown() -> None:
    body = b'{"D":{"Success":false,"Code":1050,"Message":"bad","SparkQLErrors":[{"Token":"Foo","Message":"unknown"}]}}'
    error = read_spark_error(response(body))
    assert error is not None
    assert error.text == "bad Foo: unknown"


def test_a_page_larger_than_the_grant_allows_is_asked_for_in_smaller_pages() -> None:
    answer = response(b'{"D":{"Success":false,"Code":1040,"Message":"_limit must be a whole number from 0 to 25"}}')
    error = read_spark_error(answer)
    assert error is not None
    verdict = judge_code(answer, error)
    assert verdict is not None
    assert (verdict.action, verdict.page_size) == (Action.SHRINK, 25)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"value":[]}', b'{"D":7}', b"[" * 100_000])
def test_other_bodies_say_nothing(body: bytes) -> None:
    assert read_spark_error(response(body)) is None


def test_codes_as_text_and_errors_as_text_are_understood() -> None:
    error = read_spark_error(response(b'{"D":{"Success":false,"Code":"1550"}}'))
    assert error is not None
    assert error.code == 1550
    plain = read_spark_error(response(b'{"error":"invalid_request"}'))
    assert plain is not None
    assert (plain.code, plain.text) == (None, "invalid_request")
