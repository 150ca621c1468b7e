"""What is told of the quota while requests go out: often enough to be true, seldom enough to be read."""

from __future__ import annotations

from harvester.events import Event, Waiting, WindowUse
from harvester.governor.meter import Meter
from tests.fakes import happenings as h
from tests.fakes.clock import FakeClock


class Window:
    """A window of 20 a minute whose use the test sets."""

    def __init__(self) -> None:
        self.used = 0

    def __call__(self) -> WindowUse:
        return WindowUse(at=h.START, source="first", used=self.used, limit=20, seconds=60)


def metered(*sources: str) -> tuple[Meter, Window, FakeClock, list[Event]]:
    told: list[Event] = []
    clock, window = FakeClock(), Window()
    meter = Meter([(source, "") for source in sources], clock, told.append)
    meter.read(window)
    return meter, window, clock, told


def uses(told: list[Event]) -> list[tuple[str, int]]:
    return [(event.source, event.used) for event in told if isinstance(event, WindowUse)]


def test_the_use_is_told_after_a_request_but_not_after_each() -> None:
    meter, window, clock, told = metered("ims")
    for window.used in (1, 2, 3):
        meter.look()
    clock.advance(0.5)
    window.used = 4
    meter.look()
    assert uses(told) == [("ims", 1), ("ims", 4)]


def test_the_same_use_is_told_once() -> None:
    meter, _window, clock, told = metered("ims")
    for _ in range(3):
        meter.look()
        clock.advance(5)
    assert uses(told) == [("ims", 0)]


def test_a_wait_is_preceded_by_the_use_that_explains_it() -> None:
    meter, window, _clock, told = metered("ims")
    meter.look()
    window.used = 20
    meter(h.waiting(0, 41))
    assert [type(event) for event in told] == [WindowUse, WindowUse, Waiting]
    assert uses(told)[-1] == ("ims", 20)


def test_every_source_of_the_credential_is_told_of_the_window_and_of_the_wait() -> None:
    """One governor, two lines on the screen: both stand still, so both must say why."""
    meter, window, _clock, told = metered("first", "second")
    window.used = 20
    meter(h.waiting(0, 41, source="first"))
    assert uses(told) == [("first", 20), ("second", 20)]
    assert [event.source for event in told if isinstance(event, Waiting)] == ["first", "second"]
