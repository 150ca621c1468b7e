"""Several credentials of one source: how they are written, and which cannot be meant."""

from __future__ import annotations

import pytest

from harvester.config.check import check_secrets
from harvester.config.load import parse_config
from harvester.config.secrets import SecretStore
from harvester.errors import ConfigError
from harvester.model import Budget, Window
from tests.fakes.given_files import GivenFiles

LIST = """
[sources.spark]
budget = { per_minute = 30 }
credentials = [
    { name = "first", token = "token-1" },
    { name = "second", token = { env = "SECOND" }, budget = { per_minute = 10, in_flight = 2 } },
]
"""
TABLES = """
[sources.spark]
budget = { per_minute = 30 }
[sources.spark.credentials.first]
token = "token-1"
[sources.spark.credentials.second]
token = { env = "SECOND" }
budget = { per_minute = 10, in_flight = 2 }
"""


@pytest.mark.parametrize("text", [LIST, TABLES])
def test_a_list_and_tables_by_name_are_the_same(text: str) -> None:
    config = parse_config(text)
    source = config.sources["spark"]
    assert [each.name for each in source.credentials] == ["first", "second"]
    secrets = SecretStore(config, environment={"SECOND": "token-2"}, fs=GivenFiles({}))
    assert [secrets.credential("spark", name).reveal("token") for name in source.sharers] == ["token-1", "token-2"]
    assert secrets.identity("spark", "host", "first") != secrets.identity("spark", "host", "second")


def test_each_has_the_budget_of_the_source_where_it_has_none_of_its_own() -> None:
    source = parse_config(LIST).sources["spark"]
    declared = Budget(windows=(Window(requests=2, seconds=1),), in_flight=4)
    first, second = (source.budget_of(name, declared) for name in source.sharers)
    assert [(window.requests, window.seconds) for window in first.windows] == [(2, 1), (30, 60)]
    assert [(window.requests, window.seconds) for window in second.windows] == [(2, 1), (10, 60)]
    assert (first.in_flight, second.in_flight) == (4, 2)


@pytest.mark.parametrize("text", [LIST, TABLES])
def test_one_of_them_can_be_changed_or_added_from_outside(text: str) -> None:
    source = parse_config(
        text,
        environment={"HARVESTER_SOURCES__SPARK__CREDENTIALS__SECOND__BUDGET__PER_MINUTE": "7"},
        overrides=["sources.spark.credentials.third.token=token-3"],
    ).sources["spark"]
    assert [each.name for each in source.credentials] == ["first", "second", "third"]
    assert source.credentials[1].budget.per_minute == 7
    assert source.credentials[1].budget.in_flight == 2


def test_all_of_them_can_come_from_the_environment() -> None:
    text = '[{ name = "a", token = "x" }, { name = "b", token = { env = "B" } }]'
    source = parse_config("", environment={"HARVESTER_SOURCES__SPARK__CREDENTIALS": text}).sources["spark"]
    assert list(source.sharers) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('token = "x"\n[sources.spark.credentials.a]\ntoken = "x"', "sources.spark.token: stands beside credentials"),
        ('credential = "x"\n[sources.spark.credentials.a]\ntoken = "x"', "would make one quota of all credentials"),
        ('[sources.spark.credentials.a]\ntokn = "x"', 'credentials[0].tokn: unknown key; did you mean "token"?'),
        ('credentials = [{ name = "a" }, { name = "A" }]', "sources.spark.credentials: two are named A"),
        ('credentials = [{ token = "x" }]', "sources.spark.credentials[0]: the key name is missing"),
        ('credentials = [{ name = "a/b" }]', "cannot name a credential"),
        (
            'credentials = [{ name = "a", token = "x" }, { name = "b", access_key = "y" }]',
            "sources.spark.credentials.b: holds another kind of credential than a (access_key, token)",
        ),
        (
            "[sources.spark.credentials.a.budget]\nwindows = [{ seconds = 1 }]",
            "sources.spark.credentials.a.budget.windows[0]: say either requests or bytes",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_path(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(f"[sources.spark]\n{text}")
    assert told in str(caught.value)


def test_a_secret_that_is_missing_in_one_of_them_is_named() -> None:
    source = parse_config("[sources.spark.credentials.a]\nbudget = { in_flight = 1 }").sources["spark"]
    with pytest.raises(ConfigError, match=r"sources\.spark\.credentials\.a\.token: is missing.*SPARK_A_TOKEN"):
        check_secrets("spark", source, ["token"], ["token"])
