"""How current everything is, by the events of rounds; and the same for Prometheus and for a terminal."""

from __future__ import annotations

from datetime import timedelta

import pytest
from rich.console import Console

from harvester.events import (
    Event,
    PageFetched,
    Requested,
    ResourceFinished,
    ResourceStarted,
    RoundFinished,
    RoundResult,
    RoundStarted,
    Waiting,
)
from harvester.planning.closing import read_instant
from harvester.report.metrics import metrics_of
from harvester.report.pulse import Pulse, ResourceHealth
from harvester.report.watch import lines_of, picture
from tests.fakes.clock import FakeClock

EVERY = 300.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def pulse(clock: FakeClock) -> Pulse:
    pulse = Pulse(clock, read_instant)
    pulse.expect("lake", EVERY, ["Property"])
    return pulse


def ended(
    clock: FakeClock,
    *,
    verdict: str = "complete",
    mode: str = "delta",
    changes: int = 0,
    failures: int = 0,
    reason: str = "",
    next_in: float | None = EVERY,
) -> Event:
    result = RoundResult(
        resource="Property",
        mode=mode,
        verdict=verdict,
        reason=reason,
        changes=changes,
        watermark=None if mode == "sweep" else clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    return RoundFinished(
        at=clock.now(), source="lake", results=(result,), seconds=1.0, failures=failures, next_in=next_in
    )


def told(pulse: Pulse) -> ResourceHealth:
    return pulse.health().sources[0].resources[0]


def test_nothing_is_current_before_its_first_success(pulse: Pulse, clock: FakeClock) -> None:
    assert not pulse.health().current
    pulse(ended(clock, mode="full", changes=9))
    assert pulse.health().current
    assert (told(pulse).last_success, told(pulse).listed) == (clock.now(), clock.now())


def test_a_success_is_good_for_three_intervals(pulse: Pulse, clock: FakeClock) -> None:
    pulse(ended(clock))
    clock.advance(3 * EVERY)
    assert pulse.health().current
    clock.advance(1.0)
    assert not pulse.health().current
    pulse(ended(clock, verdict="incomplete", reason="a page is missing", failures=1))
    assert not pulse.health().current, "only a complete round is a success"
    assert told(pulse).watermark is not None
    assert told(pulse).lag == 3 * EVERY + 1.0


def test_a_source_of_which_nothing_is_known_is_not_current(pulse: Pulse, clock: FakeClock) -> None:
    pulse.expect("north", EVERY)
    pulse(ended(clock))
    assert [source.current for source in pulse.health().sources] == [True, False]
    assert not pulse.health().current


def test_a_stopped_source_is_not_current_however_new_its_last_success(pulse: Pulse, clock: FakeClock) -> None:
    pulse(ended(clock))
    pulse.stop("lake", "the credential is refused")
    assert not pulse.health().current
    assert pulse.health().sources[0].stopped == "the credential is refused"


def test_what_an_earlier_process_left_counts_by_its_age(pulse: Pulse, clock: FakeClock) -> None:
    success = clock.now() - timedelta(seconds=2 * EVERY)
    pulse.recall("lake", "Property", success=success, watermark="2026-03-01T11:00:00Z", listed=None)
    assert pulse.health().current
    clock.advance(EVERY + 1)
    assert not pulse.health().current


def test_a_sweep_that_settled_not_everything_stays_told_until_one_does(pulse: Pulse, clock: FakeClock) -> None:
    pulse(ended(clock, mode="sweep", verdict="incomplete", reason="too many are gone"))
    pulse(ended(clock))
    assert (told(pulse).verdict, told(pulse).unswept) == ("complete", "too many are gone")
    assert '\nharvester_unswept{source="lake",resource="Property"} 1\n' in metrics_of(pulse.health()).decode()
    pulse(ended(clock, mode="sweep"))
    assert told(pulse).unswept == ""


def test_a_round_under_way_has_no_next_one(pulse: Pulse, clock: FakeClock) -> None:
    pulse(ended(clock, next_in=60.0))
    assert told(pulse).next_round == clock.now() + timedelta(seconds=60)
    pulse(RoundStarted(at=clock.now(), source="lake", resources=("Property",), mode="auto"))
    pulse(ResourceStarted(at=clock.now(), source="lake", resource="Property", run="1", mode="delta", resumed=False))
    page = PageFetched(
        at=clock.now(), source="lake", resource="Property", walk="n00", records=7, duplicates=0, bytes=1, seconds=1.0
    )
    pulse(page)
    pulse(page)
    assert (told(pulse).under_way, told(pulse).taken, told(pulse).next_round) == ("delta", 14, None)
    pulse(ended(clock, changes=3))
    assert (told(pulse).under_way, told(pulse).taken, told(pulse).changes, told(pulse).changed) == ("", 0, 3, 1)


def test_a_pause_is_told_while_it_lasts(pulse: Pulse, clock: FakeClock) -> None:
    until = clock.now() + timedelta(seconds=40)
    pulse(Waiting(at=clock.now(), source="lake", seconds=40.0, until=until, reason="20 per minute"))
    assert (pulse.health().sources[0].paused_until, pulse.health().sources[0].pause_reason) == (until, "20 per minute")
    clock.advance(41.0)
    assert pulse.health().sources[0].paused_until is None


def test_events_of_others_are_passed_over(pulse: Pulse, clock: FakeClock) -> None:
    pulse(Requested(at=clock.now(), source="elsewhere", status=200))
    pulse(RoundStarted(at=clock.now(), source="lake", resources=("Nobody",), mode="auto"))
    assert pulse.health().sources[0].requests == 0


def test_metrics_are_in_the_text_format_and_leave_out_what_is_not_known(pulse: Pulse, clock: FakeClock) -> None:
    pulse.expect('odd"\\\n', EVERY)
    text = metrics_of(pulse.health()).decode()
    assert "last_success" not in text, "0 would be a lie"
    assert 'harvester_current{source="odd\\"\\\\\\n"} 0\n' in text
    pulse(ended(clock))
    pulse(
        ResourceFinished(
            at=clock.now(),
            source="lake",
            resource="Property",
            run="1",
            verdict="complete",
            reason="",
            records=1,
            bytes=1,
            requests=4,
            quarantined=0,
            seconds=1.0,
        )
    )
    lines = metrics_of(pulse.health()).decode().splitlines()
    assert (
        f'harvester_last_success_timestamp_seconds{{source="lake",resource="Property"}} {clock.now().timestamp():.17g}'
        in lines
    )
    assert 'harvester_requests_total{source="lake",resource="Property"} 4' in lines
    for line in lines:
        assert line.startswith(("# HELP harvester_", "# TYPE harvester_", "harvester_"))


def test_a_round_without_changes_leaves_no_line_and_a_failure_says_when_it_is_tried_again(clock: FakeClock) -> None:
    assert lines_of(ended(clock)) == []
    (line,) = lines_of(ended(clock, changes=1))
    assert line.plain.endswith("lake Property: delta, 1 change, complete")
    (line,) = lines_of(ended(clock, verdict="failed", reason="no \x1b[2Jroute", failures=1, next_in=30.0))
    assert line.plain.endswith("again in 30 s")
    assert "\x1b" not in line.plain


def test_the_picture_has_a_line_for_each_resource_and_fits(pulse: Pulse, clock: FakeClock) -> None:
    pulse.expect("north", EVERY, [f"Resource{number}" for number in range(30)])
    pulse(ended(clock, changes=12, next_in=125.0))
    console = Console(width=120, record=True, file=None)
    with console.capture() as captured:
        console.print(picture(pulse.health(), 10))
    shown = captured.get()
    assert "Property" in shown
    assert "2:05" in shown
    assert "and 22 more" in shown
