"""The server's own count: the lowest remaining of the current Reset, less what is in flight."""

from __future__ import annotations

from harvester.governor.feedback import GUARD, Feedback


def told(remaining: int, *, reset_at: float = 60.0) -> Feedback:
    feedback = Feedback(60.0)
    feedback.hear(remaining, reset_at, 0.0, 0.0, own=True)
    feedback.settled(0.0, answered=True)
    return feedback


def test_what_is_in_flight_is_counted_as_spent() -> None:
    assert told(5).left(open_requests=3) == 2


def test_a_late_answer_never_raises_the_remaining() -> None:
    """Answers arrive out of order; without this rule there are 19 refusals per 100."""
    feedback = told(3)
    feedback.hear(9, 60.0, 1.0, 0.0, own=True)
    assert feedback.remaining == 3


def test_resets_within_the_guard_are_one_reset() -> None:
    """Dates and Resets are whole seconds, so one Reset looks like two that are a second apart."""
    feedback = Feedback(None)
    feedback.hear(3, 60.0, 0.0, 0.0, own=True)
    feedback.hear(9, 60.0 + GUARD, 60.5, 0.0, own=True)
    assert feedback.remaining == 3


def test_a_new_reset_half_a_window_ahead_begins_a_new_count() -> None:
    feedback = told(0)
    assert feedback.hear(19, 120.0, 60.2, 60.0, own=True)
    assert feedback.remaining == 19


def test_an_answer_from_before_the_reset_does_not_lower_the_new_count() -> None:
    feedback = told(0)
    feedback.hear(19, 120.0, 61.5, 61.0, own=True)
    assert feedback.hear(0, 63.0, 63.0, 59.0, own=True) is None
    assert feedback.remaining == 19


def test_a_jump_of_the_remaining_without_a_new_reset_is_not_believed() -> None:
    """FAULTS Q06."""
    feedback = told(1)
    assert not feedback.hear(400, 60.0, 10.0, 9.0, own=True)
    assert feedback.remaining == 1


def test_a_request_without_an_answer_counts_until_a_later_one_is_answered() -> None:
    feedback = told(5)
    feedback.settled(10.0, answered=False)
    assert feedback.left(0) == 4
    # Sent before the loss: the server may have counted it first.
    feedback.hear(5, 60.0, 11.0, 9.0, own=False)
    assert feedback.left(0) == 4
    # Sent after it: whatever the server counted is in this figure.
    feedback.hear(4, 60.0, 12.0, 10.5, own=False)
    assert feedback.left(0) == 4


def test_it_does_not_matter_whether_an_answer_is_observed_or_settled_first() -> None:
    one, other = told(5), told(5)
    one.hear(4, 60.0, 1.0, 0.5, own=True)
    assert one.left(1) == 4  # observed, still open: counted once
    one.settled(1.0, answered=True)
    other.settled(1.0, answered=True)
    other.hear(4, 60.0, 1.0, 0.5, own=True)
    assert one.left(0) == other.left(0) == 4
