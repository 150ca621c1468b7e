"""What a plan promises is what then happens: the governor itself is asked, on virtual time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import structs

from harvester.api.rehearsal import Job, rehearse
from harvester.governor.ledger.news import Ended, Opened, Paused
from harvester.governor.ledger.reading import Journal
from harvester.model import Budget, Window
from tests.api.promises import CASES, race
from tests.fakes.quota_servers import Kind, Quota

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = Budget(windows=(Window(seconds=60, requests=20),), in_flight=4)


def job(*stages: tuple[int, ...], resource: str = "Property", after: str | None = None) -> Job:
    return Job(source="toy", resource=resource, after=after, stages=stages, workers=8, latency=0.5, page_bytes=1_000)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("kind", "quota", "headers"), [case[1:] for case in CASES], ids=[case[0].replace(", ", "-") for case in CASES]
)
def test_a_harvest_ends_within_five_per_cent_of_its_promise(
    kind: Kind, quota: Quota, headers: bool, seed: int, tmp_path: Path
) -> None:
    """Three windows, their phase hidden; latency and the order of answers are chance. `make promises` runs more."""
    found = race(kind, quota, seed, headers=headers, directory=tmp_path)
    assert abs(found.error) <= 0.05


def test_the_window_that_is_waited_for_longest_is_named() -> None:
    told = rehearse([job((50,))], Budget(windows=(*MINUTE.windows, Window(seconds=3600, requests=40))), start=NOW)
    assert told.binding == "40 requests per hour"
    assert told.seconds > 3600
    assert rehearse([job((10,))], MINUTE, start=NOW).binding == ""


def test_a_window_shorter_than_a_second_is_named_as_well() -> None:
    quick = Budget(windows=(Window(seconds=0.5, requests=1),), in_flight=4)
    told = rehearse([job((20,), (20,))], quick, start=NOW)
    assert told.binding == "1 request per 0.5 s"


def test_without_windows_the_longest_chain_decides() -> None:
    told = rehearse([job((10, 4), (2,))], Budget(in_flight=8), start=NOW)
    assert told.seconds == pytest.approx(12 * 0.5, abs=0.01)
    assert (told.requests, told.bytes) == (16, 16_000)


def test_requests_in_flight_share_what_one_after_the_other_cannot() -> None:
    one = rehearse([job((5,) * 8)], Budget(in_flight=1), start=NOW)
    known = (Window(seconds=1, requests=1_000),)  # where no limit is known, fewer are open at once
    four = rehearse([job((5,) * 8)], Budget(in_flight=4, windows=known), start=NOW)
    assert one.seconds == pytest.approx(4 * four.seconds, rel=0.02)


def test_a_resource_that_needs_values_of_another_begins_after_it() -> None:
    told = rehearse(
        [job((4,), resource="City", after="Mls"), job((6,), resource="Mls")], Budget(in_flight=8), start=NOW
    )
    assert [end.seconds for end in told.endings] == pytest.approx([5.0, 3.0], abs=0.01)


def test_what_is_spent_already_is_spent_in_the_rehearsal() -> None:
    spent = Journal(tuple(Ended(number, 20.0, 0, heard=False) for number in range(1, 16)))
    assert rehearse([job((1,) * 5)], MINUTE, start=NOW, journal=spent).seconds < 2
    assert 40 <= rehearse([job((1,) * 6)], MINUTE, start=NOW, journal=spent).seconds < 42


def test_requests_of_a_killed_harvest_are_spent_and_not_waited_for() -> None:
    """FAULTS Q09: nobody will end them any more, and four open ones would be all that may be open."""
    killed = Journal(tuple(Opened(number, 3.0) for number in range(1, 5)))
    assert rehearse([job((4,) * 4)], MINUTE, start=NOW, journal=killed).seconds < 3
    assert 60 <= rehearse([job((4,) * 5)], MINUTE, start=NOW, journal=killed).seconds < 63


def test_a_pause_is_waited_for() -> None:
    told = rehearse([job((1,))], MINUTE, start=NOW, journal=Journal((Paused(90.0, "429 Retry-After 90"),)))
    assert 90 <= told.seconds < 92
    assert told.binding == "429 Retry-After 90"


@pytest.mark.parametrize("requests", [60_000, 120_000])
def test_a_large_harvest_is_rehearsed_in_lots_and_ends_at_the_same_time(requests: int) -> None:
    """A year of work must not take a minute to plan; the window of a second is stretched, that of a day cut."""
    budget = Budget(windows=(Window(seconds=1, requests=4), Window(seconds=86_400, requests=40_000)), in_flight=8)
    jobs = [job((requests // 8,) * 8)]
    coarse = rehearse(jobs, budget, start=NOW, most=3_000)
    days, rest = divmod(requests - 1, 40_000)
    assert coarse.seconds == pytest.approx(days * 86_400 + rest / 4, rel=0.05)
    assert coarse.requests == requests
    assert coarse.binding == "40,000 requests per day"


async def test_it_can_be_asked_where_a_loop_is_running() -> None:
    """A plan is made inside the caller's event loop, which a second one in the same thread would break."""
    assert asyncio.get_running_loop().is_running()
    assert rehearse([job((2,))], MINUTE, start=NOW).seconds == pytest.approx(1.0)


def test_nothing_to_do_takes_no_time() -> None:
    assert rehearse([], MINUTE, start=NOW).seconds == 0
    assert rehearse([job()], MINUTE, start=NOW).seconds == 0


def test_resources_share_the_quota_as_they_will() -> None:
    """One chain beside eight, then by weight: the governor's lanes are in the rehearsal too."""
    slow = Budget(windows=(Window(seconds=10, requests=1),), in_flight=8)
    many, one = job((10,) * 8), job((20,), resource="Member")
    fair = {end.resource: end.seconds for end in rehearse([many, one], slow, start=NOW).endings}
    assert fair["Member"] == pytest.approx(400, rel=0.1)  # every other slot is its own
    heavy = rehearse([many, structs.replace(one, weight=4.0)], slow, start=NOW).endings
    assert {end.resource: end.seconds for end in heavy}["Member"] == pytest.approx(250, rel=0.1)


def test_a_closing_delta_goes_before_a_backfill_in_the_rehearsal_too() -> None:
    slow = Budget(windows=(Window(seconds=10, requests=1),), in_flight=8)
    ends = rehearse([job((50,)), job((1,), (1,), resource="Office")], slow, start=NOW).endings
    assert {end.resource: end.seconds for end in ends}["Office"] <= 50.0
