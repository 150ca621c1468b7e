"""What each dialect says, read from answers shaped as the provider contracts show them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from harvester.governor.refusals import HOURLY
from harvester.governor.signals import (
    DIALECTS,
    any_signal,
    bridge_signal,
    centris_signal,
    idx_signal,
    ims_signal,
    read_retry_after,
    signals_in,
    spark_signal,
    standard_signal,
    trestle_signal,
)
from harvester.model import Headers, RateSignal, Response, WindowSignal

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
DATE = "Sun, 01 Mar 2026 12:00:00 GMT"


def answer(status: int = 200, body: bytes = b"", **fields: str) -> Response:
    """Field names with underscores for hyphens."""
    headers = Headers((name.replace("_", "-"), value) for name, value in fields.items())
    return Response(status=status, headers=headers, body=body, url="https://x.example/")


def lines(*fields: tuple[str, str], status: int = 200) -> Response:
    return Response(status=status, headers=Headers(fields), body=b"", url="https://x.example/")


# ------------------------------------------------------------------ Retry-After


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("41", 41.0),
        (" 41\t", 41.0),
        ("0", 0.0),
        ("0.2", 1.0),
        ("41.0", 41.0),
        ("41.000001", 42.0),
        ("000041", 41.0),
        ("Sun, 01 Mar 2026 12:01:30 GMT", 90.0),
        ("Sunday, 01-Mar-26 12:01:30 GMT", 90.0),
        ("Sun Mar  1 12:01:30 2026", 90.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),  # past: now
        ("Sunday, 01-Mar-99 12:01:30 GMT", 0.0),  # 1999
        ("34560000", 400 * 86_400.0),
        ("9" * 5000, 400 * 86_400.0),
        ("Sun, 01 Mar 2027 12:00:00 GMT", 365 * 86_400.0),
    ],
)
def test_retry_after_is_read(text: str, seconds: float) -> None:
    """FAULTS S04: a fraction is rounded up, a past date means now, and no wait is longer than 400 days."""
    assert read_retry_after(text, NOW, NOW) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "-1", "+5", "1e9", "1_000", "\u0663", "4\u0661", "0x10", "nan", "inf", "1,5", "1.", ".5", "soon",
        "41 s",
        "Sun, 32 Mar 2026 12:00:00 GMT", "Sun, 01 Xyz 2026 12:00:00 GMT", "Sun, 01 Mar 2026 25:00:00 GMT",
        "Sun, 01 Mar 2026 12:00:00", "Sun, 01 Mar 2026 12:00:00 UTC", "2026-03-01T12:00:00Z",
        "Sun, 01 Mar \u0662\u0660\u0662\u0666 12:00:00 GMT",
    ],
)  # fmt: skip
def test_retry_after_that_is_neither_digits_nor_an_http_date_is_ignored(text: str) -> None:
    """FAULTS S04."""
    assert read_retry_after(text, NOW, NOW) is None


def test_retry_after_dates_are_read_against_the_servers_own_clock() -> None:
    """FAULTS S05: our clock is an hour off, the wait is not."""
    ours = datetime(2026, 3, 1, 13, 0, 0, tzinfo=UTC)
    response = answer(429, date=DATE, retry_after="Sun, 01 Mar 2026 12:00:41 GMT")
    assert standard_signal(response, ours).retry_after == 41.0


def test_of_several_retry_after_lines_the_longest_holds() -> None:
    response = lines(("Retry-After", "5"), ("Retry-After", "Sun, 01 Mar 2026 12:00:50 GMT"), ("Date", DATE), status=429)
    assert standard_signal(response, NOW).retry_after == 50.0


# ------------------------------------------------------------------ IMS


def test_ims_tells_count_limit_and_wait_in_the_body() -> None:
    body = b'{"error": "Rate limit exceeded: 1050/1000 requests per hour", "retry_after": 3600}'
    signal = ims_signal(answer(429, body), NOW)
    assert signal.refused
    assert signal.retry_after == 3600.0
    assert signal.windows == (WindowSignal(seconds=3600.0, limit=1000, used=1050, resets_in=3600.0),)
    assert signal.evidence == "429, 1050/1000 requests per hour, wait 3600 s"


def test_ims_waits_the_longer_of_header_and_body() -> None:
    """FAULTS S04: another value in the body."""
    assert ims_signal(answer(429, b'{"retry_after": 30}', retry_after="90"), NOW).retry_after == 90.0
    assert ims_signal(answer(429, b'{"retry_after": "90"}', retry_after="30"), NOW).retry_after == 90.0


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": {"code": 429, "message": "no"}}'])
def test_ims_without_any_hint_means_a_minute(body: bytes) -> None:
    signal = ims_signal(answer(429, body), NOW)
    assert signal.refused
    assert signal.retry_after == 60.0


def test_ims_reads_the_count_from_both_error_shapes() -> None:
    body = b'{"error": {"code": 429, "message": "Rate limit exceeded: 21/20 requests per minute"}}'
    assert ims_signal(answer(429, body), NOW).windows[0].limit == 20


def test_ims_says_nothing_about_quota_on_success() -> None:
    assert ims_signal(answer(200, b'{"value": []}'), NOW) == RateSignal()


# ------------------------------------------------------------------ Centris


def test_centris_limit_is_the_length_of_the_window_and_reset_an_instant() -> None:
    """FAULTS Q06: ``1d`` is no number of requests, and the instant has 7 fractional digits."""
    response = answer(
        date="Tue, 26 Mar 2024 16:42:00 GMT",
        x_rate_limit_limit="1d",
        x_rate_limit_remaining="480",
        x_rate_limit_reset="2024-03-26T16:42:30.7526366Z",
    )
    (window,) = centris_signal(response, NOW).windows
    assert window == WindowSignal(seconds=86_400.0, remaining=480, resets_in=30.752636)


def test_centris_refuses_with_the_short_window_in_its_text() -> None:
    body = (
        b'{"message":"Quota excedeed","details":"Quota exceeded. Maximum allowed: 20 per 1m. '
        b'Please try again in 41 second(s)."}'
    )
    signal = centris_signal(answer(429, body, retry_after="40"), NOW)
    assert signal.refused
    assert signal.retry_after == 41.0
    assert signal.windows == (WindowSignal(seconds=60.0, limit=20, remaining=0, resets_in=41.0),)


def test_a_reset_in_the_past_is_no_reset() -> None:
    """FAULTS Q06."""
    response = answer(
        date=DATE, x_rate_limit_limit="1d", x_rate_limit_remaining="3", x_rate_limit_reset="2024-03-26T16:42:30Z"
    )
    assert centris_signal(response, NOW).windows[0].resets_in is None


# ------------------------------------------------------------------ IDX Broker


def test_idx_counts_up_what_was_used() -> None:
    """FAULTS Q06: used, not remaining."""
    signal = idx_signal(answer(200, hourly_access_key_usage="17"), NOW)
    assert signal.windows == (WindowSignal(name=HOURLY, used=17),)
    assert not signal.refused


def test_idx_refuses_with_412_and_names_no_wait() -> None:
    """FAULTS S08."""
    signal = idx_signal(answer(412), NOW)
    assert signal.refused
    assert signal.retry_after is None
    assert signal.windows[0].name == HOURLY


def test_idx_is_waited_for_as_long_as_an_undocumented_429_asks() -> None:
    """FAULTS S04, Q12: it is no 412, so nothing is said about the hour."""
    signal = idx_signal(answer(429, retry_after="30"), NOW)
    assert signal.retry_after == 30.0
    assert signal.windows == ()


# ------------------------------------------------------------------ Spark


@pytest.mark.parametrize("status", [200, 429, 503])
def test_spark_throttles_with_a_code_on_any_status(status: int) -> None:
    """FAULTS S06."""
    body = b'{"D": {"Success": false, "Code": 1550, "Message": "Over rate limit"}}'
    signal = spark_signal(answer(status, body), NOW)
    assert signal.refused
    assert signal.retry_after == 30.0


def test_spark_keeps_to_retry_after_when_it_is_sent() -> None:
    assert spark_signal(answer(429, retry_after="7"), NOW).retry_after == 7.0


def test_a_spark_page_that_mentions_the_number_is_no_refusal() -> None:
    body = b'{"D": {"Success": true, "Results": [{"Id": "1550", "Code": 1550}]}}'
    assert not spark_signal(answer(200, body), NOW).refused


# ------------------------------------------------------------------ the fields servers share


def test_structured_ratelimit_fields_of_drafts_08_to_11() -> None:
    response = lines(
        ("RateLimit-Policy", '"burst";q=100;w=60,"daily";q=1000;w=86400'),
        ("RateLimit", '"daily";r=100;t=36000'),
    )
    assert standard_signal(response, NOW).windows == (
        WindowSignal(name="daily", seconds=86_400.0, limit=1000, remaining=100, resets_in=36_000.0),
        WindowSignal(name="burst", seconds=60.0, limit=100),
    )


def test_several_field_lines_are_one_list() -> None:
    response = lines(
        ("RateLimit-Policy", '"a";q=10;w=1'),
        ("RateLimit-Policy", '"b";q=500;w=60'),
        ("RateLimit", '"a";r=3;t=1'),
        ("RateLimit", '"b";r=77;t=20'),
    )
    assert [(w.seconds, w.remaining) for w in standard_signal(response, NOW).windows] == [(1.0, 3), (60.0, 77)]


def test_policies_in_bytes_are_bytes_and_of_unknown_units_are_left_out() -> None:
    response = lines(
        (
            "RateLimit-Policy",
            '"volume";q=4000000000;w=3600;qu="content-bytes","open";q=5;w=1;qu="concurrent-requests"',
        ),
        ("RateLimit", '"volume";r=1000;t=9,"open";r=1'),
    )
    assert standard_signal(response, NOW).windows == (
        WindowSignal(name="volume", seconds=3600.0, limit=4_000_000_000, remaining=1000, resets_in=9.0, unit="bytes"),
    )


def test_separate_fields_of_drafts_03_to_06() -> None:
    response = lines(
        ("RateLimit-Limit", "100, 100;w=60, 5000;w=86400"), ("RateLimit-Remaining", "50"), ("RateLimit-Reset", "30")
    )
    assert standard_signal(response, NOW).windows == (
        WindowSignal(seconds=60.0, limit=100, remaining=50, resets_in=30.0),
        WindowSignal(seconds=86_400.0, limit=5000),
    )


def test_the_dictionary_of_draft_07() -> None:
    response = lines(("RateLimit", "limit=100, remaining=50, reset=30"), ("RateLimit-Policy", "100;w=60"))
    assert standard_signal(response, NOW).windows == (
        WindowSignal(seconds=60.0, limit=100, remaining=50, resets_in=30.0),
    )


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("30", 30.0),
        ("29.5", 29.5),
        ("1772366430", 30.0),  # epoch
        ("1772366430000", 30.0),  # epoch in ms
        ("30000000", 30_000.0),  # ms
        ("30s", 30.0),
        ("1m30s", 90.0),
        ("250ms", 0.25),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("2026-03-01T12:00:30.0000000Z", 30.0),
        ("2026-03-01T07:00:30-05:00", 30.0),
        ("1772366000", None),  # past
        ("-3", None),
        ("tomorrow", None),
    ],
)
def test_habitual_resets_in_all_their_forms(reset: str, seconds: float | None) -> None:
    """FAULTS Q06: epoch, seconds, milliseconds, dates, and resets that lie in the past."""
    response = answer(date=DATE, x_ratelimit_limit="100", x_ratelimit_remaining="7", x_ratelimit_reset=reset)
    (window,) = standard_signal(response, NOW).windows
    assert (window.limit, window.remaining, window.resets_in) == (100, 7, seconds)


def test_one_set_of_fields_a_period() -> None:
    response = answer(x_ratelimit_limit_hour="500", x_ratelimit_remaining_hour="3")
    assert standard_signal(response, NOW).windows == (WindowSignal(seconds=3600.0, limit=500, remaining=3),)


def test_a_refusal_without_retry_after_waits_for_the_reset_of_what_is_spent() -> None:
    response = answer(429, date=DATE, x_ratelimit_limit="10", x_ratelimit_remaining="0", x_ratelimit_reset="12.2")
    assert standard_signal(response, NOW).retry_after == 13.0


def test_an_answer_without_fields_says_nothing() -> None:
    assert standard_signal(answer(), NOW) == any_signal(answer(), NOW) == RateSignal()


# ------------------------------------------------------------------ unknown providers


@pytest.mark.parametrize(
    ("response", "wait", "limit"),
    [
        (answer(429, b'{"error": "Rate limit exceeded: 9/8 requests per day", "retry_after": 77}'), 77.0, 8),
        (answer(429, b"Maximum allowed: 20 per 1m. Please try again in 41 second(s)."), 41.0, 20),
        (answer(503, b'{"D": {"Code": 1550}}'), 30.0, None),
        (answer(429, retry_after="6"), 6.0, None),
        (answer(429), None, None),
    ],
)
def test_for_an_unknown_provider_every_dialect_is_tried(
    response: Response, wait: float | None, limit: int | None
) -> None:
    signal = any_signal(response, NOW)
    assert signal.refused
    assert signal.retry_after == wait
    assert [window.limit for window in signal.windows] == ([] if limit is None else [limit])


def test_a_server_that_is_down_for_a_while_is_left_alone_and_not_held_for_a_refusal() -> None:
    assert any_signal(answer(503, retry_after="120"), NOW) == RateSignal(retry_after=120.0)


# ------------------------------------------------------------------ Trestle


def test_trestle_tells_floats_and_milliseconds_for_each_period() -> None:
    """FAULTS Q06."""
    response = answer(
        date=DATE,
        minute_quota_limit="280.0",
        minute_quota_available="236.0",
        hour_quota_limit="8400.0",
        hour_quota_available="7634.0",
        hour_quota_resettime="1772368200000",
        quotatype="Api",
    )
    assert trestle_signal(response, NOW).windows == (
        WindowSignal(seconds=60.0, limit=280, remaining=236),
        WindowSignal(seconds=3600.0, limit=8400, remaining=7634, resets_in=1800.0),
    )


def test_a_trestle_refusal_is_the_minutes_unless_the_hour_is_spent() -> None:
    """It names no wait: "check Hour-Quota-Available" says the documentation."""
    minute = answer(429, date=DATE, minute_quota_limit="180", hour_quota_limit="7200", hour_quota_available="7000.0")
    assert trestle_signal(minute, NOW).refused
    assert trestle_signal(minute, NOW).retry_after == 60.0
    hour = answer(
        429, date=DATE, minute_quota_limit="180", minute_quota_available="60", hour_quota_limit="7200",
        hour_quota_available="0.0", hour_quota_resettime="2026-03-01T12:20:00Z",
    )  # fmt: skip
    assert trestle_signal(hour, NOW).retry_after == 1200.0


# ------------------------------------------------------------------ Bridge


def test_bridge_tells_the_hour_and_the_burst_of_a_minute() -> None:
    response = answer(
        date=DATE,
        application_ratelimit_limit="5000",
        application_ratelimit_remaining="4991",
        application_ratelimit_reset="2026-03-01T12:54:05.528Z",
        burst_ratelimit_limit="334",
        burst_ratelimit_remaining="330",
        burst_ratelimit_reset="2026-03-01T12:00:39.531Z",
    )
    assert bridge_signal(response, NOW).windows == (
        WindowSignal(name="burst", seconds=60.0, limit=334, remaining=330, resets_in=39.531),
        WindowSignal(name="application", seconds=3600.0, limit=5000, remaining=4991, resets_in=3245.528),
    )
    assert any_signal(response, NOW) == bridge_signal(response, NOW)


def test_burst_fields_of_another_server_have_no_known_length() -> None:
    """QStash counts its bursts by the second, and has no hour."""
    response = answer(date=DATE, burst_ratelimit_limit="100", burst_ratelimit_remaining="7")
    assert any_signal(response, NOW).windows == (WindowSignal(name="burst", limit=100, remaining=7),)


def test_a_bridge_reset_beyond_its_window_is_of_some_other_window() -> None:
    """FAULTS Q06."""
    response = answer(
        date=DATE,
        application_ratelimit_limit="90000",
        application_ratelimit_remaining="80000",
        application_ratelimit_reset="2026-03-02T00:00:00Z",
    )
    assert bridge_signal(response, NOW).windows[0].seconds is None


# ------------------------------------------------------------------ concurrency, partitions


def test_a_policy_in_concurrent_requests_says_how_many_may_be_open() -> None:
    response = lines(
        ("RateLimit-Policy", '"open";q=5;qu="concurrent-requests", "few";q=3;qu=concurrent-requests'),
        ("RateLimit-Policy", '"hour";q=500;w=3600;qu="request"'),
        ("RateLimit", '"open";r=1, "hour";r=400;t=1800'),
    )
    signal = standard_signal(response, NOW)
    assert signal.open_at_most == 3
    assert [(window.name, window.remaining) for window in signal.windows] == [("hour", 400)]
    assert any_signal(response, NOW).open_at_most == 3


def test_partition_keys_and_unquoted_names_do_not_hide_a_policy() -> None:
    """Drafts 08 to 11: ``pk`` is a byte sequence, with equals signs in it."""
    response = lines(
        ("RateLimit-Policy", "default;q=100;w=60;pk=:QXBwLTk5OQ==:"), ("RateLimit", '"default";r=12;t=30;pk=:QXBw:')
    )
    assert standard_signal(response, NOW).windows == (
        WindowSignal(name="default", seconds=60.0, limit=100, remaining=12, resets_in=30.0),
    )


def test_a_reset_of_the_early_drafts_may_be_an_instant() -> None:
    """FAULTS Q06: seconds by the draft, an epoch by some who claim to follow it."""
    response = answer(date=DATE, ratelimit_limit="100", ratelimit_remaining="7", ratelimit_reset="1772366430")
    assert standard_signal(response, NOW).windows == (WindowSignal(limit=100, remaining=7, resets_in=30.0),)


# ------------------------------------------------------------------ the table


def test_a_provider_names_its_dialects_and_is_read_in_no_other() -> None:
    response = answer(429, hour_quota_limit="9", burst_ratelimit_remaining="3", hourly_access_key_usage="8")
    assert {window.name for window in signals_in("bridge", "idx_broker")(response, NOW).windows} == {"burst", HOURLY}
    with pytest.raises(KeyError):
        signals_in("klingon")


@pytest.mark.parametrize("name", list(DIALECTS))
def test_a_dialect_says_nothing_of_an_answer_in_another(name: str) -> None:
    assert DIALECTS[name].read(answer(), NOW) == RateSignal()
    assert not DIALECTS[name].spoken(answer()) or name == "standard"
