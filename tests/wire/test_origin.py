"""Which URLs a source may ask (FAULTS E01, E02, P07, S13)."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from harvester.errors import ConfigError, OriginRefused
from harvester.wire.origin import Origin

SOURCE = Origin.parse("https://api.example.com/v1/odata")
REQUEST = "https://api.example.com/v1/odata/Property?$top=10"


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1/odata/Property",  # other host
        "https://api.example.com.evil.example/v1/odata/Property",
        "https://api.example.com./v1/odata/Property",  # trailing dot
        "http://api.example.com/v1/odata/Property",  # downgrade
        "ftp://api.example.com/v1/odata/Property",
        "https://api.example.com:8443/v1/odata/Property",  # other port
        "https://api.example.com:443x/v1/odata/Property",
        "https://user:pass@api.example.com/v1/odata/Property",
        "https://api.example.com@evil.example/v1/odata/Property",
        "https://evil.example\\@api.example.com/v1/odata/Property",
        "https:\\\\evil.example/v1/odata/Property",
        "\\\\evil.example\\v1",
        "//evil.example/v1/odata/Property",
        "///evil.example/v1/odata/Property",
        "https:///evil.example/v1/odata/Property",
        "https:/v1/odata/Property",
        "https:Property",
        "javascript:alert(1)",
        "https://аpi.example.com/v1/odata/Property",  # noqa: RUF001 - the first letter is Cyrillic
        "https://api%2eexample.com/v1/odata/Property",
        "https://2130706433/v1/odata/Property",
        "https://0x7f.1/v1/odata/Property",
        "https://[::1]/v1/odata/Property",
        "https://[::ffff:127.0.0.1]/v1/odata/Property",
        "https://169.254.169.254/latest/meta-data",
        "/v1/other/Property",
        "/v1/odatax/Property",  # not on a segment boundary
        "/",
        "../../token",
        "../other/Property",
        "https://api.example.com/v1/odata/../other",
        "https://api.example.com/v1/odata/%2e%2e/other",
        "https://api.example.com/v1/odata/%2E./other",
        "https://api.example.com/v1/odata/..%2fother",
        "https://api.example.com/v1/odata/..%5cother",
        "https://api.example.com/v1/odata/%252e%252e/other",
        "https://api.example.com/v1/odata/x/..\\..\\..\\other",
        "Property\r\nX-Evil: 1",
        "Property\tx",
        "Property\x00",
    ],
)
def test_a_link_that_leaves_the_origin_is_refused(link: str) -> None:
    """FAULTS E01: other host, port, scheme, user-info, look-alikes, address forms, paths outside the base."""
    with pytest.raises(OriginRefused):
        SOURCE.resolve(link, REQUEST)


@pytest.mark.parametrize(
    ("link", "sent"),
    [
        ("https://api.example.com/v1/odata/Property?$skiptoken=a%2Bb", None),
        ("HTTPS://API.example.COM/v1/odata/Property?x=Y", "https://API.example.COM/v1/odata/Property?x=Y"),
        ("https://api.example.com:443/v1/odata/Property", None),
        ("https://api.example.com/V1/OData/Property?$skip=10", None),
        ("//api.example.com/v1/odata/Property", "https://api.example.com/v1/odata/Property"),
        ("/v1/odata/Property?$skip=10", "https://api.example.com/v1/odata/Property?$skip=10"),
        ("?$skip=10", "https://api.example.com/v1/odata/Property?$skip=10"),
        ("Property?$skiptoken=x", "https://api.example.com/v1/odata/Property?$skiptoken=x"),
        ("./Property", "https://api.example.com/v1/odata/Property"),
        ("../odata/Member", "https://api.example.com/v1/odata/Member"),
        ("", "https://api.example.com/v1/odata/Property?$top=10"),
        ("Property?q=/../../..", "https://api.example.com/v1/odata/Property?q=/../../.."),
        ("Property('a%2Fb')", "https://api.example.com/v1/odata/Property('a%2Fb')"),
        ("Property?x=1#fragment", "https://api.example.com/v1/odata/Property?x=1"),
    ],
)
def test_a_link_inside_the_origin_is_resolved(link: str, sent: str | None) -> None:
    """FAULTS P07: relative and absolute forms, other case of the path, default port spelled out."""
    assert SOURCE.resolve(link, REQUEST) == (link if sent is None else sent)


@pytest.mark.parametrize(
    "query",
    ["%24skiptoken=a%2520b", "$skiptoken=a+b%20c", "$filter=A%20eq%20'O''B'&b={x}|^`\"<>", "a=%zz&b=%E9&&=;,", "q=\\"],
)
def test_no_byte_of_a_query_is_quoted_again(query: str) -> None:
    """FAULTS P07: an opaque token is sent as it came, legal or odd."""
    assert SOURCE.resolve(f"Property?{query}", REQUEST) == f"https://api.example.com/v1/odata/Property?{query}"


def test_what_cannot_stand_in_a_request_line_is_encoded() -> None:
    """A blank would end the request target; encoding it is the only way to send the link at all."""
    assert SOURCE.resolve("Property?q=a b é", REQUEST).endswith("?q=a%20b%20%C3%A9")


def test_a_credential_in_a_link_is_left_out_and_the_cursor_stays() -> None:
    """FAULTS E02: another tenant's token, or our own, is neither sent nor stored."""
    link = "Property?$skiptoken=a%2Bb&access_token=CANARY&key=42&access%5Ftoken=CANARY&token=cursor"
    assert SOURCE.resolve(link, REQUEST).endswith("/Property?$skiptoken=a%2Bb&key=42&token=cursor")


