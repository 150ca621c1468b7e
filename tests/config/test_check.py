"""What a schema cannot say: names that become paths, URLs that get credentials, things that must agree."""

from __future__ import annotations

import traceback

import msgspec
import pytest

from harvester.config.check import (
    check_address,
    check_config,
    check_options,
    check_quota,
    check_resource,
    check_secrets,
    check_source_names,
    check_walks,
)
from harvester.config.load import parse_config
from harvester.config.schema import Config, ResourceConfig, SourceConfig
from harvester.config.secrets import Secret
from harvester.errors import ArgumentError, ConfigError


def refused(config: Config) -> str:
    with pytest.raises(ConfigError) as caught:
        check_config(config)
    return str(caught.value)


@pytest.mark.parametrize("name", ["../x", "a/b", "", "a" * 65, "a.b", "-a", "a\x1b[31m", "ünï"])
def test_a_source_name_that_is_no_plain_word_is_refused(name: str) -> None:
    """FAULTS M03 and E06: it becomes a directory, and the message shows no control character."""
    message = refused(Config(sources={name: SourceConfig()}))
    assert message.startswith("sources: ")
    assert message.isprintable()


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a//b", "a/../b", "a..b", "a\x00", "x" * 300, "a b", "Prop\u202eerty", "a/"]
)
def test_a_resource_name_that_leaves_the_output_directory_is_refused(name: str) -> None:
    """FAULTS M03."""
    message = refused(Config(sources={"ims": SourceConfig(resources=(name,))}))
    assert message.startswith("sources.ims.resources[0]: ")
    assert message.isprintable()


def test_names_that_providers_use_are_taken() -> None:
    names = ("Property", "clients/featured", "listings", "mls/listfieldvalues", "RESO_Thing.v2")
    check_config(Config(sources={"ims": SourceConfig(resources=names)}))


def test_sources_that_differ_only_in_case_are_refused() -> None:
    assert "differ only in case" in refused(Config(sources={"ims": SourceConfig(), "IMS": SourceConfig()}))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://api.example/odata", "https"),
        ("ftp://api.example", "https"),
        ("api.example/odata", "https"),
        ("https://", "https"),
        ("https://user:hunter2@api.example", "user name or password"),
        ("https://api.example/odata?token=hunter2", "query"),
        ("https://api.example:99999/", "not a URL"),
        ("https://user:hunter2/x@api.example", "not a URL"),
        ("https://user:x[hunter2]@api.example", "not a URL"),
        ("https://api.example/a b", "characters"),
        ("https://api.éxample/", "characters"),
        ("https://api.example\\@evil.example/", "characters"),
    ],
)
def test_a_url_that_should_get_no_credential_is_refused_without_showing_it(url: str, reason: str) -> None:
    message = refused(Config(sources={"ims": SourceConfig(base_url=url)}))
    assert message.startswith("sources.ims.base_url: ")
    assert reason in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/ims", "http://localhost:1", "http://[::1]:1/x", "https://a.example"]
)
def test_plain_http_is_for_this_machine_only(url: str) -> None:
    check_config(Config(sources={"ims": SourceConfig(base_url=url, token_url=url)}))


def test_a_window_limits_either_requests_or_bytes() -> None:
    with pytest.raises(ConfigError, match=r"sources\.ims\.budget\.windows\[0\]: say either"):
        parse_config("[sources.ims.budget]\nwindows = [{ seconds = 6 }]")


def test_an_object_store_is_refused_until_it_is_supported() -> None:
    assert refused(Config(out="s3://bucket/prefix", sources={"ims": SourceConfig()})).startswith("out: ")


def test_a_missing_secret_is_named_with_an_example() -> None:
    section = SourceConfig(client_id=Secret("x"))
    with pytest.raises(ConfigError) as caught:
        check_secrets("my-ims", section, ("client_id", "client_secret"), ("client_id", "client_secret"))
    message = str(caught.value)
    assert message.startswith("sources.my-ims.client_secret: is missing")
    assert '{ env = "MY_IMS_CLIENT_SECRET" }' in message
    check_secrets("my-ims", section, ("client_id",), ("client_id",))


def test_a_secret_that_the_provider_does_not_use_is_refused() -> None:
    section = SourceConfig(token=Secret("x"), access_key=Secret("canary"))
    with pytest.raises(ConfigError) as caught:
        check_secrets("spark", section, ("token",), ("token",))
    assert str(caught.value) == "sources.spark.access_key: this provider does not use it; it takes token"


