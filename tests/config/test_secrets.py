"""Secrets are read late, and seen by nobody."""

from __future__ import annotations

import pickle
import traceback

import msgspec
import orjson
import pytest

from harvester.config.load import parse_config
from harvester.config.schema import Config, SourceConfig
from harvester.config.secrets import Secret, SecretStore
from harvester.errors import ConfigError
from tests.fakes.given_files import GivenFiles

CANARY = "canary-7f3a91"


def store(
    environment: dict[str, str] | None = None, files: dict[str, bytes | str] | None = None, **keys: object
) -> SecretStore:
    config = Config(sources={"ims": SourceConfig(**keys)})  # type: ignore[arg-type]
    return SecretStore(config, environment=environment or {}, fs=GivenFiles(files))


def test_a_secret_comes_from_text_a_variable_or_a_file() -> None:
    secrets = store(
        {"TOKEN": "from-env"},
        {"/run/secrets/key": "from-file\r\n"},
        client_id=Secret("from-text"),
        token=Secret(env="TOKEN"),
        access_key=Secret(file="/run/secrets/key"),
        token_url="https://a.example/token",
        scope="api",
    ).credential("ims")
    assert secrets.reveal("client_id") == "from-text"
    assert secrets.reveal("token") == "from-env"
    assert secrets.reveal("access_key") == "from-file"
    assert secrets.reveal("client_secret") is None
    assert (secrets.token_url, secrets.scope) == ("https://a.example/token", "api")


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        (Secret(env="ABSENT"), "sources.ims.token: the environment variable ABSENT is not set"),
        (Secret(env="EMPTY"), "sources.ims.token: the environment variable EMPTY is empty"),
        (Secret(file="/absent"), "sources.ims.token: the file /absent cannot be read"),
        (Secret(file="/binary"), "sources.ims.token: the file /binary is not UTF-8 text"),
        (Secret(f"{CANARY}\r\nX-Evil: 1"), "sources.ims.token: the value holds a line break"),
        (Secret(file="/two-lines"), "sources.ims.token: the file /two-lines holds a line break"),
        (Secret(""), "sources.ims.token: the value is empty"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named_by_its_key_and_origin(secret: Secret, expected: str) -> None:
    files: dict[str, bytes | str] = {"/binary": CANARY.encode() + b"\xff", "/two-lines": f"{CANARY}\nx\n"}
    with pytest.raises(ConfigError) as caught:
        store({"EMPTY": ""}, files, token=secret).credential("ims")
    assert str(caught.value).startswith(expected)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_a_secret_shows_itself_nowhere() -> None:
    """FAULTS E04: repr, str, format, exceptions, pickles and encoders."""
    config = parse_config(f"[sources.ims]\ntoken = '{CANARY}'\nclient_secret = {{ env = 'X' }}")
    secret = config.sources["ims"].token
    credential = SecretStore(config, environment={"X": CANARY}, fs=GivenFiles()).credential("ims")
    for thing in (secret, credential, config, [secret], {"token": secret}, credential.reveal):
        for shown in (repr(thing), str(thing), f"{thing}"):
            assert CANARY not in shown
    assert "X" in repr(config)  # the name of a variable is no secret, and helps
    for encode in (msgspec.json.encode, orjson.dumps, pickle.dumps):
        for thing in (secret, credential, config):
            with pytest.raises(TypeError) as caught:
                encode(thing)
            assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_a_secret_of_a_source_that_is_not_used_is_not_read() -> None:
    files = GivenFiles({"/a": "x"})
    config = Config(sources={"a": SourceConfig(token=Secret(file="/a")), "b": SourceConfig(token=Secret(file="/b"))})
    SecretStore(config, environment={}, fs=files).credential("a")
    assert files.reads == ["/a"]


ORIGIN = "https://a.example"


def test_sources_share_a_quota_when_provider_origin_and_key_are_the_same() -> None:
    """The client secret may be rotated, and another host is another quota."""
    config = parse_config(
        """
        [sources.a]
        provider = "ims"
        client_id = "one"
        client_secret = "x"
        [sources.b]
        provider = "ims"
        client_id = "one"
        client_secret = "y"
        [sources.c]
        provider = "ims"
        client_id = "two"
        [sources.d]
        provider = "centris"
        client_id = "one"
        """
    )
    secrets = SecretStore(config, environment={}, fs=GivenFiles())
    a, b, c, d = (secrets.identity(name, ORIGIN) for name in "abcd")
    assert a == b
    assert len({a, c, d, secrets.identity("a", "https://b.example")}) == 4


def test_an_identity_holds_no_secret_and_is_the_same_tomorrow() -> None:
    """FAULTS E04, Q09: it is written into the ledger's file name, and must find the same ledger after a restart."""
    secrets = store(token=Secret(CANARY))
    identity = secrets.identity("ims", ORIGIN)
    assert CANARY not in identity
    assert identity == "ims|https://a.example|d6cd3a167f1cb75c"


def test_a_credential_name_decides_who_shares_a_quota() -> None:
    named = store(token=Secret("1"), credential="shared").identity("ims", ORIGIN)
    assert named == store(token=Secret("2"), credential="shared").identity("ims", "https://b.example")
    assert named == "name|shared"


def test_shapes_that_are_no_secret_are_refused() -> None:
    for shape in (12, True, None, ["x"], {"env": ""}, {"env": "A", "file": "B"}, {"text": "x"}):
        with pytest.raises(ValueError, match="a secret is"):
            Secret.parse(shape)
    with pytest.raises(ValueError, match="a secret is"):
        Secret(env="A", file="B")
