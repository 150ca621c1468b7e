"""What may be shown of foreign text (FAULTS E04, E06, E07)."""

from __future__ import annotations

import pytest

from harvester.wire.redaction import printable, redact


@pytest.mark.parametrize(
    "url",
    [
        "https://h.example/p?access_token=CANARY",
        "https://h.example/p?a=b&Client_Secret=CANARY&c=d",
        "https://h.example/p?access%5Ftoken=CANARY",
        "https://h.example/p?x=1;sig=CANARY",
        "https://h.example/p?apikey=CANARY#token=CANARY",
        "https://user:CANARY@h.example/p",
        "//CANARY@h.example",
        "text before https://h.example/?key=CANARY and after",
        "https://h.example/p?X-Amz-Signature=CANARY",
    ],
)
def test_secrets_in_urls_are_masked(url: str) -> None:
    """FAULTS E04: by the name of the parameter, however it is spelled, and user-info always."""
    assert "CANARY" not in redact(url)
    assert "***" in redact(url)


def test_a_cursor_is_shown() -> None:
    url = "https://h.example/v1/Property?$skiptoken=abc&$top=10"
    assert redact(url) == url


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[2J\x1b]0;owned\x07",
        "a\r\nINFO fake line",
        "a\u2028b\u0085c",
        "\u202eevil\u2066",
        "\x9b31m",
        "\ud800",
        "\x00",
    ],
)
def test_server_text_becomes_one_harmless_line(text: str) -> None:
    """FAULTS E06, E07: escape sequences, line ends of every kind and bidirectional marks lose their power."""
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) == 1
    shown.encode("utf-8")


def test_long_text_is_cut() -> None:
    assert len(printable("x" * 10_000)) == 301
    assert printable("Ünïcode remarks stay") == "Ünïcode remarks stay"
