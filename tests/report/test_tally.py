"""Events become a Report whose exit status can be believed."""

from __future__ import annotations

import json

import pytest

from harvester.events import Event, Quarantined, SourceFailed, Warned
from harvester.report.render import report_json
from harvester.report.tally import Report, Tally
from tests.fakes import happenings as h


def fold(*events: Event) -> Report:
    tally = Tally()
    for event in events:
        tally(event)
    return tally.report()


def test_a_run_whose_resources_are_all_complete_is_complete() -> None:
    report = fold(h.run_started(), h.started(), h.requested(), h.finished(), h.run_finished())
    (row,) = report.resources
    assert (report.exit_status, report.complete) == (0, True)
    assert (row.source, row.resource, row.run, row.mode) == ("ims", "Property", h.RUN, "full")
    assert (row.records, row.bytes, row.requests, row.quarantined, row.seconds) == (100, 1000, 7, 2, 50.0)
    assert (report.out, report.started, report.seconds) == ("out", h.START, 60.0)
    assert report.totals.requests == 1  # what went on the wire, not what the rows add up to


@pytest.mark.parametrize("verdict", ["incomplete", "failed", "interrupted"])
def test_one_resource_that_is_not_complete_makes_the_status_1_even_if_the_run_says_0(verdict: str) -> None:
    """Promise 1: a gap is never reported as success, whoever forgot it."""
    bad = h.finished("Member", verdict=verdict, reason="count says 7 more")
    report = fold(h.run_started(), h.started(), h.started("Member"), h.finished(), bad, h.run_finished(0))
    assert (report.exit_status, report.complete) == (1, False)


def test_a_failed_source_makes_the_status_1() -> None:
    failed = SourceFailed(at=h.START, source="centris", reason="credentials refused")
    report = fold(h.run_started(), h.started(), h.finished(), failed, h.run_finished(0))
    assert report.exit_status == 1
    assert [(failure.source, failure.reason) for failure in report.failures] == [("centris", "credentials refused")]


def test_the_status_the_run_gives_is_kept() -> None:
    assert fold(h.run_started(), h.started(), h.finished(), h.run_finished(75)).exit_status == 75


def test_a_run_without_an_end_or_without_resources_proves_nothing() -> None:
    assert fold().exit_status == 1
    assert fold(h.run_started(), h.started(), h.finished()).exit_status == 1
    assert fold(h.run_started(), h.run_finished(0)).exit_status == 1


def test_a_resource_without_an_end_counts_as_interrupted_with_what_is_committed() -> None:
    """Records on their way are not durable: only commits count."""
    report = fold(h.run_started(), h.started(records=500), h.page(90), h.committed(40), h.committed(30))
    (row,) = report.resources
    assert (row.verdict, row.records, row.bytes) == ("interrupted", 570, 700)


def test_overlapping_waits_of_one_credential_are_counted_once() -> None:
    report = fold(
        h.run_started(),
        h.started(),
        h.waiting(0, 10),
        h.waiting(2, 8),  # another worker, the same pause
        h.waiting(5, 10),  # five seconds longer
        h.waiting(20, 1),
        h.waiting(0, 4, source="centris"),
        h.run_finished(),
    )
    assert report.totals.waits == 10 + 5 + 1 + 4
    assert report.resources[0].waits == 16


def test_a_wait_belongs_to_the_resources_that_were_open() -> None:
    events = (h.started(), h.finished(), h.started("Member"), h.waiting(50, 10))
    rows = {row.resource: row.waits for row in fold(h.run_started(), *events, h.run_finished()).resources}
    assert rows == {"Property": 0.0, "Member": 10.0}


def test_only_what_was_waited_counts_not_what_was_announced() -> None:
    """A resource can end in the middle of a pause, and so can the run."""
    events = (h.started(), h.waiting(48, 900), h.finished(), h.started("Member"), h.run_finished(1))
    report = fold(h.run_started(), *events)
    assert {row.resource: row.waits for row in report.resources} == {"Property": 2.0, "Member": 10.0}
    assert report.totals.waits == 12.0


def test_a_resource_that_failed_before_it_started_has_a_row() -> None:
    report = fold(h.run_started(), h.finished(verdict="failed", reason="not entitled", records=0), h.run_finished(1))
    assert [(row.resource, row.verdict) for row in report.resources] == [("Property", "failed")]


def test_repeated_warnings_are_told_once_and_open_quarantine_is_counted() -> None:
    warned = Warned(at=h.START, source="ims", message="Reset lies in the past")
    bad = Quarantined(at=h.START, source="ims", resource="Property", walk="w00", reason="no key")
    report = fold(h.run_started(), h.started(), warned, warned, bad)
    assert report.warnings == ("ims: Reset lies in the past",)
    assert report.resources[0].quarantined == 1


def test_the_report_is_one_line_of_json() -> None:
    line = report_json(fold(h.run_started(), h.started(), h.finished(), h.run_finished()))
    document = json.loads(line)
    assert b"\n" not in line
    assert document["exit_status"] == 0
    assert document["resources"][0]["verdict"] == "complete"
    assert document["totals"]["records"] == 100
