"""Links of every form, resolved without touching a byte of what the provider wrote."""

from __future__ import annotations

import pytest

from harvester.pagers.links import resolve, without_secrets

PAGE = "https://api.example:8443/v1/odata/Property?$top=5&x=a/b"


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("https://api.example/x?y=%2F", "https://api.example/x?y=%2F"),
        ("Property?$skip=5", "https://api.example:8443/v1/odata/Property?$skip=5"),
        ("/v1/odata/Property?a=/b", "https://api.example:8443/v1/odata/Property?a=/b"),
        ("?$skiptoken=a b", "https://api.example:8443/v1/odata/Property?$skiptoken=a b"),
        ("//evil.example/x", "https://evil.example/x"),
        ("../odata/Property", "https://api.example:8443/v1/odata/../odata/Property"),
        ("javascript:alert(1)", "javascript:alert(1)"),
    ],
)
def test_a_link_becomes_absolute_and_keeps_its_bytes(link: str, url: str) -> None:
    """FAULTS P07; whether the result may be asked is the transport gate's to say (E01)."""
    assert resolve(PAGE, link) == url


def test_a_page_without_a_path_resolves_too() -> None:
    assert resolve("https://api.example?x=1", "Property") == "https://api.example/Property"
    assert resolve("https://api.example", "/Property") == "https://api.example/Property"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://h/p?access_token=x", "https://h/p"),
        ("https://h/p?a=1&Access_Token=x&b=%20", "https://h/p?a=1&b=%20"),
        ("https://h/p?apikey=x&$skiptoken=t", "https://h/p?$skiptoken=t"),
        ("https://h/p?$skiptoken=access_token=1", "https://h/p?$skiptoken=access_token=1"),
        ("https://h/p", "https://h/p"),
    ],
)
def test_credentials_are_cut_out_of_a_query_and_the_rest_stays(url: str, kept: str) -> None:
    """FAULTS E02."""
    assert without_secrets(url) == kept
