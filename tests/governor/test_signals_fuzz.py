"""No answer, however broken or hostile, makes a reader raise or name an impossible wait."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.contracts import SignalReader
from harvester.governor.account import Account
from harvester.governor.signals import DIALECTS, any_signal, read_retry_after
from harvester.governor.signals.dated import dated
from harvester.model import Budget, Headers, RateSignal, Response, Window
from tests.governor import fuzz

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
READERS = (any_signal, dated(any_signal), *(dialect.read for dialect in DIALECTS.values()))

NAMES = st.sampled_from(
    [
        "Retry-After", "Date", "RateLimit", "RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining",
        "RateLimit-Reset", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-RateLimit-Used",
        "X-Rate-Limit-Limit", "X-Rate-Limit-Remaining", "X-Rate-Limit-Reset", "Hourly-Access-Key-Usage",
        "X-RateLimit-Limit-Hour", "X-RateLimit-Remaining-Hour", "X-RateLimit-Reset-After", "Hour-Quota-Limit",
        "Hour-Quota-Available", "Hour-Quota-ResetTime", "Burst-RateLimit-Remaining", "Application-RateLimit-Reset",
        "Application-RateLimit-Remaining",
    ]
)  # fmt: skip
SHAPED = st.sampled_from(
    [
        '"day";q=1000;w=86400', '"day";r=5;t=3', "1d", "0d", "999999999d", "100;w=60", "100, 100;w=0",
        "limit=1, remaining=0",
        "2024-03-26T16:42:30.7526366Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:60-23:59", "9" * 400,
        "-1", "1e9",
        "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
        "Mon, 31 Dec 9999 23:59:60 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "0", "0.5", "1772366430000", "\u0663", "nan",
        '"', '";q="', '"a\\', ";;;,,,", "=,=;=", "\x00", "\x85",
    ]
)  # fmt: skip
NUMBERS = st.one_of(st.integers(), st.floats()).map(str)
VALUES = st.one_of(SHAPED, NUMBERS, st.text(max_size=40), st.lists(SHAPED, max_size=4).map(",".join))
BODIES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [
            b'{"error": "x 1050/1000 requests per hour", "retry_after": 3600}', b'{"error": 5, "retry_after": [1]}',
            b'{"error": "0/0 requests per day"}', b'{"retry_after": 1e400}', b'{"retry_after": -5}',
            b'{"retry_after": "\xff"}',
            b"Maximum allowed: 0 per 0m. try again in 999999999 second", b"Maximum allowed: 20 per 1d",
            b'{"D": {"Code": 1550}}', b'{"D": {"Code": "1550"}}', b'{"D": [1550]}', b'{"D": {"Code": [1550]}}',
            b"[" * 5000 + b"1550", b'{"D":' * 3000 + b"1550",
        ]
    ),
)  # fmt: skip
RESPONSES = st.builds(
    lambda status, fields, body: Response(status=status, headers=Headers(fields), body=body, url="https://x.example/"),
    st.sampled_from([200, 204, 412, 429, 500, 503]),
    st.lists(st.tuples(NAMES, VALUES), max_size=6),
    BODIES,
)


def assert_sane(signal: RateSignal) -> None:
    if signal.retry_after is not None:
        assert 0.0 <= signal.retry_after <= 400 * 86_400.0
    for window in signal.windows:
        for figure in (window.seconds, window.resets_in):
            assert figure is None or (math.isfinite(figure) and figure >= 0)
        for count in (window.limit, window.used, window.remaining):
            assert count is None or count >= 0
    assert signal.evidence.isprintable()


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
@settings(max_examples=250, deadline=None)
@given(response=RESPONSES)
def test_no_reader_raises_or_names_an_impossible_wait(reader: SignalReader, response: Response) -> None:
    assert_sane(reader(response, NOW))


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(VALUES, st.none()))
def test_retry_after_is_between_now_and_400_days_or_nothing(text: str | None) -> None:
    """FAULTS S04."""
    wait = read_retry_after(text, None, NOW)
    assert wait is None or 0.0 <= wait <= 400 * 86_400.0


@settings(max_examples=200, deadline=None)
@given(responses=st.lists(RESPONSES, max_size=8))
def test_no_sequence_of_answers_makes_an_account_wait_for_nan_or_less_than_nothing(responses: list[Response]) -> None:
    """FAULTS Q06: whatever the windows are told, the wait stays a wait."""
    account = Account(Budget(windows=(Window(seconds=60, requests=20), Window(seconds=3600, bytes=10_000))))
    for number, response in enumerate(responses):
        now = float(number)
        account.sending(now)
        account.opened(number, now)
        for window in any_signal(response, NOW).windows:
            account.hear(window, now)
        account.settled(number, now, 100)
        assert account.hold(now).seconds >= 0.0


def test_thousands_of_made_up_answers_are_read_in_every_dialect() -> None:
    """FAULTS S04, Q06. ``make fuzz`` reads a million."""
    fuzz.main(2_000)
