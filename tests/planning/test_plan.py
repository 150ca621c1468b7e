"""A plan orders parents before children and turns a wanted resource into walks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from harvester.errors import ConfigError
from harvester.model import (
    Action,
    Budget,
    Head,
    Page,
    PageRequest,
    PerValue,
    Phase,
    RateSignal,
    Resource,
    Response,
    Verdict,
    Walk,
    Window,
)
from harvester.planning.closing import closing_walk
from harvester.planning.forecast import forecast, requests_for
from harvester.planning.plan import Wanted, full_walks, with_parents
from harvester.provider import Provider

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DATABASE = Resource(name="Database", key=("MLSID",))
PROPERTY = Resource(
    name="Property",
    key=("ListingId",),
    modified="ModificationTimestamp",
    per_value=PerValue(resource="Database", member="Name", stamp="Origin"),
    page_size=500,
)


class OnePage:
    """One request reads the whole set."""

    def first(self, walk: Walk) -> PageRequest:
        return PageRequest(url=walk.resource.name)

    def follow(self, walk: Walk, page: Page, heads: Sequence[Head]) -> Sequence[PageRequest]:
        return ()

    def with_size(self, walk: Walk, request: PageRequest, size: int | None) -> PageRequest:
        return request

    def fresh(self, walk: Walk, request: PageRequest, page: Page, heads: Sequence[Head]) -> Sequence[bool] | None:
        return None


class NoEnvelope:
    def open(self, response: Response, request: PageRequest, walk: Walk) -> Page:
        raise NotImplementedError


PROVIDER = Provider(
    name="toy",
    title="Toy",
    base_url="https://toy.example/v1",
    auth=None,  # type: ignore[arg-type]
    resources=(DATABASE, PROPERTY),
    pagers={"one": OnePage()},
    full="one",
    closing="one",
    envelope=NoEnvelope(),
    judge=lambda response: Verdict(action=Action.USE),
    signals=lambda response, now: RateSignal(),
    budget=Budget(),
    source="made up for this test",
)


def test_a_resource_walked_per_value_brings_its_parent_first() -> None:
    names = [(item.resource.name, item.implied) for item in with_parents(PROVIDER, [Wanted(resource=PROPERTY)])]
    assert names == [("Database", True), ("Property", False)]


def test_a_parent_that_was_asked_for_is_taken_as_asked() -> None:
    wanted = with_parents(PROVIDER, [Wanted(resource=PROPERTY), Wanted(resource=DATABASE, page_size=7)])
    assert [(item.resource.name, item.page_size) for item in wanted] == [("Database", 7), ("Property", None)]


def test_a_parent_selected_without_the_member_its_children_need_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"without Name, which Property needs"):
        with_parents(PROVIDER, [Wanted(resource=PROPERTY), Wanted(resource=DATABASE, select=("MLSID",))])


def test_each_value_of_the_parent_is_a_walk_of_its_own() -> None:
    walks = full_walks(PROVIDER, Wanted(resource=PROPERTY), ("North", "South"), NOW)
    assert [(walk.id, walk.value) for walk in walks] == [("w00", "North"), ("w01", "South")]
    assert walks[0].reason == "One request reads the whole set."


def test_the_page_size_is_the_smaller_of_what_is_asked_and_what_is_allowed() -> None:
    assert full_walks(PROVIDER, Wanted(resource=PROPERTY, page_size=9000), ("N",), NOW)[0].page_size == 500
    assert full_walks(PROVIDER, Wanted(resource=PROPERTY, page_size=100), ("N",), NOW)[0].page_size == 100


def test_an_unknown_walk_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="it has one"):
        full_walks(PROVIDER, Wanted(resource=PROPERTY, pager="chain"), None, NOW)


def test_a_full_walk_is_closed_by_a_delta_from_its_anchor() -> None:
    full = full_walks(PROVIDER, Wanted(resource=PROPERTY), ("North",), NOW)[0]
    closing = closing_walk(PROVIDER, full, "2024-05-01T10:00:00Z")
    assert closing is not None
    assert (closing.id, closing.phase, closing.since) == ("c00", Phase.CLOSING, "2024-05-01T09:55:00Z")


def test_nothing_closes_a_walk_that_no_question_about_changes_fits() -> None:
    undated = full_walks(PROVIDER, Wanted(resource=DATABASE), None, NOW)[0]
    assert closing_walk(PROVIDER, undated, "2024-05-01T10:00:00Z") is None
    dated = full_walks(PROVIDER, Wanted(resource=PROPERTY), ("N",), NOW)[0]
    assert closing_walk(replace(PROVIDER, closing=None), dated, "2024-05-01T10:00:00Z") is None


def test_the_empty_page_that_ends_a_walk_is_counted() -> None:
    assert requests_for(1000, 500, ends_on_empty=True) == 3
    assert requests_for(1000, 500, ends_on_empty=False) == 2
    assert requests_for(None, 500, ends_on_empty=True) is None


def test_the_window_that_takes_longest_decides() -> None:
    budget = Budget(windows=(Window(seconds=60, requests=20), Window(seconds=3600, requests=100)), in_flight=4)
    soon = forecast(20, budget, seconds_per_request=0.5)
    assert (soon.binding, soon.seconds) == ("", 2.5)
    assert forecast(50, budget, seconds_per_request=0.5).binding == "20 requests per 60 s"
    later = forecast(150, budget, seconds_per_request=0.5)
    assert (later.binding, later.seconds) == ("100 requests per 3600 s", 3600)


def test_what_is_already_spent_of_a_window_delays_the_first_requests() -> None:
    budget = Budget(windows=(Window(seconds=60, requests=20),))
    assert forecast(5, budget, seconds_per_request=0.0, spent=(20,)).seconds == 60