def test_a_refusal_shows_neither_user_info_nor_tokens() -> None:
    """FAULTS E04: the link goes into the message, its secrets do not."""
    with pytest.raises(OriginRefused) as caught:
        SOURCE.resolve("https://u:CANARY@evil.example/?sig=CANARY&a=b")
    assert "CANARY" not in str(caught.value)
    assert "evil.example" in str(caught.value)
    assert "base_url" in str(caught.value)


def test_without_a_request_links_are_below_the_base_url() -> None:
    assert SOURCE.resolve("Property?$top=1") == "https://api.example.com/v1/odata/Property?$top=1"
    assert Origin.parse("https://h.example").resolve("v1/Property") == "https://h.example/v1/Property"


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/v1",  # clear text
        "http://127.0.0.1.example.com/",
        "http://10.0.0.1/",
        "api.example.com/v1",
        "https:///v1",
        "https://",
        "file:///etc/passwd",
        "https://user:CANARY@api.example.com/",
        "https://user:CANARY/x@api.example.com/",
        "https://user:x/CANARY@api.example.com/",
        "https://user:CANARY",
        "user:CANARY@api.example.com/v1",
        "https://api.example.com/?key=CANARY",
        "https://api.example.com/#x",
        "https://api.example.com./",
        "https://api.example.com:0/",
        "https://api.example.com:99999/",
        "https://2130706433/",
        "https://127.1/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://[::1%25eth0]/",
        "https://api.example.com/a b",
        "https://ex ample.com/",
        "https://-/",
        "https://exa%6dple.com/",
    ],
)
def test_a_base_url_that_is_unsafe_or_unclear_is_a_configuration_error(url: str) -> None:
    """FAULTS E01: http only to this machine, addresses only in their canonical spelling; the key is named."""
    with pytest.raises(ConfigError, match=r"sources\.a\.base_url") as caught:
        Origin.parse(url, path="sources.a.base_url")
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://localhost:8080/x", "http://127.0.0.1:1", "http://[::1]:8080/", "http://127.9.9.9"]
)
def test_http_to_this_machine_is_allowed(url: str) -> None:
    assert Origin.parse(url).loopback


def test_hosts_are_compared_in_their_wire_form() -> None:
    """A base URL in unicode, upper case or with its default port is one origin with its plain spelling."""
    origin = Origin.parse("https://Bücher.Example:443/Api/")
    assert origin.url == "https://xn--bcher-kva.example/Api/"
    origin.check("https://xn--bcher-kva.example/Api/Property")
    origin.check("https://xn--bcher-kva.example/Api")


PIECES = (
    r"https: http: / // \ @ : ? # .. . %2e %2f %5c %00 v1 odata api.example.com API.EXAMPLE.COM evil.example [ ] 443"
)
HOSTILE = st.lists(st.sampled_from([*PIECES.split(), " ", "\t", "\n", "\u3002", "\uff0f", "ß"]), max_size=12).map(
    "".join
)


@given(HOSTILE | st.text(max_size=40))
def test_other_parsers_read_an_accepted_link_the_same_way(link: str) -> None:
    """FAULTS E01: what passes leads to the source for a strict and for a forgiving parser alike."""
    try:
        sent = SOURCE.resolve(link, REQUEST)
    except OriginRefused:
        return
    assert (URL(sent, encoded=True).raw_host or "").lower() == "api.example.com"
    assert urlsplit(sent).hostname == "api.example.com"
    assert urlsplit(sent).port in (None, 443)
    assert urlsplit(sent).username is None
    assert urlsplit(sent).path.lower().startswith("/v1/odata")
