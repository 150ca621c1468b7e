"""What was promised at the start beside what came of it."""

from __future__ import annotations

from msgspec import structs

from harvester.events import Event, Promised, ResourceStarted
from harvester.report.promises import PromiseRow, Promises, promise_line
from harvester.report.render import console_on, write_report
from harvester.report.tally import Tally
from tests.fakes import happenings as h
from tests.fakes.terminal import Stream


def promised(source: str = "ims") -> Promised:
    return Promised(at=h.START, source=source, requests=6, bytes=None, seconds=48.0, binding="")


def rows(*events: Event) -> tuple[PromiseRow, ...]:
    promises = Promises()
    for event in events:
        promises(event)
    return promises.rows()


def resumed() -> ResourceStarted:
    return structs.replace(h.started(), resumed=True)


def test_a_source_is_compared_from_the_promise_to_the_end_of_its_last_resource() -> None:
    (row,) = rows(promised(), h.started("Property"), h.started("Member"), h.finished("Property"), h.finished("Member"))
    assert row == PromiseRow(source="ims", requests_promised=6, requests=14, seconds_promised=48.0, seconds=50.0)
    assert promise_line(row) == "ims: planned 6 requests in 48 s, took 14 in 50 s"


def test_only_whole_harvests_are_compared() -> None:
    """What goes on with an earlier attempt, or was not finished, is no measure of the plan."""
    assert rows(promised(), resumed(), h.finished()) == ()
    assert rows(promised(), h.finished()) == ()
    assert rows(promised(), h.started(), h.finished(verdict="failed", reason="503")) == ()
    assert rows(promised(), h.started()) == ()
    assert rows(h.started(), h.finished()) == ()
    assert rows(promised("centris"), h.started(), h.finished()) == ()


def test_the_closing_report_has_one_line_for_it() -> None:
    tally = Tally()
    for event in (h.run_started(), promised(), h.started(), h.finished(), h.run_finished()):
        tally(event)
    shown = Stream(terminal=False)
    write_report(tally.report(), console_on(shown))
    assert shown.getvalue().count("ims: planned 6 requests in 48 s, took 7 in 50 s") == 1
