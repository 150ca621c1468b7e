"""A plan orders parents before children and turns a wanted resource into walks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
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
)
from harvester.planning.closing import closing_walk
from harvester.planning.forecast import measured, requests_for, stages_of
from harvester.planning.plan import Wanted, full_walks, with_parents
from harvester.provider import Provider
from harvester.store.manifest import Manifest, WalkEvidence

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


def walk_evidence(name: str, requests: int, *, seconds: float = 0.0, wire_bytes: int = 0) -> WalkEvidence:
    return WalkEvidence(
        id=name,
        phase="full" if name.startswith("w") else "closing",
        pager="one",
        requests=requests,
        records=500 * requests,
        duplicates=0,
        seconds=seconds,
        wire_bytes=wire_bytes,
    )


def finished_run(*walks: WalkEvidence, records: int = 1000, requests: int = 10) -> Manifest:
    return Manifest(
        run="20260301T120000Z",
        source="toy",
        provider="toy",
        resource="Property",
        fingerprint="f",
        mode="full",
        verdict="complete",
        records=records,
        bytes=1,
        requests=requests,
        started=NOW,
        finished=NOW,
        keys=None,
        walks=walks,
        shards=(),
    )


def property_walk() -> Walk:
    return full_walks(PROVIDER, Wanted(resource=PROPERTY), ("N",), NOW)[0]


def test_what_a_resource_needed_last_time_is_needed_again() -> None:
    """Full walks side by side, then each round of the closing delta, then what was asked beside the walks."""
    last = finished_run(
        walk_evidence("c00", 1), walk_evidence("w00", 5), walk_evidence("w01", 2), walk_evidence("d00", 1), requests=11
    )
    assert stages_of(PROVIDER, property_walk(), 1000, 2, last) == ((5, 2), (1,), (1,), (2,))


def test_what_a_proof_needed_last_time_is_not_needed_again() -> None:
    """The next run need not be proven; neither its walks nor the requests of them are foreseen."""
    proof = [msgspec.structs.replace(walk_evidence(f"{letter}00", 7), phase=phase) for letter, phase in _PROOF]
    last = finished_run(walk_evidence("w00", 5), walk_evidence("c00", 1), *proof, requests=21)
    assert stages_of(PROVIDER, property_walk(), 1000, 1, last) == ((5,), (1,), (1,))


_PROOF = (("s", "sweep"), ("p", "repair"))


def test_a_resource_that_has_grown_needs_as_many_more_pages() -> None:
    last = finished_run(walk_evidence("w00", 4), walk_evidence("c00", 1), requests=5)
    assert stages_of(PROVIDER, property_walk(), 1500, 1, last) == ((6,), (1,))


def test_without_an_earlier_run_pages_are_reckoned_and_spread_over_the_walks() -> None:
    walk = replace_size(property_walk(), 500)
    assert stages_of(PROVIDER, walk, 1000, 2, None) == ((2, 2), (1, 1))
    assert stages_of(PROVIDER, walk, None, 2, None) is None
    assert stages_of(PROVIDER, walk, 1000, None, None) is None


def test_a_request_takes_what_it_took_on_average_and_waits_for_the_quota_do_not_count() -> None:
    found = measured([finished_run(walk_evidence("w00", 8, seconds=4.0, wire_bytes=80_000), walk_evidence("c00", 2))])
    assert (found.seconds, found.wire_bytes) == (0.5, 10_000)
    assert measured([finished_run(walk_evidence("w00", 8))]).seconds is None


def replace_size(walk: Walk, size: int) -> Walk:
    return msgspec.structs.replace(walk, page_size=size)