@pytest.mark.parametrize("key", ["client_id", "client_secret", "token", "access_key", "ancillary_key"])
def test_a_secret_that_a_program_gives_as_plain_text_is_refused_and_not_shown(key: str) -> None:
    """FAULTS E04: only a Secret is masked wherever the configuration is shown."""
    section = msgspec.structs.replace(SourceConfig(), **{key: "canary"})
    message = refused(Config(sources={"spark": section}))
    assert message.startswith(f"sources.spark.{key}: must be a Secret")
    assert "canary" not in message


def test_a_walk_that_the_provider_does_not_have_is_refused_by_its_path() -> None:
    known = ("chain", "pages")
    with pytest.raises(ConfigError, match=r"^sources\.spark\.walk: this provider has no walk 'bogus'; known are: c"):
        check_walks("spark", SourceConfig(walk="bogus"), known)
    table = ResourceConfig(name="listings", walk="chian")
    with pytest.raises(ConfigError, match=r"^sources\.spark\.resource\[0\]\.walk: .*; known are: chain, pages$"):
        check_walks("spark", SourceConfig(resource=(table,)), known)
    check_walks("spark", SourceConfig(walk="pages", resource=(ResourceConfig(name="listings"),)), known)


def test_an_option_of_another_provider_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"sources\.ims\.language"):
        check_options("ims", SourceConfig(language="fr"), ())
    check_options("centris", SourceConfig(language="fr"), {"language"})


def test_unknown_resources_and_sources_are_named() -> None:
    with pytest.raises(ConfigError, match='did you mean "Property"'):
        check_resource("ims", "Proprety", ["Property", "Member"])
    with pytest.raises(ArgumentError, match='did you mean "centris"'):
        check_source_names(["centri"], Config(sources={"centris": SourceConfig()}))
    check_source_names(["centris"], Config(sources={"centris": SourceConfig()}))


@pytest.mark.parametrize(
    "url",
    [
        "http://store",
        "store:6379",
        "redis://",
        "redis://user:canary@store:x/0",
        "redis://user:canary@store/0?socket_timeout=1",
        "redis://user:canary@store/zero",
        "unix:///run/redis.sock",
    ],
)
def test_the_url_of_a_quota_store_that_cannot_be_used_is_refused_and_not_quoted(url: str) -> None:
    """FAULTS E04: it may hold a password."""
    with pytest.raises(ConfigError) as caught:
        check_quota(url)
    assert str(caught.value).startswith("quota: ")
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_urls_of_quota_stores_are_taken() -> None:
    for url in ("redis://store", "redis://:p%40ss@store:6380/2", "rediss://user:pass@store.example/"):
        check_quota(url)


def test_the_password_of_a_quota_store_is_seen_by_nobody() -> None:
    config = parse_config('quota = "redis://:canary@store"\nquota_fallback = 0.25\n[sources.ims]')
    assert "canary" not in repr(config)
    assert config.quota_fallback == 0.25


def test_a_local_share_without_a_quota_store_is_refused() -> None:
    assert refused(Config(quota_fallback=0.5, sources={"ims": SourceConfig()})).startswith("quota_fallback: ")


@pytest.mark.parametrize("text", ["24:00", "3:00", "03:60", "noon", "", "03:00:00"])
def test_a_sweep_at_no_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^sources\.centris\.sweep_at: must be a time of day"):
        check_config(Config(sources={"centris": SourceConfig(sweep_at=text)}))


def test_sweeps_by_interval_and_by_the_clock_at_a_time_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^sweep_at: stands beside sweep_every"):
        check_config(Config(sources={"centris": SourceConfig()}, sweep_every=86_400.0, sweep_at="03:00"))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("8080", ("127.0.0.1", 8080)),
        ("0", ("127.0.0.1", 0)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::1]:80", ("::1", 80)),
        ("localhost:1", ("localhost", 1)),
    ],
)
def test_an_address_is_of_this_machine_alone_unless_it_names_another(text: str, address: tuple[str, int]) -> None:
    assert check_address(text, "health") == address


@pytest.mark.parametrize("text", ["", ":80", "a:", "host:port", "127.0.0.1:70000", "1:"])
def test_an_address_without_a_port_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^health: .* is no address to listen at"):
        check_config(Config(sources={"centris": SourceConfig()}, health=text))
