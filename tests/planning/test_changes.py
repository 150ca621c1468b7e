"""What deltas and sweeps take, as earlier ones tell."""

from __future__ import annotations

import pytest
from msgspec import structs

from harvester.model import Phase
from harvester.planning.changes import Usual, kind_of, least_of_listing, usual
from harvester.store.manifest import Manifest
from tests.planning.test_delta import run


def took(requests: int, records: int, mode: Phase = Phase.DELTA, verdict: str = "complete") -> Manifest:
    return structs.replace(run("1", mode=mode, verdict=verdict), requests=requests, records=records)


def test_the_middle_of_the_last_twenty_deltas_is_what_is_usual() -> None:
    runs = [(took(900, 9_000), 1)] * 30 + [(took(number, 10 * number), 1) for number in range(1, 21)]
    assert usual(runs, Phase.DELTA) == Usual(requests=10, records=100, most=20, runs=20)


def test_deltas_that_found_nothing_count_as_often_as_they_were_made() -> None:
    runs = [(took(50, 500), 1), (took(40, 400), 1), (took(1, 0), 12)]
    assert usual(runs, Phase.DELTA) == Usual(requests=1, records=0, most=50, runs=14)
    assert usual([(took(50, 500), 1), (took(1, 0), 100_000)], Phase.DELTA) == Usual(
        requests=1, records=0, most=1, runs=20
    )


def test_only_complete_runs_of_the_same_kind_tell() -> None:
    runs = [(took(7, 70, Phase.FULL), 1), (took(3, 3, Phase.SWEEP), 1), (took(2, 2, verdict="incomplete"), 1)]
    assert usual(runs, Phase.DELTA) is None
    assert usual(runs, Phase.SWEEP) == Usual(requests=3, records=3, most=3, runs=1)


@pytest.mark.parametrize(
    ("records", "size", "walks", "requests"), [(1000, 100, 1, 10), (1001, 100, 1, 11), (5, 100, 3, 3), (None, 9, 2, 2)]
)
def test_a_listing_takes_a_request_a_page_at_least(records: int | None, size: int, walks: int, requests: int) -> None:
    assert least_of_listing(records, size, walks) == requests


@pytest.mark.parametrize(
    ("mode", "goes_on", "keyed", "kind"),
    [
        ("auto", False, True, "full"),
        ("auto", True, True, "delta"),
        ("full", True, True, "full"),
        ("delta", True, True, "delta"),
        ("delta", False, True, ""),
        ("sweep", True, True, "sweep"),
        ("sweep", False, True, ""),
        ("sweep", False, False, "full"),
        ("delta", False, False, "full"),
    ],
)
def test_what_a_run_does_with_a_resource(mode: str, goes_on: bool, keyed: bool, kind: str) -> None:
    assert kind_of(mode, goes_on=goes_on, keyed=keyed) == kind
