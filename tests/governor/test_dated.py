"""The end of a short window on the server's own clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from harvester.governor.signals.dated import dated
from harvester.governor.signals.standard import standard_signal
from harvester.model import Headers, Response

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def test_the_end_of_a_window_is_an_instant_of_the_servers_clock_whatever_ours_says() -> None:
    """FAULTS S05."""
    reset = int(datetime(2026, 3, 1, 11, 50, 1, tzinfo=UTC).timestamp())
    fields = [
        ("Date", "Sun, 01 Mar 2026 11:50:00 GMT"),
        ("X-RateLimit-Limit", "10"),
        ("X-RateLimit-Remaining", "9"),
        ("X-RateLimit-Reset", str(reset)),
    ]
    response = Response(status=200, headers=Headers(fields), body=b"", url="https://x.example/")
    for ahead in (0, 600):
        (window,) = dated(standard_signal)(response, NOW + timedelta(seconds=ahead)).windows
        assert (window.remaining, window.resets_at) == (9, reset)


def test_an_answer_without_short_windows_is_left_as_it_is() -> None:
    response = Response(status=200, headers=Headers(), body=b"", url="https://x.example/")
    assert dated(standard_signal)(response, NOW) == standard_signal(response, NOW)
