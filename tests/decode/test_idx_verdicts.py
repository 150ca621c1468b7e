"""What IDX Broker's answers ask of the client: the status table of its contract, to the letter."""

from __future__ import annotations

import pytest

from harvester.decode.idx_verdicts import judge_for
from harvester.model import Action, Headers, Response, Verdict


def judged(status: int, body: bytes = b"", *, version: str | None = "1.0.4", asked: str = "1.0.4") -> Verdict:
    headers = [] if version is None else [("Api-Version", version)]
    return judge_for(asked)(
        Response(status=status, headers=Headers(headers), body=body, url="https://api.example.com/x")
    )


@pytest.mark.parametrize(
    ("status", "action"),
    [
        (204, Action.EMPTY),
        (400, Action.SKIP),
        (401, Action.REFUSED),
        (403, Action.REFUSED),
        (404, Action.SKIP),
        (405, Action.SKIP),
        (406, Action.REFUSED),
        (409, Action.SKIP),
        (412, Action.THROTTLED),
        (413, Action.SHRINK),
        (416, Action.SHRINK),
        (417, Action.SKIP),
        (429, Action.THROTTLED),
        (500, Action.FAULT),
        (502, Action.FAULT),
        (503, Action.OUTAGE),
        (521, Action.FAULT),
        (599, Action.FAULT),
        (422, Action.SKIP),
        (302, Action.BROKEN),
        (206, Action.BROKEN),
    ],
)
def test_each_status_means_what_the_contract_says(status: int, action: Action) -> None:
    """FAULTS S01, S02, S08 (412 is the quota here), S09, S11, S13."""
    verdict = judged(status, b'{"ignored":1}')
    assert verdict.action is action
    assert verdict.reason or action is Action.EMPTY


@pytest.mark.parametrize("body", [b"[]", b'{"a":{}}', b"5", b' "x"', b"\xef\xbb\xbf[]", b'<?xml version="1.0"?><r/>'])
def test_status_200_with_data_is_used(body: bytes) -> None:
    """XML is left to the envelope, which says what to do about it."""
    assert judged(200, body).action is Action.USE


@pytest.mark.parametrize("body", [b"", b"  \n"])
def test_status_200_without_a_body_is_a_fault_not_an_empty_set(body: bytes) -> None:
    """FAULTS H13."""
    assert judged(200, body).action is Action.FAULT


@pytest.mark.parametrize("body", [b"<!DOCTYPE html><html>", b"\n <HTML lang=en>"])
def test_a_page_for_people_is_an_outage(body: bytes) -> None:
    """FAULTS S07."""
    assert judged(200, body).action is Action.OUTAGE


@pytest.mark.parametrize(
    "body",
    [
        b"<br />\n<b>Warning</b>:  Invalid argument [1]",
        b"PHP Warning:  foreach() [1]",
        b"Warning: x",
        b"Notice: x",
        b"<b>Fatal error</b>: x",
        b"Fatal error: x",
        b"Parse error: x",
    ],
)
def test_a_php_message_is_a_fault(body: bytes) -> None:
    assert judged(200, body).action is Action.FAULT


@pytest.mark.parametrize("status", [200, 204])
def test_another_version_than_asked_for_stops_the_resource(status: int) -> None:
    """An unknown or retired version is answered by the newest one without an error, in other shapes."""
    verdict = judged(status, b"[]", version="1.8.0")
    assert verdict.action is Action.BROKEN
    assert "'1.8.0'" in verdict.reason
    assert "'1.0.4'" in verdict.reason
    assert "api_version" in verdict.reason


def test_the_configured_version_is_the_one_held_to() -> None:
    assert judged(200, b"[]", version="1.8.0", asked="1.8.0").action is Action.USE
    assert judged(200, b"[]", version="1.0.4", asked="1.8.0").action is Action.BROKEN


def test_an_answer_that_names_no_version_is_used() -> None:
    assert judged(200, b"[]", version=None).action is Action.USE


def test_control_characters_of_a_version_do_not_reach_the_user() -> None:
    """FAULTS E06."""
    assert "\x1b" not in judged(200, b"[]", version="1.8\x1b[31m").reason
