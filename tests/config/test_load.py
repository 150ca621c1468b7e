"""A file, the environment and flags become a Config, or an error that names the key."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from harvester.config.load import load_config, parse_config
from harvester.config.schema import BudgetConfig, Config, ResourceConfig, SourceConfig
from harvester.errors import ArgumentError, ConfigError
from harvester.model import Budget, Window
from tests.fakes.given_files import GivenFiles

EXAMPLE = """
out = "out"

[sources.centris]
base_url = "https://datadistributionqc.centris.ca/v1/odata"
client_id = { env = "CENTRIS_CLIENT_ID" }
client_secret = "s3cret"
resources = ["Property", "Member", "Office"]
budget = { per_minute = 20, per_day = 1000, in_flight = 4 }
"""


def error_of(text: str, **more: object) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, **more)  # type: ignore[arg-type]
    return str(caught.value)


def test_the_example_of_the_documentation_is_understood() -> None:
    config = parse_config(EXAMPLE)
    source = config.sources["centris"]
    assert config.out == "out"
    assert config.provider_of("centris") == "centris"
    assert source.budget == BudgetConfig(per_minute=20, per_day=1000, in_flight=4)
    assert [resource.name for resource in source.wanted] == ["Property", "Member", "Office"]


def test_a_resource_table_refines_a_named_resource() -> None:
    config = parse_config(
        """
        [sources.lakeside]
        provider = "odata"
        resources = ["Member", "Property"]
        [[sources.lakeside.resource]]
        name = "Property"
        select = ["ListingKey"]
        page_size = 200
        [[sources.lakeside.resource]]
        name = "Office"
        """
    )
    assert config.provider_of("lakeside") == "odata"
    assert config.sources["lakeside"].wanted == (
        ResourceConfig(name="Member"),
        ResourceConfig(name="Property", select=("ListingKey",), page_size=200),
        ResourceConfig(name="Office"),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[sources.centris]\nbudgets = {}", 'sources.centris.budgets: unknown key; did you mean "budget"?'),
        (
            "[sources.centris.budget]\nper_minut = 1",
            'sources.centris.budget.per_minut: unknown key; did you mean "per_minute"?',
        ),
        ("ouut = 'x'\n[sources.ims]", 'ouut: unknown key; did you mean "out"?'),
        (
            "[[sources.ims.resource]]\nname = 'P'\nselct = ['a']",
            'sources.ims.resource[0].selct: unknown key; did you mean "select"?',
        ),
        ("zzzzz = 1", "zzzzz: unknown key; known are: commit_seconds, compression"),
        (
            "[sources.ims]\nbudget = { windows = [{ requests = 1, second = 1 }] }",
            'sources.ims.budget.windows[0].second: unknown key; did you mean "seconds"?',
        ),
    ],
)
def test_an_unknown_key_is_named_with_its_nearest_neighbour(text: str, expected: str) -> None:
    assert error_of(text).startswith(expected)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("[sources.ims.budget]\nper_minute = 0", "sources.ims.budget.per_minute: must be at least 1"),
        ("[sources.ims.budget]\nper_minute = 'many'", "sources.ims.budget.per_minute: a whole number is needed"),
        ("[sources.ims.budget]\nmargin = 1.5", "sources.ims.budget.margin: must be less than 1"),
        ("[sources.ims.budget]\nper_second = 0", "sources.ims.budget.per_second: must be more than 0"),
        ("[sources.ims]\nbase_url = 3", "sources.ims.base_url: text is needed"),
        ("[sources.ims]\nresources = 'Property'", 'sources.ims.resources: a list is needed, for example ["Property"]'),
        ("[[sources.ims.resource]]\nselect = ['a']", "sources.ims.resource[0]: the key name is missing"),
        ("sources = 3", "sources: must be tables"),
        ("[sources]\nims = 3", "sources.ims: a table is needed"),
        ("compression = 'lz4'\n[sources.ims]", "compression: 'lz4' is none of the values"),
        ("deadline = 'soon'\n[sources.ims]", "deadline: 'soon' is not a number of seconds"),
        ("shard_bytes = '12 bananas'\n[sources.ims]", "shard_bytes: '12 bananas' is not a number of bytes"),
        ("[sources.ims]\ntoken = 12", "sources.ims.token: a secret is"),
        ("[sources.ims.token]\nenvv = 'X'", "sources.ims.token: a secret is"),
    ],
)
def test_a_wrong_value_is_named_by_its_path(text: str, path: str) -> None:
    assert error_of(text).startswith(path)


def test_a_wrong_secret_is_not_quoted_in_its_error() -> None:
    """FAULTS E04: a number instead of text is the common mistake, and the number is the secret."""
    assert "12345678" not in error_of("[sources.ims]\ntoken = 12345678")
    message = error_of("[sources.ims]", overrides=["sources.ims.token={ canary-secret"])
    assert "canary" not in message
    assert message.startswith("sources.ims.token: --set sources.ims.token is neither")


def test_broken_toml_names_the_file_and_the_line() -> None:
    message = error_of("out = \n", origin="harvester.toml")
    assert message.startswith("harvester.toml is not valid TOML")
    assert "line 1" in message


def test_a_flag_is_over_the_environment_is_over_the_file() -> None:
    text = "out = 'file'\n[sources.ims]\npage_size = 1\nfilter = 'file'"
    environment = {"HARVESTER_OUT": "environment", "HARVESTER_SOURCES__IMS__PAGE_SIZE": "2"}
    config = parse_config(text, environment=environment, overrides=["sources.ims.page_size=3"])
    assert config.out == "environment"
    assert config.sources["ims"].page_size == 3
    assert config.sources["ims"].filter == "file"


def test_the_environment_alone_is_enough() -> None:
    environment = {
        "HARVESTER_SOURCES__IDX_BROKER__ACCESS_KEY": "0012",
        "HARVESTER_SOURCES__IDX_BROKER__RESOURCES": "clients/featured, clients/soldpending",
        "HARVESTER_SOURCES__IDX_BROKER__BUDGET__PER_SECOND": "0.5",
        "HARVESTER_SOURCES__IDX_BROKER__TRANSLATIONS": "false",
        "HARVESTER_SOURCES__IDX_BROKER__LEAD_HORIZON": "30d",
        "HARVESTER_SOURCES__IDX_BROKER__RESOURCE": '[{ name = "leads/lead", page_size = 10 }]',
        "HARVESTER_SHARD_BYTES": "1MiB",
        "UNRELATED": "x",
    }
    config = load_config(None, fs=GivenFiles(), environment=environment)
    source = config.sources["idx_broker"]
    assert [resource.name for resource in source.wanted] == ["clients/featured", "clients/soldpending", "leads/lead"]
    assert source.budget.per_second == 0.5
    assert source.translations is False
    assert source.lead_horizon == 30 * 86400
    assert config.shard_bytes == 1024 * 1024
    assert source.access_key is not None
    assert source.access_key.read("x", {}, GivenFiles()) == "0012"


def test_a_variable_finds_the_source_whatever_its_spelling() -> None:
    config = parse_config("[sources.My-Ims]\n", environment={"HARVESTER_SOURCES__MY_IMS__PROVIDER": "ims"})
    assert config.sources["My-Ims"].provider == "ims"
    assert list(config.sources) == ["My-Ims"]


def test_an_unknown_variable_is_an_error_that_names_it() -> None:
    message = error_of(EXAMPLE, environment={"HARVESTER_OTU": "x"})
    assert message == 'the environment variable HARVESTER_OTU: unknown key; did you mean "out"?'
    message = error_of(EXAMPLE, environment={"HARVESTER_SOURCES__CENTRIS__BUDGET__PER_MINUT": "1"})
    assert message.startswith("sources.centris.budget.per_minut: unknown key")


def test_variables_that_kubernetes_injects_for_a_service_are_not_keys() -> None:
    environment = {"HARVESTER_PORT": "tcp://10.0.0.1:80", "HARVESTER_SERVICE_HOST": "10.0.0.1"}
    environment |= {"HARVESTER_PORT_80_TCP_ADDR": "10.0.0.1", "HARVESTER_SERVICE_PORT_HTTP": "80"}
    assert parse_config(EXAMPLE, environment=environment) == parse_config(EXAMPLE)


def test_a_wrong_text_value_says_where_it_came_from() -> None:
    message = error_of(EXAMPLE, environment={"HARVESTER_MAX_REQUESTS_AT_RISK": "few"})
    assert message.startswith("max_requests_at_risk: the environment variable HARVESTER_MAX_REQUESTS_AT_RISK says")
    message = error_of(EXAMPLE, overrides=["out.deep=1"])
    assert message == "out: --set out.deep goes below a key that is no table"
    with pytest.raises(ArgumentError, match="KEY=VALUE"):
        parse_config(EXAMPLE, overrides=["nonsense"])


def test_a_named_file_must_exist_and_the_default_one_need_not() -> None:
    fs = GivenFiles({"harvester.toml": EXAMPLE, "other.toml": "[sources.ims]"})
    assert "centris" in load_config(None, fs=fs, environment={}).sources
    assert "ims" in load_config(PurePath("other.toml"), fs=fs, environment={}).sources
    with pytest.raises(ConfigError, match=r"there is no configuration file absent\.toml"):
        load_config(PurePath("absent.toml"), fs=fs, environment={})
    with pytest.raises(
        ConfigError, match=r"there is no harvester\.toml in this directory.*harvester providers.*harvester demo"
    ):
        load_config(None, fs=GivenFiles(), environment={})


def test_durations_and_sizes_may_be_written_for_people() -> None:
    text = "deadline = '1h30m'\nshard_bytes = '1.5GB'\ncommit_seconds = 5\n[sources.ims]\ntimeout = '500ms'"
    config = parse_config(text)
    assert config.deadline == 5400
    assert config.shard_bytes == 1_500_000_000
    assert config.commit_seconds == 5
    assert config.sources["ims"].timeout == 0.5


DECLARED = Budget(
    windows=(Window(seconds=60, requests=20), Window(seconds=86400, requests=1000)), in_flight=3, margin=0.1
)


def test_a_configured_window_replaces_only_the_declared_one_of_its_length() -> None:
    budget = BudgetConfig(per_minute=10, bytes_per_hour=4_000_000_000, in_flight=2).over(DECLARED)
    assert budget == Budget(
        windows=(
            Window(seconds=60, requests=10),
            Window(seconds=3600, bytes=4_000_000_000),
            Window(seconds=86400, requests=1000),
        ),
        in_flight=2,
        margin=0.1,
    )
    assert BudgetConfig().over(DECLARED) == DECLARED


@pytest.mark.parametrize(
    ("rate", "requests", "seconds"), [(4, 4, 1), (0.5, 1, 2), (2.5, 5, 2), (1 / 3, 1, 3), (0.0001, 1, 10_000)]
)
def test_a_rate_per_second_becomes_a_window_of_whole_requests(rate: float, requests: int, seconds: float) -> None:
    (window,) = BudgetConfig(per_second=rate).over(Budget()).windows
    assert window.requests == requests
    assert window.seconds == pytest.approx(seconds)


def test_other_windows_can_be_listed() -> None:
    config = parse_config("[sources.ims.budget]\nwindows = [{ requests = 30, seconds = 6 }]")
    assert config.sources["ims"].budget.over(Budget()).windows == (Window(seconds=6, requests=30),)


def test_a_list_of_windows_takes_the_place_of_every_declared_one() -> None:
    """A provider whose limits have other periods than declared could not be described otherwise."""
    budget = parse_config("[sources.ims.budget]\nwindows = [{ requests = 30, seconds = 6 }]").sources["ims"].budget
    assert budget.over(Budget(windows=(Window(seconds=60, requests=20),))).windows == (Window(seconds=6, requests=30),)


def test_one_limit_replaces_the_listed_window_of_its_length() -> None:
    """``--set …per_minute=10`` beside a list of windows: not two limits over the same minute."""
    text = "[sources.ims.budget]\nwindows = [{ requests = 20, seconds = 60 }, { requests = 900, seconds = 86400 }]"
    budget = parse_config(text, overrides=["sources.ims.budget.per_minute=10"]).sources["ims"].budget
    assert budget.over(DECLARED).windows == (Window(seconds=60, requests=10), Window(seconds=86400, requests=900))


def test_a_rate_per_second_replaces_the_window_of_a_second_although_its_own_is_longer() -> None:
    declared = Budget(windows=(Window(seconds=1, requests=4),))
    assert BudgetConfig(per_second=4.5).over(declared).windows == (Window(seconds=2, requests=9),)


def test_every_field_of_the_schema_can_be_set_from_the_environment() -> None:
    """Every key can come from the environment; a new field with a type that text cannot reach shows up here."""
    sample = {"compression": "gzip", "deadline": "1h", "out": "x", "quota": "redis://store", "quota_fallback": "0"}
    sample |= {"prove": "true", "keep_tokens": "true", "sweep_at": "03:00", "health": "127.0.0.1:8080"}
    for name in Config.__struct_fields__:
        if name != "sources":
            parse_config(EXAMPLE, environment={f"HARVESTER_{name.upper()}": sample.get(name, "7")})
    special = {
        "translations": "true",
        "masked": "stars",
        "readable_names": "true",
        "names": '{ a = "b" }',
        "timeout": "9",
        "link_lifetime": "5m",
        "every": "1h30m",
        "sweep_every": "1d",
        "sweep_at": "never",
        "base_url": "https://a.example",
        "token_url": "https://a.example",
        "credentials": '[{ name = "A" }]',
    }
    special |= {"lead_horizon": "1d", "page_size": "5", "budget": "{ per_day = 3 }", "resource": '[{ name = "A" }]'}
    for name in SourceConfig.__struct_fields__:
        value = special.get(name, "x")
        config = parse_config("", environment={f"HARVESTER_SOURCES__S__{name.upper()}": value})
        assert getattr(config.sources["s"], name) is not None
    for name in BudgetConfig.__struct_fields__:
        value = {"windows": "[{requests = 1, seconds = 2}]", "margin": "0.1", "reserve": "0.2"}.get(name, "3")
        config = parse_config("", overrides=[f"sources.s.budget.{name}={value}"])
        assert getattr(config.sources["s"].budget, name)


@pytest.mark.parametrize(
    ("given", "read"),
    [('"x"', "x"), ("'x y'", "x y"), ('"a\\"b"', 'a"b'), ('"x', '"x'), ('"a"b"', '"a"b"'), ('"', '"')],
)
def test_an_override_may_be_quoted_as_in_the_file(given: str, read: str) -> None:
    config = parse_config("[sources.ims]", overrides=[f"sources.ims.filter={given}"])
    assert config.sources["ims"].filter == read


def test_what_the_environment_says_is_taken_as_it_is() -> None:
    config = parse_config("[sources.ims]", environment={"HARVESTER_SOURCES__IMS__FILTER": '"x"'})
    assert config.sources["ims"].filter == '"x"'


@pytest.mark.parametrize(
    ("text", "read"), [("true", True), ("False", False), ("expand", "expand"), ("accept-language", "accept-language")]
)
def test_translations_are_a_word_or_true_or_false(text: str, read: object) -> None:
    config = parse_config("[sources.centris]", overrides=[f"sources.centris.translations={text}"])
    assert config.sources["centris"].translations == read
